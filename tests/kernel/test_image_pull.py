# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images from registries and archives."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._image.sources.difference import differences
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Image, Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.store import (
    ImageExport,
    ImageInfo,
    ImagePrune,
)

from tests import collection
from tests.kernel import images, registry
from tests.kernel.images import apply, checked, remove
from tests.kernel.layouts import Layout, tar

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture(autouse=True)
def store() -> Iterator[Store]:
    yield Store()
    images.remove_all()
    assert images.left() == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[registry.Registry]:
    with registry.serve(tmp_path / "registry") as running:
        yield running


def example(path: Path, *extra: tuple[str, Any], second: str = "zstd") -> Layout:
    layout = Layout(path, {"Cmd": ["/bin/app"], "Env": ["A=1"], "Labels": {"k": "v"}})
    layout.add(tar(("etc", None), ("etc/base", b"base"), ("bin", None)))
    layout.add(tar(("etc", None), ("etc/more", b"more")), second)
    layout.add(tar(("bin", None), ("bin/app", b"app", {"mode": 0o755}), *extra))
    layout.write()
    return layout


def source(server: registry.Registry, **more: Any) -> dict[str, Any]:
    return {"reference": f"{server.address}/team/app:1", "tls_verify": False, "retries": 0, **more}


def test_pull(server: registry.Registry, tmp_path: Path) -> None:
    layout = example(tmp_path / "layout")
    server.push(layout.path, "team/app:1")
    params = {"name": "app", "registry": source(server)}
    predicted, outcome = checked(**params), apply(**params)
    assert predicted.plan.actions == outcome.plan.actions
    image = outcome.facts["image"]
    assert image["digest"] == layout.digest == predicted.facts["source_key"]
    assert image["config"]["Cmd"] == ["/bin/app"]
    assert [layer["diff_id"] for layer in image["layers"]] == layout.diff_ids
    assert Path(image["layers"][2]["path"], "bin/app").read_bytes() == b"app"
    assert apply(**params).plan.actions == []


def test_the_image_is_named_after_where_it_comes_from(server: registry.Registry, tmp_path: Path) -> None:
    server.push(example(tmp_path / "layout").path, "team/app:1")
    name = f"{server.address}/team/app:1"
    assert apply(name=name, registry={"tls_verify": False}).facts["image"]["reference"] == name


def test_a_moved_tag_is_pulled_only_when_asked(server: registry.Registry, tmp_path: Path) -> None:
    server.push(example(tmp_path / "one").path, "team/app:1")
    apply(name="app", registry=source(server))
    moved = example(tmp_path / "two", ("new", b"new"))
    server.push(moved.path, "team/app:1")
    assert apply(name="app", registry=source(server)).plan.actions == []
    predicted = checked(name="app", registry=source(server), pull="newer")
    assert [change.option for change in predicted.plan.changes] == ["content"]
    # The two layers that both have are not transported again.
    kept = {layer["path"]: os.stat(layer["path"]).st_ino for layer in predicted.facts["image"]["layers"][:2]}
    after = apply(name="app", registry=source(server), pull="newer").facts["image"]
    assert after["digest"] == moved.digest
    assert {layer["path"]: os.stat(layer["path"]).st_ino for layer in after["layers"][:2]} == kept
    assert apply(name="app", registry=source(server), pull="always").plan.actions == []


def test_a_registry_that_is_gone(tmp_path: Path) -> None:
    with registry.serve(tmp_path / "registry") as server:
        server.push(example(tmp_path / "one").path, "team/app:1")
        apply(name="app", registry=source(server))
    nobody = source(server)
    kept = apply(name="app", registry=nobody, pull="newer")
    assert kept.plan.actions == [] and "kept as it is" in kept.plan.warnings[0]
    with pytest.raises(Refused, match="cannot be reached"):
        apply(name="app", registry=nobody, pull="always")
    with pytest.raises(Refused, match="cannot be reached"):
        apply(name="other", registry=nobody)
    assert Store().names().keys() == {"docker.io/library/app:latest"}


def test_a_digest_pins(server: registry.Registry, tmp_path: Path) -> None:
    layout = example(tmp_path / "one")
    server.push(layout.path, "team/app:1")
    server.push(example(tmp_path / "two", ("new", b"new")).path, "team/app:1")
    name = f"{server.address}/team/app@{layout.digest}"
    assert apply(name=name, registry={"tls_verify": False}, pull="newer").facts["image"]["digest"] == layout.digest
    assert Store().resolve(layout.digest) == Store().resolve(name)
    wrong = f"{server.address}/team/app@sha256:{'0' * 64}"
    with pytest.raises(Refused, match="Check the repository"):
        apply(name=wrong, registry={"tls_verify": False, "retries": 0})
    with pytest.raises(OptionError, match="with an @"):
        apply(name=f"{server.address}/team/app:sha256:{'0' * 64}", registry={"tls_verify": False})


def test_the_platform_is_chosen_from_an_index(server: registry.Registry, tmp_path: Path) -> None:
    layouts = {}
    for architecture in ("amd64", "arm64", "s390x"):
        layout = example(tmp_path / architecture, (architecture, b"x"))
        layout.architecture = architecture
        layout.write()
        server.push(layout.path, f"team/app:{architecture}")
        layouts[architecture] = layout
    entries = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": layout.digest,
            "size": len(layout.manifest),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture, layout in layouts.items()
        if architecture != "s390x"
    ]
    index = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries}
    server.put_manifest("team/app:1", json.dumps(index).encode(), DOCKER_LIST)
    arm = apply(name="arm", registry=source(server, platform="linux/arm64")).facts["image"]
    assert (arm["digest"], arm["architecture"]) == (layouts["arm64"].digest, "arm64")
    with pytest.raises(Refused, match="linux/s390x, only for linux/amd64, linux/arm64"):
        apply(name="none", registry=source(server, platform="linux/s390x"))


def test_docker_manifests_keep_their_digest(server: registry.Registry, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("a", b"a")))
    layout.write()
    target = f"docker://{server.address}/team/app:1"
    copy = ["skopeo", "copy", "-q", "--format=v2s2", "--dest-tls-verify=false", f"oci:{layout.path}:image", target]
    subprocess.run(copy, check=True)
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", target], check=True, capture_output=True
    ).stdout
    image = apply(name="app", registry=source(server)).facts["image"]
    import hashlib

    assert image["digest"] == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert "docker" in image["layers"][0]["media_type"]


def test_tls_and_passwords(tmp_path: Path) -> None:
    with registry.serve(tmp_path / "registry", tls=True, auth=True) as server:
        server.push(example(tmp_path / "layout").path, "team/app:1")
        access: dict[str, Any] = {"reference": f"{server.address}/team/app:1", "retries": 0}
        user = {"username": registry.USER, "password": registry.PASSWORD}
        with pytest.raises(Refused, match="cert_dir"):
            apply(name="app", registry={**access, **user})
        access["cert_dir"] = str(tmp_path / "trust")
        (tmp_path / "trust").mkdir()
        shutil.copy(f"{server.cert_dir}/ca.crt", tmp_path / "trust/ca.crt")
        with pytest.raises(Refused, match="Give username and password"):
            apply(name="app", registry=access)
        with pytest.raises(Refused, match="Give username and password"):
            apply(name="app", registry={**access, "username": "reader", "password": "wrong"})
        assert Store().names() == {}
        assert apply(name="app", registry={**access, **user}).plan.actions != []
        auth = tmp_path / "auth.json"
        login = ["skopeo", "login", f"--authfile={auth}", f"--cert-dir={access['cert_dir']}", "-u", registry.USER]
        subprocess.run([*login, "--password-stdin", server.address], input=registry.PASSWORD.encode(), check=True)
        remove("app")
        assert apply(name="app", registry={**access, "auth_file": str(auth)}).plan.actions != []


def test_the_signature_policy_is_obeyed(server: registry.Registry, tmp_path: Path) -> None:
    server.push(example(tmp_path / "layout").path, "team/app:1")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "reject"}]}))
    with pytest.raises(Exception, match="signature policy"):
        apply(name="app", registry=source(server, signature_policy=str(policy)))
    assert images.left() == []


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive", "dir"])
def test_archives(tmp_path: Path, form: str) -> None:
    layout = example(tmp_path / "layout", second="gzip")
    target = tmp_path / "archive"
    suffix = ":example/app:1" if form in ("docker-archive", "oci-archive") else ""
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout.path}:image", f"{form}:{target}{suffix}"], check=True)
    params = {"name": "app", "archive": {"path": str(target)}}
    predicted, outcome = checked(**params), apply(**params)
    assert predicted.plan.actions == outcome.plan.actions
    assert [layer["diff_id"] for layer in outcome.facts["image"]["layers"]] == layout.diff_ids
    assert outcome.facts["image"]["config"]["Labels"] == {"k": "v"}
    assert apply(**params).plan.actions == []


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_compressed_archives(tmp_path: Path, form: str, program: str) -> None:
    layout = example(tmp_path / "layout", second="gzip")
    target = tmp_path / "archive"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout.path}:image", f"{form}:{target}:example/app:1"], check=True)
    with open(target, "rb") as plain, open(tmp_path / "packed", "wb") as packed:
        subprocess.run([program, "-c"], stdin=plain, stdout=packed, check=True)
    params = {"name": "app", "archive": {"path": str(tmp_path / "packed")}}
    if program == "zstd":
        with pytest.raises(Interrupted, match=r"is compressed with zstd. Say in archive.format"):
            apply(**params)
        params["archive"]["format"] = form
    predicted, outcome = checked(**params), apply(**params)
    assert predicted.plan.actions == outcome.plan.actions
    assert [layer["diff_id"] for layer in outcome.facts["image"]["layers"]] == layout.diff_ids
    assert apply(**params).plan.actions == []


@pytest.mark.parametrize(
    ("size", "end", "says"), [("4K", None, "unpacks to more than 4096 bytes"), ("1G", -30, "gzip data are damaged")]
)
def test_an_archive_of_gzip_that_does_not_end_or_ends_early(
    tmp_path: Path, size: str, end: int | None, says: str
) -> None:
    layout, target = example(tmp_path / "layout", second="gzip"), tmp_path / "archive"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout.path}:image", f"docker-archive:{target}:app:1"], check=True)
    target.write_bytes(gzip.compress(target.read_bytes())[:end])
    with pytest.raises(Interrupted, match=f"{target}.*{says}"):
        apply(name="app", archive={"path": str(target)}, policy={"max_size": size})
    assert images.left() == []


def test_another_name(server: registry.Registry, tmp_path: Path) -> None:
    server.push(example(tmp_path / "layout").path, "team/app:1")
    first = apply(name="app", registry=source(server)).facts["image"]
    second = apply(name="again:2", image="app", config={"labels": {"x": "y"}}).facts["image"]
    assert second["layers"] == first["layers"] and second["digest"] != first["digest"]
    assert apply(name="again:2", image="app", config={"labels": {"x": "y"}}).plan.actions == []
    remove("app")
    image = Store().resolve("again:2")
    assert image is not None and not image.missing
    with pytest.raises(OptionError, match="image: .*no image"):
        apply(name="third", image="app")


def test_an_image_of_umoci_and_buildah_tools_runs_through(tmp_path: Path) -> None:
    """umoci writes what it unpacked and changed as a layer with whiteouts."""
    layout = example(tmp_path / "layout", second="gzip")
    bundle = tmp_path / "bundle"
    umoci = ["umoci", "--log=error"]
    subprocess.run([*umoci, "unpack", "--image", f"{layout.path}:image", bundle], check=True)
    (bundle / "rootfs/etc/base").unlink()
    (bundle / "rootfs/etc/new").write_text("new")
    subprocess.run([*umoci, "repack", "--image", f"{layout.path}:changed", bundle], check=True)
    image = apply(name="app", archive={"path": str(layout.path), "reference": "changed"}).facts["image"]
    top = image["layers"][-1]["path"]
    assert os.stat(f"{top}/etc/base").st_rdev == 0 and not os.path.isfile(f"{top}/etc/base")
    assert Path(top, "etc/new").read_text() == "new"


def export(module: str, **params: Any) -> Any:
    resource = ImageExport(module)
    arguments = collection.module_arguments(module)
    validated = ArgumentSpecValidator(arguments["argument_spec"]).validate(params).validated_parameters
    return converge(resource, resource.desired(validated))


def test_push_and_pull_back(server: registry.Registry, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("content")
    made = apply(name="app", directory={"path": str(tmp_path / "root")}, config={"cmd": ["/file"]}).facts["image"]
    params = {"name": "app", "destination": f"{server.address}/team/app:1", "tls_verify": False, "retries": 0}
    assert export("oci_image_push", **params).plan.actions != []
    assert export("oci_image_push", **params).plan.actions == []
    back = apply(name="back", registry=source(server)).facts["image"]
    assert back["config"] == {"Cmd": ["/file"]}
    # The registry holds the layer compressed; unpacked it is the same one.
    assert [layer["path"] for layer in back["layers"]] == [layer["path"] for layer in made["layers"]]
    with pytest.raises(Refused, match="cannot be reached"):
        export("oci_image_push", **{**params, "destination": f"127.0.0.1:{registry.free_port()}/x:1"})
    with pytest.raises(Refused, match="no image"):
        export("oci_image_push", **{**params, "name": "nothing"})


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive", "oci"])
def test_save_and_load(tmp_path: Path, form: str) -> None:
    layout = example(tmp_path / "layout", second="gzip")
    first = apply(name="app", archive={"path": str(layout.path)}).facts["image"]
    params = {"name": "app", "path": str(tmp_path / "saved"), "format": form}
    assert export("oci_image_save", **params).plan.actions != []
    assert export("oci_image_save", **params).plan.actions == []
    second = apply(name="again", archive={"path": str(tmp_path / "saved")}).facts["image"]
    assert [layer["diff_id"] for layer in second["layers"]] == [layer["diff_id"] for layer in first["layers"]]
    apply(name="app", archive={"path": str(example(tmp_path / "other", ("x", b"x"), second="gzip").path)})
    assert export("oci_image_save", **params).plan.actions != []


def test_info_and_prune(server: registry.Registry, tmp_path: Path) -> None:
    server.push(example(tmp_path / "layout").path, "team/app:1")
    digest = apply(name="app", registry=source(server)).facts["image"]["digest"]
    declared = Path("/var/lib/barekernel/containers/c1/container.json")
    declared.parent.mkdir(parents=True)
    try:
        declared.write_text(json.dumps({"image_digest": digest}))
        [image] = ImageInfo().gather({"name": "app"})["images"]
        assert image["used_by"] == ["c1"] and image["digest"] == digest
        remove("app", force=True)
        assert predict(ImagePrune(), None).plan.actions == []
    finally:
        shutil.rmtree(declared.parent.parent)
    assert ImageInfo().gather({})["unused_bytes"] > 0
    assert len(predict(ImagePrune(), None).plan.actions) == 1
    converge(ImagePrune(), None)
    assert images.left() == []
    assert ImageInfo().gather({}) == {"images": [], "unused_bytes": 0}


def test_commit(server: registry.Registry, tmp_path: Path) -> None:
    """An upper as overlayfs leaves it becomes a layer, the same one every time, which engines accept."""
    base = apply(name="base", archive={"path": str(example(tmp_path / "layout", second="gzip").path)}).facts["image"]
    home = Path("/var/lib/barekernel/containers/c1")
    layers = [layer["path"] for layer in reversed(base["layers"])]
    try:
        for name in ("upper", "work", "merged"):
            (home / name).mkdir(parents=True)
        (home / "container.json").write_text(json.dumps({"image_digest": base["digest"]}))
        overlay = f"lowerdir={':'.join(layers)},upperdir={home}/upper,workdir={home}/work,redirect_dir=off,metacopy=off"
        subprocess.run(["mount", "-t", "overlay", "-o", overlay, "overlay", home / "merged"], check=True)
        try:
            (home / "merged/etc/base").unlink()
            (home / "merged/etc/more").write_text("changed")
            (home / "merged/added").write_text("added")
            os.chown(home / "merged/added", 1000, 1000)
            shutil.rmtree(home / "merged/bin")
            (home / "merged/bin").mkdir()
            wanted = images.listing(str(home / "merged"))
        finally:
            subprocess.run(["umount", home / "merged"], check=True)
        found = {(d.path, d.what) for d in differences(str(home / "upper"), layers)}
        assert found == {
            ("/etc/base", "deleted"),
            ("/etc/more", "changed"),
            ("/added", "added"),
            ("/bin/app", "deleted"),
        }
        params = {"name": "committed", "container": "c1", "config": {"cmd": ["/added"]}}
        predicted, outcome = checked(**params), apply(**params)
        image = outcome.facts["image"]
        assert predicted.plan.actions == outcome.plan.actions
        assert apply(**params).plan.actions == []
        remove("committed")
        assert apply(**params).facts["image"]["digest"] == image["digest"]
        # Mounted, the image shows what the container saw.
        stack = ":".join(layer["path"] for layer in reversed(image["layers"]))
        subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={stack}", "overlay", home / "merged"], check=True)
        try:
            shown = images.listing(str(home / "merged"))
        finally:
            subprocess.run(["umount", home / "merged"], check=True)
        assert {n: f for n, f in shown.items() if n != "."} == {n: f for n, f in wanted.items() if n != "."}
        # umoci, with an unpacker of its own, sees the same files.
        export("oci_image_save", name="committed", path=str(tmp_path / "saved"), format="oci")
        unpack = ["umoci", "--log=error", "unpack", "--image", f"{tmp_path}/saved:committed:latest", tmp_path / "u"]
        subprocess.run(unpack, check=True)
        theirs = {str(p.relative_to(tmp_path / "u/rootfs")) for p in (tmp_path / "u/rootfs").rglob("*")}
        assert theirs == set(wanted) - {"."}
    finally:
        shutil.rmtree(home.parent)


def test_verify_finds_and_repairs(tmp_path: Path) -> None:
    with registry.serve(tmp_path / "registry") as server:
        params, image, blob = _verified(server, tmp_path)
    # Without the source, what can be unpacked from blobs is; what cannot is an error.
    rot(image.layers[0] + "/same-size")
    assert apply(**params).plan.actions != []
    blob.unlink()
    with pytest.raises(Refused, match="cannot be reached"):
        apply(**params)


def rot(path: str) -> None:
    """Other bytes of the same size at the same time, as a failing disk writes them."""
    status = os.stat(path)
    Path(path).write_bytes(b"54321"[: status.st_size])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _verified(server: registry.Registry, tmp_path: Path) -> tuple[dict[str, Any], Image, Path]:
    """Whatever is damaged of an image, it is found and repaired. Returns what declares it, it, and a blob of it."""
    layout = example(tmp_path / "layout", ("same-size", b"12345"), ("swap", None), ("swap/in", b"x"))
    server.push(layout.path, "team/app:1")
    params = {"name": "app", "registry": source(server), "verify": True}
    apply(**params)
    image = Store().resolve("app")
    assert image is not None
    right = [images.listing(layer) for layer in image.layers]
    blob = Path(Store().blob_path(layout.layers[0]["digest"]))

    damages = (
        lambda: rot(image.layers[0] + "/same-size"),
        lambda: os.chmod(image.layers[0] + "/bin/app", 0o777),
        lambda: os.unlink(image.layers[1] + "/etc/more"),
        lambda: Path(image.layers[2], "planted").write_text("x"),
        lambda: blob.write_bytes(blob.read_bytes()[:-1] + b"x"),
        lambda: blob.unlink(),
        lambda: shutil.rmtree(os.path.dirname(image.layers[0])),
    )
    for damage in damages:
        assert apply(**params).plan.actions == []
        damage()
        predicted = checked(**params).plan.actions
        assert predicted != [] and apply(**params).plan.actions == predicted
        assert [images.listing(layer) for layer in image.layers] == right
    return params, image, blob
