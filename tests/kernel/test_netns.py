# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The named network namespaces of netns_veth on the real kernel: whose they are, how they come and go."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    locations,
    namespaces,
    netlink,
    netlink_links,
    netns,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import NetnsRef

from .veth import BASE, A, ip, link, reachable, remove, task, tidy

__all__ = ["tidy"]


def test_a_foreign_namespace_is_used_but_never_removed():
    ip("netns", "add", "bktest-a")
    task(*BASE)
    with pytest.raises(Refused, match="is not ours"):
        remove(namespaces=[{"name": "bktest-a"}], remove_namespaces="always")
    remove(namespaces=[{"name": "bktest-a"}])
    assert netns.names() == ["bktest-a"]
    with pytest.raises(Refused, match="exists and is not ours"):
        task(namespaces=[{"name": "bktest-a"}])


def test_a_namespace_goes_when_nothing_else_is_in_it():
    task(*BASE)
    ip("link", "add", "bkdummy", "type", "bridge", where="bktest-a")
    remove()
    assert netns.names() == ["bktest-a"]
    ip("link", "delete", "bkdummy", where="bktest-a")
    holder = subprocess.Popen(
        ["ip", "netns", "exec", "bktest-a", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE
    )
    holder.stdout.readline()
    try:
        remove(namespaces=[{"name": "bktest-a"}])
        assert netns.names() == ["bktest-a"]
        remove(namespaces=[{"name": "bktest-a"}], remove_namespaces="always")
        assert netns.names() == []
    finally:
        holder.kill()
        holder.wait()
    task(*BASE)
    remove(remove_namespaces="never")
    assert netns.names() == ["bktest-a"]
    remove(namespaces=[{"name": "bktest-a"}])
    assert netns.names() == [] and not os.path.exists("/run/netns")


def test_a_foreign_namespace_with_a_name_and_a_number_that_were_ours_is_not():
    """The kernel gives the number of a namespace's file to the next one, as soon as it is free."""
    task(ends=[], namespaces=[{"name": "bktest-b"}])
    ip("netns", "delete", "bktest-b")
    ip("netns", "add", "bktest-b")
    number = os.stat("/run/netns/bktest-b").st_ino
    assert str(number) not in Path(f"{locations.NETNS_MARKS}/bktest-b").read_text()
    with pytest.raises(Refused, match="exists and is not ours"):
        task(ends=[], namespaces=[{"name": "bktest-b"}])
    remove(namespaces=[{"name": "bktest-b"}])
    assert netns.names() == ["bktest-b"]


def test_the_number_tells_namespaces_apart_where_the_kernel_has_no_cookies(monkeypatch):
    monkeypatch.setattr(namespaces, "_SO_NETNS_COOKIE", 9999)
    task(ends=[], namespaces=[{"name": "bktest-b"}])
    assert Path(f"{locations.NETNS_MARKS}/bktest-b").read_text() == f"{os.stat('/run/netns/bktest-b').st_ino}\n"
    assert netns.observe("bktest-b").ours
    remove(namespaces=[{"name": "bktest-b"}])
    assert netns.names() == []


@pytest.mark.parametrize("when", ["unused", "always"])
def test_the_namespace_of_a_container_goes_with_the_container_alone(when):
    """A container that is stopped and on no network has one that holds nothing."""
    netns.create_named_netns("bk-bktest")
    os.makedirs(f"{locations.CONTAINERS}/bktest")
    try:
        task({"netns": None, "container": "bktest"})
        remove(namespaces=[{"name": "bk-bktest"}], remove_namespaces=when)
        assert netns.names() == ["bk-bktest"]
        assert [li.name for li in netlink_links.links(NetnsRef.named("bk-bktest")) if "bktest" in li.alias] == []
    finally:
        os.removedirs(f"{locations.CONTAINERS}/bktest")
    task({"netns": None, "container": "bktest"})
    remove()
    assert netns.names() == [], "of a container that is not there it is a namespace like any other"


def test_what_is_left_as_it_is_shows_no_difference():
    """The loopback of a foreign namespace is not raised."""
    ip("netns", "add", "bktest-a")
    task(*BASE)
    ip("link", "set", "lo", "down", where="bktest-a")
    assert task(*BASE).plan.changes == ()


def test_namespaces_alone_and_their_owner():
    task(ends=[], namespaces=[{"name": "bktest-b", "owner": {"host_id": 200000, "size": 1000}}])
    found = netns.observe("bktest-b")
    assert found.ours and found.idmap == (200000, 1000)
    mark = Path(f"{locations.NETNS_MARKS}/bktest-b")
    mark.write_text(mark.read_text().splitlines()[0] + "\n")
    assert netns.observe("bktest-b") == found, "the kernel says the same as the mark did"
    assert namespaces.identity("/run/barekernel/userns/bktest-b") is not None
    assert link("lo", "bktest-b")["flags"] == ["LOOPBACK", "UP", "LOWER_UP"]
    task(ends=[], namespaces=[{"name": "bktest-b", "sysctls": {"net.ipv4.ip_forward": 1}}])
    with pytest.raises(Refused, match="host IDs 200000-200999.*wanted is a user namespace of host IDs 5-9"):
        task(ends=[], namespaces=[{"name": "bktest-b", "owner": {"host_id": 5, "size": 5}}])
    task({**BASE[0], "netns": "bktest-b"}, BASE[1])
    assert reachable("10.99.0.1", "bktest-b"), "a pair reaches into it all the same"
    remove()
    assert netns.names() == [] and not os.path.exists("/run/barekernel/userns")


def test_a_namespace_half_made_or_lost_is_made_anew():
    task(*BASE)
    netlink.forget(A)
    subprocess.run(
        ["umount", "/run/netns/bktest-a"], check=True
    )  # as a hard stop leaves it: name and mark, no namespace
    task(*BASE)
    assert reachable("10.99.0.1")
    netlink.forget(A)
    ip("netns", "delete", "bktest-a")
    task(*BASE)
    assert reachable("10.99.0.1")
    ip("link", "set", "lo", "down", where="bktest-a")
    assert task(*BASE).plan.actions == ["lo in netns bktest-a: set up"]


def test_a_file_that_is_no_namespace_is_refused():
    os.makedirs("/run/netns")
    Path("/run/netns/bktest-a").touch()
    with pytest.raises(Refused, match="is no network namespace and not ours"):
        task(*BASE)


def test_where_a_later_mount_over_run_hides_the_directory():
    os.mkdir("/run/netns")
    subprocess.run(["mount", "--bind", "/run/netns", "/run/netns"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    try:
        task(*BASE)
        assert netns.names() == ["bktest-a"]
        remove()
        assert not os.path.exists("/run/netns")
    finally:
        subprocess.run(["umount", "/run"], check=True)
        subprocess.run(["umount", "/run/netns"], check=True)
        os.rmdir("/run/netns")
