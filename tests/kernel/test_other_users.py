# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another user of the host can do with what is ours, whatever umask it was made under: nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import volume

from .leaks import below
from .module_process import run_module

STATE, RUN = Path("/var/lib/barekernel"), Path("/run/barekernel")
NOBODY = 65534
NAME = "bktest-seen"
HOME = STATE / "containers" / NAME
IDENTITY = {HOME / name: 0o644 for name in ("hosts", "hostname", "resolv.conf")}
CONTAINER: dict[str, Any] = {
    "name": NAME,
    "image": "bktest",
    "command": ["sleep", "1000"],
    "user": "1000",
    "networks": [{"name": "bktest0"}],
    "mounts": [{"type": "volume", "source": "bktest-data", "target": "/data"}],
    "limits": {"pids": "32"},
    "limits_required": False,
    "stop_timeout": 0,
}
NETWORK = {"name": "bktest0", "addresses": ["10.88.7.1/24"]}


def call(module: str, **params: Any) -> dict[str, Any]:
    result = run_module(module, params)
    assert not result.get("failed"), result
    return result


@pytest.fixture(params=["000", "002", "022", "077"])
def everything(request: pytest.FixtureRequest) -> Iterator[str]:
    """An image, a network and a container with volumes, made by somebody with that umask."""
    build = {
        "directories": [{"path": path} for path in ("/etc", "/tmp", "/data")],
        "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}, {"src": "/usr/bin/id", "dest": "/data/id"}],
        "run": ["/bin/busybox --install -s /bin"],
    }
    before = os.umask(int(request.param, 8))
    try:
        call("oci_image", name="bktest", build=build, config={"volumes": ["/own"]})
        call("bridge_network", **NETWORK)
        call("ns_container", **CONTAINER)
        yield request.param
    finally:
        call("ns_container", name=NAME, state="absent", purge_volumes=True)
        call("bridge_network", name="bktest0", state="absent")
        call("oci_image", name="bktest", state="absent")
        os.umask(before)


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True)


def reachable() -> list[str]:
    """What another user finds below our directories, or can open by a name he knows."""
    found = as_nobody("find", str(STATE), str(RUN), "-mindepth", "1").stdout.splitlines()
    known = "\0".join(path for top in (STATE, RUN) for path in below(top))
    script = "import os, sys\nfor p in sys.stdin.read().split(chr(0)):\n  if os.access(p, os.F_OK): print(p)"
    opened = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        input=known,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=True,
    )
    return found + opened.stdout.splitlines()


def too_open() -> list[str]:
    """By modes alone, as if the directories above were open. What an image or container holds is not ours."""
    found = []
    for path in [STATE, RUN, *(Path(one) for top in (STATE, RUN) for one in below(top))]:
        status, parts = path.lstat(), path.parts
        content = (
            "fs" in parts
            or "upper" in parts
            or "volumes" in parts[:-1]
            or path.match("work/work")
            or path.parent.name == "userns"
        )
        if content or stat.S_ISLNK(status.st_mode) or path.name.startswith(".isolated-"):
            continue
        allowed = 0o755 if path.is_dir() or path in IDENTITY or "blobs" in parts else 0o711
        if stat.S_IMODE(status.st_mode) & ~allowed & 0o077 & ~0o440 or status.st_uid:
            found.append(f"{stat.S_IMODE(status.st_mode):o} {status.st_uid} {path}")
    return found


def test_nothing_of_ours_is_for_other_users(everything: str) -> None:
    for path in [STATE / "lib", *(STATE / "lib").glob("*/barekernel/_runtime/__pycache__")]:
        assert path.is_dir() and not path.stat().st_mode & 0o022
    assert too_open() == []
    known = {str(RUN / "locks"), *map(str, RUN.iterdir())}  # 0711 shows that something exists to who knows its name
    assert set(reachable()) <= known
    listed = call("ns_container_exec", name=NAME, user="1000", argv=["cat", "/etc/hosts", "/etc/hostname"])
    assert NAME in listed["stdout"]
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in IDENTITY} == IDENTITY
    if everything == "077":
        _mended()
    if everything == "022":
        _attack()


def _mended() -> None:
    """Modes are compared, and set by whoever looks next; check mode says so."""
    opened = {HOME / "hosts": (0o600, 0o644), HOME / "launch.json": (0o644, 0o600), HOME / "volumes": (0o755, 0o700)}
    for path, (wrong, _right) in opened.items():
        path.chmod(wrong)
    promised = run_module("ns_container", CONTAINER, check=True)
    result = call("ns_container", **CONTAINER)
    assert result["changed"] and result["diff"] == promised["diff"] and result["actions"] == promised["actions"]
    assert '"0600"' in result["diff"]["before"] and '"0644"' in result["diff"]["after"]
    assert [change["how"] for change in result["changes"]] == ["live"]
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in opened} == {p: r for p, (_w, r) in opened.items()}
    assert not call("ns_container", **CONTAINER)["changed"]


def _attack() -> None:
    """A container makes a program setuid in its volume; the file is the host's root's."""
    call("ns_container_exec", name=NAME, user="0", argv=["chmod", "4755", "/data/id"])
    program = str(STATE / "volumes" / "bktest-data" / "id")
    with pytest.raises(PermissionError):
        as_nobody(program, "-u")
    for directory in (STATE, STATE / "volumes"):
        directory.chmod(0o755)
    assert as_nobody(program, "-u").stdout == "0\n"  # what it is without the guard
    result = call("bridge_network", **NETWORK)  # whichever task comes next
    assert result["actions"] == [
        f"set directory {path} to mode 0700, owner 0:0 (it has mode 0755, owner 0:0)"
        for path in (STATE, STATE / "volumes")
    ]
    assert "mode 0755" in result["diff"]["before"] and "mode 0700" in result["diff"]["after"]
    with pytest.raises(PermissionError):
        as_nobody(program, "-u")
    assert not call("bridge_network", **NETWORK)["changed"]


def test_what_an_image_puts_into_a_volume_gives_no_rights(tmp_path: Path) -> None:
    data = tmp_path / "layer" / "data"
    data.mkdir(parents=True)
    (data / "program").write_bytes(Path("/usr/bin/id").read_bytes())
    os.setxattr(data / "program", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    (data / "suid").write_bytes(b"x")
    os.chown(data / "suid", 7, 8)
    (data / "suid").chmod(0o6755)
    (data / "shared").mkdir()
    (data / "shared").chmod(0o2775)
    os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(data / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.link(data / "null", data / "again")
    os.mkfifo(data / "pipe")
    target = tmp_path / "volume"
    volume.make(str(target), [str(tmp_path / "layer")], "/data")
    assert sorted(os.listdir(target)) == ["pipe", "program", "shared", "suid"]
    assert os.listxattr(target / "program") == []
    status = (target / "suid").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (7, 8, 0o755)
    assert stat.S_IMODE((target / "shared").stat().st_mode) == 0o2775
