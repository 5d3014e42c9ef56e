# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A changed limit: applied live, as the diff said, where web runs (alpha); with a start where it was stopped (beta)."""

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
hog = run("systemctl", "show", "barekernel-hog.service", "-p", "ActiveState", "--value")
print(json.dumps({
    "memory": memory,
    "restarts": run("systemctl", "show", "barekernel-web.service", "-p", "NRestarts", "--value"),
    "hog": hog,
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
    changes = {change["option"]: change["how"] for entry in web for change in entry["changes"]}
    assert changes.pop("limits.memory.max") == "live"
    assert changes == ({} if name == "alpha" else {"state": "live"})


def test_only_web_changed(web, actions):
    assert [entry["changed"] for entry in web] == [True]
    others = [entry for entry in actions("apply") if entry["item"] not in ("web", "")]
    assert [entry["item"] for entry in others if entry["changed"]] == []


def test_it_runs_on_both_hosts(seen):
    assert seen["containers"]["web"]["active"] == "active"
    assert all("Hello" in page for page in seen["pages"].values())


def test_the_kernel_has_the_new_limit_also_after_systemd_has_reloaded(seen, reloaded):
    assert seen["containers"]["web"]["limits"]["memory.max"] == str(80 << 20)
    assert reloaded["memory"] == str(80 << 20)


def test_nothing_was_restarted(reloaded):
    assert reloaded["restarts"] == "0"


def test_systemd_and_kernel_say_that_memory_ran_out(reloaded, name):
    """Of the container in side_effect.yml, which ns_container_info said to be killed for want of memory."""
    if name == "alpha":
        assert reloaded["hog"] == "failed"
        assert "tail" in reloaded["kernel"]
