# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Saving an image: what may be replaced, when it is, and what is left of a run that was killed."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused
from ansible_collections.barekernel.containers.plugins.module_utils._images.host import ImageKernel, image_kernel
from ansible_collections.barekernel.containers.plugins.module_utils._images.store import ImageExport

from tests import collection
from tests.kernel import images, registry
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, digest, tar
from tests.kernels import DIED, Dying, Recording, in_child

FORMS = ["oci-archive", "docker-archive", "oci"]


@pytest.fixture(autouse=True)
def app(tmp_path: Path) -> Iterator[None]:
    load(tmp_path, "one")
    yield
    images.remove_all()
    assert images.left() == []


def load(tmp_path: Path, version: str, name: str = "app") -> None:
    layout = Layout(tmp_path / "layouts" / version).add(tar(("file", version.encode())))
    layout.path.mkdir(parents=True, exist_ok=True)
    layout.write()
    apply(name=name, archive={"path": str(layout.path)})


def save(path: Path, form: str = "oci-archive", name: str = "app", kernel: Any = None) -> list[str]:
    """What was done; what check mode had said is the same."""
    resource = ImageExport("oci_image_save")
    arguments = collection.module_arguments("oci_image_save")["argument_spec"]
    given = {"name": name, "path": str(path), "format": form}
    desired = resource.desired(ArgumentSpecValidator(arguments).validate(given).validated_parameters)
    promised = predict(resource, desired).plan.actions
    actions = converge(resource, desired, image_kernel(resource.store, kernel)).plan.actions
    assert actions == promised
    return actions


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p): p.read_bytes() for p in files}


def files_of(path: Path) -> None:
    path.mkdir()
    (path / "data").write_text("precious")


def a_larger_layout(path: Path) -> None:
    """With files beside what a layout consists of, as our own store has them."""
    Layout(path).add(tar(("x", b"x"))).write()
    (path / "layers").mkdir()


def a_layout_of_two(path: Path) -> None:
    layout = Layout(path).add(tar(("x", b"x")))
    layout.write()
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": layout.digest, "size": 1}
    layout.index(entry, entry)


FOREIGN: dict[str, Any] = {
    "directory": (files_of, "directory is there"),
    "store": (a_larger_layout, "is there"),
    "two images": (a_layout_of_two, "is there"),
    "backup": (lambda path: path.write_bytes(tar(("my", b"backup"))), "no archive"),
    "text": (lambda path: path.write_text("text"), "no archive"),
    "damaged gzip": (lambda path: path.write_bytes(b"\x1f\x8bgarbage"), "no archive"),
    "cut gzip": (lambda path: path.write_bytes(gzip.compress(tar(("x", os.urandom(5000))))[:-30]), "no archive"),
    "odd manifest": (lambda path: path.write_bytes(tar(("manifest.json", b"[7]"))), "one image under one name"),
    "odd index": (lambda path: path.write_bytes(tar(("index.json", b'{"manifests": 5}'))), "one image"),
    "fifo": (os.mkfifo, "neither a file nor a directory"),
    "link": (lambda path: path.symlink_to("/etc/passwd"), "neither a file nor a directory"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_saved_image_stays(tmp_path: Path, what: str, form: str) -> None:
    make, says = FOREIGN[what]
    target = tmp_path / "target"
    make(target)
    before, status = content(target) if not target.is_fifo() else {}, target.lstat()
    with pytest.raises(Refused, match="is there") as caught:
        save(target, form)
    assert f"path: '{target}'" in str(caught.value)
    if form == "oci-archive" and target.is_file():
        assert says in str(caught.value)
    assert (content(target) if not target.is_fifo() else {}) == before and target.lstat() == status


@pytest.mark.parametrize("form", FORMS)
def test_a_name_and_a_format_are_part_of_it(tmp_path: Path, form: str) -> None:
    target = tmp_path / "saved"
    apply(name="other:2", image="app")
    assert save(target, form) != [] and save(target, form) == []
    assert save(target, form, name="other:2") != [] and save(target, form, name="other:2") == []
    if form == "oci":
        with pytest.raises(Refused, match="directory is there"):
            save(target, "oci-archive")
        return
    other = "docker-archive" if form == "oci-archive" else "oci-archive"
    assert save(target, other, name="other:2") != [] and save(target, other, name="other:2") == []
    with pytest.raises(Refused, match="file is there"):
        save(target, "oci")


@pytest.mark.parametrize("form", FORMS)
def test_a_name_with_a_digest(tmp_path: Path, form: str) -> None:
    """It is the image's name where it is saved, but in a Docker archive, which has names with tags alone."""
    with registry.serve(tmp_path / "registry") as server:
        layout = Layout(tmp_path / "layout").add(tar(("file", b"x")))
        server.push(layout.write(), "app:1")
        name = f"{server.address}/app@{layout.digest}"
        apply(name=name, registry={"reference": name, "tls_verify": False, "retries": 0})
    target = tmp_path / "saved"
    assert save(target, form, name) != [] and save(target, form, name) == []
    again = apply(name="again", archive={"path": str(target)}).facts["image"]
    assert [layer["diff_id"] for layer in again["layers"]] == layout.diff_ids
    apply(name="other", image="app")
    assert save(target, form, "other") != [] and save(target, form, "other") == []


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the files of an archive or a layout, by their names in it."""
    if path.is_dir():
        files = {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
        change(files)
        shutil.rmtree(path)
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile()]
        files = {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    change(files)
    path.write_bytes(tar(*files.items()))


def layer_in(files: dict[str, bytes]) -> str:
    """The name that the one layer has in it."""
    if "manifest.json" in files:
        return str(json.loads(files["manifest.json"])[0]["Layers"][0])
    [descriptor] = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files["blobs/" + descriptor["digest"].replace(":", "/")])
    return "blobs/" + str(manifest["layers"][0]["digest"]).replace(":", "/")


def damage_layer(files: dict[str, bytes]) -> None:
    """One bit, as a disk does."""
    data = bytearray(files[layer_in(files)])
    data[len(data) // 2] ^= 1
    files[layer_in(files)] = bytes(data)


def cut_layer(files: dict[str, bytes]) -> None:
    files[layer_in(files)] = files[layer_in(files)][:-100]


def lose_layer(files: dict[str, bytes]) -> None:
    del files[layer_in(files)]


def swap_layer(files: dict[str, bytes]) -> None:
    """Everything fits together but for what the configuration says."""
    other = tar(("file", b"another"))
    if "manifest.json" in files:
        files[layer_in(files)] = other
        return
    index = json.loads(files["index.json"])
    [descriptor] = index["manifests"]
    manifest = json.loads(files["blobs/" + descriptor["digest"].replace(":", "/")])
    manifest["layers"][0].update(digest=digest(gzip.compress(other)), size=len(gzip.compress(other)))
    files["blobs/" + digest(gzip.compress(other)).replace(":", "/")] = gzip.compress(other)
    content = json.dumps(manifest).encode()
    files["blobs/" + digest(content).replace(":", "/")] = content
    descriptor.update(digest=digest(content), size=len(content))
    files["index.json"] = json.dumps(index).encode()


def leave_out_layer(files: dict[str, bytes]) -> None:
    """The manifest has none, the configuration one."""
    if "manifest.json" in files:
        listed = json.loads(files["manifest.json"])
        listed[0]["Layers"] = []
        files["manifest.json"] = json.dumps(listed).encode()
        return
    index = json.loads(files["index.json"])
    [descriptor] = index["manifests"]
    manifest = json.loads(files["blobs/" + descriptor["digest"].replace(":", "/")])
    content = json.dumps({**manifest, "layers": []}).encode()
    files["blobs/" + digest(content).replace(":", "/")] = content
    descriptor.update(digest=digest(content), size=len(content))
    files["index.json"] = json.dumps(index).encode()


def damage_config(files: dict[str, bytes]) -> None:
    """What the digest in the manifest is of is another file."""
    for name, data in files.items():
        if b'"rootfs"' in data and name != "manifest.json":
            files[name] = data.replace(b'"linux"', b'"linuy"')


DAMAGES = [damage_layer, cut_layer, lose_layer, swap_layer, leave_out_layer, damage_config]


@pytest.mark.parametrize("form", FORMS)
def test_what_it_names_is_not_what_it_holds(tmp_path: Path, form: str) -> None:
    """The digest of a configuration is a claim about layers. Once for layers as the image has them, once for layers
    that the image has uncompressed, which skopeo compresses in a layout."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("of a directory")
    apply(name="local", directory={"path": str(tmp_path / "tree")})
    for name in ("app", "local"):
        target = tmp_path / name
        save(target, form, name)
        whole = apply(name="again", archive={"path": str(target)}, rebuild="always").facts["image"]["layers"]
        for change in DAMAGES:
            rewrite(target, change)
            assert save(target, form, name) != [], f"{name}: {change.__name__}"
            assert save(target, form, name) == []
            again = apply(name="again", archive={"path": str(target)}, rebuild="always").facts["image"]["layers"]
            assert [layer["diff_id"] for layer in again] == [layer["diff_id"] for layer in whole]
        rewrite(target, lambda files: None)
        assert save(target, form, name) == [], "another program may have packed it"


def test_an_empty_directory_or_file_has_nothing_to_lose(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    assert save(tmp_path / "directory", "oci") != [] and save(tmp_path / "directory", "oci") == []
    assert save(tmp_path / "file") != [] and save(tmp_path / "file") == []


@pytest.mark.parametrize("form", FORMS)
def test_killed_at_any_point(tmp_path: Path, form: str) -> None:
    """The old one or the new one is there, whole, and the next run leaves nothing beside it."""
    place = tmp_path / "place"
    place.mkdir()
    target = place / "saved"
    save(target, form)
    load(tmp_path, "two")
    recording = Recording(ImageKernel())
    save(target, form, kernel=recording)
    points = len(recording.calls)
    for k in range(points + 1):
        load(tmp_path, "one")
        save(target, form)
        load(tmp_path, "two")
        died = in_child(lambda k=k: save(target, form, kernel=Dying(ImageKernel(), k)))
        assert died == DIED or k == points
        kind = "oci" if form == "oci" else form
        raw = subprocess.run(["skopeo", "inspect", "--raw", f"{kind}:{target}"], check=False, capture_output=True)
        assert raw.returncode == 0, f"after {k} of {points}: {raw.stderr!r}"
        save(target, form)
        assert os.listdir(place) == ["saved"], f"after {k} of {points}"
    print(f"{points} kill points while {form} was saved")


def test_half_of_it_is_cleared_where_nothing_is_to_be_saved(tmp_path: Path) -> None:
    target = tmp_path / "saved.tar"
    save(target)
    (tmp_path / ".new-saved.tar").write_text("half")
    assert save(target) == [f"clear what an interrupted run left at {tmp_path}/.new-saved.tar"]
    assert save(target) == [] and not (tmp_path / ".new-saved.tar").exists()


@pytest.fixture(params=["same file system", "another one"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory that anybody may write to."""
    place = tmp_path / "shared"
    place.mkdir()
    if request.param == "another one":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    place.chmod(0o777)
    for above in [*place.parents][:-2]:
        above.chmod(above.stat().st_mode | 0o011)
    yield place
    if request.param == "another one":
        subprocess.run(["umount", str(place)], check=True)


PLANT = """
import os, sys, time
place, victim = sys.argv[1:]
print(flush=True)
while True:
    for name in (".new-saved", ".new-saved/blobs"):
        try:
            os.symlink(victim, f"{place}/{name}")
        except OSError:
            pass
"""


@pytest.mark.parametrize("form", FORMS)
def test_another_user_cannot_lead_it_elsewhere(tmp_path: Path, shared: Path, form: str) -> None:
    """Who may write to the directory puts links where it is written, as fast as he can."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    command = ["/usr/bin/python3", "-c", PLANT, str(shared), str(victim)]
    with subprocess.Popen(command, user=65534, group=65534, extra_groups=[], stdout=subprocess.PIPE) as attacker:
        assert attacker.stdout and attacker.stdout.readline() == b"\n"
        try:
            with contextlib.suppress(Interrupted):  # at worst it keeps us from saving there
                save(shared / "saved", form)
        finally:
            attacker.kill()
    assert victim.read_text() == "precious" and victim.stat().st_mode == 0o100600
    (shared / ".new-saved").unlink(missing_ok=True)
    if not os.path.lexists(shared / "saved"):
        save(shared / "saved", form)
    saved = shared / "saved"
    assert (saved.owner(), saved.stat().st_mode & 0o777) == ("root", 0o755 if form == "oci" else 0o644)
    assert save(saved, form) == []


def test_only_roots_links_lead_to_the_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    target = tmp_path / "link" / "saved"
    assert save(target) != [] and save(target) == []
    os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
    with pytest.raises(Refused, match=r"path: '.*/link/saved': link in it is a symbolic link of user 65534"):
        save(target)
