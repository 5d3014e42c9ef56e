# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/var/lib/barekernel as administrators have it: a link, a mount point, or something nothing can be kept in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .leaks import below
from .module_process import run_module

STATE = Path("/var/lib/barekernel")
BUILD = {
    "directories": [{"path": path} for path in ("/etc", "/data")],
    "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
    "run": ["/bin/busybox --install -s /bin"],
}
IMAGE: dict[str, Any] = {"name": "bktest", "build": BUILD, "config": {"volumes": ["/own"]}}
NETWORK: dict[str, Any] = {"name": "bktest0", "addresses": ["10.88.7.1/24"]}
CONTAINER: dict[str, Any] = {
    "name": "bktest-kept",
    "image": "bktest",
    "command": ["sleep", "1000"],
    "networks": [{"name": "bktest0"}],
    "mounts": [{"type": "volume", "source": "bktest-data", "target": "/data"}],
    "stop_timeout": 0,
}
STACK: dict[str, Any] = {
    "name": "bktest",
    "images": [{"name": "bktest-of-stack", "build": BUILD}],
    "networks": [{"name": "bktest1", "addresses": ["10.88.8.1/24"]}],
    "containers": [
        {
            **CONTAINER,
            "name": "bktest-stacked",
            "image": "bktest-of-stack",
            "networks": [{"name": "bktest1"}],
            "mounts": [],
        }
    ],
}
MODULES = (("oci_image", IMAGE), ("bridge_network", NETWORK), ("ns_container", CONTAINER), ("stack", STACK))


def mounted(*options: str, kind: str = "tmpfs") -> Callable[[Path], None]:
    def mount(_disk: Path) -> None:
        subprocess.run(["mount", "-t", kind, "-o", ",".join(("mode=700", *options)), kind, str(STATE)], check=True)

    return mount


def linked(disk: Path) -> None:
    (disk / "there").mkdir()
    STATE.symlink_to(disk / "there")


def in_the_hands_of_another_user(disk: Path) -> None:
    (disk / "home" / "there").mkdir(parents=True)
    os.chown(disk / "home", 1000, 1000)
    STATE.symlink_to(disk / "home" / "there")


def overlaid(disk: Path) -> None:
    for name in ("lower", "upper", "work"):
        (disk / name).mkdir()
    layers = f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work"
    STATE.mkdir()
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(STATE)], check=True)


def without_attributes(disk: Path) -> None:
    STATE.mkdir()
    mounted(kind="ramfs")(disk)


def with_options(*options: str) -> Callable[[Path], None]:
    def mount(disk: Path) -> None:
        STATE.mkdir()
        mounted(*options)(disk)

    return mount


#: How it is, what works nevertheless, and what is said of the rest.
REFUSED: dict[str, tuple[Callable[[Path], Any], set[str], str]] = {
    "a file": (lambda _disk: STATE.touch(), set(), "/var/lib/barekernel: is not a directory; move it away"),
    "a loop": (lambda _disk: STATE.symlink_to(STATE), set(), "/var/lib/barekernel: Too many levels of symbolic links"),
    "a link to nothing": (
        lambda _disk: STATE.symlink_to("/nowhere"),
        set(),
        "/var/lib/barekernel: is a symbolic link to /nowhere, which does not exist; create that directory or remove",
    ),
    "another user's": (
        in_the_hands_of_another_user,
        set(),
        "/home, which leads there, belongs to user 1000, so there in",
    ),
    "read-only": (with_options("ro"), set(), "is on a file system that is mounted read-only; mount it for writing"),
    "noexec": (
        with_options("noexec"),
        set(),
        "is on a file system that is mounted noexec; mount it exec, as",
    ),
    "without attributes": (
        without_attributes,
        {"oci_image", "bridge_network"},
        "keeps no extended attributes (trusted.*); use ext4, xfs or",
    ),
    "overlayfs": (overlaid, {"oci_image", "bridge_network"}, "is on overlayfs, which holds no container's layers"),
}
WORKS: dict[str, Callable[[Path], Any]] = {"a link": linked, "nodev and nosuid": with_options("nodev", "nosuid")}


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[Path]:
    """An empty /var/lib, and a disk."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/lib"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(tmp_path)], check=True)
    for above in [*tmp_path.parents][:-2]:
        above.chmod(0o755)
    yield tmp_path
    subprocess.run(["umount", "--recursive", "/var/lib"], check=True)
    subprocess.run(["umount", str(tmp_path)], check=True)


def seen() -> list[str]:
    """What there is of ours, and the host's links."""
    links = [line.partition(":")[0] for line in Path("/proc/net/dev").read_text().splitlines()]
    return sorted([*below(Path("/var/lib")), *below(Path("/run")), *links])


def removed() -> None:
    for module, params in reversed(MODULES):
        more = {"purge_volumes": True} if module == "ns_container" else {}
        for wanted in (True, False):
            result = run_module(module, {"name": params["name"], "state": "absent", **more})
            assert not result.get("failed"), result["msg"]
            assert wanted or not result["changed"]


@pytest.mark.parametrize("how", REFUSED)
def test_what_nothing_can_be_kept_in_is_said_before_anything_changes(lib: Path, how: str) -> None:
    make, works, says = REFUSED[how]
    make(lib)
    for module, params in MODULES:
        before = seen()
        if module == "ns_container" and "oci_image" not in works:
            params = {**params, "networks": []}
        results = [run_module(module, params, check) for check in (True, False)]
        if module in works:
            assert not [result for result in results if result.get("failed")], results
            continue
        if module == "ns_container" and not works and "image: 'bktest': no image" in results[0]["msg"]:
            continue  # what it would need is not there either
        for result in results:
            assert result["failed"] and says in result["msg"], result["msg"]
            assert "Traceback" not in result["msg"] and not result.get("actions_done")
        assert seen() == before
    if works:
        removed()


@pytest.mark.parametrize("how", WORKS)
def test_it_works_and_goes(lib: Path, how: str) -> None:
    WORKS[how](lib)
    for module, params in MODULES:
        for wanted in (True, False):
            result = run_module(module, params)
            assert not result.get("failed") and result["changed"] == wanted, result
    removed()
    assert os.listdir(STATE) == [] and STATE.is_symlink() == (how == "a link")
    assert STATE.stat().st_mode & 0o077 == 0
