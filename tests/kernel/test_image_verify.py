# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What verify sees. That it repairs is in test_image_pull, what it does to containers in test_image_in_use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers import fingerprint
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store

from tests.kernel import images, registry
from tests.kernel.images import apply, checked
from tests.kernel.layouts import Layout, tar
from tests.kernel.test_image_pull import source

CAPABILITY = bytes.fromhex("0100000200002000000000000000000000000000")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    images.remove_all()
    assert images.left() == []


def load(layout: Layout) -> list[Path]:
    """The layers, the bottommost first."""
    layout.write()
    return [Path(layer["path"]) for layer in verified(layout).facts["image"]["layers"]]


def verified(layout: Layout) -> images.Outcome:
    return apply(name="app", archive={"path": str(layout.path)}, verify=True)


@pytest.mark.parametrize(
    "attribute", [("security.capability", CAPABILITY), ("user.evil", b"1"), ("trusted.overlay.redirect", b"/other")]
)
def test_attributes(tmp_path: Path, attribute: tuple[str, bytes]) -> None:
    own = {"pax_headers": {"SCHILY.xattr.user.own": "value"}}
    layout = Layout(tmp_path / "layout").add(tar(("file", b"x", own), ("d", None)))
    [layer] = load(layout)
    for name in ("file", "d"):
        if name == "d" and attribute[0] == "security.capability":
            continue
        os.setxattr(layer / name, *attribute)
        assert "attributes" in " ".join(verified(layout).plan.actions)
        assert attribute[0] not in os.listxattr(layer / name) and verified(layout).plan.actions == []
    os.removexattr(layer / "file", "user.own")
    assert verified(layout).plan.actions != [] and os.getxattr(layer / "file", "user.own") == b"value"


def test_a_layer_of_an_earlier_version_is_compared_as_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("file", b"x")))
    [layer] = load(layout)
    record = json.loads((layer.parent / "layer.json").read_text())
    record["fingerprint"] = "sha256:" + fingerprint._digest(str(layer), with_xattrs=False)
    (layer.parent / "layer.json").write_text(json.dumps(record))
    assert verified(layout).plan.actions == []
    os.chmod(layer / "file", 0o777)
    assert verified(layout).plan.actions != [] and verified(layout).plan.actions == []


@pytest.mark.parametrize("verify", [False, True])
def test_a_layer_whose_files_were_removed(tmp_path: Path, verify: bool) -> None:
    """As a whole, its record left behind."""
    layout = Layout(tmp_path / "layout").add(tar(("file", b"x")))
    [layer] = load(layout)
    shutil.rmtree(layer)
    params = {"name": "app", "archive": {"path": str(layout.path)}, "verify": verify}
    assert apply(**params).plan.actions != [] and apply(**params).plan.actions == []
    assert (layer / "file").read_bytes() == b"x"


def test_content_that_a_hard_link_brought_up(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("d", None), ("d/file", b"12345"))).add(tar(("hard", "=d/file")))
    top = load(layout)[1]
    status = os.stat(top / "hard")
    (top / "hard").write_bytes(b"54321")
    os.utime(top / "hard", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "content of hard" in " ".join(verified(layout).plan.actions)
    assert (top / "hard").read_bytes() == b"12345" and verified(layout).plan.actions == []


def test_blob_and_layer_at_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("file", b"12345")))
    layout.write()
    with registry.serve(tmp_path / "registry") as server:
        server.push(layout.path, "team/app:1")
        params = {"name": "app", "registry": source(server), "verify": True}
        layer = Path(apply(**params).facts["image"]["layers"][0]["path"])
        blob = Path(Store().blob_path(layout.layers[0]["digest"]))
        blob.write_bytes(blob.read_bytes()[:-1] + b"x")
        os.chmod(layer / "file", 0o777)
        promised = checked(**params).plan.actions
        assert apply(**params).plan.actions == promised != []
        assert os.stat(layer / "file").st_mode & 0o777 == 0o644 and apply(**params).plan.actions == []


def test_a_hole_takes_no_time(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as file:
        file.seek(1 << 30)
        file.write(b"in the middle")
        file.truncate(60 << 30)
    subprocess.run(["tar", "-C", tmp_path, "-cSf", tmp_path / "layer.tar", "sparse"], check=True)
    layout = Layout(tmp_path / "layout").add((tmp_path / "layer.tar").read_bytes())
    [layer] = load(layout)
    begun = time.monotonic()
    assert verified(layout).plan.actions == []
    assert time.monotonic() - begun < 20  # to hash all of it takes minutes
    status = os.stat(layer / "sparse")
    with open(layer / "sparse", "r+b") as file:
        file.seek(50 << 30)
        file.write(b"planted")
    os.utime(layer / "sparse", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "content of sparse" in " ".join(verified(layout).plan.actions)
