# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Honest layers of unusual shape: the same one twice, names that an earlier entry of the layer has, hard links."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel import images, registry, test_container
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, tar
from tests.kernel.test_image_pull import source

EMPTY = bytes(1024)
ROOT = tar(("./", None, {"mode": 0o555}), ("etc", None, {"mode": 0o700}))
ETC = tar(("etc", None, {"mode": 0o700}))
FILE = tar(("etc/x", b"1"))
OTHER_ETC = tar(("etc", None, {"mode": 0o711}))
NO_ETC = tar((".wh.etc", b""))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    images.remove_all()
    assert images.left() == []


def modes(path: str) -> tuple[int | None, ...]:
    """Of a layer's root, and of its directory etc, where it has one."""
    return tuple(stat.S_IMODE(os.stat(d).st_mode) if os.path.isdir(d) else None for d in (path, path + "/etc"))


STACKS = {
    "empty twice": ([ROOT, EMPTY, EMPTY], [(0o555, 0o700), (0o555, None), (0o555, None)]),
    "in a row": ([ROOT, FILE, FILE], [(0o555, 0o700)] * 3),
    "first by itself": ([FILE, ROOT, FILE], [(0o755, 0o755), (0o555, 0o700), (0o555, 0o700)]),
    "on different ones": ([ROOT, FILE, OTHER_ETC, FILE], [(0o555, 0o700)] * 2 + [(0o555, 0o711)] * 2),
    "then by itself": (
        [ETC, FILE, NO_ETC, FILE, OTHER_ETC, FILE],
        [(0o755, 0o700), (0o755, 0o700), (0o755, None), (0o755, 0o755), (0o755, 0o711), (0o755, 0o711)],
    ),
    "the very same": ([FILE, FILE, FILE], [(0o755, 0o755)] * 3),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("pulled", [False, True], ids=["archive", "registry"])
def test_the_same_layer_twice(tmp_path: Path, name: str, pulled: bool) -> None:
    layers, expected = STACKS[name]
    layout = Layout(tmp_path / "layout")
    for content in layers:
        layout.add(content)
    layout.write()
    if not pulled:
        _has(expected, archive={"path": str(layout.path)})
        return
    with registry.serve(tmp_path / "registry") as server:
        server.push(layout.path, "team/app:1")
        _has(expected, registry=source(server))


def _has(expected: list[tuple[int | None, ...]], **source: Any) -> None:
    """The image has these layers, and verify finds and mends each of them."""
    first = apply(name="app", **source)
    paths = [layer["path"] for layer in first.facts["image"]["layers"]]
    assert [modes(path) for path in paths] == expected
    assert apply(name="app", verify=True, **source).plan.actions == []
    for path in dict.fromkeys(paths):
        os.chmod(path, 0o711)
        assert apply(name="app", verify=True, **source).plan.actions != []
        assert [modes(path) for path in paths] == expected
        assert apply(name="app", verify=True, **source).plan.actions == []


@pytest.mark.parametrize(
    ("members", "file"),
    [
        ([("x", b"1"), ("x", None), ("x/y", b"2")], "x/y"),
        ([("b", None), ("a", "->b"), ("a/f", b"1"), ("b/f", b"2")], "b/f"),
        ([("a", b"1"), ("h", "=a"), ("a", b"2")], "h"),
    ],
)
def test_verify_expects_what_was_unpacked(tmp_path: Path, members: list[Any], file: str) -> None:
    layout = Layout(tmp_path / "layout").add(tar(*members))
    layout.write()
    params = {"name": "app", "archive": {"path": str(layout.path)}, "verify": True}
    [layer] = apply(**params).facts["image"]["layers"]
    assert apply(**params).plan.actions == []
    path = Path(layer["path"], file)
    status, content = os.stat(path), path.read_bytes()
    path.write_bytes(b"3")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert f"content of {file}" in " ".join(apply(**params).plan.actions)
    assert path.read_bytes() == content and apply(**params).plan.actions == []


@pytest.mark.parametrize("user", ["app", "1000"])
def test_the_user_is_in_a_file_that_a_link_leads_to(tmp_path: Path, user: str) -> None:
    """The files themselves are in another layer than the links."""
    files = [("nss/passwd", b"root:x:0:0::/:\napp:x:1000:1001::/:\n"), ("nss/group", b"app:x:1001:\nmore:x:5:app\n")]
    busybox = ("busybox", Path("/bin/busybox").read_bytes(), {"mode": 0o755})
    layout = Layout(tmp_path / "layout", {"User": user, "Cmd": ["/busybox", "sleep", "1000"]})
    layout.add(tar(*files)).add(tar(("etc/passwd", "->/nss/passwd"), ("etc/group", "->../nss/group"), busybox))
    layout.write()
    apply(name="app", archive={"path": str(layout.path)})
    try:
        test_container.apply("ns_container", name="bktest-user", image="app", stop_timeout=0)
        shown = test_container.run("bktest-user", "/busybox", "id")["stdout"]
        assert shown.split() == ["uid=1000(app)", "gid=1001(app)", "groups=5(more)"]
    finally:
        test_container.apply("ns_container", name="bktest-user", state="absent")


BELOW = [("f", b"below"), ("d", None), ("d/f", b"in d"), ("d/other", b"x")]


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ([("h", "=f"), (".wh.f", b"")], {"h": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([("h", "=f"), ("i", "=f"), ("j", "=h"), (".wh.f", b"")],
         {"h": b"below", "i": b"below", "j": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([("h", "=f"), ("f", b"new")], {"h": b"below", "f": b"new", "d/f": b"in d", "d/other": b"x"}),
        ([("h", "=d/f"), (".wh.d", b"")], {"h": b"in d", "f": b"below"}),
        ([("h", "=d/f"), ("d/.wh..wh..opq", b"")], {"h": b"in d", "f": b"below"}),
        ([("h", "=f"), (".wh.h", b"")], {"h": b"below", "f": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([(".wh.h", b""), ("h", "=f")], {"h": b"below", "f": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([("h", b"first"), ("h", "=f")], {"h": b"below", "f": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([("h", "=f"), ("h", b"last")], {"h": b"last", "f": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([("h", "=f"), ("i", "=f"), (".wh.f", b""), ("h", b"last")],
         {"h": b"last", "i": b"below", "d/f": b"in d", "d/other": b"x"}),
        ([(".wh.d", b""), ("d", b"file"), ("d", None), ("d/x", b"new")], {"f": b"below", "d/x": b"new"}),
        ([("d", b"file"), ("d", None), ("d/x", b"new")], {"f": b"below", "d/x": b"new"}),
    ],
)  # fmt: skip
def test_the_order_of_entries(tmp_path: Path, members: list[Any], shown: dict[str, bytes]) -> None:
    """As if each entry were carried out on what the layers below show, which is what other tools do."""
    layout = Layout(tmp_path / "layout").add(tar(*BELOW)).add(tar(*members))
    layout.write()
    params = {"name": "app", "archive": {"path": str(layout.path)}, "verify": True}
    layers = [layer["path"] for layer in apply(**params).facts["image"]["layers"]]
    view = tmp_path / "view"
    view.mkdir()
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={layers[1]}:{layers[0]}", "overlay", view], check=True)
    try:
        files = [path for path in view.rglob("*") if path.is_file()]
        assert {str(path.relative_to(view)): path.read_bytes() for path in files} == shown
        names = [(path.read_bytes(), path.stat().st_ino) for path in files if path.name in "hij"]
        assert len(set(names)) == len({content for content, _inode in names})
    finally:
        subprocess.run(["umount", view], check=True)
    assert apply(**params).plan.actions == []
    unpack = ["umoci", "raw", "unpack", "--image", f"{layout.path}:image", tmp_path / "umoci"]
    subprocess.run(unpack, check=True, stdout=subprocess.DEVNULL)
    files = [path for path in (tmp_path / "umoci").rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path / "umoci")): path.read_bytes() for path in files} == shown
