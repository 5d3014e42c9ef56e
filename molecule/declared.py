# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the site's two containers, for every scenario that has them: what runs, what it can use, who reaches it."""


def test_both_containers_run_and_start_at_boot(seen):
    for name, container in seen["containers"].items():
        assert (container["active"], container["enabled"]) == ("active", "enabled"), name


def test_every_published_port_is_reached_from_every_host(seen, siblings, name, page_of):
    """By name and by IPv6 from outside, and on the host itself also at 127.0.0.1."""
    wanted = {"127.0.0.1": page_of(name)}
    for one, values in siblings.items():
        wanted[one] = wanted[values["vm_address6"]] = page_of(one)
    assert seen["pages"] == wanted


def test_the_client_finds_web_by_name(seen, name, page_of):
    assert page_of(name) in seen["containers"]["client"]["journal"]


def test_limits_are_in_the_kernel_unless_it_has_none(seen, hybrid, web_memory):
    web, client = (dict(seen["containers"][one]["limits"]) for one in ("web", "client"))
    if hybrid:
        assert {*web.values(), *client.values()} == {None}
        return
    device, _, io = web.pop("io.max").partition(" ")
    assert device == seen["disk"]
    assert io == "rbps=max wbps=10485760 riops=max wiops=max"
    assert web == {"memory.max": str(web_memory), "cpu.max": "50000 100000", "pids.max": "20"}
    assert (client["memory.max"], client["cpu.max"], client["pids.max"]) == (str(256 << 20), "100000 100000", "50")


def test_namespaces_are_its_own(seen, hybrid):
    wanted = {"ipc", "mnt", "net", "pid", "uts"} | (set() if hybrid else {"cgroup"})
    for name, container in seen["containers"].items():
        assert set(container["own_namespaces"]) >= wanted, name


def test_addresses_are_as_declared(seen):
    assert {name: set(container["addresses"]) for name, container in seen["containers"].items()} == {
        "web": {"10.88.0.10/24", "fd88::10/64"},
        "client": {"10.88.0.11/24", "fd88::11/64"},
    }
