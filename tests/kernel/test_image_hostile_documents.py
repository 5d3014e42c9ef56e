# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Crafted manifests, configurations, indexes and names: each a clear error, the store unharmed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.store import ImageInfo, ImagePrune

from tests.kernel import images, test_container
from tests.kernel.hostile import GOOD, OUTSIDE, load, outside, refused
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, digest, tar

__all__ = ["outside"]


@pytest.mark.parametrize(
    ("crafted", "says"),
    [
        ({"digest": "sha256:" + "1" * 64}, "[dD]igest"),
        ({"size": 5}, "size|bytes"),
        ({"diff_id": "sha256:" + "2" * 64}, "the configuration says"),
        ({"diff_id": "sha256:../../../evil"}, "is not a digest"),
        ({"blob": gzip.compress(GOOD)[:-10]}, "cut short"),
        ({"blob": b"neither tar nor gzip"}, "middle of an entry"),
        ({"blob": gzip.compress(b"x" * 2000)}, "tar header"),
        ({"mediaType": "text/plain"}, "media type"),
    ],
)
def test_a_layer_that_is_not_what_it_says(tmp_path: Path, crafted: dict[str, Any], says: str) -> None:
    refused(Layout(tmp_path / "layout").add(tar(("other", b"x"))).add(GOOD, **crafted), says)


def test_a_layer_that_is_missing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(GOOD)
    (layout.path / "blobs/sha256" / layout.layers[0]["digest"][7:]).unlink()
    refused(layout, "no such file")


def test_more_diff_ids_than_layers(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(GOOD)
    layout.diff_ids.append(layout.diff_ids[0])
    refused(layout, "lists 1 layers|layers")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("StopSignal", "SIGTERM\nExecStartPre=/bin/touch /evil"),
        ("User", "root\n"),
        ("WorkingDir", 7),
        ("Cmd", "a string"),
        ("Entrypoint", [["nested"]]),
        ("Env", {"A": "b"}),
        ("Env", ["A=b\0c"]),
        ("Cmd", ["\ud800"]),
        ("Volumes", ["/data"]),
        ("Volumes", {"/a\nb": {}}),
        ("ExposedPorts", "80"),
        ("Labels", {"k": 1}),
        ("Healthcheck", ["CMD", "true"]),
    ],
)
def test_a_configuration_of_another_shape(tmp_path: Path, key: str, value: Any) -> None:
    refused(Layout(tmp_path / "layout", {key: value}).add(GOOD), f"the image configuration's {key} is")
    assert not Path("/evil").exists()


@pytest.mark.parametrize(
    "crafted",
    [{"history": 5}, {"history": [1]}, {"created": {}}, {"architecture": [1]}, {"config": 7}, {"rootfs": "x"}],
)
def test_a_configuration_document_of_another_shape(tmp_path: Path, crafted: dict[str, Any]) -> None:
    refused(crafted_config(tmp_path / "layout", crafted), "configuration")


def test_a_history_of_null_is_none(tmp_path: Path) -> None:
    """As Go writes what is empty; an image can be built on it."""
    layout = crafted_config(tmp_path / "layout", {"history": None})
    assert apply(name="app", archive={"path": str(layout.path)}).facts["image"]["history"] == []
    build = {"base": "app", "directories": [{"path": "/x"}]}
    assert len(apply(name="above", build=build).facts["image"]["history"]) == 1


def test_a_history_with_half_a_character(tmp_path: Path) -> None:
    """JSON can write half of a surrogate pair, UTF-8 cannot: what is made of the image has it as it was."""
    layout = crafted_config(tmp_path / "layout", {"history": [{"created_by": "\ud800"}]})
    image = apply(name="app", archive={"path": str(layout.path)}, config={"cmd": ["/file"]}).facts["image"]
    assert image["history"] == [{"created_by": "\ud800"}] and image["config"]["Cmd"] == ["/file"]


def crafted_config(path: Path, crafted: dict[str, Any]) -> Layout:
    layout = Layout(path).add(GOOD)
    layout.write()
    config = json.loads((path / "blobs/sha256" / layout.config_digest[7:]).read_bytes())
    content = json.dumps({**config, **crafted}).encode()
    manifest = json.loads(layout.manifest)
    manifest["config"].update(digest=layout.blob(content), size=len(content))
    layout.manifest = json.dumps(manifest).encode()
    layout.index({"mediaType": manifest["mediaType"], "digest": layout.blob(layout.manifest), "size": 1})
    layout.write = lambda reference="image": path  # type: ignore[method-assign]
    return layout


@pytest.mark.parametrize("manifests", ["7", "[7]", '[{"digest": "sha256:../x"}]'])
def test_a_store_whose_names_are_damaged(tmp_path: Path, manifests: str) -> None:
    """Everything says so, and nothing is removed."""
    load(Layout(tmp_path / "layout").add(GOOD))
    index = Path(Store().root, "index.json")
    right, before = index.read_text(), images.left()
    index.write_text(f'{{"schemaVersion": 2, "manifests": {manifests}}}')
    attempts: tuple[Any, ...] = (
        lambda: apply(name="app", state="absent"),
        lambda: apply(name="other", build={"directories": [{"path": "/x"}]}),
        lambda: converge(ImagePrune(), None),
        lambda: ImageInfo().gather({}),
        lambda: test_container.apply("ns_container", name="bktest-x", image="app"),
    )
    for attempt in attempts:
        with pytest.raises(Refused, match="index.json.*restore it from a backup"):
            attempt()
    assert images.left() == before
    index.write_text(right)


def test_an_index_without_our_platform(tmp_path: Path) -> None:
    """Of a layout; that of a registry is in test_image_pull."""
    layout = Layout(tmp_path / "layout", architecture="s390x").add(GOOD)
    layout.write()
    entry = json.loads((layout.path / "index.json").read_text())["manifests"][0]
    entry["platform"] = {"os": "linux", "architecture": "s390x"}
    kind = "application/vnd.oci.image.index.v1+json"
    nested = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).encode()
    layout.index({"mediaType": kind, "digest": layout.blob(nested), "size": len(nested)})
    with pytest.raises(Exception, match="no image found in .*Name a platform that it has"):
        apply(name="app", archive={"path": str(layout.path)})
    assert images.left() == []


def test_a_tag_that_is_a_digest(tmp_path: Path) -> None:
    """It names what it was given to, and never the image that has this digest."""
    first, second = Layout(tmp_path / "first").add(GOOD), Layout(tmp_path / "second").add(GOOD).add(b"", "")
    own = load(first)["digest"]
    second.write()
    name = f"app:{own.partition(':')[2]}"
    tagged = apply(name=name, archive={"path": str(second.path)}).facts["image"]
    assert tagged["digest"] == second.digest != own
    [by_tag, by_digest] = [Store().resolve(given) for given in (name, own)]
    assert by_tag is not None and by_digest is not None
    assert (by_tag.digest, by_digest.digest) == (second.digest, own)
    images.remove(name)
    assert Store().resolve(name) is None and Store().resolve("app") is not None


@pytest.mark.parametrize("key", ["Config", "Layers"])
def test_a_docker_archive_that_points_outside(tmp_path: Path, key: str) -> None:
    outside = "../" * 12 + str(OUTSIDE / "file").lstrip("/")
    listed: dict[str, Any] = {"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}
    listed[key] = outside if key == "Config" else [outside]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(GOOD)]}}
    members = (
        ("manifest.json", json.dumps([listed]).encode()),
        ("config.json", json.dumps(config).encode()),
        ("layer.tar", GOOD),
        (outside, b"crafted"),
    )
    (tmp_path / "archive.tar").write_bytes(tar(*members))
    with pytest.raises(Exception, match=re.escape(str(tmp_path / "archive.tar"))) as caught:
        apply(name="app", archive={"path": str(tmp_path / "archive.tar")})
    assert not isinstance(caught.value, AssertionError) and images.left() == []
