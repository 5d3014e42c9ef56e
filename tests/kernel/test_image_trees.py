# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories that are in use while an image is made from them: mounts in them, files that come and go."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.observe_world import World
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers import tarwriter
from ansible_collections.barekernel.containers.plugins.module_utils._image.sources import copied
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError

from tests.kernel import images
from tests.kernel.images import apply, checked


@pytest.fixture(autouse=True)
def store() -> Iterator[None]:
    yield
    images.remove_all()
    assert images.left() == []


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root file system as debootstrap or a chroot leaves it: something mounted in it, of every kind."""
    root = tmp_path / "root"
    for name in ("proc", "run", "bound", "etc"):
        (root / name).mkdir(parents=True)
    for name in ("etc/resolv.conf", "null", "kept"):
        (root / name).write_text("of the tree")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    mounts = [
        ["-t", "proc", "proc", root / "proc"],
        ["-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "run"],
        ["--bind", secret, root / "bound"],
        ["--bind", secret / "key", root / "etc/resolv.conf"],
        ["--bind", "/dev/null", root / "null"],
    ]
    with contextlib.ExitStack() as unmounted:
        for arguments in mounts:
            subprocess.run(["mount", *arguments], check=True)
            unmounted.callback(subprocess.run, ["umount", arguments[-1]], check=True)
        (root / "run/secret").write_text("secret")
        yield root


def tree_of(name: str) -> dict[str, Any]:
    image = Store().resolve(name)
    assert image is not None
    return images.listing(image.layers[0])


def test_what_is_mounted_is_not_part_of_the_directory(root: Path) -> None:
    """Its mount points are: empty, with the mode of what is mounted, and unchanged by what goes on in it."""
    params = {"name": "tree", "directory": {"path": str(root)}}
    assert checked(**params).plan.actions == apply(**params).plan.actions != []
    (root / "run/more").write_text("secret")
    assert apply(**params).plan.actions == []
    found = tree_of("tree")
    assert sorted(found) == [".", "bound", "etc", "etc/resolv.conf", "kept", "null", "proc", "run"]
    assert stat.S_IMODE(found["run"]["mode"]) == 0o1777 and stat.S_ISDIR(found["proc"]["mode"])
    empty = found["etc/resolv.conf"]["content"]
    assert empty == found["null"]["content"] != found["kept"]["content"]
    assert stat.S_ISREG(found["null"]["mode"])


def test_what_is_mounted_is_part_of_it_where_that_is_asked_for(root: Path) -> None:
    directory = {"path": str(root), "exclude": ["proc"]}
    excluded = apply(name="tree", directory=directory).facts["image"]["digest"]
    assert "proc" not in tree_of("tree")
    params = {"name": "tree", "directory": {**directory, "one_file_system": False}}
    assert [change.option for change in checked(**params).plan.changes] == ["content", "parts"]
    assert apply(**params).facts["image"]["digest"] != excluded and apply(**params).plan.actions == []
    assert {"run/secret", "bound/key"} <= set(tree_of("tree"))


def test_what_is_excluded_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a file system that nobody can list, such as one of a server that is gone."""
    for name in ("gone/below", "kept"):
        (tmp_path / "root" / name).mkdir(parents=True)
    stat_of, looked = os.stat, []
    monkeypatch.setattr(os, "stat", lambda path, *a, **k: (looked.append(path), stat_of(path, *a, **k))[1])
    directory = {"path": str(tmp_path / "root"), "exclude": ["gone"]}
    apply(name="tree", directory=directory)
    assert b"kept" in looked and b"gone" not in looked


def test_a_directory_whose_files_come_and_go(tmp_path: Path) -> None:
    """Whatever moment each is read at, the image is made, and the next run compares with what is in it."""
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "kept").write_text("x")
    (root / "link").hardlink_to(root / "kept")
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = root / "d" / f"{number % 50}"
            with contextlib.suppress(FileExistsError):
                path.write_text("x" * number) if number % 3 else path.symlink_to("kept")
            (root / "d" / f"{(number + 25) % 50}").unlink(missing_ok=True)

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _each in range(5):
            with contextlib.suppress(Exception):
                checked(name="tree", directory={"path": str(root)})
        failed = []
        for number in range(5):
            try:
                apply(name=f"tree{number}", directory={"path": str(root)})
            except Exception as error:
                failed.append(str(error))
        assert all("was cut short while it was read" in text for text in failed), failed
    finally:
        stop.set()
        worker.join()
    apply(name="tree", directory={"path": str(root)})
    assert apply(name="tree", directory={"path": str(root)}).plan.actions == []
    for number in range(5):
        apply(name=f"tree{number}", directory={"path": str(root)})
    assert len({image.digest for image in map(Store().resolve, Store().names()) if image}) == 1
    assert {"kept", "link"} <= set(tree_of("tree"))


def test_what_goes_between_a_look_and_the_making_is_not_recorded(tmp_path: Path) -> None:
    """The file is there while the image is made, and at no look: the next run must not take the image for the tree."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "kept").write_text("x")
    archive = tmp_path / "root.tar"
    sources: list[dict[str, Any]] = [
        {"directory": {"path": str(root)}},
        {"build": {"copy": [{"src": str(root), "dest": "/app"}]}},
        {"rootfs": {"path": str(archive)}},
    ]
    for number, source in enumerate(sources):
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        resource = images.ImageResource()
        desired = resource.desired(images.parameters(name=f"tree{number}", **source))
        plan = resource.plan(desired, resource.observe(desired, World()))
        (root / "passing").write_text("x")
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        for operation in plan.operations:
            operation.execute(resource.kernel())
        assert any(name.endswith("passing") for name in tree_of(f"tree{number}"))
        (root / "passing").unlink()
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        assert apply(name=f"tree{number}", **source).plan.actions != []
        assert not any(name.endswith("passing") for name in tree_of(f"tree{number}"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d/file").write_text("x")

    def refuse(*_arguments: Any) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(KernelError, match=f"read {root}/d/file: Input/output error"):
        tarwriter.TarWriter(None).write_tree(str(root))


def test_a_copy_step_follows_nothing_and_stays_on_its_mount(root: Path) -> None:
    (root / "etc/shadow").symlink_to("/etc/shadow")
    params = {"name": "app", "build": {"copy": [{"src": str(root), "dest": "/app"}]}}
    assert checked(**params).plan.actions == apply(**params).plan.actions != []
    (root / "run/more").write_text("secret")
    assert apply(**params).plan.actions == []
    found = tree_of("app")
    assert found["app/etc/shadow"]["target"] == "/etc/shadow"
    assert not any("secret" in name or name.endswith("/key") for name in found)
    assert found["app/etc/resolv.conf"]["content"] != found["app/kept"]["content"]


def test_a_symlink_that_takes_a_files_place_is_not_followed(tmp_path: Path) -> None:
    """Somebody who may write in the directory puts it there between two looks."""
    source, precious = tmp_path / "source", tmp_path / "precious"
    source.mkdir()
    precious.write_text("precious")
    (source / "a").write_text("x")
    (source / "b").write_text("x")
    with contextlib.closing(copied.entries(str(source))) as found:
        seen = {}
        for entry in found:
            if entry.inside == "a":
                (source / "b").unlink()
                (source / "b").symlink_to(precious)
            seen[entry.inside] = entry.target or (os.read(entry.fd, 100) if entry.fd >= 0 else b"")
    assert seen == {"": b"", "a": b"x", "b": str(precious)}
