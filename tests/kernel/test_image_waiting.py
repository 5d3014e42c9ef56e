# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who waits for whom, how long, and what is said of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.registry import transport
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import progress
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import LOCK
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files, locations

from tests import waiting
from tests.kernel import images
from tests.kernel.faulty import Faulty
from tests.kernel.images import apply, checked
from tests.kernel.layouts import Layout, tar

BUILD = {"directories": [{"path": "/made"}]}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    images.remove_all()
    assert images.left() == [] and not Path(locations.PROGRESS).exists()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """A registry that says nothing where ``faults`` has hang(), for clients that wait two seconds."""
    monkeypatch.setattr(transport, "SILENCE", 2.0)
    layout = Layout(tmp_path / "layout").add(tar(("file", os.urandom(100000))), "")
    layout.write()
    with Faulty(layout) as registry:
        yield registry


class Hanging:
    """Answers part of a blob, or nothing, and then waits."""

    def __init__(self, part: bytes = b"") -> None:
        self.part, self.end, self.asked = part, threading.Event(), 0

    def __call__(self, request: Any) -> bool:
        self.asked += 1
        if self.part:
            request.send_response(200)
            request.send_header("Content-Length", "100000")
            request.end_headers()
            request.wfile.write(self.part)
            request.wfile.flush()
        self.end.wait(60)
        request.close_connection = True
        return True


@pytest.mark.parametrize(
    ("where", "part", "says"),
    [
        ("/manifests/", b"", "no answer for 2 seconds"),
        ("/blobs/", b"", "no answer for 2 seconds|nothing has come"),
        ("layer", b"x" * 1000, "nothing has come after 0 MB for 2 seconds"),
    ],
)
def test_a_registry_that_falls_silent(silent: Faulty, where: str, part: bytes, says: str) -> None:
    hanging = Hanging(part)
    silent.faults[silent.layout.layers[0]["digest"] if where == "layer" else where] = hanging
    started = time.monotonic()
    try:
        with pytest.raises(Exception, match=f"{silent.address}.*({says}).*See whether it") as caught:
            apply(name="app", registry=silent.source())
    finally:
        hanging.end.set()
    assert not isinstance(caught.value, AssertionError) and time.monotonic() - started < 30
    assert images.left() == []


def test_a_silent_blob_is_asked_for_again(silent: Faulty) -> None:
    hanging = Hanging(b"x" * 1000)
    digest = silent.layout.layers[0]["digest"]

    def once(request: Any) -> bool:
        return hanging.asked == 0 and hanging(request)

    silent.faults[digest] = once
    try:
        image = apply(name="app", registry=silent.source(retries=1)).facts["image"]
    finally:
        hanging.end.set()
    assert image["digest"] == silent.layout.digest and hanging.asked == 1


def in_child(function: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def hold() -> None:
    with files.locked(LOCK):
        signal.pause()


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Another process holds the lock: children of this one are not to inherit it."""
    pid = in_child(hold)
    try:
        waiting.until("it holds the lock", lambda: files.is_locked(LOCK))
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_what_is_as_declared_waits_for_nobody(tmp_path: Path) -> None:
    """Neither to look nor in check mode, and what another one has half-made is not taken for left over."""
    apply(name="there", build=BUILD)
    with held():
        staging = Path("/var/lib/barekernel/images/staging")
        staging.mkdir()
        for look in (apply, checked):
            outcome = look(name="there", build=BUILD)
            assert outcome.plan.actions == [] and outcome.facts["image"]["digest"]
            assert look(name="nothing", state="absent").plan.actions == []
        staging.rmdir()


def test_who_waits_says_so(tmp_path: Path) -> None:
    """And is no reason for the one that is waited for, or another one that waits, to see anything half-made."""
    shown = [f"{locations.PROGRESS}/{name}.json" for name in "ab"]
    children = []
    with held():
        for number, path in enumerate(shown):
            params = {"name": f"made{number}", "build": BUILD, "progress_file": path}

            def make(params: dict[str, Any] = params) -> None:
                assert len(apply(**params).plan.actions) == 1

            children.append(in_child(make))
        for path in shown:
            waiting.until("it says that it waits", lambda path=path: os.path.exists(path))
            state = json.loads(Path(path).read_text())
            assert (state["phase"], state["text"]) == ("waiting", "for another task that changes images on this host")
        assert progress.left() == ()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]


def test_what_one_who_is_no_more_said(tmp_path: Path) -> None:
    path = f"{locations.PROGRESS}/gone.json"
    pid = in_child(lambda: progress.Progress(path).update("waiting"))
    os.waitpid(pid, 0)
    assert progress.left() == (path,)
    assert apply(name="made", build=BUILD).plan.actions != []
    assert progress.left() == ()


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_an_archive_of_several_images(tmp_path: Path, form: str) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("file", b"x")))
    layout.write()
    target = tmp_path / "archive"
    if form == "docker-archive":
        second = "--additional-tag=docker.io/library/app:2"
        copy = ["skopeo", "copy", "-q", second, f"oci:{layout.path}:image", f"docker-archive:{target}:app:1"]
        subprocess.run(copy, check=True)
        names = "docker.io/library/app:1, docker.io/library/app:2"
        with pytest.raises(Exception, match=f"Set archive.reference to one of {names}"):
            apply(name="app", archive={"path": str(target), "reference": "app:3"})
        assert images.left() == []
        return
    entry = json.loads((layout.path / "index.json").read_text())["manifests"][0]
    entries = [{**entry, "annotations": {"org.opencontainers.image.ref.name": name}} for name in ("one", "two")]
    layout.index(*entries)
    path = layout.path
    if form == "oci-archive":
        path = target
        subprocess.run(["tar", "-C", layout.path, "-cf", path, "."], check=True)
    for reference in ({}, {"reference": "three"}):
        with pytest.raises(Exception, match="Set archive.reference to one of one, two"):
            apply(name="app", archive={"path": str(path), **reference})
    assert apply(name="app", archive={"path": str(path), "reference": "two"}).facts["image"]["digest"] == layout.digest
