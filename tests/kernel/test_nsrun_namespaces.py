# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every namespace, new, joined or the host's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import clone

from .nsrun import HOST_ID, Bundle, Nsrun, bundle, nsrun, program, run

__all__ = ["bundle", "nsrun", "program"]

FILES = {
    "pid": "pid",
    "network": "net",
    "ipc": "ipc",
    "uts": "uts",
    "mount": "mnt",
    "cgroup": "cgroup",
    "user": "user",
    "time": "time",
}
SHOW = "for n in pid net ipc uts mnt cgroup user time; do busybox readlink /proc/self/ns/$n; done"


def inside(text: str) -> dict[str, str]:
    """What SHOW printed, by namespace type."""
    lines = [line for line in text.splitlines() if ":[" in line]
    names = {line.partition(":")[0]: line for line in lines}
    return {kind: names[file] for kind, file in FILES.items()}


def ours() -> dict[str, str]:
    return {kind: os.readlink(f"/proc/self/ns/{file}") for kind, file in FILES.items()}


@pytest.mark.parametrize("user", [False, True], ids=["host-user", "user-namespace"])
def test_all_are_new(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    bundle.namespace("time").sh(f"PATH=/bin; {SHOW.replace('busybox ', '/bin/busybox ')}")
    if user:
        bundle.user_namespace()
    seen = inside(run(nsrun, bundle))
    same = {kind for kind, value in ours().items() if seen[kind] == value}
    assert same == (set() if user else {"user"})


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup", "pid"])
def test_what_is_not_listed_is_the_runtimes_own(nsrun: Nsrun, bundle: Bundle, kind: str) -> None:
    bundle.without(kind).sh(SHOW.replace("busybox", "/bin/busybox"))
    if kind == "uts":
        del bundle.spec["hostname"]
    assert inside(run(nsrun, bundle))[kind] == ours()[kind]


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup", "pid", "time"])
def test_one_joined_by_path(nsrun: Nsrun, bundle: Bundle, kind: str, other: dict[str, str]) -> None:
    bundle.namespace(kind, other[kind]).sh(SHOW.replace("busybox", "/bin/busybox"))
    if kind == "uts":
        del bundle.spec["hostname"]
    seen = inside(run(nsrun, bundle))
    assert seen[kind] == os.readlink(other[kind])


@pytest.fixture
def other() -> Iterator[dict[str, str]]:
    """A process in namespaces of its own: the paths of these."""
    command = ["unshare", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--time", "--fork", "--kill-child"]
    holder = subprocess.Popen([*command, "sh", "-c", "echo ready; exec sleep 1000"], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline()
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
    yield {kind: f"/proc/{children[0]}/ns/{file}" for kind, file in FILES.items()}
    holder.kill()
    holder.wait()
    holder.stdout.close()


@pytest.fixture
def owned() -> Iterator[dict[str, str]]:
    """A user namespace and a network namespace that it owns, kept by bind mounts, as ns_container makes them."""
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        clone.unshare(clone.CLONE_NEWUSER)
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        clone.unshare(clone.CLONE_NEWNET)
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text(f"0 {HOST_ID} 65536")
    os.write(go[1], b"1")
    os.read(ready[0], 1)
    paths = {"user": "/run/test-userns", "network": "/run/test-netns"}
    for kind, path in paths.items():
        Path(path).touch()
        subprocess.run(["mount", "--bind", f"/proc/{pid}/ns/{FILES[kind]}", path], check=True)
    os.write(go[1], b"1")
    os.waitpid(pid, 0)
    for fd in (*ready, *go):
        os.close(fd)
    yield paths
    for path in paths.values():
        subprocess.run(["umount", path], check=True)
        Path(path).unlink()


def test_a_user_namespace_and_a_network_that_it_owns_are_joined(
    nsrun: Nsrun, bundle: Bundle, owned: dict[str, str]
) -> None:
    """The way of a declared container: the new namespaces belong to the joined user namespace."""
    bundle.own(HOST_ID)
    bundle.namespace("user", owned["user"]).namespace("network", owned["network"])
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.spec["process"]["capabilities"]["effective"].append("CAP_SYS_ADMIN")
    bundle.spec["process"]["capabilities"]["permitted"].append("CAP_SYS_ADMIN")
    bundle.spec["process"]["capabilities"]["bounding"].append("CAP_SYS_ADMIN")
    script = (
        "/bin/id -u; /bin/cat /proc/self/uid_map /proc/sys/net/ipv4/ip_forward; /bin/hostname changed; /bin/hostname"
    )
    bundle.sh(f"{SHOW.replace('busybox', '/bin/busybox')}; {script}")
    del bundle.spec["linux"]["seccomp"]  # it would refuse sethostname
    output = run(nsrun, bundle)
    seen = inside(output)
    assert seen["user"] == subprocess.check_output(["stat", "-Lc", "user:[%i]", owned["user"]], text=True).strip()
    assert seen["network"] == subprocess.check_output(["stat", "-Lc", "net:[%i]", owned["network"]], text=True).strip()
    assert output.splitlines()[-4:] == ["0", f"         0     {HOST_ID}      65536", "1", "changed"]


def test_time_offsets(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.namespace("time").sh("/bin/cat /proc/uptime")
    bundle.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 10_000_000, "nanosecs": 0}}
    assert float(run(nsrun, bundle).split()[0]) > 10_000_000


def test_a_path_to_something_else_is_refused(nsrun: Nsrun, bundle: Bundle, other: dict[str, str]) -> None:
    bundle.namespace("network", other["ipc"])
    failed = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=1)
    assert failed.stderr == f"nsrun: linux.namespaces.network: {other['ipc']!r}: is not a network namespace\n"


def test_the_loopback_of_a_new_network_is_up(nsrun: Nsrun, bundle: Bundle) -> None:
    assert "LOOPBACK,UP" in run(nsrun, bundle.sh("/bin/ip link show lo"))


def test_the_cgroup_namespace_begins_at_the_containers_own_cgroup(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.sh("/bin/cat /proc/self/cgroup; /bin/ls /sys/fs/cgroup")
    output = run(nsrun, bundle).splitlines()
    assert "0::/" in output
    assert "cgroup.freeze" in output and "cgroup.subtree_control" in output  # the root cgroup has no cgroup.freeze


def test_without_a_cgroup_namespace_only_its_own_part_shows(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.without("cgroup").sh("/bin/ls /sys/fs/cgroup")
    assert "cgroup.freeze" in run(nsrun, bundle).splitlines()
