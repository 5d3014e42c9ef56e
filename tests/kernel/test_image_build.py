# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images made on the host: directory, archive, steps."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Image, Store
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import locations, userns

from tests.kernel import images
from tests.kernel.images import apply, checked, remove
from tests.kernel.layouts import Layout, tar


@pytest.fixture(autouse=True)
def store() -> Iterator[Store]:
    """The host's own store, emptied by the test's end."""
    yield Store()
    images.remove_all()
    assert images.left() == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Something of everything a directory can hold."""
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True, mode=0o750)
    os.chown(root / "d", 1000, 1001)
    (root / "d/file").write_bytes(b"content")
    os.link(root / "d/file", root / "link")
    (root / "sym").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo", 0o640)
    (root / "suid").write_bytes(b"x")
    (root / "suid").chmod(0o4755)
    os.setxattr(root / "suid", "user.note", b"\x00\xff")
    # cap_net_raw+ep, as setcap(8) writes it (version 2, 20 bytes)
    os.setxattr(root / "d/file", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    (root / os.fsdecode(b"odd \xff\n name")).write_text("odd")
    (root / ("n" * 255)).write_text("long")
    with open(root / "sparse", "wb") as handle:
        handle.seek(1 << 24)
        handle.write(b"end")
        handle.truncate(1 << 25)
    for path in (root / "d/file", root / "d", root):
        os.utime(path, ns=(1_234_567_890_123_456_789, 1_234_567_890_123_456_789))
    return root


def image_of(name: str) -> Image:
    found = Store().resolve(name)
    assert found is not None
    return found


def test_a_directory_keeps_everything(tree: Path) -> None:
    params = {"name": "tree", "directory": {"path": str(tree)}}
    predicted = checked(**params)
    outcome = apply(**params)
    assert predicted.plan.actions == outcome.plan.actions
    assert predicted.facts["source_key"] == outcome.facts["image"]["layers"][0]["diff_id"]
    assert apply(**params).plan.actions == []
    assert images.listing(image_of("tree").layers[0]) == images.listing(str(tree))
    assert os.stat(image_of("tree").layers[0] + "/sparse").st_blocks * 512 < 1 << 20


def test_the_same_directory_elsewhere_is_the_same_image(tree: Path, tmp_path: Path) -> None:
    first = apply(name="tree", directory={"path": str(tree)}).facts["image"]["digest"]
    subprocess.run(["cp", "-a", tree, tmp_path / "copy"], check=True)
    assert apply(name="tree", directory={"path": str(tmp_path / "copy")}).plan.actions == []
    (tmp_path / "copy/d/file").write_bytes(b"CONTENT")
    os.utime(tmp_path / "copy/d/file", ns=(1_234_567_890_123_456_789, 1_234_567_890_123_456_789))
    changed = checked(name="tree", directory={"path": str(tmp_path / "copy")})
    assert [change.option for change in changed.plan.changes] == ["content", "parts"]
    shown = changed.plan.after["content"]
    amount, when, short = "[0-9]+ entries of [0-9.]+ (bytes|MB)", "[-0-9]+T[:0-9]+Z", "sha256:[0-9a-f]{12}"
    assert re.fullmatch(f"{amount}, the newest of {when}, {short}", shown)
    assert not re.search("[0-9a-f]{13}", str([changed.plan.before, changed.plan.after]))
    assert apply(name="tree", directory={"path": str(tmp_path / "copy")}).facts["image"]["digest"] != first
    # What the name meant before is gone.
    assert len(os.listdir("/var/lib/barekernel/images/layers")) == 1


@pytest.mark.parametrize(("suffix", "program"), [("", None), (".gz", "gzip"), (".zst", "zstd"), (".xz", "xz")])
def test_an_archive_is_the_same_tree_however_it_is_compressed(
    tree: Path, tmp_path: Path, suffix: str, program: str | None
) -> None:
    archive = tmp_path / "root.tar"
    tar = ["tar", "--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "--numeric-owner", "-C", tree]
    subprocess.run([*tar, "-cf", archive, "."], check=True)
    if program:
        subprocess.run([program, "-q", archive], check=True)
    params = {"name": "archive", "rootfs": {"path": f"{archive}{suffix}"}}
    assert checked(**params).plan.actions == apply(**params).plan.actions
    assert apply(**params).plan.actions == []
    assert images.listing(image_of("archive").layers[0]) == images.listing(str(tree))


SPARSE = {
    "pax 0.0": ["--format=pax", "--sparse-version=0.0"],
    "pax 0.1": ["--format=pax", "--sparse-version=0.1"],
    "pax 1.0": ["--format=pax", "--sparse-version=1.0"],
    "gnu": ["--format=gnu"],
}


@pytest.mark.parametrize("form", SPARSE)
def test_every_way_to_write_a_sparse_file(tmp_path: Path, form: str) -> None:
    """A hole at the start, within (more of them than one header of the old format can list), at the end, and alone."""
    root = tmp_path / "root"
    root.mkdir()
    with open(root / "parts", "wb") as handle:
        for part in range(1, 40):
            handle.seek(part << 18)
            handle.write(b"%d" % part * 4000)
        handle.truncate(1 << 24)
    with open(root / "hole", "wb") as handle:
        handle.truncate(1 << 20)
    (root / "full").write_bytes(b"full" * 5000)
    tar = ["tar", "-S", *SPARSE[form], "-C", str(root), "-cf", str(tmp_path / "root.tar"), "."]
    subprocess.run(tar, check=True)
    assert (tmp_path / "root.tar").stat().st_size < 1 << 21
    apply(name="archive", rootfs={"path": str(tmp_path / "root.tar")})
    layer = Path(image_of("archive").layers[0])
    assert {p.name: p.read_bytes() for p in layer.iterdir()} == {p.name: p.read_bytes() for p in root.iterdir()}
    assert (layer / "parts").stat().st_blocks * 512 < 1 << 23


def test_gnu_tar_and_cpio_era_headers(tree: Path, tmp_path: Path) -> None:
    """Long names, sparse maps and binary numbers of the GNU format."""
    archive = tmp_path / "root.tar"
    os.chown(tree / "suid", 3_000_000, 3_000_000)
    os.chmod(tree / "suid", 0o4755)
    subprocess.run(["tar", "--format=gnu", "--sparse", "-C", tree, "-cf", archive, "."], check=True)
    apply(name="archive", rootfs={"path": str(archive)})
    expected = images.listing(str(tree))
    found = images.listing(image_of("archive").layers[0])
    ignored = ("xattrs", "mtime_ns")  # this format has neither
    for listing in (expected, found):
        for facts in listing.values():
            for name in ignored:
                del facts[name]
    assert found == expected


@pytest.mark.parametrize("program", [None, "gzip", "zstd", "xz"])
@pytest.mark.parametrize("blocks", [0, 1, 3, 6], ids=["empty", "one entry", "two entries", "all but the end"])
def test_an_archive_that_was_cut_replaces_nothing(tmp_path: Path, program: str | None, blocks: int) -> None:
    """A tar that ends between two entries looks whole but for the mark that ends it."""
    content = tar(("bin", None), ("bin/file", b"x" * 512), ("etc", None), ("etc/zeros", bytes(512)))
    archive, params = tmp_path / "root.tar", {"name": "app", "rootfs": {"path": str(tmp_path / "root.tar")}}
    archive.write_bytes(content)
    good = apply(**params).facts["image"]["digest"]

    def cut(end: bytes) -> None:
        compress = subprocess.run([program or "cat"], input=content[: blocks * 512] + end, stdout=subprocess.PIPE)
        archive.write_bytes(compress.stdout)

    cut(b"")
    with pytest.raises((OptionError, Interrupted), match="it is empty or was cut"):
        apply(**params)
    if program is None:  # what a run of the unpacking finds out is not predicted
        with pytest.raises(OptionError, match=f"rootfs.path: '{archive}': .* it is empty or was cut"):
            checked(**params)
    assert image_of("app").digest == good
    cut(bytes(512))  # one block of zeros is accepted, as by tar(1)
    assert apply(**params).facts["image"]["digest"] != good


def busybox(**more: Any) -> dict[str, Any]:
    build = {
        "directories": [{"path": "/tmp", "mode": "1777"}, *({"path": p} for p in ("/proc", "/dev", "/usr/sbin"))],
        "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox", "mode": "0755"}],
        "run": ["/bin/busybox --install -s /bin"],
    }
    return {"name": "busybox", "build": build, "config": {"cmd": ["sh"], "env": {"A": "1"}}, **more}


def test_steps_make_busybox() -> None:
    predicted, outcome = checked(**busybox()), apply(**busybox())
    assert predicted.plan.actions == outcome.plan.actions
    assert apply(**busybox()).plan.actions == []
    image = image_of("busybox")
    assert (image.config["Cmd"], image.config["Env"]) == (["sh"], ["A=1"])
    assert os.readlink(image.layers[0] + "/bin/ls") == "/bin/busybox"
    assert stat.S_IMODE(os.stat(image.layers[0] + "/tmp").st_mode) == 0o1777
    remove("busybox")
    assert apply(**busybox()).facts["image"]["digest"] == image.digest


def test_a_failed_build_leaves_nothing() -> None:
    with pytest.raises(Interrupted, match="false"):
        apply(name="other", build={**busybox()["build"], "run": ["/bin/busybox false"]})
    assert images.left() == [] and not os.path.exists(locations.RUN)


def test_steps_on_a_base_become_one_layer_with_whiteouts(tmp_path: Path) -> None:
    apply(**busybox())
    (tmp_path / "app").mkdir()
    (tmp_path / "app/run").write_text("#!/bin/sh\n")
    build = {
        "base": "busybox",
        "copy": [{"src": str(tmp_path / "app"), "dest": "/app", "uid": 5}],
        "run": ["rm /bin/ls", "sh -c 'rm -r /usr/sbin; mkdir /usr/sbin; cat /proc/self/status > /status; ls -1 /sys'"],
    }
    with pytest.raises(Interrupted, match="/sys"):
        apply(name="app", build=build)
    assert Store().resolve("app") is None
    build["run"][1] = "sh -c 'rm -r /usr/sbin; mkdir /usr/sbin; cat /proc/self/status > /status'"
    apply(name="app", build=build)
    image = image_of("app")
    assert image.layers[1:] == image_of("busybox").layers
    assert stat.S_ISCHR(os.lstat(image.layers[0] + "/bin/ls").st_mode)
    assert os.getxattr(image.layers[0] + "/usr/sbin", "trusted.overlay.opaque") == b"y"
    assert os.stat(image.layers[0] + "/app/run").st_uid == 5
    status = Path(image.layers[0] + "/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Pid:\t1\n" in status
    # A command cannot mount, whatever it is in the image.
    with pytest.raises(Interrupted, match="ermission|permitted"):
        apply(name="other", build={"base": "busybox", "run": ["mount -t tmpfs none /tmp"]})
    # The blob says the same as the directory: unpacked again it is the same tree.
    before = images.listing(image.layers[0])
    shutil.rmtree(os.path.dirname(image.layers[0]))
    again = apply(name="app", build=build)
    assert again.plan.actions == ["unpack 1 missing layers of image app:latest again"]
    assert images.listing(image_of("app").layers[0]) == before
    (tmp_path / "app/run").write_text("#!/bin/sh -e\n")
    assert checked(name="app", build=build).plan.actions != []


def owners(layers: tuple[str, ...], *names: str) -> list[tuple[int, int, int]]:
    """Mode and owners of directories as they show."""
    found = [
        os.stat(next(f"{layer}/{name}" for layer in layers if os.path.exists(f"{layer}/{name}"))) for name in names
    ]
    return [(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) for status in found]


@pytest.mark.parametrize("dest", ["/etc", "/link"])
def test_a_directory_of_the_base_stays_as_it_is(tmp_path: Path, dest: str) -> None:
    members = [("etc", None), ("etc/sub", None, {"mode": 0o711, "uid": 7}), ("link", "->/etc"), ("etc/old", b"x")]
    layout = Layout(tmp_path / "layout").add(tar(*members))
    layout.write()
    apply(name="base", archive={"path": str(layout.path)})
    source = tmp_path / "source"
    for name in ("sub", "new", "new/deep"):
        (source / name).mkdir(parents=True)
        (source / name / "file").write_text("x")
    for name in ("", "sub", "new", "new/deep"):
        (source / name).chmod(0o700)
    apply(name="app", build={"base": "base", "copy": [{"src": str(source), "dest": dest, "uid": 1000, "gid": 1001}]})
    layers = image_of("app").layers
    assert owners(layers, "etc", "etc/sub") == [(0o755, 0, 0), (0o711, 7, 0)]
    assert owners(layers, "etc/new", "etc/new/deep") == [(0o700, 1000, 1001)] * 2
    assert (os.stat(layers[0] + "/etc/sub/file").st_uid, os.stat(layers[0] + "/etc/new/deep/file").st_gid) == (
        1000,
        1001,
    )


def test_a_directory_that_another_step_declares_stays_as_declared(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "data").mkdir(parents=True, mode=0o755)
    directories = [{"path": "/app/data", "mode": "2770", "uid": 5, "gid": 6}]
    apply(name="app", build={"directories": directories, "copy": [{"src": str(source), "dest": "/app"}]})
    assert owners(image_of("app").layers, "app/data") == [(0o2770, 5, 6)]


def test_names_that_are_no_utf8_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"to\xff", b"\xe9")]
    (source / names[0]).write_text("x")
    (source / names[1]).symlink_to(names[0])
    (source / names[2]).mkdir()
    params: dict[str, Any] = {"name": "app", "build": {"copy": [{"src": str(source), "dest": "/app"}]}}
    assert checked(**params).plan.actions == apply(**params).plan.actions != []
    layer = image_of("app").layers[0]
    assert sorted(os.listdir(f"{layer}/app")) == sorted(names) and os.readlink(f"{layer}/app/{names[1]}") == names[0]
    assert apply(**params).plan.actions == []
    os.rename(source / names[2], source / os.fsdecode(b"\xe8"))
    assert checked(**params).plan.actions != []


@pytest.mark.parametrize(
    "make", [os.mkfifo, functools.partial(os.mknod, mode=stat.S_IFCHR | 0o600, device=os.makedev(1, 5))]
)
@pytest.mark.parametrize("below", [True, False], ids=["in a directory", "by itself"])
def test_what_cannot_be_copied_is_refused_and_not_opened(tmp_path: Path, make: Any, below: bool) -> None:
    """To open a FIFO takes for ever, and so does reading /dev/zero."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("x")
    special = tmp_path / "source/special"
    make(special)
    build = {"copy": [{"src": str(special.parent if below else special), "dest": "/app"}]}
    for run in (checked, apply):
        with pytest.raises(Refused, match=f"build.copy.src: '{special}' is a (FIFO|device). Only files"):
            run(name="app", build=build)
    assert images.left() == []


SHOWN = "id -u; cat /proc/self/uid_map /proc/self/status; echo x > /proc/sys/kernel/core_pattern; cat /node"


@pytest.mark.parametrize("kernel", ["as it is", "without ID-mapped layers"])
def test_a_command_is_as_isolated_as_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    """Of the host it sees and changes nothing, whatever the base image is made of."""
    shifted = kernel == "as it is"
    if not shifted:
        monkeypatch.setattr(userns, "why_no_idmapped_layers", lambda: "as the test says")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    layout = Layout(tmp_path / "layout").add(tar(("node", (1, 3), {"mode": 0o666}), ("proc", None), ("dev", None)))
    layout.write()
    apply(name="hostile", archive={"path": str(layout.path)})
    run = [
        "/busybox --install -s /",
        f"/sh -c 'PATH=/; ({SHOWN}) > /shown 2>&1; true'",
        "/sh -c 'PATH=/; echo x > /own; chown 7:8 /own; echo out > /dev/stdout; sleep 998 &'",
    ]
    copy = [{"src": "/bin/busybox", "dest": "/busybox"}]
    apply(name="app", build={"base": "hostile", "copy": copy, "run": run})
    layer = image_of("app").layers[0]
    shown = Path(layer, "shown").read_text()
    first = "1878982656" if shifted else "0"
    assert shown.startswith("0\n") and shown.split("\n")[1].split()[:2] == ["0", first]
    assert "Seccomp:\t2" in shown and "NoNewPrivs:\t1" in shown
    assert re.search("can't (create|open) .?/proc/sys/kernel/core_pattern", shown)
    assert "can't open '/node': Permission denied" in shown
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    assert (os.stat(f"{layer}/own").st_uid, os.stat(f"{layer}/own").st_gid) == (7, 8)
    # What it left running ended with it: the leak check would find it, and its cgroup.


@pytest.fixture
def unshiftable_store() -> Iterator[None]:
    """On a file system that no kernel mounts with other owners, as tmpfs is before Linux 6.3."""
    state = "/var/lib/barekernel/images"
    os.mkdir(state)
    subprocess.run(["mount", "-t", "ramfs", "-o", "mode=700", "ramfs", state], check=True)
    yield
    images.remove_all()
    subprocess.run(["umount", state], check=True)
    os.rmdir(state)


@pytest.mark.parametrize("based", [False, True])
def test_a_command_where_owners_cannot_be_shown_shifted(unshiftable_store: None, based: bool) -> None:
    """It runs as it does on a kernel that cannot do it at all: everything but the user namespace is as ever."""
    apply(**busybox())
    build: dict[str, Any] = {"base": "busybox"} if based else busybox()["build"]
    script = "cat /proc/self/uid_map /proc/self/status > /shown"
    apply(name="app", build={**build, "run": [*busybox()["build"]["run"], f"/bin/busybox sh -c '{script}'"]})
    shown = Path(image_of("app").layers[0], "shown").read_text()
    assert shown.split()[:3] == ["0", "0", "4294967295"]
    assert "Seccomp:\t2" in shown and "NoNewPrivs:\t1" in shown and "CapEff:\t000001ffffffffff" not in shown


def test_a_command_needs_no_mount_points_and_leaves_none() -> None:
    build = {"copy": [{"src": "/bin/busybox", "dest": "/sh"}], "run": ["/sh -c 'echo $0 > /made'"]}
    apply(name="app", build={**build, "network": "host"})
    assert sorted(os.listdir(image_of("app").layers[0])) == ["made", "sh"]
    with pytest.raises(Interrupted, match="run: '/none': .*none"):
        apply(name="app", build={**build, "run": ["/none"]})


def test_configuration_alone_keeps_the_layers() -> None:
    first = apply(**busybox()).facts["image"]
    changed = busybox(config={"entrypoint": ["/bin/busybox"], "labels": {"a": "b"}, "exposed_ports": ["80"]})
    predicted = checked(**changed)
    second = apply(**changed)
    assert second.plan.actions == ["configure image busybox:latest"] == predicted.plan.actions
    assert [change.option for change in second.plan.changes] == ["config"]
    assert second.facts["image"]["digest"] != first["digest"]
    assert second.facts["image"]["layers"] == first["layers"]
    assert second.facts["image"]["config"] == {
        "Entrypoint": ["/bin/busybox"],
        "Labels": {"a": "b"},
        "ExposedPorts": {"80/tcp": {}},
    }


def test_an_image_in_use_stays(tmp_path: Path) -> None:
    digest = apply(**busybox()).facts["image"]["digest"]
    declared = Path("/var/lib/barekernel/containers/c1/container.json")
    declared.parent.mkdir(parents=True)
    try:
        declared.write_text(json.dumps({"image_digest": digest}))
        with pytest.raises(Refused, match="c1"):
            remove("busybox")
        remove("busybox", force=True)
        assert Store().resolve("busybox") is None
        kept = Store().resolve(digest)
        assert kept is not None and not kept.missing
    finally:
        shutil.rmtree(declared.parent.parent)


def health(*test: str, **more: Any) -> dict[str, Any]:
    return {"name": "x", "directory": {"path": "/"}, "config": {"healthcheck": {"test": list(test), **more}}}


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        ({"name": "Bad"}, OptionError, "lower case"),
        ({"name": "x", "pull": "never"}, Refused, "pull is never"),
        ({"name": "x", "directory": {"path": "relative"}}, OptionError, "absolute"),
        (
            {"name": "x", "directory": {"path": "/nowhere"}},
            OptionError,
            "directory.path: '/nowhere': open.*No such file",
        ),
        ({"name": "x", "rootfs": {"path": "/nowhere.tar"}}, OptionError, "rootfs.path: '/nowhere.tar': .*No such file"),
        ({"name": "x", "rootfs": {"path": "/etc/passwd"}}, OptionError, "rootfs.path: '/etc/passwd': this is no tar"),
        ({"name": "x", "image": "nobody/none"}, OptionError, "image: .*nobody/none.*: there is no image"),
        ({"name": "x", "container": "none"}, OptionError, "container: 'none': there is no container"),
        ({"name": "x", "build": {"base": "none"}}, OptionError, r"build: {'base': 'none'}: give at least one"),
        ({"name": "x", "debootstrap": {"suite": "x", "variant": "tiny"}}, OptionError, "variant: 'tiny': write one of"),
        ({"name": "x", "build": {"copy": [{"src": "/etc/passwd", "dest": "/../x"}]}}, OptionError, "without"),
        ({"name": "x", "build": {"base": "nobody/none", "run": ["x"]}}, OptionError, "no such image"),
        ({"name": "x", "build": {"run": ["'"]}}, OptionError, "words"),
        ({"name": "x", "build": {}}, OptionError, "at least one"),
        ({"name": "x", "build": {"copy": [{"src": "/none", "dest": "/x"}]}}, OptionError, "src: '/none': is not on"),
        ({"name": "x", "build": {"directories": [{"path": "/x", "mode": "9"}]}}, OptionError, "octal"),
        ({"name": "x", "debootstrap": {"suite": "-x"}}, OptionError, "release"),
        ({"name": "x", "debootstrap": {"suite": "x", "mirror": "/etc"}}, OptionError, "URL"),
        ({"name": "x", "debootstrap": {"suite": "x", "mirror": "http://127.0.0.1:1/"}}, Interrupted, "failed"),
        ({"name": "x", "directory": {"path": "/"}, "config": {"workdir": "x"}}, OptionError, "absolute"),
        ({"name": "x", "directory": {"path": "/"}, "config": {"exposed_ports": ["99999"]}}, OptionError, "port"),
        ({"name": "x", "directory": {"path": "/"}, "policy": {"max_size": "lots"}}, OptionError, "bytes"),
        (health("curl x"), OptionError, "config.healthcheck.test"),
        (health("CMD"), OptionError, "config.healthcheck.test"),
        (health("CMD-SHELL", "a", "b"), OptionError, "config.healthcheck.test"),
        (health("CMD", "x", timeout="soon"), OptionError, r"config.healthcheck.timeout: 'soon': write a time"),
        (health("CMD", "x", interval="0s"), OptionError, "config.healthcheck.interval"),
        (health("CMD", "x", retries=0), OptionError, "config.healthcheck.retries"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(params: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        apply(**params)
    assert Store().names() == {}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """A Debian archive with one package, signed by nobody, on a web server of its own."""
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nEssential: yes\nPriority: required\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: nothing\n"
    )
    (package / "etc").mkdir()
    (package / "etc/tiny").write_text("from a package\n")
    root = tmp_path / "archive"
    index = root / "dists/stable/main" / f"binary-{debian_architecture()}"
    index.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "-b", package, root / "tiny.deb"], check=True, capture_output=True)
    content = (root / "tiny.deb").read_bytes()
    (index / "Packages").write_text(
        (package / "DEBIAN/control").read_text()
        + f"Filename: tiny.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    )
    packages = (index / "Packages").read_bytes()
    (root / "dists/stable/Release").write_text(
        f"Suite: stable\nCodename: stable\nComponents: main\nArchitectures: {debian_architecture()}\n"
        "Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n "
        f"{hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-{debian_architecture()}/Packages\n"
    )
    handler = functools.partial(Quiet, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        pass


def debian_architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def test_packages_become_an_image(archive: str) -> None:
    """mmdebstrap's smallest variant: unpacked packages, from an archive that it is told to trust."""
    mirror = f"deb [trusted=yes] {archive} stable main"
    tiny = {"suite": "stable", "mirror": mirror, "variant": "extract", "packages": ["tiny"]}
    params: dict[str, Any] = {"name": "tiny", "debootstrap": tiny}
    predicted, outcome = checked(**params), apply(**params)
    assert predicted.plan.actions == outcome.plan.actions
    assert apply(**params).plan.actions == []
    image = image_of("tiny")
    assert Path(image.layers[0], "etc/tiny").read_text() == "from a package\n"
    # Made anew it is the same image; only the asking changes.
    again = apply(**params, rebuild="always")
    assert again.plan.actions != [] and again.facts["image"]["digest"] == image.digest
    more = {**params, "debootstrap": {**tiny, "packages": ["nothing-of-that-name"]}}
    named = {change.option: (change.before, change.after) for change in checked(**more).plan.changes}
    before, after = named.pop("parts")
    assert set(after) - set(before) == {"package nothing-of-that-name"}
    assert list(named) == ["content"]
    with pytest.raises(Interrupted, match="nothing-of-that-name"):
        apply(**more)
    assert image_of("tiny") == image


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Interrupted, match="Install package mmdebstrap"):
        apply(name="x", debootstrap={"suite": "bookworm"})
    with pytest.raises(Refused, match="Install package skopeo"):
        apply(name="127.0.0.1:1/x")
