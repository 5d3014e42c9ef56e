# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store after a process that ended at any point, and with several at work at once."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import verify
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.host import ImageKernel, image_kernel
from ansible_collections.barekernel.containers.plugins.module_utils._images.resource import ImageResource
from ansible_collections.barekernel.containers.plugins.module_utils._images.store import ImagePrune
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import process

from tests.kernel import images
from tests.kernel.layouts import Layout, tar
from tests.kernel.leaks import Snapshot, leaked_since, take
from tests.kernel.test_image_pull import export
from tests.kernels import DIED, Dying, Recording, in_child
from tests.waiting import until


@pytest.fixture(autouse=True)
def store() -> Iterator[Store]:
    yield Store()
    images.remove_all()
    assert images.left() == []


def with_kernel(watch: Any, params: dict[str, Any]) -> None:
    resource = ImageResource()
    converge(resource, resource.desired(images.parameters(**params)), image_kernel(resource.store, watch))


def calls(params: dict[str, Any]) -> int:
    """How many changes of files it takes; done in this process."""
    watch = Recording(ImageKernel())
    with_kernel(watch, params)
    return len(watch.calls)


def versions(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    made = []
    for version in ("one", "two"):
        layout = Layout(tmp_path / version).add(tar(("common", b"c"))).add(tar((version, version.encode())))
        layout.write()
        made.append({"name": "app", "archive": {"path": str(layout.path)}, "config": {"labels": {"v": version}}})
    return made[0], made[1]


def test_killed_while_an_image_is_replaced(tmp_path: Path) -> None:
    old, new = versions(tmp_path)
    images.apply(**old)
    first = Store().resolve("app")
    points = calls(new)
    second = Store().resolve("app")
    assert first is not None and second is not None and points > 10
    for k in range(points + 1):
        images.remove_all()
        images.apply(**old)
        died = in_child(lambda k=k: with_kernel(Dying(ImageKernel(), k), new))
        assert died == DIED or k == points
        # Old or new, and whichever it is, whole.
        found = Store().resolve("app")
        assert found is not None and found.digest in (first.digest, second.digest), f"after {k} of {points}"
        assert not found.missing and not verify.check(Store(), found), f"after {k} of {points}"
        if k % 2:
            images.apply(**new)
            now = Store().resolve("app")
            assert now is not None and now.digest == second.digest and not os.path.exists(f"{Store().root}/staging")
    print(f"{points} kill points while an image was replaced")


def test_killed_while_the_first_image_is_made_or_removed(tmp_path: Path) -> None:
    _old, new = versions(tmp_path)
    points = calls(new)
    for k in range(points + 1):
        images.remove("app")
        in_child(lambda k=k: with_kernel(Dying(ImageKernel(), k), new))
        images.remove("app")
        assert images.left() == [], f"after {k} of {points}"
    images.apply(**new)
    points = calls({"name": "app", "state": "absent"})
    for k in range(points + 1):
        images.apply(**new)
        in_child(lambda k=k: with_kernel(Dying(ImageKernel(), k), {"name": "app", "state": "absent"}))
        images.remove("app")
        assert images.left() == [], f"after {k} of {points}"


def test_killed_at_any_moment_leaves_no_process(tmp_path: Path) -> None:
    """SIGKILL while layers unpack: the workers end with it, and the next run clears and completes."""
    layout = Layout(tmp_path / "big")
    for number in range(4):
        members = ((f"d{number}/f{n}", os.urandom(2000)) for n in range(3000))
        layout.add(tar(*members), "")
    layout.write()
    params = {"name": "app", "archive": {"path": str(layout.path)}}
    for delay in (0.3, 0.6, 1.0):
        child = os.fork()
        if child == 0:
            try:
                images.apply(**params)
            finally:
                os._exit(0)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = Store().resolve("app") if os.path.exists(Store().root) else None
        assert found is None or not found.missing
    assert images.apply(**params).facts["image"]["layers"]


#: A command that stays; one of another user, as which no parent's end is told (prctl(2)); one that left a child.
STAYING = {
    "plain": "exec sleep 600",
    "as another user": 'exec su -s /sh daemon -c "exec /sleep 600"',
    "in the background": "setsid sleep 600 & sleep 600",
}


@pytest.mark.parametrize("how", STAYING)
def test_a_killed_build_takes_its_commands_along(how: str, nothing_left_by_the_test: Snapshot) -> None:
    """Nothing of it runs on, and the next run of whatever changes the store clears the rest."""
    before = nothing_left_by_the_test
    build: dict[str, Any] = {"copy": [{"src": path, "dest": path} for path in ("/bin/busybox", "/etc/passwd")]}
    build["run"] = ["/bin/busybox --install -s /", f"/sh -c 'PATH=/; echo x > /busy; {STAYING[how]}'"]
    kill_while_asleep({"build": build}, lambda: any(Path(Store().root).glob("staging/*/fs/busy")))
    assert any("@build" in name for name in take().names)
    images.remove("nothing-of-that-name")
    assert leaked_since(before) == []


#: What stands in for a program that images come from, and the parameters by which it is called.
PROGRAMS = {
    # debootstrap mounts in its target, and leaves that where it is killed.
    "debootstrap": (
        'mkdir -p "$3/proc" && mount -t tmpfs tmpfs "$3/proc" && touch "$3/busy" && sleep 600',
        {"debootstrap": {"suite": "stable", "tool": "debootstrap", "mirror": "http://127.0.0.1:1/"}},
    ),
    "skopeo": ("exec sleep 600", {"archive": {"path": "/etc/passwd", "format": "oci-archive"}}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_killed_run_takes_programs_along(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left_by_the_test: Snapshot
) -> None:
    script, source = PROGRAMS[name]
    (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    kill_while_asleep({**source, "progress_file": "/run/barekernel/progress/x.json"})
    assert not [mount for mount in take().names - nothing_left_by_the_test.names if mount.startswith("mount")]
    [action] = converge(ImagePrune(), None).plan.actions
    assert action.startswith("remove 0 blobs and 0 layers that nothing uses, and what an interrupted run left (")
    assert leaked_since(nothing_left_by_the_test) == []


@pytest.fixture
def var_tmp(tmp_path: Path) -> Iterator[Path]:
    """A /var/tmp of this test's own."""
    own = tmp_path / "var-tmp"
    own.mkdir()
    subprocess.run(["mount", "--bind", own, "/var/tmp"], check=True)
    yield Path("/var/tmp")
    subprocess.run(["umount", "/var/tmp"], check=True)


@pytest.mark.parametrize("what", ["load oci-archive", "load docker-archive.zst", "save oci-archive"])
def test_a_killed_run_leaves_no_temporary_files_of_skopeo(tmp_path: Path, var_tmp: Path, what: str) -> None:
    """Whole archives, which it unpacks and packs: they go with what else the run left."""
    layout = Layout(tmp_path / "layout").add(tar(("random", os.urandom(64 << 20))), "")
    task, _space, form = what.partition(" ")
    kind, compressed = form.removesuffix(".zst"), form.endswith(".zst")
    archive = tmp_path / "archive"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout.write()}:image", f"{kind}:{archive}:app:1"], check=True)
    if compressed:
        subprocess.run(["zstd", "-q", "-1", archive, "-o", tmp_path / "archive.zst"], check=True)
    loaded = {"name": "app", "archive": {"path": f"{archive}.zst" if compressed else str(archive), "format": kind}}
    work: Callable[[], object] = functools.partial(images.apply, **loaded)
    if task == "save":
        work()
        work = functools.partial(export, "oci_image_save", name="app", path=f"{tmp_path}/saved", format=form)

    def begun() -> list[str]:
        """As containers/image names them."""
        names = [path.name for place in (var_tmp, Path(Store().root, "staging")) for path in place.glob("*")]
        return [name for name in names if re.fullmatch("(oci|docker-tar)[0-9]+", name)]

    kill(work, "skopeo has a temporary file", begun)
    until("skopeo has ended", lambda: "skopeo" not in commands(), commands)
    work()
    assert os.listdir(var_tmp) == []


def kill_while_asleep(params: dict[str, Any], busy: Callable[[], bool] = lambda: True) -> None:
    """Begin to make an image, and end the process once a command of it sleeps; the command ends with it."""
    kill(
        functools.partial(images.apply, name="app", **params),
        "a command sleeps",
        lambda: busy() and "sleep" in commands(),
    )
    until("none does any more", lambda: "sleep" not in commands(), commands)


def kill(work: Callable[[], object], what: str, then: Callable[[], object]) -> None:
    """Do it in another process, and end that once something is the case."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    until(what, then, commands)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def commands() -> list[str]:
    """What runs on this host."""
    return [process.command(pid) for pid in process.pids() if process.alive(pid, process.start_time(pid))]


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    old, _new = versions(tmp_path)
    done = tmp_path / "done"
    children = []
    for _number in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                outcome = images.apply(**old)
                with open(done, "a") as handle:
                    handle.write(f"{len(outcome.plan.operations)}\n")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert sorted(done.read_text().split()) == ["0", "0", "1"]


def test_what_is_in_the_store_is_an_oci_layout(tmp_path: Path) -> None:
    """skopeo reads the store itself."""
    old, _new = versions(tmp_path)
    digest = images.apply(**old).facts["image"]["digest"]
    source = f"oci:{Store().root}:docker.io/library/app:latest"
    raw = subprocess.run(["skopeo", "inspect", "--raw", source], check=True, capture_output=True).stdout
    from tests.kernel.layouts import digest as digest_of

    assert digest_of(raw) == digest
