# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""config.json and launch.json: what is read, what is refused, and resources as cgroup v2 files."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import capabilities, mount
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import (
    defaults,
    mount_entry,
    resources,
    seccomp_filter,
    seccomp_policy,
    signals,
    spec,
)
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import BundleError, RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import execute
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import launch
from hypothesis import given
from hypothesis import strategies as st

RDONLY, NOSUID = mount.MOUNT_ATTR_RDONLY, mount.MOUNT_ATTR_NOSUID


def test_the_default_spec_is_accepted() -> None:
    wanted = spec.parse(defaults.default_spec(), "/bundle")
    assert wanted.rootfs == "/bundle/rootfs"
    assert wanted.process is not None and wanted.process.no_new_privileges
    assert wanted.has_new("pid") and wanted.namespace("user") is None


def test_defaults_are_fresh_objects() -> None:
    one = defaults.default_spec()
    one["mounts"].clear()
    one["process"]["capabilities"]["bounding"].clear()
    assert defaults.default_spec()["mounts"] and defaults.default_capabilities()["bounding"]


def test_the_default_capabilities_are_dockers_at_most() -> None:
    docker = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT"
    assert set(defaults.CAPABILITIES) < {f"CAP_{n}" for n in (docker + " KILL AUDIT_WRITE").split()}


def change(path: str, value: Any) -> dict[str, Any]:
    """The default spec with one property set."""
    document: Any = copy.deepcopy(defaults.default_spec())
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return dict(document)


@pytest.mark.parametrize(
    ("path", "value", "prop"),
    [
        ("ociVersion", "2.0", "ociVersion"),
        ("ociVersion", 1, "ociVersion"),
        ("root", None, "root"),
        ("root.path", "", "root.path"),
        ("process.args", ["a\0b"], "process.args"),
        ("process.env", [1], "process.env"),
        ("process.user.uid", "0", "process.user.uid"),
        ("process.user.uid", True, "process.user.uid"),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_BE"}, "process.ioPriority"),
        ("process.scheduler", {"policy": "SCHED_FIFO"}, "process.scheduler"),
        ("linux.intelRdt", {"closID": "x"}, "linux.intelRdt"),
        ("linux.mountLabel", "x", "linux.mountLabel"),
        ("linux.personality", {"domain": "PER_BSD"}, "linux.personality"),
        ("linux.rootfsPropagation", "sideways", "linux.rootfsPropagation"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "warp"}], "linux.namespaces[1].type"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "mount"}], "linux.namespaces[1].type"),
        ("linux.namespaces", [{"type": "pid"}], "linux.namespaces"),
        ("linux.namespaces", [{"type": "mount", "path": "/x"}], "linux.namespaces"),
        ("linux.namespaces", [{"type": "mount"}], "hostname"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "pid", "path": "x"}], "linux.namespaces[1].path"),
        ("linux.uidMappings", [{"containerID": 0, "hostID": 1, "size": 2}], "linux.uidMappings"),
        ("linux.timeOffsets", {"boottime": {"secs": 1}}, "linux.timeOffsets"),
        ("linux.sysctl", {"kernel.panic": "1"}, "linux.sysctl"),
        ("linux.sysctl", {"vm/swappiness": "1"}, "linux.sysctl"),
        ("linux.devices", [{"path": "/dev/x", "type": "z"}], "linux.devices[0].type"),
        ("linux.maskedPaths", ["proc/x"], "linux.maskedPaths"),
        ("hooks.prestart", [{"path": "relative"}], "hooks.prestart[0].path"),
        ("hooks.poststop", [{"path": "/x", "timeout": 0}], "hooks.poststop[0].timeout"),
        ("windows", {"layerFolders": []}, "windows"),
    ],
)
def test_refused_by_name(path: str, value: Any, prop: str) -> None:
    with pytest.raises(BundleError) as caught:
        spec.parse(change(path, value), "/bundle")
    assert caught.value.property == prop
    assert str(caught.value).startswith(prop + ": ")


def test_unknown_properties_are_ignored_as_the_specification_demands() -> None:
    assert spec.parse(change("future.thing", {"a": 1}), "/b").hostname == "nsrun"


@pytest.mark.parametrize("missing", ["network", "ipc"])
def test_a_sysctl_needs_its_namespace(missing: str) -> None:
    name = {"network": "net.ipv4.ip_forward", "ipc": "fs.mqueue.msg_max"}[missing]
    document = change("linux.sysctl", {name: "1"})
    assert spec.parse(document, "/b").sysctl == {name: "1"}
    document["linux"]["namespaces"] = [n for n in document["linux"]["namespaces"] if n["type"] != missing]
    with pytest.raises(BundleError, match=f"needs a {missing} namespace"):
        spec.parse(document, "/b")


# mounts


@pytest.mark.parametrize(
    ("options", "attributes", "rattributes", "data"),
    [
        (["ro", "nosuid"], (RDONLY | NOSUID, 0), (0, 0), ()),
        (["ro", "rw"], (0, RDONLY), (0, 0), ()),
        (["rw", "ro"], (RDONLY, 0), (0, 0), ()),
        (["rro", "rnosuid"], (RDONLY | NOSUID, 0), (RDONLY | NOSUID, 0), ()),
        (["rro", "rw"], (0, RDONLY), (RDONLY, 0), ()),
        (["rw", "rro"], (RDONLY, 0), (RDONLY, 0), ()),
        (["noatime"], (mount.MOUNT_ATTR_NOATIME, mount.MOUNT_ATTR__ATIME), (0, 0), ()),
        (["strictatime", "relatime"], (0, mount.MOUNT_ATTR__ATIME), (0, 0), ()),
        (["size=1k", "defaults", "mode=755"], (0, 0), (0, 0), ("size=1k", "mode=755")),
    ],
)
def test_mount_options(options: list[str], attributes: Any, rattributes: Any, data: Any) -> None:
    value = {"destination": "/x", "type": "tmpfs", "options": options}
    entry = mount_entry.parse_mount("mounts[0]", value, "/b")
    assert (entry.attributes, entry.rattributes, entry.data) == (attributes, rattributes, data)


@given(st.lists(st.sampled_from([w for w in mount_entry.known_options() if "bind" not in w and "idmap" not in w])))
def test_no_attribute_is_both_set_and_cleared(options: list[str]) -> None:
    entry = mount_entry.parse_mount("m", {"destination": "/x", "type": "tmpfs", "options": options}, "/b")
    for to_set, to_clear in (entry.attributes, entry.rattributes):
        assert to_set & to_clear & ~mount.MOUNT_ATTR__ATIME == 0
        # mount_setattr(2): whoever sets the atime field must clear all of it.
        assert not to_set & mount.MOUNT_ATTR__ATIME or to_clear & mount.MOUNT_ATTR__ATIME == mount.MOUNT_ATTR__ATIME


def test_a_relative_source_belongs_to_the_bundle() -> None:
    value = {"destination": "//a/../x/", "source": "etc/hosts", "options": ["rbind", "rslave"]}
    entry = mount_entry.parse_mount("m", value, "/b")
    assert (entry.source, entry.destination, entry.bind, entry.propagation) == ("/b/etc/hosts", "/x", "rbind", "rslave")


def test_own_mappings_imply_idmap() -> None:
    maps = [{"containerID": 0, "hostID": 7, "size": 9}]
    value = {"destination": "/x", "source": "/y", "options": ["rbind"], "uidMappings": maps, "gidMappings": maps}
    entry = mount_entry.parse_mount("m", value, "/b")
    assert (entry.idmap, entry.mapping) == ("ridmap", (7, 9))
    with pytest.raises(BundleError, match="gidMappings the same"):
        mount_entry.parse_mount("m", {**value, "gidMappings": []}, "/b")


# resources


@pytest.mark.parametrize(
    ("given_", "files"),
    [
        ({}, {}),
        ({"memory": {"limit": 1048576}}, {"memory.max": "1048576"}),
        ({"memory": {"limit": -1, "reservation": 5}}, {"memory.max": "max", "memory.low": "5"}),
        ({"memory": {"limit": 10, "swap": 30}}, {"memory.max": "10", "memory.swap.max": "20"}),
        ({"memory": {"limit": 10, "swap": -1}}, {"memory.max": "10", "memory.swap.max": "max"}),
        ({"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "39"}),
        ({"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
        ({"cpu": {"quota": 50000, "period": 100000}}, {"cpu.max": "50000 100000"}),
        ({"cpu": {"quota": -1}}, {"cpu.max": "max 100000"}),
        ({"cpu": {"cpus": "0-1", "mems": ""}}, {"cpuset.cpus": "0-1"}),
        ({"pids": {"limit": 9}}, {"pids.max": "9"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
        ({"blockIO": {"weight": 10}}, {"io.weight": "default 1"}),
        ({"blockIO": {"weight": 1000}}, {"io.weight": "default 10000"}),
        (
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}]}},
            {"io.max": "8:0 rbps=5"},
        ),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 3}]}, {"hugetlb.2MB.max": "3"}),
        ({"rdma": {"mlx": {"hcaHandles": 3}}}, {"rdma.max": "mlx hca_handle=3"}),
        ({"memory": {"limit": 1}, "unified": {"memory.max": "2", "io.cost": "x"}}, {"memory.max": "2", "io.cost": "x"}),
    ],
)
def test_resources_as_files(given_: dict[str, Any], files: dict[str, str]) -> None:
    assert resources.control_files(given_) == files


@pytest.mark.parametrize(
    ("given_", "prop"),
    [
        ({"memory": {"kernel": 1}}, "linux.resources.memory.kernel"),
        ({"memory": {"swap": 5}}, "linux.resources.memory.swap"),
        ({"memory": {"limit": 10, "swap": 5}}, "linux.resources.memory.swap"),
        ({"memory": {"limit": "1G"}}, "linux.resources.memory"),
        ({"cpu": {"realtimeRuntime": 1}}, "linux.resources.cpu.realtimeRuntime"),
        ({"network": {"classID": 1}}, "linux.resources.network"),
        ({"unified": {"../x": "1"}}, "linux.resources.unified"),
    ],
)
def test_resources_refused(given_: dict[str, Any], prop: str) -> None:
    with pytest.raises(BundleError) as caught:
        resources.control_files(given_)
    assert caught.value.property == prop


def test_controllers_that_files_need() -> None:
    files = {
        "memory.max": "1",
        "memory.swap.max": "1",
        "cpuset.cpus": "0",
        "cgroup.max.depth": "1",
        "hugetlb.2MB.max": "",
    }
    assert resources.controllers(files) == ("cpuset", "hugetlb", "memory")


# seccomp


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("held", [(), tuple(defaults.CAPABILITIES), tuple(capabilities.NUMBERS)])
def test_the_policy_names_no_call_twice_in_the_open(machine: str, held: tuple[str, ...]) -> None:
    """Unconditional rules of one call contradict each other otherwise."""
    policy = seccomp_policy.default_policy(held, machine)
    plain = [name for rule in policy["syscalls"] if not rule.get("args") for name in rule["names"]]
    conditional = {name for rule in policy["syscalls"] if rule.get("args") for name in rule["names"]}
    assert len(plain) == len(set(plain))
    assert not conditional & set(plain)
    assert conditional >= {"personality", "socket"}


def test_capabilities_open_calls() -> None:
    def allowed(*held: str) -> set[str]:
        rules = seccomp_policy.default_policy(held)["syscalls"]
        return {n for r in rules if r["action"] == "SCMP_ACT_ALLOW" and not r.get("args") for n in r["names"]}

    none = allowed()
    assert not none & {
        "mount",
        "unshare",
        "setns",
        "bpf",
        "ptrace_peek",
        "keyctl",
        "io_uring_setup",
        "reboot",
        "clone3",
    }
    assert allowed("CAP_SYS_ADMIN") - none >= {"mount", "unshare", "setns", "clone", "clone3", "pivot_root"}
    assert allowed("CAP_SYS_TIME") - none == {"clock_settime", "clock_settime64", "settimeofday", "stime"}


@pytest.mark.parametrize(
    ("policy", "prop"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "linux.seccomp.defaultAction"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 3}, "linux.seccomp.defaultAction"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}, "linux.seccomp.listenerPath"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X86"]}, "linux.seccomp.architectures"),
    ],
)
def test_policies_refused(policy: dict[str, Any], prop: str, tmp_path: Any) -> None:
    with pytest.raises(BundleError) as caught:
        seccomp_filter.program(policy, str(tmp_path))
    assert caught.value.property == prop
    assert list(tmp_path.iterdir()) == []


NO_NAMESPACES = {"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}


@pytest.mark.parametrize(
    ("default", "rules", "allowed"),
    [
        ("ALLOW", [], True),
        ("LOG", [], True),
        ("ERRNO", [], False),
        ("ERRNO", [("ALLOW", [])], True),
        ("ERRNO", [("ALLOW", [NO_NAMESPACES])], True),
        ("ERRNO", [("ALLOW", [{**NO_NAMESPACES, "value": 0x8000}])], False),
        ("ERRNO", [("ALLOW", [{"index": 0, "value": 0x8000, "op": "SCMP_CMP_EQ"}])], True),
        ("ERRNO", [("ALLOW", [{"index": 0, "value": 0x8000, "op": "SCMP_CMP_LT"}])], False),
        ("ERRNO", [("ALLOW", [{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}])], False),
        ("ERRNO", [("ALLOW", []), ("KILL_PROCESS", [])], False),
        ("ALLOW", [("KILL_PROCESS", [])], False),
        ("ALLOW", [("ERRNO", [{"index": 0, "value": 0x8000, "op": "SCMP_CMP_GE"}])], False),
        ("ALLOW", [("ERRNO", [{"index": 0, "value": 0x8000, "op": "SCMP_CMP_GT"}])], True),
        ("ALLOW", [("ERRNO", [{"index": 2, "value": 0, "op": "SCMP_CMP_NE"}])], False),
    ],
)
def test_what_a_policy_lets_through(default: str, rules: list[tuple[str, list[dict[str, Any]]]], allowed: bool) -> None:
    policy = {
        "defaultAction": f"SCMP_ACT_{default}",
        "syscalls": [
            {"names": ["fork"], "action": "SCMP_ACT_KILL"},
            *({"names": ["clone", "vfork"], "action": f"SCMP_ACT_{action}", "args": args} for action, args in rules),
        ],
    }
    assert seccomp_filter.allows(policy, "clone", 0x8000) is allowed
    assert not seccomp_filter.allows(policy, "fork")


@pytest.mark.parametrize("held", [(), tuple(defaults.CAPABILITIES), tuple(capabilities.NUMBERS)])
def test_under_the_default_policy_a_process_can_join(held: tuple[str, ...]) -> None:
    policy = seccomp_policy.default_policy(held)
    assert execute._joins_under(policy)
    policy["syscalls"].append({"names": ["clone"], "action": "SCMP_ACT_ERRNO"})
    assert not execute._joins_under(policy)


def test_a_compiled_policy_is_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = seccomp_policy.default_policy(defaults.CAPABILITIES)
    compiled = seccomp_filter.program(policy, str(tmp_path))
    assert len(compiled) % 8 == 0 and len(compiled) // 8 < 4096  # BPF_MAXINSNS
    monkeypatch.setattr(seccomp_filter, "compile_policy", lambda _policy: b"")
    assert seccomp_filter.program(policy, str(tmp_path)) == compiled
    assert seccomp_filter.program({**policy, "defaultErrnoRet": 1}, str(tmp_path)) == b""


# launch.json


def document(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "id": "a", "bundle": "/b", "cgroup": "/sys/fs/cgroup/x", **changes}


def test_the_smallest_launch() -> None:
    assert launch.parse(document()) == launch.Launch("a", "/b", "/sys/fs/cgroup/x")


def test_a_full_launch() -> None:
    rootfs = {"lowerdirs": ["/1", "/2"], "upperdir": "/u", "workdir": "/w", "idmap": {"host_id": 5, "size": 6}}
    got = launch.parse(document(rootfs={**rootfs, "options": {"volatile": ""}}, log={"path": "/l", "max_files": 2}))
    assert got.rootfs == launch.Rootfs(("/1", "/2"), "/u", "/w", (5, 6), {"volatile": ""})
    assert got.log is not None and (got.log.path, got.log.max_files) == ("/l", 2)


def test_what_a_newer_version_adds_to_a_launch_is_ignored() -> None:
    got = launch.parse(document(restart={"policy": "always", "delay": 1}, more={}))
    assert got.restart == launch.Restart("always")


@pytest.mark.parametrize(
    ("changes", "prop"),
    [
        ({"version": 9}, "version"),
        ({"id": ""}, "id"),
        ({"cgroup": "x"}, "cgroup"),
        ({"rootfs": {"lowerdirs": "/x"}}, "rootfs.lowerdirs"),
        ({"restart": {"policy": "often"}}, "restart.policy"),
        ({"restart": {"delay_ms": "1s"}}, "restart.delay_ms"),
        ({"stop": {"signal": "SIGTERM\nExecStartPre=/bin/true"}}, "stop.signal"),
        ({"log": {"path": 1}}, "log.path"),
    ],
)
def test_launches_refused(changes: dict[str, Any], prop: str) -> None:
    with pytest.raises(BundleError) as caught:
        launch.parse(document(**changes))
    assert caught.value.property == prop


@pytest.mark.parametrize(
    ("given_", "name"),
    [("15", "SIGTERM"), ("term", "SIGTERM"), ("SIGKILL", "SIGKILL"), ("RTMIN+3", "SIGRTMIN+3"), ("37", "SIGRTMIN+3")],
)
def test_signals_have_one_name(given_: str, name: str) -> None:
    assert signals.signal_name(given_) == name
    assert signals.signal_number(name) == signals.signal_number(given_)


@pytest.mark.parametrize("word", ["", "0", "65", "SIG", "SIGTERM\n", "SIGRTMIN+99", "SIGKILL+ 1\n", "SIGRTMIN+x"])
def test_what_is_no_signal(word: str) -> None:
    with pytest.raises(RuntimeFailure):
        signals.signal_name(word)
