# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image says about containers made from it holds for them: each key of its configuration, volumes foremost."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.info import ContainerInfo
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused

from tests.kernel import images
from tests.kernel.layouts import Layout, tar
from tests.kernel.test_container import apply, info, parameters, run
from tests.waiting import until, until_it_is

NAME = "bktest-conf"
HOME = Path("/var/lib/barekernel/containers", NAME)
VOLUMES = Path("/var/lib/barekernel/volumes")
CONFIG: dict[str, Any] = {
    "entrypoint": ["sh", "-c"],
    "cmd": ["trap 'echo ended > /data/end; exit 0' USR1; echo up > /data/up; while :; do sleep 0.02; done"],
    "env": {"COLOUR": "red", "PATH": "/bin:/opt/bin"},
    "workdir": "/srv",
    "user": "app:staff",
    "exposed_ports": ["80/tcp", "53/udp"],
    "volumes": ["/data", "/cache/"],
    "labels": {"org.example.k": "v"},
    "stop_signal": "USR1",
    "healthcheck": {"test": ["CMD-SHELL", "cat /data/well $NONE"], "interval": "1m30s", "timeout": "30s", "retries": 3},
}


SLEEP: dict[str, Any] = {"args": ["exec sleep 1000"], "stop_timeout": 0}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with a user and a directory of his."""
    root = tmp_path_factory.mktemp("tree")
    root.chmod(0o755)
    for name in ("bin", "etc", "srv", "data/deep"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "sleep", "cat", "touch", "ls", "id"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:1234:1234::/srv:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nstaff:x:50:\nmore:x:51:app\n")
    (root / "data/file").write_text("from the image")
    os.link(root / "data/file", root / "data/deep/again")
    (root / "data/link").symlink_to("/etc/passwd")
    os.setxattr(root / "data/deep", "user.k", b"v")
    for path in (root / "data", root / "data/deep", root / "data/file"):
        os.chown(path, 1234, 50)
    (root / "data").chmod(0o2770)
    (root / "data/file").chmod(0o640)
    os.utime(root / "data/file", ns=(1, 1_000_000_001))
    return root


@pytest.fixture
def image(tree: Path) -> Iterator[str]:
    apply("oci_image", name="bkconf", directory={"path": str(tree)}, config=CONFIG)
    yield "bkconf"
    apply("ns_container", name=NAME, state="absent", purge_volumes=True)
    images.remove_all()


def wait_for(path: Path) -> str:
    """What the container writes there."""
    return until(f"it writes {path}", lambda: path.exists() and path.read_text(), lambda: info(NAME, 20)).strip()


def start(image: str, **more: Any) -> dict[str, Any]:
    return dict(apply("ns_container", name=NAME, image=image, **more).facts["container"])


def test_every_key_holds(image: str) -> None:
    made = start(image, stop_timeout=60)
    data = Path(made["volumes"]["/data"])
    assert wait_for(data / "up") == "up"
    process = Path("/proc", str(made["pid"]))
    assert made["command"] == [*CONFIG["entrypoint"], *CONFIG["cmd"]]
    assert {"COLOUR=red", "PATH=/bin:/opt/bin"} < set((process / "environ").read_text().split("\0"))
    assert os.readlink(process / "cwd").endswith("/srv")
    ids = (process / "uid_map").read_text().split()
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert [int(status[key].split()[0]) - int(ids[1]) for key in ("Uid", "Gid")] == [1234, 50]
    assert status["Groups"].split() == []  # a group that is named stands for all of them
    annotations = json.loads((HOME / "bundle/config.json").read_text())["annotations"]
    assert annotations["org.example.k"] == "v"
    assert annotations["org.opencontainers.image.exposedPorts"] == "53/udp,80/tcp"
    apply("ns_container", name=NAME, image=image, state="stopped", stop_timeout=60)
    assert (data / "end").read_text() == "ended\n"


def test_what_is_declared_comes_before_what_the_image_says(image: str) -> None:
    made = start(image, **SLEEP, env={"COLOUR": "blue"}, cwd="/", user="app", stop_signal="SIGRTMIN+3")
    until_it_is(made["pid"], "sleep", "1000")
    process = Path("/proc", str(made["pid"]))
    assert made["command"] == ["sh", "-c", "exec sleep 1000"]
    assert "COLOUR=blue" in (process / "environ").read_text().split("\0")
    assert os.readlink(process / "cwd") == "/"
    first = int((process / "gid_map").read_text().split()[1])
    groups = next(line for line in (process / "status").read_text().splitlines() if line.startswith("Groups:"))
    assert groups.split()[1:] == [str(first + 51)]
    assert json.loads((HOME / "launch.json").read_text())["stop"]["signal"] == "SIGRTMIN+3"


def test_a_volume_begins_as_the_images_directory(image: str, tree: Path) -> None:
    volumes = start(image, **SLEEP)["volumes"]
    assert set(volumes) == {"/data", "/cache"}
    assert images.listing(volumes["/data"]) == images.listing(str(tree / "data"))
    assert os.listdir(volumes["/cache"]) == []
    assert stat.S_IMODE(os.stat(volumes["/cache"]).st_mode) == 0o755
    assert Path(volumes["/data"]).parent == HOME / "volumes"
    # The container's root and user own there what root and user own in the image.
    assert run(NAME, "ls", "-ln", "/data/file")["stdout"].split()[2:4] == ["1234", "50"]
    assert run(NAME, "touch", "/data/mine", user="app")["rc"] == 0
    assert os.stat(Path(volumes["/data"], "mine")).st_uid == 1234
    # Nothing of it is in the container's own layer.
    assert not (HOME / "upper/data/mine").exists()


def test_a_volume_is_kept_until_the_container_goes(image: str, tree: Path) -> None:
    volumes = start(image, **SLEEP)["volumes"]
    run(NAME, "touch", "/data/kept")
    for change in (
        {"extra_hosts": {"gate": "10.88.7.250"}},
        {"env": {"A": "b"}},
        {"state": "restarted"},
        {"namespaces": {"ipc": "host"}},
    ):
        assert start(image, **SLEEP, **change)["volumes"] == volumes
        assert run(NAME, "ls", "/data")["stdout"].split() == ["deep", "file", "kept", "link"]
    # Also when the tag has moved to an image with other volumes.
    moved = {**CONFIG, "volumes": ["/data", "/more"]}
    apply("oci_image", name="bkconf", directory={"path": str(tree), "exclude": ["/srv"]}, config=moved)
    outcome = apply("ns_container", name=NAME, image=image, **SLEEP)
    assert ("image", "recreate") in [(change.option, change.how) for change in outcome.plan.changes]
    assert set(outcome.facts["container"]["volumes"]) == {"/data", "/more"}
    assert "kept" in run(NAME, "ls", "/data")["stdout"]
    apply("ns_container", name=NAME, state="absent")
    assert not HOME.exists() and not VOLUMES.exists()


def test_a_mount_takes_the_place_of_a_volume(image: str, tmp_path: Path) -> None:
    mounts = [{"type": "tmpfs", "target": "/cache"}, {"type": "volume", "source": "bktest-data", "target": "/data/"}]
    made = start(image, **SLEEP, mounts=mounts)
    assert made["volumes"] == {"/data": str(VOLUMES / "bktest-data")}
    # A named volume begins in the same way, and outlives the container.
    assert run(NAME, "cat", "/data/file")["stdout"] == "from the image"
    run(NAME, "touch", "/data/kept")
    apply("ns_container", name=NAME, state="absent")
    start(image, **SLEEP, mounts=mounts)
    assert "kept" in run(NAME, "ls", "/data")["stdout"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_half_made_volume_is_cleared_by_the_next_run(image: str, state: str) -> None:
    """As a power cut leaves it while a volume is filled; no later task names that volume."""
    (VOLUMES / ".new-bktest-data/deep").mkdir(parents=True)
    given = {"name": NAME, "state": state, **({"image": image} if state == "present" else {})}
    assert any(".new-bktest-data" in action for action in apply("ns_container", **given).plan.actions)
    assert not (VOLUMES / ".new-bktest-data").exists()
    assert apply("ns_container", **given).plan.actions == []


def health() -> dict[str, Any]:
    [entry] = ContainerInfo().gather({"name": NAME, "check_health": True})["containers"]
    return dict(entry["health"])


def test_the_health_check_is_run_when_asked(image: str) -> None:
    made = start(image, **SLEEP)
    argv = ["/bin/sh", "-c", "cat /data/well $NONE"]
    assert made["healthcheck"] == {"argv": argv, "interval": 90, "timeout": 30, "retries": 3}
    assert (health()["healthy"], health()["exit_code"]) == (False, 1)
    assert "/data/well" in health()["output"]
    Path(made["volumes"]["/data"], "well").write_text("all is well\n")
    assert health() == {"healthy": True, "exit_code": 0, "output": "all is well"}
    apply("ns_container", name=NAME, image=image, state="stopped", **SLEEP)
    assert "the container is stopped" in health()["output"] and not health()["healthy"]


def test_a_health_check_that_takes_too_long_is_ended(image: str, tree: Path) -> None:
    check = {"test": ["CMD", "sh", "-c", "sleep 999 & sleep 999"], "timeout": "100ms"}
    apply("oci_image", name="bkconf", directory={"path": str(tree)}, config={**CONFIG, "healthcheck": check})
    start(image, **SLEEP)
    answer = health()
    assert (answer["healthy"], answer["exit_code"]) == (False, None)
    assert "did not end within 0.1 seconds and was killed" in answer["output"]
    commands = [Path(p, "cmdline") for p in Path("/proc").iterdir() if p.name.isdigit()]
    until("none of it runs", lambda: not any(b"sleep\x00999" in read(command) for command in commands))
    # None at all is another thing than one that fails.
    config = {**CONFIG, "healthcheck": {"test": ["NONE"]}}
    apply("oci_image", name="bkconf", directory={"path": str(tree)}, config=config)
    start(image, **SLEEP)
    assert ContainerInfo().gather({"name": NAME, "check_health": True})["containers"][0]["health"] is None


def read(path: Path) -> bytes:
    """Empty for a process that has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_moved_tag_is_another_image_and_the_same_content_is_not(image: str, tree: Path) -> None:
    desired = ContainerResource().desired(parameters("ns_container", {"name": NAME, "image": image}))
    converge(ContainerResource(), desired)
    images.remove("bkconf", force=True)
    apply("oci_image", name="bkconf", directory={"path": str(tree)}, config=CONFIG)
    assert predict(ContainerResource(), desired).plan.actions == []
    apply("oci_image", name="bkconf", directory={"path": str(tree)}, config={**CONFIG, "labels": {"new": "one"}})
    changes = predict(ContainerResource(), desired).plan.changes
    assert [change.how for change in changes if change.option == "image"] == ["recreate"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"Volumes": {"/proc": {}}}, "declares a volume at '/proc'"),
        ({"Volumes": {"/sys/fs/cgroup": {}}}, "declares a volume at"),
        ({"Volumes": {"//dev": {}}}, "declares a volume at"),
        ({"Volumes": {"/": {}}}, "declares a volume at"),
        ({"Volumes": {"/a/../../b": {}}}, "declares a volume at"),
        ({"Volumes": {"data": {}}}, "declares a volume at 'data'"),
        ({"StopSignal": "SIGNONE"}, "StopSignal: 'SIGNONE' is not a signal; give one as stop_signal"),
        ({"StopSignal": "SIGRTMIN+99"}, "is not a signal"),
        ({"User": "nobody-here"}, "user: 'nobody-here'"),
        ({"WorkingDir": "not/absolute"}, "WorkingDir"),
        ({"Cmd": []}, "command: is not given, and image 'bkconf' names none"),
        ({"Cmd": [""]}, "command: is not given"),
    ],
)
def test_a_configuration_that_cannot_be_honoured(tmp_path: Path, config: dict[str, Any], says: str) -> None:
    layout = Layout(tmp_path / "layout", {"Cmd": ["/bin/app"], **config}).add(tar(("bin/app", b"x", {"mode": 0o755})))
    layout.write()
    images.apply(name="bkconf", archive={"path": str(layout.path)})
    try:
        with pytest.raises((Refused, OptionError)) as refused:
            converge(
                ContainerResource(),
                ContainerResource().desired(parameters("ns_container", {"name": NAME, "image": "bkconf"})),
            )
        assert says in str(refused.value)
        assert not HOME.exists()
    finally:
        images.remove_all()


@pytest.mark.parametrize(
    ("members", "volume"),
    [
        ((("data", b"a file"),), "/data"),
        ((("data", b"a file"),), "/data/below"),
        ((("data", "->data"),), "/data"),
    ],
)
def test_a_volume_where_the_image_has_no_directory(tmp_path: Path, members: Any, volume: str) -> None:
    """Refused, at the latest while it is made; nothing half-made stays, and what was made goes with the container."""
    layout = Layout(tmp_path / "layout", {"Cmd": ["/bin/app"], "Volumes": {volume: {}}})
    program = Path("/bin/busybox").read_bytes()  # one that the kernel would execute
    layout.add(tar(("bin/app", program, {"mode": 0o755}), *members)).write()
    images.apply(name="bkconf", archive={"path": str(layout.path)})
    desired = ContainerResource().desired(parameters("ns_container", {"name": NAME, "image": "bkconf"}))
    try:
        words = f"the image has no directory at {volume}|it declares a volume at {volume}, which is a file"
        with pytest.raises((Interrupted, OptionError), match=words):
            converge(ContainerResource(), desired)
        assert list(HOME.glob("volumes/*")) == []
    finally:
        apply("ns_container", name=NAME, state="absent")
        images.remove_all()


def test_a_symlink_on_the_way_to_a_volume_ends_inside_the_image(tmp_path: Path) -> None:
    """Neither the host's directory is copied, nor its files reached."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("the host's")
    members = (("data", f"->{tmp_path}/outside"), (f"{tmp_path}/outside/own".lstrip("/"), b"the image's"))
    layout = Layout(tmp_path / "layout", {"Cmd": ["/bin/app"], "Volumes": {"/data": {}}}).add(tar(*members))
    layout.write()
    images.apply(name="bkconf", archive={"path": str(layout.path)})
    try:
        volumes = apply("ns_container", name=NAME, image="bkconf", state="present").facts["container"]["volumes"]
        assert os.listdir(volumes["/data"]) == ["own"]
    finally:
        apply("ns_container", name=NAME, state="absent")
        images.remove_all()
