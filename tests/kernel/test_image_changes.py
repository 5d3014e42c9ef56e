# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container changed, as it is listed and as it is committed; and what it may make that nobody can hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.info import ContainerInfo

from tests.kernel import images, test_container
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, tar
from tests.kernel.test_container import run

NAME = "bktest-changes"
HOME = Path("/var/lib/barekernel/containers", NAME)


@pytest.fixture(autouse=True)
def container(tmp_path: Path) -> Iterator[None]:
    busybox = ("busybox", Path("/bin/busybox").read_bytes(), {"mode": 0o755})
    tree = [("o", None), ("o/sub", None), ("o/sub/x", b"x"), ("o/sub/z", None), ("o/top", b"top"), ("srv", None)]
    layout = Layout(tmp_path / "layout", {"Cmd": ["/busybox", "sleep", "1000"], "User": "1000"})
    layout.add(tar(busybox, *tree, ("w", None, {"mode": 0o777}))).write()
    apply(name="app", archive={"path": str(layout.path)})
    mounts = [{"type": "tmpfs", "target": target} for target in ("/made/for/data", "/srv")]
    test_container.apply("ns_container", name=NAME, image="app", stop_timeout=0, mounts=mounts)
    yield
    test_container.apply("ns_container", name=NAME, state="absent")
    assert not HOME.exists()
    images.remove_all()
    assert images.left() == []


def shell(script: str, user: str = "0") -> None:
    assert run(NAME, "/busybox", "sh", "-c", script, user=user)["rc"] == 0


def changed() -> set[tuple[str, str]]:
    [entry] = ContainerInfo().gather({"name": NAME, "changed_files": True})["containers"]
    return {(found["path"], found["what"]) for found in entry["changed_files"]}


def committed() -> set[str]:
    """The paths in the layer that a commit makes."""
    image = apply(name="committed", container=NAME).facts["image"]
    assert apply(name="committed", container=NAME).plan.actions == []
    top = image["layers"][-1]["path"]
    return {str(path.relative_to(top)) for path in Path(top).rglob("*")}


def test_nothing() -> None:
    """Mount points that were made for the container are not its own doing."""
    assert {"dev", "etc", "proc", "sys", "made"} <= {path.name for path in (HOME / "upper").iterdir()}
    assert changed() == set()
    assert committed() == set()


def test_beside_mount_points() -> None:
    shell("echo x > /etc/own; mkdir /made/empty; chmod 700 /made/for")
    own = {"/etc", "/etc/own", "/made", "/made/empty", "/made/for"}
    assert changed() == {(path, "added") for path in own}
    assert {"/" + path for path in committed()} == own


def test_what_a_directory_made_anew_hides() -> None:
    """Also further down, where overlayfs leaves no mark; a directory that is gone is listed by its name alone."""
    shell("/busybox rm -r /o; /busybox mkdir -p /o/sub; echo new > /o/sub/y")
    assert changed() == {
        ("/o/sub/y", "added"),
        ("/o/sub/x", "deleted"),
        ("/o/sub/z", "deleted"),
        ("/o/top", "deleted"),
    }
    assert {"o", "o/sub", "o/sub/y"} <= committed()


def test_deeper_than_any_path() -> None:
    """Its user can make that without any privilege. It is listed as far as a layer goes, and removed in the end."""
    script = "cd /w; i=0; while [ $i -lt 2500 ]; do /busybox mkdir a; cd a; i=$((i+1)); done; echo x > file"
    shell(script, user="1000")
    found = changed()
    assert len(found) == 512 and ("/w/a/a", "added") in found
    with pytest.raises(Exception, match="w/a/a.* lies deeper than 512 directories, which no layer may hold"):
        apply(name="committed", container=NAME)
    assert set(Path("/var/lib/barekernel/images").iterdir()) == {
        Path("/var/lib/barekernel/images", name) for name in ("blobs", "index.json", "layers", "oci-layout")
    }
