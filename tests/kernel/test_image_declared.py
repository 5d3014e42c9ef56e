# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image is the one that is declared: of that digest, reference and platform."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.config import host_platform
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store

from tests.kernel import images, registry
from tests.kernel.images import apply, checked, remove
from tests.kernel.layouts import Layout, digest, tar

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
HERE = host_platform()[0]
BUILD = {"directories": [{"path": "/made"}]}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    images.remove_all()
    assert images.left() == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[registry.Registry]:
    with registry.serve(tmp_path / "registry") as running:
        yield running


def pushed(server: registry.Registry, path: Path, tag: str = "1", **more: Any) -> Layout:
    """An image of one file, which is named after the tag."""
    layout = Layout(path, **{"architecture": HERE, **more}).add(tar((tag, tag.encode())))
    layout.write()
    server.push(layout.path, f"team/app:{tag}")
    return layout


def indexed(server: registry.Registry, *layouts: Layout, tag: str = "index") -> str:
    """An index of images that are there. Returns its digest."""
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": layout.digest,
            "size": len(layout.manifest),
            "platform": {"os": "linux", "architecture": layout.architecture},
        }
        for layout in layouts
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    server.put_manifest(f"team/app:{tag}", content, INDEX)
    return digest(content)


def source(server: registry.Registry, tag: str = "1", **more: Any) -> dict[str, Any]:
    return {"reference": f"{server.address}/team/app:{tag}", "tls_verify": False, "retries": 0, **more}


def manifests(server: registry.Registry, since: int) -> list[str]:
    return [request for request in server.requests()[since:] if "/manifests/" in request or "/blobs/" in request]


def test_another_reference_is_another_image(server: registry.Registry, tmp_path: Path) -> None:
    one, two = pushed(server, tmp_path / "one"), pushed(server, tmp_path / "two", "2")
    assert apply(name="app", registry=source(server)).facts["image"]["digest"] == one.digest
    params = {"name": "app", "registry": source(server, "2")}
    predicted = checked(**params)
    assert [change.option for change in predicted.plan.changes] == ["content", "parts"]
    outcome = apply(**params)
    assert outcome.plan.actions == predicted.plan.actions != []
    assert outcome.facts["image"]["digest"] == two.digest
    before = len(server.requests())
    assert apply(**params).plan.actions == [] and server.requests()[before:] == []
    # A name for the same content is declared too, and nothing of it comes again.
    server.push(two.path, "team/app:3")
    before = len(server.requests())
    assert apply(name="app", registry=source(server, "3")).plan.actions != []
    assert apply(name="app", registry=source(server, "3")).plan.actions == []
    assert not any(two.layers[0]["digest"] in request for request in server.requests()[before:])


def test_a_platform_is_declared_too(server: registry.Registry, tmp_path: Path) -> None:
    amd64 = pushed(server, tmp_path / "amd64", "amd64")
    arm64 = pushed(server, tmp_path / "arm64", "arm64", architecture="arm64")
    indexed(server, amd64, arm64)
    for platform, layout in (("linux/amd64", amd64), ("linux/arm64", arm64), ("linux/arm64/v8", arm64)):
        outcome = apply(name="app", registry=source(server, "index", platform=platform))
        assert outcome.plan.actions != [] and outcome.facts["image"]["digest"] == layout.digest


def test_never_takes_what_is_there(server: registry.Registry, tmp_path: Path) -> None:
    apply(name="app", build=BUILD)
    before = len(server.requests())
    assert apply(name="app", registry=source(server), pull="never").plan.actions == []
    assert server.requests()[before:] == []
    with pytest.raises(Refused, match="pull is never"):
        apply(name="other", registry=source(server), pull="never")


def test_another_kind_of_source_is_another_image(server: registry.Registry, tmp_path: Path) -> None:
    layout = pushed(server, tmp_path / "one")
    apply(name="app", build=BUILD)
    params = {"name": "app", "registry": source(server)}
    assert [change.option for change in checked(**params).plan.changes] == ["content", "parts", "source"]
    assert apply(**params).facts["image"]["digest"] == layout.digest
    assert apply(**params).plan.actions == []
    assert apply(name="app", build=BUILD, rebuild="never").plan.actions == []
    assert apply(name="app", build=BUILD).plan.actions != []


def test_a_registry_that_is_gone_when_it_has_become_another(server: registry.Registry, tmp_path: Path) -> None:
    """What is there is not what is declared, so it is not kept."""
    pushed(server, tmp_path / "one")
    apply(name="app", registry=source(server))
    nobody = {**source(server), "reference": f"127.0.0.1:{registry.free_port()}/team/app:1"}
    with pytest.raises(Refused, match="cannot be reached"):
        apply(name="app", registry=nobody, pull="newer")


def test_a_pinned_name_is_given_to_that_image_alone(server: registry.Registry, tmp_path: Path) -> None:
    layout = pushed(server, tmp_path / "one")
    archive = {"path": str(layout.path)}
    wrong, right = f"x/app@sha256:{'0' * 64}", f"x/app@{layout.digest}"
    says = f"name: docker.io/{wrong} is the image with the digest sha256:000.* is {layout.digest}"
    with pytest.raises(Exception, match=says):
        apply(name=wrong, archive=archive)
    for look in (checked, apply):
        with pytest.raises(Refused, match=says):
            look(name=wrong, registry=source(server))
    assert images.left() == []
    apply(name="app", archive=archive)
    with pytest.raises(Refused, match=says):
        apply(name=wrong, image="app")
    assert apply(name=right, image="app").facts["image"]["digest"] == layout.digest
    remove(right)
    assert apply(name=right, archive=archive).facts["image"]["digest"] == layout.digest
    assert apply(name=right, registry=source(server)).facts["image"]["digest"] == layout.digest
    with pytest.raises(OptionError, match="a digest of its own"):
        apply(name=right, registry=source(server), config={"labels": {"a": "b"}})


def test_a_name_pinned_to_an_index(server: registry.Registry, tmp_path: Path) -> None:
    layout = pushed(server, tmp_path / "one")
    index = indexed(server, layout)
    for name, asked in (
        (f"{server.address}/team/app@{index}", {"tls_verify": False}),
        (f"elsewhere/app@{index}", source(server, "index")),
    ):
        for pull in ("missing", "newer"):
            assert apply(name=name, registry=asked, pull=pull).facts["image"]["digest"] == layout.digest
        found = Store().resolve(name)
        assert found is not None and found.digest == layout.digest


def test_a_name_with_a_digest_is_a_name_of_its_own(server: registry.Registry, tmp_path: Path) -> None:
    layout = pushed(server, tmp_path / "one")
    tag, pinned = f"{server.address}/team/app:1", f"{server.address}/team/app@{layout.digest}"
    apply(name=tag, registry={"tls_verify": False})
    # Nothing bears it yet, so there is nothing to remove, and what is made holds the image by itself.
    assert apply(name=pinned, state="absent").plan.actions == []
    assert apply(name=pinned, registry={"tls_verify": False}).plan.actions != []
    assert apply(name=pinned, registry={"tls_verify": False}).plan.actions == []
    remove(tag)
    found = Store().resolve(pinned)
    assert found is not None and (found.reference, found.missing) == (pinned, ())
    assert Store().resolve(layout.digest) == found
    remove(pinned)
    assert Store().resolve(layout.digest) is None


def test_an_image_of_another_platform(server: registry.Registry, tmp_path: Path) -> None:
    """A manifest that is in no index says nothing of it; the configuration does."""
    layout = pushed(server, tmp_path / "one", architecture="s390x")
    for asked, says in (
        ({}, "the image is for linux/s390x, and this host is .*set registry.platform to linux/s390x"),
        ({"platform": "linux/arm64"}, "registry.platform is linux/arm64, and the image is for linux/s390x"),
    ):
        with pytest.raises(Exception, match=says):
            apply(name="app", registry=source(server, **asked))
        assert images.left() == []
    image = apply(name="app", registry=source(server, platform="linux/s390x")).facts["image"]
    assert image["architecture"] == "s390x"
    loaded = {"name": "loaded", "archive": {"path": str(layout.path)}}
    for _time in range(2):
        [warning] = apply(**loaded).plan.warnings
        assert "image loaded:latest is for linux/s390x, and this host is" in warning
    assert apply(name="made", build=BUILD).plan.warnings == ()


def test_an_archive_of_another_system(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("file", b"x")))
    layout.system = "windows"
    layout.write()
    with pytest.raises(Exception, match="the image is for windows/amd64"):
        apply(name="app", archive={"path": str(layout.path)})
    assert images.left() == []


def test_what_newer_asks_for(server: registry.Registry, tmp_path: Path) -> None:
    """One manifest or index, and none of the blobs."""
    layout = pushed(server, tmp_path / "one")
    index = indexed(server, layout)
    for tag in ("1", "index"):
        params = {"name": f"app-{tag}", "registry": source(server, tag), "pull": "newer"}
        apply(**params)
        before = len(server.requests())
        assert apply(**params).plan.actions == []
        assert manifests(server, before) == [f"GET /v2/team/app/manifests/{tag}"]
    # An index that changed, and the image of this platform with it or not.
    other = pushed(server, tmp_path / "other", "other", architecture="s390x")
    assert indexed(server, layout, other) != index
    assert apply(name="app-index", registry=source(server, "index"), pull="newer").plan.actions == []
    moved = pushed(server, tmp_path / "moved", "moved")
    indexed(server, moved, other)
    params = {"name": "app-index", "registry": source(server, "index"), "pull": "newer"}
    assert apply(**params).facts["image"]["digest"] == moved.digest
    assert os.listdir(apply(**params).facts["image"]["layers"][0]["path"]) == ["moved"]


def test_a_policy_holds_for_layers_that_are_there(tmp_path: Path) -> None:
    """Of the image itself, of one that gets a further name, and of one that is built on; check mode says so too."""
    layout = Layout(tmp_path / "layout", {"Cmd": ["x"]}).add(tar(("su", b"x", {"mode": 0o4755})))
    layout.write()
    archive = {"archive": {"path": str(layout.path)}}
    apply(name="app", **archive)
    tasks: list[dict[str, Any]] = [
        {"name": "app", **archive},
        {"name": "app", "rebuild": "never", **archive},
        {"name": "app", "config": {"cmd": ["y"]}, **archive},
        {"name": "other", "image": "app"},
        {"name": "other", "build": {"base": "app", **BUILD}},
    ]
    for task in tasks:
        for run in (checked, apply):
            with pytest.raises(Refused, match="policy.setuid: 'refuse': layer .* of image .*app:latest holds su. Use"):
                run(**task, policy={"setuid": "refuse"})
        assert checked(**task, policy={"devices": "refuse"}).plan.actions == checked(**task).plan.actions
    assert Store().names().keys() == {"docker.io/library/app:latest"}
    Layout(layout.path).add(tar(("su", b"x", {"mode": 0o755}))).write()
    assert apply(name="app", **archive, policy={"setuid": "refuse"}).plan.actions != []
    assert apply(name="app", **archive, policy={"setuid": "refuse"}).plan.actions == []


def test_no_image_is_made_from_itself(server: registry.Registry, tmp_path: Path) -> None:
    """Neither by one task nor by a ring of several: each run would make all of them again."""
    steps = {"directories": [{"path": "/x"}]}
    for given in ({"image": "docker.io/library/app"}, {"build": {"base": "app:latest", **steps}}):
        with pytest.raises(OptionError, match=r"(image|build\.base): 'app:latest': is the image that is to be made"):
            apply(name="app", **given)
    layout = Layout(tmp_path / "layout").add(tar(("file", b"x")))
    layout.write()
    apply(name="one", archive={"path": str(layout.path)})
    apply(name="two", image="one")
    apply(name="three", build={"base": "two", **steps})
    with pytest.raises(
        OptionError, match="image: 'three:latest': is made from two:latest, which is made from one:latest"
    ):
        apply(name="one", image="three")
    with pytest.raises(OptionError, match="build.base: 'two:latest': is made from one:latest: name another"):
        apply(name="one", build={"base": "two", **steps})
    # Once one of them is declared otherwise there is no ring.
    apply(name="two", archive={"path": str(layout.path)})
    apply(name="one", image="two")
    for name in ("three", "two", "one"):
        remove(name)


def test_an_error_names_the_option_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").write_text("x")
    (tmp_path / "there").write_text("x")
    copies = [{"src": str(tmp_path / "there"), "dest": "/x"}, {"src": str(tmp_path / "none"), "dest": "/y"}]
    unreached = "The registry cannot be reached: is its name right"
    for given, start, says in (
        ({"archive": {"path": f"{tmp_path}/plain"}}, f"archive.path: '{tmp_path}/plain': it is a dir", "use directory"),
        ({"build": {"copy": copies}}, f"build.copy[1].src: '{tmp_path}/none': is not on this host", "create it first"),
        ({"build": {"base": "none", "copy": copies[:1]}}, "build.base: 'none:latest': there is no such", "pull it"),
        ({"name": "127.0.0.1:1/a"}, "name: '127.0.0.1:1/a:latest': ", unreached),
        ({"registry": {"reference": "127.0.0.1:1/b:2"}}, "registry.reference: '127.0.0.1:1/b:2': ", unreached),
    ):
        for attempt in (checked, apply):
            with pytest.raises((OptionError, Refused)) as caught:
                attempt(**{"name": "app", **given})
            assert str(caught.value).startswith(start) and says in str(caught.value), caught.value
            assert str(caught.value).count("127.0.0.1:1/") <= 3
