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

WARNING = "limits are not enforced on this host. {}: held by the cgroup v1 hierarchy at /sys/fs/cgroup/{}; boot with "
#: Where systemd mounts the controllers of cgroup v1.
V1 = {"cpu": "cpu,cpuacct", "io": "blkio", "memory": "memory", "pids": "pids"}


def test_the_user_is_warned_of_limits_that_are_not_kept(warned, hybrid):
    """With each controller, who holds it, and what to do."""
    said = {warning for warning in warned if warning.startswith("limits are not enforced")}
    wanted = [WARNING.format(*held) for held in V1.items()] if hybrid else []
    assert sorted(begin for begin in wanted if any(one.startswith(begin) for one in said)) == sorted(wanted)
    assert len(said) == len(wanted) and all("container_limits=require" in one for one in said)
