# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are one value each: set, changed, and unset again, as the kernel shows them in the container.

apply() compares with check mode, and finds that a second run has nothing to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Outcome
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import process, process_mounts
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.capabilities import mask, of_process
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError

from .test_container import apply, info, run

NAME = "bktest-options"
SLEEP: dict[str, Any] = {"name": NAME, "image": "bktest", "command": ["sleep", "infinity"], "stop_timeout": 0}
SET: dict[str, Any] = {
    "oom_score_adj": 300,
    "shm_size": "1M",
    "group_add": ["video", "7"],
    "domainname": "lab.example",
}
BUILD: dict[str, Any] = {
    "directories": [{"path": path} for path in ("/etc", "/srv")],
    "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
    "run": [
        "/bin/busybox --install -s /bin",
        "sh -c 'echo app:x:1000:1000::/:/bin/sh > /etc/passwd'",
        "sh -c 'echo video:x:44: > /etc/group; echo staff:x:50:app >> /etc/group'",
    ],
}


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    apply("oci_image", name="bktest", build=BUILD)
    yield
    apply("oci_image", name="bktest", state="absent")


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    yield
    apply("ns_container", name=NAME, state="absent")


def how(outcome: Outcome) -> dict[str, str]:
    return {change.option: change.how for change in outcome.plan.changes}


def host(path: str) -> str:
    with open(path, encoding="ascii") as handle:
        return handle.read().strip()


def seen() -> dict[str, Any]:
    """Of its first process, and of a command that is run in it."""
    status = dict(line.split(":", 1) for line in host(f"/proc/{info(NAME)['pid']}/status").splitlines())
    base = int(host(f"/proc/{info(NAME)['pid']}/gid_map").split()[1])
    shell = "cat /proc/self/oom_score_adj /proc/sys/kernel/domainname; id -G; grep /dev/shm /proc/mounts"
    score, domain, groups, memory = run(NAME, "sh", "-c", shell)["stdout"].splitlines()
    assert host(f"/proc/{info(NAME)['pid']}/oom_score_adj") == score
    assert {int(group) - base for group in status["Groups"].split()} == set(map(int, groups.split())) - {0}
    return {
        "oom_score_adj": int(score),
        "domainname": domain,
        "groups": sorted(map(int, groups.split())),
        "shm_size": next(word for word in memory.split()[3].split(",") if word.startswith("size=")),
    }


def unset() -> dict[str, Any]:
    """What a container has of which nothing is declared."""
    return {
        "oom_score_adj": int(host("/proc/self/oom_score_adj")),
        "domainname": host("/proc/sys/kernel/domainname"),
        "groups": [0],
        "shm_size": "size=65536k",
    }


def test_set_changed_and_unset() -> None:
    declared = {"oom_score_adj": 300, "domainname": "lab.example", "groups": [0, 7, 44], "shm_size": "size=1024k"}
    apply("ns_container", **SLEEP, **SET)
    assert seen() == declared
    assert run(NAME, "hostname", "-f")["stdout"] == f"{NAME}.lab.example"

    outcome = apply("ns_container", **SLEEP, **{**SET, "oom_score_adj": 301, "group_add": ["video"]})
    assert how(outcome) == {"oom_score_adj": "restart", "groups": "restart"}
    assert seen() == {**declared, "oom_score_adj": 301, "groups": [0, 44]}

    outcome = apply("ns_container", **SLEEP)
    applied = dict.fromkeys(("oom_score_adj", "groups", "domainname"), "restart")
    assert how(outcome) == {**applied, "shm_size": "live", "hosts": "live"}
    assert seen() == unset()

    outcome = apply("ns_container", **SLEEP, domainname="other.example", user="app", group_add=["video"])
    assert how(outcome).items() >= {"domainname": "restart", "hosts": "live", "user": "restart"}.items()
    assert run(NAME, "id", "-G")["stdout"] == "1000 44 50"
    assert run(NAME, "id", "-G", user="0")["stdout"] == "0"


def test_shared_memory_is_resized_live_with_what_is_in_it() -> None:
    apply("ns_container", **SLEEP)
    pid = info(NAME)["pid"]
    run(NAME, "sh", "-c", "echo kept > /dev/shm/file")
    for size, shown in (("128k", "size=128k"), ("300000", "size=296k"), ("256M", "size=262144k"), ("1M", "size=1024k")):
        outcome = apply("ns_container", **SLEEP, shm_size=size)
        assert how(outcome) == {"shm_size": "live"}
        assert seen()["shm_size"] == shown
    assert run(NAME, "cat", "/dev/shm/file")["stdout"] == "kept"
    assert run(NAME, "sh", "-c", "grep /dev/shm /proc/mounts")["stdout"].split()[3].startswith("rw,nosuid,nodev,noexec")

    # Somebody else's change is found in the kernel, and put right.
    process_mounts.resize_tmpfs(pid, process.start_time(pid), "/dev/shm", "shm", 2 << 20)
    outcome = apply("ns_container", **SLEEP, shm_size="1M")
    assert how(outcome) == {"shm_size": "live"} and seen()["shm_size"] == "size=1024k"
    assert info(NAME)["pid"] == pid

    # It holds more than it is to hold.
    run(NAME, "dd", "if=/dev/zero", "of=/dev/shm/file", "bs=1k", "count=512")
    with pytest.raises(KernelError, match="The files in it need more than 131072 bytes"):
        process_mounts.resize_tmpfs(pid, process.start_time(pid), "/dev/shm", "shm", 128 << 10)
    outcome = apply("ns_container", **SLEEP, shm_size="128k")
    assert how(outcome) == {"shm_size": "restart"}
    assert seen()["shm_size"] == "size=128k" and run(NAME, "ls", "/dev/shm")["stdout"] == ""
    assert info(NAME)["pid"] != pid

    apply("ns_container", **SLEEP, state="stopped", shm_size="4096")
    apply("ns_container", **SLEEP, shm_size="4096")
    assert seen()["shm_size"] == "size=4k"


def test_nothing_but_its_own_memory_is_resized() -> None:
    """Not what a container has put in its place."""
    apply("ns_container", **SLEEP, mounts=[{"type": "tmpfs", "target": "/srv"}])
    pid = info(NAME)["pid"]
    for place, source in (("/srv", "shm"), ("/dev", "tmpfs2"), ("/etc", "shm"), ("/dev/shm", "other")):
        with pytest.raises(KernelError, match="There is no tmpfs"):
            process_mounts.resize_tmpfs(pid, process.start_time(pid), place, source, 1 << 20)
    outcome = apply("ns_container", **SLEEP, mounts=[{"type": "tmpfs", "target": "/dev/shm", "options": ["size=64k"]}])
    assert how(outcome) == {"mounts": "restart"}
    assert [line.split()[3].rpartition("size=")[2].partition(",")[0] for line in memory()] == ["65536k", "64k"]


def memory() -> list[str]:
    return [line for line in run(NAME, "cat", "/proc/mounts")["stdout"].splitlines() if " /dev/shm " in line]


def test_a_score_that_the_host_does_not_allow_stops_nothing() -> None:
    apply("ns_container", **SLEEP)
    pid = info(NAME)["pid"]
    if of_process()["effective"] & mask(("CAP_SYS_RESOURCE",)):
        apply("ns_container", **SLEEP, oom_score_adj=-1000)
        assert seen()["oom_score_adj"] == -1000
        return
    with pytest.raises(OptionError, match="oom_score_adj: -1000: root lacks CAP_SYS_RESOURCE on this host"):
        apply("ns_container", **SLEEP, oom_score_adj=-1000)
    assert info(NAME)["pid"] == pid and seen() == unset()


def test_a_group_that_the_image_does_not_have_stops_nothing() -> None:
    apply("ns_container", **SLEEP)
    pid = info(NAME)["pid"]
    words = r"group_add: 'audio': group audio is not in the image's /etc/group; .* \(staff, video\)"
    with pytest.raises(OptionError, match=words):
        apply("ns_container", **SLEEP, group_add=["video", "audio"])
    with pytest.raises(OptionError, match="group_add: 65536: the group ID 65536 is not one of the container's user"):
        apply("ns_container", **SLEEP, group_add=["65536"])
    assert info(NAME)["pid"] == pid


def test_another_runtime_does_the_same() -> None:
    path = shutil.which("runc")
    assert path, "tests/packages.txt installs it"
    apply("ns_container", **SLEEP, **SET, runtime=path, namespaces={"user": "host"})
    pid = info(NAME)["pid"]
    root = f"/proc/{pid}/root"
    assert host(f"/proc/{pid}/oom_score_adj") == "300"
    assert "Groups:\t7 44" in host(f"/proc/{pid}/status")
    assert os.statvfs(f"{root}/dev/shm").f_blocks * os.statvfs(f"{root}/dev/shm").f_frsize == 1 << 20
    assert run(NAME, "cat", "/proc/sys/kernel/domainname")["stdout"] == "lab.example"
    outcome = apply("ns_container", **SLEEP, **{**SET, "shm_size": "2M"}, runtime=path, namespaces={"user": "host"})
    assert how(outcome) == {"shm_size": "live"} and info(NAME)["pid"] == pid
    assert os.statvfs(f"{root}/dev/shm").f_blocks * os.statvfs(f"{root}/dev/shm").f_frsize == 2 << 20
