# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same site on another release, and on a hybrid host without limits but with everything else."""

from declared import (  # noqa: F401
    test_addresses_are_as_declared,
    test_both_containers_run_and_start_at_boot,
    test_every_published_port_is_reached_from_every_host,
    test_limits_are_in_the_kernel_unless_it_has_none,
    test_namespaces_are_its_own,
    test_the_client_finds_web_by_name,
)

WARNING = "Limits that this host cannot keep"
#: Where systemd mounts the controllers of cgroup v1.
V1 = {"cpu": "cpu,cpuacct", "io": "blkio", "memory": "memory", "pids": "pids"}


def test_the_user_is_warned_of_limits_that_are_not_kept(told, hybrid, name):
    """With each controller, who holds it, and what to do."""
    if not hybrid:
        assert WARNING not in told
        return
    said = told[WARNING]
    assert said.startswith(f"WARNING: {name} runs the containers without these limits, as cgroup v2 lacks their contr")
    for controller, place in V1.items():
        assert f"{controller}: held by the cgroup v1 hierarchy at /sys/fs/cgroup/{place}" in said
    assert "Boot with systemd.unified_cgroup_hierarchy=1" in said
    assert said.endswith("or say container_limits=require to fail instead.")
