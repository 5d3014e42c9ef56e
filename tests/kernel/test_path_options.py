# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that name a path of the host: what is no file is said, and nothing waits for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.format import digest
from ansible_collections.barekernel.containers.plugins.module_utils._image.sources import copied as copied_
from ansible_collections.barekernel.containers.plugins.module_utils._image.sources import steps
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError

from .layouts import Layout, tar
from .module_process import run_module


def a_socket(path: Path) -> None:
    above = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{above}/{path.name}")  # a socket's path is short
    os.close(above)


SPECIAL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "fifo": (os.mkfifo, "FIFO"),
    "socket": (a_socket, "socket"),
    "device": (lambda path: os.mknod(path, 0o20600, os.makedev(5, 2)), "device"),
}
REGISTRY = {"reference": "127.0.0.1:1/app", "retries": 0}
#: Where the path stands in the module's parameters.
OPTIONS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "archive": ("oci_image", lambda path: {"archive": {"path": path}}),
    "rootfs": ("oci_image", lambda path: {"rootfs": {"path": path}}),
    "directory": ("oci_image", lambda path: {"directory": {"path": path}}),
    "build.copy": ("oci_image", lambda path: {"build": {"copy": [{"src": path, "dest": "/x"}]}}),
    "auth_file": ("oci_image", lambda path: {"registry": {**REGISTRY, "auth_file": path}}),
    "signature_policy": ("oci_image", lambda path: {"registry": {**REGISTRY, "signature_policy": path}}),
    "cert_dir": ("oci_image", lambda path: {"registry": {**REGISTRY, "cert_dir": os.path.dirname(path)}}),
    "keyring": (
        "oci_image",
        lambda path: {"debootstrap": {"suite": "x", "mirror": "http://127.0.0.1:1/", "keyring": path}},
    ),
    "lowerdirs": ("overlay_mount", lambda path: {"path": path + "-there", "lowerdirs": [path]}),
    "upperdir": (
        "overlay_mount",
        lambda path: {"path": path + "-there", "lowerdirs": ["/etc"], "upperdir": path, "workdir": path + "-work"},
    ),
    "path": ("overlay_mount", lambda path: {"path": path, "lowerdirs": ["/etc", "/usr"]}),
    "namespaces.path": (
        "netns_veth",
        lambda path: {
            "ends": [{"path": path, "interface": "bktest-a"}, {"interface": "bktest-b"}],
        },
    ),
}


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Nobody waits for ever in here."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(600)  # a busy machine takes its time, a FIFO would take for ever
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("what", SPECIAL)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str, option: str) -> None:
    make, word = SPECIAL[what]
    path = tmp_path / "special"
    make(path)
    module, params = OPTIONS[option]
    for check in (True, False):
        named = {} if module == "overlay_mount" else {"name": "bktest"}
        result = run_module(module, {**named, **params(str(path))}, check)
        assert result.get("failed"), result
        assert str(path) in result["msg"], result["msg"]
        if module == "oci_image" and option != "directory":
            assert word in result["msg"], result["msg"]
        assert "Traceback" not in result["msg"] and not result.get("actions_done")


#: What is written to, by the option that says where.
WRITTEN: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "target": ("overlay_mount", lambda path: {"path": path, "lowerdirs": ["/etc", "/usr"], "create": True}),
    "upperdir": ("overlay_mount", lambda path: _layers(path, path + "-work")),
    "workdir": ("overlay_mount", lambda path: _layers("/run/bktest-upper", path)),
    "save": ("oci_image_save", lambda path: {"name": "bktest", "path": path}),
}
OWN = "/var/lib/barekernel/"


def _layers(upper: str, work: str) -> dict[str, Any]:
    return {"path": "/run/bktest-there", "lowerdirs": ["/etc"], "upperdir": upper, "workdir": work, "create": True}


@pytest.mark.parametrize("option", WRITTEN)
def test_nothing_is_built_upon_what_is_ours(tmp_path: Path, option: str) -> None:
    """Under its own name, or by way of a link."""
    module, params = WRITTEN[option]
    (tmp_path / "link").symlink_to(OWN)
    for place in (f"{OWN}containers/web/bundle/rootfs", f"{OWN}images/x", f"{tmp_path}/link/x"):
        result = run_module(module, params(place))
        says = f"{'path' if option in ('target', 'save') else option}: '{place}': is in /var/lib/barekernel, which"
        assert result["failed"] and result["msg"].startswith(says), result["msg"]
        assert not result["changed"] and not os.path.lexists("/run/bktest-there")


@pytest.mark.parametrize("what", SPECIAL)
def test_nor_in_a_layout_or_a_tree(tmp_path: Path, what: str) -> None:
    make, word = SPECIAL[what]
    layout = Layout(tmp_path / "layout").add(tar(("x", b"x")))
    layout.write()
    blob = next((layout.path / "blobs" / "sha256").iterdir())
    blob.unlink()
    make(blob)
    result = run_module("oci_image", {"name": "bktest", "archive": {"path": str(layout.path)}})
    assert result["failed"] and word in result["msg"] and str(blob) in result["msg"]
    (tmp_path / "tree").mkdir()
    make(tmp_path / "tree" / "special")
    copied = {"copy": [{"src": str(tmp_path / "tree"), "dest": "/x"}]}
    result = run_module("oci_image", {"name": "bktest", "build": copied})
    assert result["failed"] and f"special' is a {word}" in result["msg"]


def test_what_becomes_another_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may write to what is copied puts a link to a secret, or a FIFO, in place of a file that was looked at."""
    secret, tree, root = tmp_path / "secret", tmp_path / "tree", tmp_path / "root"
    secret.write_text("secret")
    root.mkdir()
    (tree / "below").mkdir(parents=True)
    file = tree / "below" / "file"
    looked_at = copied_._refuse_special

    def copied(make: Callable[[], object]) -> None:
        file.unlink(missing_ok=True)
        file.write_text("harmless")

        def swap(path: str, status: os.stat_result) -> None:
            looked_at(path, status)
            if path == str(file):
                monkeypatch.setattr(copied_, "_refuse_special", looked_at)
                file.unlink()
                make()

        monkeypatch.setattr(copied_, "_refuse_special", swap)
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            steps._copy(fd, steps.CopyFile(str(tree), "/x"))
        finally:
            os.close(fd)
            monkeypatch.setattr(copied_, "_refuse_special", looked_at)

    with pytest.raises(KernelError, match="file: Too many levels of symbolic links"):
        copied(lambda: file.symlink_to(secret))
    with pytest.raises(ImageError, match="is a FIFO"):
        copied(lambda: os.mkfifo(file))
    assert [path.name for path in root.rglob("*") if path.is_file()] == []
    with pytest.raises(KernelError, match="FIFO"):
        digest.of_file(str(file))


#: With this Python takes names for ASCII, as with a locale of Latin-1 it would take them for that.
NOT_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture
def latin(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NOT_UTF8.items():
        monkeypatch.setenv(name, value)


def done(module: str, **params: Any) -> dict[str, Any]:
    """Check, apply, apply again."""
    for check in (True, False):
        result = run_module(module, params, check)
        assert not result.get("failed"), result
    again = run_module(module, params)
    assert not again.get("failed") and not again["changed"], again
    return result


def test_names_and_text_do_not_depend_on_the_locale(tmp_path: Path, latin: None) -> None:
    """Every module with a path or a text, on a host whose locale is not UTF-8."""
    tree = tmp_path / "Bild-日本"
    for name in ("bin", "etc", "gäste", "проба"):
        (tree / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin" / "sh")
    (tree / "bin" / "sleep").symlink_to("sh")
    (tree / "gäste" / "größe").write_text("groß")
    bound = tmp_path / "gäste"
    bound.mkdir()
    (bound / "日本").write_text("Grüße")
    saved, merged = str(tmp_path / "gesichert-ä.tar"), str(tmp_path / "über")
    container: dict[str, Any] = {
        "name": "bktest-text",
        "image": "bktest",
        "command": ["/bin/sh", "-c", 'echo "$ORT größer"; exec sleep 1000'],
        "env": {"ORT": "日本"},
        "labels": {"wo": "Zürich"},
        "mounts": [{"source": str(bound), "target": "/mnt/ä"}],
        "stop_timeout": 0,
    }
    try:
        done("oci_image", name="bktest-tree", directory={"path": str(tree), "exclude": ["/проба"]})
        copied = [{"src": str(tree / "gäste"), "dest": "/дом"}]
        build = {"base": "bktest-tree", "copy": copied, "run": ["/bin/sh -c 'echo größer > /ä'"]}
        done("oci_image", name="bktest", build=build)
        done("oci_image_save", name="bktest", path=saved)
        done("oci_image", name="bktest-again", archive={"path": saved})
        done("overlay_mount", path=merged, lowerdirs=[str(tree), str(bound)])
        assert (Path(merged) / "日本").read_text() == "Grüße"
        done("ns_container", **container)
        argv = ["/bin/sh", "-c", "cat /mnt/ä/日本; echo; cat /ä; cat /дом/größe; echo; echo $ORT $1", "x", "ärger"]
        said = run_module("ns_container_exec", {"name": "bktest-text", "argv": argv, "env": {"ORT": "Köln"}})
        assert said.get("stdout") == "Grüße\ngrößer\ngroß\nKöln ärger", said
        shown = run_module("ns_container_info", {"name": "bktest-text", "log_lines": 1})["containers"][0]
        assert "日本 größer" in json.dumps(shown, ensure_ascii=False)
        listed = subprocess.run(["/var/lib/barekernel/lib/nsrun", "list"], capture_output=True, check=True)
        assert b"bktest-text" in listed.stdout
    finally:
        for module, params in (
            ("ns_container", {"name": "bktest-text"}),
            ("overlay_mount", {"path": merged}),
            *(("oci_image", {"name": name}) for name in ("bktest", "bktest-again", "bktest-tree")),
        ):
            run_module(module, {**params, "state": "absent"})
