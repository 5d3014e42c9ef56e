# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts with the same site: what runs, what it can use, and who reaches it."""

GONE_WITH_A_RUN = {"active": "active", "enabled": "enabled"}


def test_check_mode_said_what_was_then_done(actions):
    predicted, done = actions("check"), actions("apply")
    keys = ("task", "item", "actions")
    assert [[entry[key] for key in keys] for entry in predicted] == [[entry[key] for key in keys] for entry in done]
    assert sum(len(entry["actions"]) for entry in done) > 10


def test_each_host_pulled_its_image_from_the_registry_in_their_network(seen, name, siblings):
    """Not from this machine, to whose networks they have no way; the registry on alpha wrote down who asked."""
    assert len(seen["pullers"]) == (len(siblings) if name == "alpha" else 0)


def test_both_containers_run_and_start_at_boot(seen):
    for name, container in seen["containers"].items():
        assert {key: container[key] for key in GONE_WITH_A_RUN} == GONE_WITH_A_RUN, name


def test_every_published_port_is_reached_from_every_host(seen, siblings, name):
    """By name and by IPv6 from outside, and on the host itself also at 127.0.0.1."""
    wanted = {"127.0.0.1": f"Hello from {name}."}
    for one, values in siblings.items():
        wanted[one] = wanted[values["vm_address6"]] = f"Hello from {one}."
    assert seen["pages"] == wanted


def test_the_client_finds_web_by_name(seen, name):
    assert f"Hello from {name}." in seen["containers"]["client"]["journal"]


def test_limits_are_in_the_kernel(seen):
    assert seen["containers"]["web"]["limits"] == {
        "memory.max": str(64 << 20),
        "cpu.max": "50000 100000",
        "pids.max": "20",
        "io.max": "254:0 rbps=max wbps=10485760 riops=max wiops=max",
    }
    client = seen["containers"]["client"]["limits"]
    assert (client["memory.max"], client["cpu.max"], client["pids.max"]) == (str(256 << 20), "100000 100000", "50")


def test_namespaces_are_its_own(seen):
    for name, container in seen["containers"].items():
        assert set(container["own_namespaces"]) >= {"cgroup", "ipc", "mnt", "net", "pid", "uts"}, name


def test_addresses_are_as_declared(seen):
    assert {name: set(container["addresses"]) for name, container in seen["containers"].items()} == {
        "web": {"10.88.0.10/24", "fd88::10/64"},
        "client": {"10.88.0.11/24", "fd88::11/64"},
    }
