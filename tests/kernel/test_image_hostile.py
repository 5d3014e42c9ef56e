# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Crafted images and registries that misbehave: each a clear error, nothing outside touched, the store unharmed."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._plan.errors import Refused
from ansible_collections.barekernel.containers.plugins.module_utils._resource.base import CommandFailed
from ansible_collections.barekernel.containers.plugins.module_utils._resource.converge import converge
from ansible_collections.barekernel.containers.plugins.module_utils._resource.image_store import ImageInfo, ImagePrune

from tests.kernel import images, registry, test_container
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, digest, tar

#: Outside of every layer: what an escape would reach.
OUTSIDE = Path("/var/lib/barekernel/outside")
Members = tuple[tuple[Any, ...], ...]


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    """A directory that crafted layers aim at, and a store that is empty again."""
    OUTSIDE.mkdir()
    (OUTSIDE / "file").write_text("precious")
    before = images.listing(str(OUTSIDE))
    yield
    assert images.listing(str(OUTSIDE)) == before
    for path in (OUTSIDE / "file", OUTSIDE):
        path.rmdir() if path.is_dir() else path.unlink()
    images.remove_all()
    assert images.left() == []


def load(layout: Layout, **more: Any) -> dict[str, Any]:
    layout.write()
    image: dict[str, Any] = apply(name="app", archive={"path": str(layout.path)}, **more).facts["image"]
    return image


def refused(layout: Layout, says: str, **more: Any) -> None:
    """The error says so, and there is no trace of the image."""
    with pytest.raises(Exception, match=says) as caught:
        load(layout, **more)
    assert not isinstance(caught.value, AssertionError)
    assert images.left() == [] and Store().names() == {}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ((("../../../../../../var/lib/barekernel/outside/evil", b"x"),), "climbs out"),
        ((("a/../../evil", b"x"),), "climbs out"),
        ((("d", f"->{OUTSIDE}"), ("d/evil", b"x")), "cannot be placed"),
        ((("d", "->../../../../../outside"), ("d/evil", b"x")), "cannot be placed"),
        ((("d", f"->{OUTSIDE}"), ("d/evil", None)), "cannot be placed"),
        ((("d", f"->{OUTSIDE}"), ("d/.wh.file", b"")), "cannot be placed"),
        ((("d", f"->{OUTSIDE}"), ("d/.wh..wh..opq", b"")), "cannot be placed"),
        ((("d", "->/proc/self/root"), ("d/var/lib/barekernel/outside/evil", b"x")), "cannot be placed"),
        ((("a", "->b"), ("b", "->a"), ("a/x", b"x")), "cannot be placed"),
        ((("x", f"={OUTSIDE}/file"),), "neither the layer nor those below"),
        ((("x", f"=../../../../..{OUTSIDE}/file"),), "climbs out"),
        ((("d", f"->{OUTSIDE}"), ("x", "=d/file")), "a hard link below"),
        ((("d", None), ("x", "=d")), "no file"),
        (((".wh.w", b""), ("x", "=w")), "no file"),
        ((("../.wh.file", b""),), "climbs out"),
        (((".wh...", b""),), "whiteout of"),
        (((".wh..", b""),), "whiteout of"),
        ((("d/.wh.", b""),), "whiteout of"),
        ((("file", b"x"), ("file/below", b"x")), "cannot be placed"),
        ((("n" * 256, b"x"),), "cannot be placed"),
        ((("d" * 256 + "/x", b"x"),), "cannot be placed"),
        ((("a\0b", b"x"),), "."),
        (((".", b"a file as root"),), "root of a layer"),
        ((("x", b"x", {"uid": 2**32 - 1}),), "no user or group"),
        ((("x", b"x", {"pax_headers": {"size": "9999999999"}}),), "middle of an entry"),
    ],
)
def test_an_escape_is_refused(tmp_path: Path, members: Members, says: str) -> None:
    if says == ".":
        # A NUL can only come in a pax record; tarfile does not write one, so by hand.
        content = tar(("a_b", b"x", {"pax_headers": {"path": "a_b"}})).replace(b"path=a_b", b"path=a\0b")
        refused(Layout(tmp_path / "layout").add(content), "NUL")
        return
    refused(Layout(tmp_path / "layout").add(tar(*members)), says)


def test_a_symlink_of_a_lower_layer_leads_nowhere(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("d", f"->{OUTSIDE}"))).add(tar(("d/evil", b"x"), ("d/.wh.file", b"")))
    top = load(layout)["layers"][1]["path"]
    assert Path(top, "d/evil").read_bytes() == b"x" and not Path(top, "d").is_symlink()


def test_what_stays_inside_is_placed_inside(tmp_path: Path) -> None:
    """Absolute names and links are the layer's own; later entries replace earlier ones, whatever they are."""
    content = tar(
        ("/etc/absolute", b"x"),
        ("./dot/./file", b"x"),
        ("real", None),
        ("link", "->/real"),
        ("link/through", b"x"),
        ("swap", b"file"),
        ("swap", None),
        ("swap/in", b"x"),
        ("tree", None),
        ("tree/deep", None),
        ("tree/deep/file", b"x"),
        ("tree", f"->{OUTSIDE}"),
        ("mode", f"->{OUTSIDE}/file"),
        ("mode", b"own", {"mode": 0o600}),
        ("Case", b"1"),
        ("case", b"2"),
        ("n" * 255, b"long"),
        ("hard", "=/etc/absolute"),
    )
    fs = Path(load(Layout(tmp_path / "layout").add(content))["layers"][0]["path"])
    assert (fs / "etc/absolute").read_bytes() == b"x" and (fs / "dot/file").read_bytes() == b"x"
    assert (fs / "real/through").read_bytes() == b"x"
    assert (fs / "swap/in").read_bytes() == b"x"
    assert os.readlink(fs / "tree") == str(OUTSIDE)
    assert not (fs / "mode").is_symlink() and stat.S_IMODE((fs / "mode").stat().st_mode) == 0o600
    assert (fs / "Case").read_bytes() == b"1" and (fs / "case").read_bytes() == b"2"
    assert (fs / ("n" * 255)).read_bytes() == b"long"
    assert (fs / "hard").stat().st_ino == (fs / "etc/absolute").stat().st_ino


def test_attributes_that_steer_the_host_are_dropped(tmp_path: Path) -> None:
    crafted = {
        "SCHILY.xattr.trusted.overlay.redirect": "/outside",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.barekernel": "1",
        "SCHILY.xattr.security.selinux": "system_u:object_r:shadow_t:s0",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.user.kept": "1",
    }
    image = load(Layout(tmp_path / "layout").add(tar(("d", None, {"pax_headers": crafted}))))
    assert os.listxattr(image["layers"][0]["path"] + "/d") == ["user.kept"]


def test_whiteouts_become_overlays_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    layout.add(tar(("d", None), ("d/one", b"1"), ("d/two", b"2"), ("o", None), ("o/hidden", b"x"), ("f", b"x")))
    layout.add(
        tar(
            ("d/.wh.one", b""),
            ("o/new", b"n"),
            ("o/.wh..wh..opq", b""),
            (".wh.f", b""),
            ("f", None),
            ("f/inside", b"x"),
            (".wh..wh.plnk", None),
            (".wh.never", b""),
            (".wh." + "n" * 255, b""),
        )
    )
    image = load(layout)
    lower, upper = (layer["path"] for layer in image["layers"])
    view = tmp_path / "view"
    view.mkdir()
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={upper}:{lower}", "overlay", view], check=True)
    try:
        shown = {str(path.relative_to(view)) for path in view.rglob("*")}
    finally:
        subprocess.run(["umount", view], check=True)
    assert shown == {"d", "d/two", "o", "o/new", "f", "f/inside"}
    assert apply(name="app", archive={"path": str(layout.path)}, verify=True).plan.actions == []


def test_a_layer_takes_what_it_needs_from_below(tmp_path: Path) -> None:
    """A parent it does not carry keeps its attributes, a hard link brings its target up; and then it is another
    layer than on top of other ones."""
    below = tar(("d", None, {"mode": 0o700, "uid": 7}), ("d/file", b"x", {"mode": 0o640, "uid": 8, "mtime": 5}))
    above = tar(("d/new", b"n"), ("hard", "=d/file"))
    image = load(Layout(tmp_path / "one").add(below).add(above))
    top = Path(image["layers"][1]["path"])
    assert (stat.S_IMODE((top / "d").stat().st_mode), (top / "d").stat().st_uid) == (0o700, 7)
    status = (top / "hard").stat()
    assert (status.st_ino, status.st_uid, status.st_mtime) == ((top / "d/file").stat().st_ino, 8, 5)
    plain = Layout(tmp_path / "two").add(tar(("d", None), ("d/file", b"other"))).add(tar(("d/new", b"n")))
    plain.write()
    second = apply(name="second", archive={"path": str(plain.path)}).facts["image"]
    third = Layout(tmp_path / "three").add(below).add(tar(("d/new", b"n")))
    third.write()
    other = apply(name="third", archive={"path": str(third.path)}).facts["image"]
    assert second["layers"][1]["diff_id"] == other["layers"][1]["diff_id"]
    assert second["layers"][1]["path"] != other["layers"][1]["path"]
    assert stat.S_IMODE(Path(other["layers"][1]["path"], "d").stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(second["layers"][1]["path"], "d").stat().st_mode) == 0o755


def test_policy(tmp_path: Path) -> None:
    suid = Layout(tmp_path / "suid").add(tar(("su", b"x", {"mode": 0o4755})))
    refused(suid, "su, and setuid are refused", policy={"setuid": "refuse"})
    device = Layout(tmp_path / "device").add(tar(("mem", (1, 1))))
    refused(device, "mem, and devices are refused", policy={"devices": "refuse"})
    many = Layout(tmp_path / "many").add(tar(*((str(n), b"") for n in range(50))))
    refused(many, "more than 40 entries", policy={"max_entries": 40})
    bomb = Layout(tmp_path / "bomb").add(tar(("zeros", bytes(64 << 20))))
    refused(bomb, "more than 1048576 bytes", policy={"max_size": "1M"})
    assert stat.S_ISCHR(os.stat(load(device)["layers"][0]["path"] + "/mem").st_mode)
    # The policy also holds for layers that are there already.
    with pytest.raises(Exception, match="devices are refused"):
        apply(name="again", archive={"path": str(device.path)}, policy={"devices": "refuse"})
    assert Store().names().keys() == {"docker.io/library/app:latest"}


@pytest.mark.parametrize("user", [{}, {"namespaces": {"user": "host"}}])
def test_a_device_node_is_of_no_use_in_a_container(tmp_path: Path, user: dict[str, Any]) -> None:
    """Else a node with the host's disk's number would be the host's disk."""
    busybox = ("busybox", Path("/bin/busybox").read_bytes(), {"mode": 0o755})
    node = ("null", (1, 3), {"mode": 0o666})
    load(Layout(tmp_path / "layout", {"Cmd": ["/busybox", "sleep", "1000"]}).add(tar(busybox, node)))
    try:
        test_container.apply("ns_container", name="bktest-node", image="app", stop_timeout=0, **user)
        with pytest.raises(CommandFailed) as failed:
            test_container.run("bktest-node", "/busybox", "cat", "/null")
        assert "Permission denied" in failed.value.values["stderr"]
        assert test_container.run("bktest-node", "/busybox", "cat", "/dev/null")["rc"] == 0
    finally:
        test_container.apply("ns_container", name="bktest-node", state="absent")


def test_holes_count(tmp_path: Path) -> None:
    """A file of a few bytes that reads as gigabytes; on disk it keeps its holes."""
    sparse = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(64 << 20), "GNU.sparse.name": "hole"}
    layout = Layout(tmp_path / "layout").add(tar(("f", b"x", {"pax_headers": sparse})))
    refused(layout, "'hole': .* more than 1048576 bytes, holes included. Raise max_size", policy={"max_size": "1M"})
    status = os.stat(load(layout)["layers"][0]["path"] + "/hole")
    assert (status.st_size, status.st_blocks) == (64 << 20, 8)


def chain(*names: str) -> list[tuple[str, None]]:
    return [("/".join(names[:depth]), None) for depth in range(1, len(names) + 1)]


@pytest.mark.parametrize(
    "members",
    [
        chain(*["a"] * 1500),
        [("a/" * 600 + "x", b"x")],
        [("a/" * 1_000_000 + "x", b"x")],
        [("h", "=" + "b/" * 600 + "x")],
        [("a/" * 512 + ".wh.x", b"")],
        [*chain(*["a"] * 300), ("s", "->" + "a/" * 300), *chain("s", *["b"] * 300)[1:]],
        [*chain(*["n" * 255] * 14), ("s", "->" + ("n" * 255 + "/") * 14), *chain("s", *["b" * 255] * 14)[1:]],
    ],
)
def test_a_layer_that_is_too_deep(tmp_path: Path, members: list[tuple[str, Any]]) -> None:
    """It is refused, nothing stays of it, and the next image is made as ever."""
    refused(Layout(tmp_path / "layout").add(tar(*members)), "layer sha256:.* entry b.* deeper than 512 directories")
    load(Layout(tmp_path / "good").add(GOOD))


def test_a_layer_of_the_greatest_depth(tmp_path: Path) -> None:
    """It is unpacked, verified, replaced by a file, and removed."""
    deep = chain(*["a"] * 511)
    layout = Layout(tmp_path / "layout").add(tar(*deep, ("a/" * 511 + "x", b"x")))
    image = load(layout)
    assert Path(image["layers"][0]["path"], "a/" * 511, "x").read_bytes() == b"x"
    assert apply(name="app", archive={"path": str(layout.path)}, verify=True).plan.actions == []
    image = load(Layout(tmp_path / "replaced").add(tar(*deep, ("a", b"file"))))
    assert Path(image["layers"][0]["path"], "a").read_bytes() == b"file"


def test_headers_that_pile_up(tmp_path: Path) -> None:
    content = b""
    for number in range(3):
        one = tar(("f", b"", {"pax_headers": {f"junk{number}": "A" * 5_000_000}}))
        size = int(one[124:135], 8)
        content += one[: 512 + size + -size % 512]
    refused(Layout(tmp_path / "layout").add(content + tar(("f", b"x"))), "layer sha256:.* bytes of records")


def test_an_implied_directory_that_becomes_a_file(tmp_path: Path) -> None:
    """The last entry of a name is the one that counts, also over a directory of a lower layer."""
    below = tar(("d", None, {"mode": 0o700}), ("d/old", b"old"))
    image = load(Layout(tmp_path / "layout").add(below).add(tar(("d/x", b"x"), ("d", b"file"))))
    assert Path(image["layers"][1]["path"], "d").read_bytes() == b"file"


def test_an_implied_directory_behind_a_link(tmp_path: Path) -> None:
    """It takes after the one below that it covers, which is not the one of its name in the archive."""
    below = tar(("d", None), ("d/s", None, {"mode": 0o700}), ("real", None), ("real/s", None, {"mode": 0o711}))
    above = tar(("real", None), ("d", "->real"), ("d/s/x", b"x"))
    top = Path(load(Layout(tmp_path / "layout").add(below).add(above))["layers"][1]["path"])
    assert os.readlink(top / "d") == "real" and (top / "real/s/x").read_bytes() == b"x"
    assert stat.S_IMODE((top / "real/s").stat().st_mode) == 0o711


def test_a_link_over_what_lower_layers_need(tmp_path: Path) -> None:
    below = tar(("d", None), ("d/file", b"x"))
    layout = Layout(tmp_path / "layout").add(below).add(tar(("real", None), ("d", b"a file"), ("x", "=d/file")))
    refused(layout, "layer sha256:.* cannot be placed|layer sha256:.* a hard link below")


def test_an_opaque_root(tmp_path: Path) -> None:
    """Nothing of the layers below is seen in a container, or by who is looked up, and they stay part of the image."""
    busybox = ("busybox", Path("/bin/busybox").read_bytes(), {"mode": 0o755})
    layout = Layout(tmp_path / "layout", {"Cmd": ["/busybox", "sleep", "1000"]})
    layout.add(tar(("low", b"x"), ("etc", None), ("etc/passwd", b"web:x:7:7::/:/\n")))
    layout.add(tar((".wh..wh..opq", b""), busybox)).add(tar(("top", b"x")))
    image = load(layout)
    assert len(image["layers"]) == 3
    try:
        test_container.apply("ns_container", name="bktest-opaque", image="app", stop_timeout=0)
        shown = set(test_container.run("bktest-opaque", "/busybox", "ls", "/")["stdout"].split())
        assert {"busybox", "top"} <= shown and "low" not in shown
        test_container.apply("ns_container", name="bktest-opaque", state="absent")
        with pytest.raises(Exception, match="web is not in the image"):
            test_container.apply("ns_container", name="bktest-opaque", image="app", user="web")
        build = {"base": "app", "run": ["/busybox test ! -e /low"]}
        made = apply(name="built", build=build).facts["image"]
        assert [layer["path"] for layer in made["layers"][:3]] == [layer["path"] for layer in image["layers"]]
        assert apply(name="app", archive={"path": str(layout.path)}, verify=True).plan.actions == []
    finally:
        test_container.apply("ns_container", name="bktest-opaque", state="absent")


GOOD = tar(("file", b"content"))


@pytest.mark.parametrize(
    ("crafted", "says"),
    [
        ({"digest": "sha256:" + "1" * 64}, "[dD]igest"),
        ({"size": 5}, "size|bytes"),
        ({"diff_id": "sha256:" + "2" * 64}, "the configuration says"),
        ({"diff_id": "sha256:../../../evil"}, "not a sha256"),
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


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    ("kind", "crafted"),
    [
        (INDEX, {"manifests": [1]}),
        (INDEX, {"manifests": 5}),
        (INDEX, {"manifests": [{"platform": 7}]}),
        (MANIFEST, {"layers": ["x"]}),
        (MANIFEST, {"layers": [None]}),
        (MANIFEST, {"layers": [{"mediaType": 7}]}),
        (MANIFEST, {"config": {"size": -5}}),
        (MANIFEST, {"mediaType": ["x"]}),
    ],
)
def test_a_document_of_another_shape_from_a_registry(tmp_path: Path, kind: str, crafted: dict[str, Any]) -> None:
    layout = Layout(tmp_path / "layout").add(GOOD)
    layout.write()
    base = json.loads(layout.manifest) if kind == MANIFEST else {"schemaVersion": 2, "mediaType": kind}
    content = json.dumps({**base, **crafted}).encode()
    with Faulty(layout) as registry:
        registry.faults["/manifests/"] = lambda request: send(request, 200, content, {"Content-Type": kind})
        with pytest.raises(Refused, match=registry.address):
            apply(name="app", registry=registry.source())


def test_odd_but_right_layers(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").add(b"", "").add(GOOD).add(GOOD).add(bytes(1024))
    image = load(layout)
    assert len(image["layers"]) == 4 and len({layer["path"] for layer in image["layers"]}) == 3
    assert os.listdir(image["layers"][0]["path"]) == []


def test_two_hundred_layers(tmp_path: Path) -> None:
    """They become a container, too."""
    layout = Layout(tmp_path / "layout", {"Cmd": ["/busybox", "sleep", "1000"]})
    for number in range(200):
        layout.add(tar((f"file{number}", str(number).encode())))
    layout.add(tar(("busybox", Path("/bin/busybox").read_bytes(), {"mode": 0o755})))
    image = load(layout)
    assert [os.listdir(layer["path"])[0] for layer in image["layers"][:200]] == [f"file{n}" for n in range(200)]
    try:
        test_container.apply("ns_container", name="bktest-deep", image="app", stop_timeout=0)
        shown = test_container.run("bktest-deep", "/busybox", "ls", "/")["stdout"].split()
        assert {f"file{n}" for n in range(200)} <= set(shown)
    finally:
        test_container.apply("ns_container", name="bktest-deep", state="absent")


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


class Faulty:
    """A registry of one layout whose answers can be spoilt: faults maps a part of a path to a function."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.faults: dict[str, Any] = {}
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.answer(self)

            def do_HEAD(self) -> None:
                registry.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Faulty:
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        for part, fault in self.faults.items():
            if part in request.path and fault(request):
                return
        kind = "application/octet-stream"
        if request.path == "/v2/":
            content = b"{}"
        elif "/manifests/" in request.path:
            content, kind = self.layout.manifest, "application/vnd.oci.image.manifest.v1+json"
        elif "/blobs/" not in request.path:
            send(request, 404, b"", {})
            return
        else:
            content = (self.layout.path / "blobs/sha256" / request.path.rpartition(":")[2]).read_bytes()
        send(request, 200, content, {"Content-Type": kind})

    def source(self, **more: Any) -> dict[str, Any]:
        return {"reference": f"{self.address}/app:1", "tls_verify": False, "retries": 0, **more}


def send(request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]) -> bool:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)
    return True


def cut(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.wfile.write(b"half")
    request.close_connection = True
    return True


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    layout = Layout(tmp_path / "layout").add(tar(("base", b"b"))).add(GOOD)
    layout.write()
    with Faulty(layout) as registry:
        yield registry


@pytest.mark.parametrize(
    ("part", "fault", "says"),
    [
        ("/manifests/", lambda request: send(request, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', {}), "Check"),
        ("/v2/", lambda request: send(request, 500, b"", {}), "500.*trouble of its own"),
        ("/manifests/", lambda request: send(request, 200, b"not json", {}), "manifest|MIME|JSON"),
        ("/manifests/", lambda request: send(request, 200, b'{"schemaVersion": 1}', {}), "no image|schema"),
        ("/blobs/", cut, "EOF|cut|read|closed"),
        ("/blobs/", lambda request: send(request, 200, b"other bytes", {}), "[dD]igest|invalid"),
        ("/blobs/", lambda request: send(request, 404, b"", {}), "404|Check|unknown"),
    ],
)
def test_a_registry_that_misbehaves(faulty: Faulty, part: str, fault: Any, says: str) -> None:
    faulty.faults[part] = fault
    with pytest.raises(Exception, match=says) as caught:
        apply(name="app", registry=faulty.source())
    assert faulty.address in str(caught.value) and images.left() == []
    faulty.faults.clear()
    assert apply(name="app", registry=faulty.source()).facts["image"]["digest"] == faulty.layout.digest


def test_too_many_requests_are_waited_for(faulty: Faulty) -> None:
    """429 with Retry-After: asked again after that time, and then it works."""
    answered: list[str] = []

    def limit(request: BaseHTTPRequestHandler) -> bool:
        answered.append(request.path)
        return len(answered) == 1 and send(request, 429, b"", {"Retry-After": "1"})

    faulty.faults["/manifests/"] = limit
    assert apply(name="app", registry=faulty.source()).facts["image"]["digest"] == faulty.layout.digest


def test_a_cut_blob_is_tried_again(faulty: Faulty) -> None:
    cuts: list[str] = []

    def once(request: BaseHTTPRequestHandler) -> bool:
        cuts.append(request.path)
        return len(cuts) == 1 and cut(request)

    faulty.faults[faulty.layout.layers[1]["digest"]] = once
    assert apply(name="app", registry=faulty.source(retries=2)).facts["image"]["digest"] == faulty.layout.digest


def test_newer_asks_for_the_manifest_alone(faulty: Faulty) -> None:
    apply(name="app", registry=faulty.source())
    faulty.asked.clear()
    assert apply(name="app", registry=faulty.source(), pull="newer").plan.actions == []
    assert [path for path in faulty.asked if not re.fullmatch(r"/v2/(app/manifests/1)?", path)] == []


def test_layers_that_are_there_are_not_asked_for(faulty: Faulty, tmp_path: Path) -> None:
    apply(name="app", registry=faulty.source())
    more = Layout(tmp_path / "more").add(tar(("base", b"b"))).add(GOOD).add(tar(("own", b"o")))
    more.write()
    with Faulty(more) as second:
        apply(name="more", registry=second.source())
        blobs = {path.rpartition("/")[2] for path in second.asked if "/blobs/" in path}
        assert more.layers[2]["digest"] in blobs
        assert not blobs & {more.layers[0]["digest"], more.layers[1]["digest"]}


def test_requests_that_stay_too_many(faulty: Faulty) -> None:
    """However often it is told to come back, it ends, and says what to do."""
    faulty.faults["/manifests/"] = lambda request: send(request, 429, b"", {"Retry-After": "0"})
    with pytest.raises(Exception, match="limits requests: log in, use a mirror, or wait") as caught:
        apply(name="app", registry=faulty.source())
    assert faulty.address in str(caught.value) and images.left() == []


@pytest.mark.parametrize("of", ["another authority", "another host"])
def test_a_wrong_certificate(tmp_path: Path, of: str) -> None:
    registry.certificate(tmp_path / "trusted")
    with registry.serve(tmp_path / "registry", tls=True) as server:
        host, cert_dir = server.address, str(tmp_path / "trusted")
        if of == "another host":
            host, cert_dir = server.address.replace("127.0.0.1", "localhost"), server.cert_dir
        trust = tmp_path / "trust"
        trust.mkdir()
        shutil.copy(f"{cert_dir}/ca.crt", trust)
        access = {"reference": f"{host}/app:1", "cert_dir": str(trust), "retries": 0}
        with pytest.raises(Exception, match="x509.*Give the certificate authority in cert_dir") as caught:
            apply(name="app", registry=access)
        assert host in str(caught.value) and images.left() == []
