# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A limit was changed, on beta then a variable of the environment too, and each was applied the way the diff said.

Web ran on alpha; on beta it had been stopped, so the first change came with its start.
"""

import json

import pytest

#: systemd reads its files again, which must not touch the limits of a delegated unit. Prints a JSON object.
RELOAD = """
import json, subprocess
def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
run("systemctl", "daemon-reload")
with open("/sys/fs/cgroup/barekernel.slice/barekernel-web.service/container/memory.max") as stream:
    memory = stream.read().strip()
print(json.dumps({
    "memory": memory,
    "restarts": run("systemctl", "show", "barekernel-web.service", "-p", "NRestarts", "--value"),
    "pids": open("/root/web-pids").read().split(),
    "hog": run("journalctl", "_PID=1", "-b", "-u", "barekernel-hog.service", "-o", "cat", "--no-pager"),
    "kernel": run("journalctl", "-k", "-b", "--no-pager", "-g", "Memory cgroup out of memory"),
}))
"""


@pytest.fixture(name="web", scope="module")
def what_was_done_to_web(actions):
    return [entry for entry in actions("apply") if entry["item"] == "web"]


@pytest.fixture(name="reloaded", scope="module")
def after_a_daemon_reload(host):
    return json.loads(host.check_output("python3 -c %s", RELOAD))


def test_the_diff_names_the_option_and_how(web, name):
    how = [{change["option"]: change["how"] for change in entry["changes"]} for entry in web]
    if name == "alpha":
        assert how == [{"limits.memory.max": "live"}]
    else:
        assert how == [{"limits.memory.max": "live", "state": "live"}, {"env.PAGE": "restart"}]


def test_only_web_changed(web, actions):
    assert all(entry["changed"] for entry in web)
    others = [entry for entry in actions("apply") if entry["item"] not in ("web", "")]
    assert others and [entry["item"] for entry in others if entry["changed"]] == []


def test_each_host_serves_the_page_that_it_was_given_last(seen, siblings):
    assert seen["containers"]["web"]["active"] == "active"
    assert set(siblings) == {"alpha", "beta"}
    assert set(seen["pages"].values()) == {"Hello from alpha.", "Hello from beta."}


def test_the_kernel_has_the_new_limit_also_after_systemd_has_reloaded(seen, reloaded):
    assert seen["containers"]["web"]["limits"]["memory.max"] == str(64 << 20)
    assert reloaded["memory"] == str(64 << 20)


def test_the_limit_was_changed_under_the_running_process(reloaded, name):
    before, after = reloaded["pids"]
    assert after != "0"
    assert before == (after if name == "alpha" else "0")


def test_only_the_environment_was_changed_by_a_restart(reloaded, seen, name):
    before = reloaded["pids"][-1]
    assert (str(seen["containers"]["web"]["pid"]) == before) == (name == "alpha")
    assert seen["containers"]["web"]["pid"] != 0


def test_systemd_had_nothing_to_restart_by_itself(reloaded):
    assert reloaded["restarts"] == "0"


def test_systemd_and_kernel_say_that_memory_ran_out(reloaded, name):
    """Of the container in side_effect.yml, which ns_container_info said to be killed for want of memory."""
    if name == "alpha":
        assert "Failed with result" in reloaded["hog"]
        assert "tail" in reloaded["kernel"]


def test_a_reaper_ends_at_once_with_the_stop_signal_and_that_is_no_failure(host, name):
    """The container of side_effect.yml that was started three times and has a minute to stop."""
    if name == "alpha":
        starts, *unit, left, ended = host.check_output("cat /root/brief").split()
        assert (starts, sorted(unit)) == ("3", ["ActiveState=inactive", "ExecMainStatus=143", "Result=success"])
        assert int(ended) - int(left) < 30e6
