# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""config.json is what was declared, over what the image says, over what every container has."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.documents_bundle import (
    Places,
    config_json,
    environment,
    process_args,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.records import (
    Container,
    ContainerMount,
    Resolved,
)

IMAGE = {"Entrypoint": ["/entry"], "Cmd": ["serve"], "Env": ["A=image", "B=image"], "WorkingDir": "/app"}
PLACES = Places("/c/web", "/barekernel/web", {"network": "/run/netns/bk-web"}, {"data": "/v/data"})


def container(**changes: Any) -> Container:
    return Container(name="web", state="started", image="x", **changes)


def render(which: Container, resolved: Resolved | None = None) -> dict[str, Any]:
    return config_json(which, resolved or Resolved("sha256:0", (600000, 65536)), IMAGE, PLACES)


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        (None, None, ("/entry", "serve")),
        (None, ("other",), ("/entry", "other")),
        (("sh",), None, ("sh",)),
        (("sh",), ("-c", "true"), ("sh", "-c", "true")),
        (None, (), ("/entry",)),
    ],
)
def test_command_stands_for_entrypoint_and_args_for_cmd(command: Any, args: Any, expected: Any) -> None:
    assert process_args(container(command=command, args=args), IMAGE) == expected


def test_a_reaper_is_mounted_before_what_is_declared_and_begins() -> None:
    declared = container(mounts=(ContainerMount("tmpfs", "/dev/x"),), init="reaper")
    document = render(declared, Resolved("sha256:0", None, reaper="/usr/bin/catatonit"))
    assert document["process"]["args"] == ["/dev/init", "--", "/entry", "serve"]
    places = [mount["destination"] for mount in document["mounts"]]
    assert places.index("/dev") < places.index("/dev/init") < places.index("/dev/x")
    [shown] = [mount for mount in document["mounts"] if mount["destination"] == "/dev/init"]
    assert shown["source"] == "/usr/bin/catatonit"
    assert {"bind", "ro", "nosuid", "nodev"} <= set(shown["options"])


def test_a_declared_variable_wins_over_the_images() -> None:
    assert {"A=mine", "B=image", "HOSTNAME=web"} < set(environment(container(env={"A": "mine"}), IMAGE))


@pytest.mark.parametrize(("runtime", "version"), [("nsrun", "1.2.0"), ("crun", "1.0.2"), ("/opt/runc", "1.0.2")])
def test_other_runtimes_get_a_version_that_they_know(runtime: str, version: str) -> None:
    assert render(container(runtime=runtime))["ociVersion"] == version


def test_namespaces_are_private_unless_said_otherwise() -> None:
    listed = {n["type"]: n.get("path") for n in render(container(namespaces={"pid": "host"}))["linux"]["namespaces"]}
    assert "pid" not in listed
    assert listed["network"] == "/run/netns/bk-web"
    assert listed["user"] is None
    assert set(listed) == {"mount", "user", "network", "ipc", "uts", "cgroup"}


def test_the_user_namespace_is_mapped_where_it_is_not_joined() -> None:
    assert render(container())["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 600000, "size": 65536}]
    joined = config_json(
        container(), Resolved("sha256:0", (600000, 65536)), IMAGE, Places("/c", "/b", {"user": "/run/u"}, {})
    )
    assert "uidMappings" not in joined["linux"]


def test_secure_by_default() -> None:
    document = render(container())
    assert document["process"]["noNewPrivileges"] is True
    assert "CAP_SYS_ADMIN" not in document["process"]["capabilities"]["bounding"]
    assert document["linux"]["seccomp"]["defaultAction"].startswith("SCMP_ACT_ERRNO")
    assert "/proc/kcore" in document["linux"]["maskedPaths"]
    assert "seccomp" not in render(container(seccomp="unconfined"))["linux"]


def test_capabilities() -> None:
    def held(**changes: Any) -> list[str]:
        return render(container(**changes))["process"]["capabilities"]["bounding"]

    assert held(cap_drop=("ALL",), cap_add=("CAP_CHOWN",)) == ["CAP_CHOWN"]
    assert "CAP_KILL" not in held(cap_drop=("CAP_KILL",))
    assert "CAP_NET_ADMIN" in held(cap_add=("CAP_NET_ADMIN",))


def test_another_user_than_root_holds_no_capability() -> None:
    capabilities = render(container(), Resolved("sha256:0", None, user=(1000, 1000, (5,))))["process"]["capabilities"]
    assert capabilities["effective"] == capabilities["permitted"] == capabilities["ambient"] == []


def test_mounts_are_ordered_parents_first_and_volumes_are_idmapped() -> None:
    mounts = (
        ContainerMount("bind", "/srv/deep", "/host/deep", read_only=True),
        ContainerMount("volume", "/srv", "data"),
        ContainerMount("tmpfs", "/tmp", options=("size=1m",)),
    )
    declared = render(container(mounts=mounts))["mounts"][-3:]
    assert [m["destination"] for m in declared] == ["/srv", "/srv/deep", "/tmp"]
    assert declared[0]["source"] == "/v/data"
    assert "idmap" in declared[0]["options"]
    assert "rro" in declared[1]["options"]
    assert "idmap" not in declared[1]["options"]
    assert "size=1m" in declared[2]["options"]


@pytest.mark.parametrize(
    ("mount", "shown"),
    [
        (ContainerMount("volume", "/etc", "data"), True),
        (ContainerMount("tmpfs", "/etc/"), True),
        (ContainerMount("volume", "/etc", "data", read_only=True), False),
        (ContainerMount("tmpfs", "/etc", options=("ro",)), False),
        (ContainerMount("bind", "/etc", "/srv"), False),
        (ContainerMount("tmpfs", "/etc/hosts"), False),
        (ContainerMount("tmpfs", "/etcetera"), False),
    ],
)
def test_identity_files_are_mounted_on_what_is_ours_at_etc(mount: ContainerMount, shown: bool) -> None:
    mounts = [m["destination"].rstrip("/") for m in render(container(mounts=(mount,)))["mounts"]]
    last = len(mounts) - 1
    declared, resolv_conf = mounts.index(mount.target.rstrip("/")), mounts.index("/etc/resolv.conf")
    assert (declared, resolv_conf) == ((last - 3, last) if shown else (declared, last - 1))


@pytest.mark.parametrize(("runtime", "bind"), [("nsrun", "bind"), ("runc", "rbind")])
def test_the_hosts_network_brings_the_hosts_sys_without_what_is_mounted_below(runtime: str, bind: str) -> None:
    document = render(container(namespaces={"network": "host"}, runtime=runtime))
    sysfs = next(m for m in document["mounts"] if m["destination"] == "/sys")
    assert (sysfs["type"], sysfs["options"][0]) == ("bind", bind)
    assert ("/sys/kernel/debug" in document["linux"]["maskedPaths"]) is (bind == "rbind")
    assert "/sys/kernel/debug" not in render(container(runtime=runtime))["linux"]["maskedPaths"]


def test_the_images_labels_are_annotations_and_declared_ones_win() -> None:
    image = {**IMAGE, "Labels": {"a": "image", "b": "image"}, "ExposedPorts": {"80/tcp": {}, "443/tcp": {}}}
    document = config_json(container(labels={"a": "mine"}), Resolved("sha256:0", None), image, PLACES)
    ports = {"org.opencontainers.image.exposedPorts": "443/tcp,80/tcp"}
    assert document["annotations"] == {"a": "mine", "b": "image", **ports}
