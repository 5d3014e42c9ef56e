# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same site on another release, and on a hybrid host without limits but with everything else."""

import pytest


@pytest.fixture(name="hybrid", scope="module")
def whether_the_host_is_hybrid(host):
    return host.backend.get_variables()["vm"].get("hybrid", False)


def test_both_containers_run_and_start_at_boot(seen):
    for name, container in seen["containers"].items():
        assert (container["active"], container["enabled"]) == ("active", "enabled"), name


def test_published_ports_answer_from_every_host(seen, siblings, name):
    wanted = {"127.0.0.1": f"Hello from {name}."}
    for one, values in siblings.items():
        wanted[one] = wanted[values["vm_address6"]] = f"Hello from {one}."
    assert seen["pages"] == wanted


def test_the_client_finds_web_by_name(seen, name):
    assert f"Hello from {name}." in seen["containers"]["client"]["journal"]


def test_limits_are_in_the_kernel_unless_it_has_none(seen, hybrid):
    limits = seen["containers"]["web"]["limits"]
    assert limits["memory.max"] == (None if hybrid else str(64 << 20))
    assert limits["pids.max"] == (None if hybrid else "20")


def test_namespaces_are_its_own(seen):
    for name, container in seen["containers"].items():
        assert set(container["own_namespaces"]) >= {"ipc", "mnt", "net", "pid", "uts"}, name
