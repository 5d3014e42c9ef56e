# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Crafted layers: each a clear error or harmless, nothing outside touched, the store unharmed."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.resource import CommandFailed
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import unpack
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store

from tests.kernel import images, test_container
from tests.kernel.hostile import GOOD, OUTSIDE, load, outside, refused
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, digest, tar

__all__ = ["outside"]

Members = tuple[tuple[Any, ...], ...]


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


def test_a_blob_is_a_layer_only_once_it_was_seen_to_hold_it(tmp_path: Path) -> None:
    """What another image's configuration says of its layer proves nothing of this image's blob, whatever came first."""
    other, noise = tar(("other", b"x")), b"noise " * 500
    for number, crafted in enumerate(({"blob": noise}, {"blob": gzip.compress(other)})):
        lying = Layout(tmp_path / f"lying{number}").add(GOOD, diff_id=digest(GOOD), **crafted)
        refused(lying, "unpacks to|tar header")
        load(Layout(tmp_path / f"good{number}").add(GOOD))
        twice = Layout(tmp_path / f"twice{number}").add(GOOD).add(GOOD, **crafted)
        for layout in (lying, twice):
            layout.write()
            with pytest.raises(Exception, match="unpacks to"):
                apply(name="second", archive={"path": str(layout.path)})
        assert list(Store().names()) == ["docker.io/library/app:latest"]
        if number == 0:
            images.remove_all()
    wrong_size = Layout(tmp_path / "size").add(GOOD, size=5)
    wrong_size.write()
    with pytest.raises(Exception, match="bytes"):
        apply(name="second", archive={"path": str(wrong_size.path)})


def test_a_layer_that_is_there_is_taken_from_another_blob_that_holds_it(tmp_path: Path, monkeypatch: Any) -> None:
    """It is read once, and not unpacked again."""
    image = load(Layout(tmp_path / "plain").add(GOOD, compression=""))
    with monkeypatch.context() as patched:
        patched.setattr(unpack, "unpack_blob", None)
        packed = Layout(tmp_path / "packed").add(GOOD)
        packed.write()
        second = apply(name="second", archive={"path": str(packed.path)}).facts["image"]
        assert second["layers"][0]["path"] == image["layers"][0]["path"]
        assert second["layers"][0]["digest"] != image["layers"][0]["digest"]
        patched.setattr(unpack, "read_blob", None)
        apply(name="third", archive={"path": str(packed.path)})
    assert not apply(name="second", archive={"path": str(packed.path)}, verify=True).changed


@pytest.mark.parametrize("where", ["layer", "diff ID"])
def test_digests_that_skopeo_cannot_do_with_are_named(tmp_path: Path, where: str) -> None:
    other = "sha512:" + hashlib.sha512(GOOD).hexdigest()
    layout = Layout(tmp_path / "layout")
    if where == "layer":
        layout.add(GOOD, compression="", digest=other)
        (tmp_path / "layout/blobs/sha512").mkdir()
        (tmp_path / f"layout/blobs/{other.replace(':', '/')}").write_bytes(GOOD)
    else:
        layout.add(GOOD, diff_id=other)
    refused(layout, f"{where}.*{other}.* is a digest of the algorithm sha512. Only sha256 is supported")


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


@pytest.mark.parametrize("size", [8000, 70_000])
def test_an_attribute_that_is_too_large(tmp_path: Path, size: int) -> None:
    """ext4 says of it that no space is left; 64 KiB is the kernel's own limit. Neither is a full disk."""
    if size < 1 << 16:
        (tmp_path / "probe").touch()
        try:
            os.setxattr(tmp_path / "probe", "user.k", bytes(size))
        except OSError:
            pass
        else:
            pytest.skip(f"this file system has place for an attribute of {size} bytes")
    layout = Layout(tmp_path / "layout").add(tar(("f", b"", {"pax_headers": {"SCHILY.xattr.user.k": "v" * size}})))
    refused(layout, f"setxattr f: .*user.k has {size} bytes.* has no place for so much")


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
    long = Layout(tmp_path / "long").add(tar(("a/" * 20 + "x", b""), ("b/" * 20 + "x", b"")))
    refused(long, "more than 40 entries, with the directories that they imply", policy={"max_entries": 40})
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
