# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""stack where something goes wrong: that is said of the object concerned, the others go on, the next run mends it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._core.phases import STARTED_AT_ONCE
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import control

from tests.kernel import images, leaks, module_process
from tests.kernel.test_stack import (
    BUILD,
    NETWORK,
    STACK,
    actions,
    container,
    converge,
    pid,
    predict,
    status,
)
from tests.kernel.test_stack_kill import GONE, done, whole
from tests.kernel.test_stack_kill import converge as converge_all
from tests.kernels import in_child, load_all
from tests.waiting import until

#: Does not end when it is asked to, but says that it was.
DEAF = "trap 'touch /asked' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    images.apply(name="bktest", build=BUILD)
    load_all()
    yield
    images.remove_all()


@pytest.fixture(autouse=True)
def removed() -> Iterator[None]:
    """Whatever a test leaves goes by what is recorded alone."""
    yield
    for path in sorted(Path("/var/lib/barekernel/stacks").glob("*.json")):
        assert in_child(lambda path=path: applied(name=path.stem, state="absent")) == 0


def begun(work: Callable[[], object]) -> Callable[[], int]:
    """It goes on beside the test, in a process of its own; returns what waits for its exit status.

    Two of them share the netlink sockets that the test itself has used: it must not have, where there are two.
    """
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(in_child(work)))
    thread.start()

    def end() -> int:
        thread.join()
        return status[0]

    return end


def applied(**given: Any) -> None:
    assert converge(**given).failures == []


def settled(**given: Any) -> None:
    assert actions(predict(**given)) == []


# --- Runs beside each other


def test_stacks_are_made_changed_and_removed_at_once(tmp_path: Path) -> None:
    """Objects that have nothing to do with each other share tables, libraries and directories."""
    before = leaks.take()
    versions = []
    for n, name in enumerate("xy"):
        network = {"name": f"bktest{n}", "addresses": [f"10.88.{7 + n}.1/24"]}
        published = {"name": f"bktest{n}", "ports": [f"{8080 + n}:80"]}
        own = {"name": f"bktest-{name}", "networks": [network]}
        cgroup = {"path": f"bktest-both/{name}"}
        first = {**own, "cgroups": [cgroup], "containers": [container(f"{name}{c}", published) for c in (1,)]}
        second = {**first, "containers": [container(f"{name}{c}", f"bktest{n}", env={"A": "b"}) for c in (1, 2)]}
        versions.append((first, second, {"name": own["name"], "state": "absent"}))
    for step in zip(*versions):
        ends = [begun(lambda given=given: applied(**given)) for given in step]
        assert [end() for end in ends] == [0, 0]
        assert [in_child(lambda given=given: settled(**given)) for given in step] == [0, 0]
    assert leaks.leaked_since(before) == []


def test_two_runs_over_one_stack_take_turns() -> None:
    """Neither forgets in the record what the other has made, whichever comes first."""
    before = leaks.take()
    parts = [{"containers": [container(f"{name}{n}") for n in range(2)]} for name in "xyz"]
    ends = [begun(lambda part=part: applied(**part)) for part in parts]
    assert [end() for end in ends] == [0, 0, 0]
    recorded = json.loads(Path(f"/var/lib/barekernel/stacks/{STACK}.json").read_text())["objects"]
    assert set(recorded) == {f"container/bktest-{name}{n}" for name in "xyz" for n in range(2)}
    assert in_child(lambda: applied(**GONE)) == 0
    assert leaks.leaked_since(before) == []


def test_of_two_stacks_that_want_one_object_one_gets_it() -> None:
    """Both find it free when they begin."""
    given = {"networks": [NETWORK], "containers": [container("a", "bktest0")]}

    def wanted(name: str) -> None:
        try:
            failures = converge(name=name, **given).failures
        except OptionError as error:
            failures = [str(error)]
        os._exit(0 if not failures else 7 if "belongs to stack" in failures[0] else 1)

    ends = [begun(lambda name=name: wanted(name)) for name in ("bktest-x", "bktest-y")]
    assert sorted(end() for end in ends) == [0, 7]
    assert len(list(Path("/var/lib/barekernel/stacks").glob("*.json"))) == 1


# --- One that hangs


def deaf_one(name: str = "deaf", **more: Any) -> dict[str, Any]:
    return container(name, command=["sh", "-c", DEAF], stop_timeout=600, **more)


def until_deaf(name: str = "deaf") -> int:
    """Its PID, once it would not end."""
    its_own = pid(name)
    status_file = Path(f"/proc/{its_own}/status")
    until("it takes the signal", lambda: re.search(r"^SigCgt:.*[4-7c-f]...$", status_file.read_text(), re.MULTILINE))
    _asked(name).unlink(missing_ok=True)  # by a stop before
    return its_own


def _asked(name: str) -> Path:
    return Path(f"/var/lib/barekernel/containers/bktest-{name}/upper/asked")


def until_asked(name: str = "deaf") -> None:
    until("it is being stopped", _asked(name).exists)


def test_nine_that_hang_in_their_stops_while_twenty_others_go_on() -> None:
    """Those are restarted, changed, made and removed, and done with, before any of the nine has ended."""
    names, hanging = [f"o{n}" for n in range(15)], [f"deaf{n}" for n in range(STARTED_AT_ONCE + 1)]
    applied(containers=[*map(deaf_one, hanging), *map(container, names)])
    hangs, pids = {name: until_deaf(name) for name in hanging}, {name: pid(name) for name in names}
    restarted, changed, removed = names[:5], names[5:10], names[10:]
    new = [f"n{n}" for n in range(5)]
    given = {
        "containers": [
            *(deaf_one(name, env={"A": "b"}) for name in hanging),
            *(container(name, env={"A": "b"}) for name in restarted),
            *(container(name, limits={"raw": {"cgroup.max.depth": 3}}) for name in changed),
            *(container(name) for name in new),
        ],
        "prune": True,
    }
    end = begun(lambda: applied(**given))
    try:
        for name in restarted:
            until(f"{name} runs again", lambda name=name: status(name) == "running" and pid(name) != pids[name])
        for name in new:
            until(f"{name} runs", lambda name=name: status(name) == "running")
        for name in removed:
            home = Path(f"/var/lib/barekernel/containers/bktest-{name}")
            until(f"{name} is gone", lambda home=home: not home.exists())
        assert {name: pid(name) for name in changed} == {name: pids[name] for name in changed}
        for name in hanging:
            until_asked(name)
        assert {name: pid(name) for name in hanging} == hangs
    finally:
        for each in hangs.values():
            os.kill(each, signal.SIGKILL)
    assert end() == 0
    assert actions(predict(**given)) == []
    for name in hanging:
        os.kill(until_deaf(name), signal.SIGKILL)  # it would take its time to remove


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_at_once_and_the_next_one_goes_on(number: signal.Signals) -> None:
    """At a terminal all processes of the task get the signal."""
    applied(containers=[deaf_one(), container("a")])
    hangs, first = until_deaf(), pid("a")
    given = {"containers": [deaf_one(env={"A": "b"}), container("a", env={"A": "b"}), container("b")]}
    command = [module_process.HOST_PYTHON, "-B", module_process.__file__]
    how: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(command, env=module_process.environment(), **how) as task:
        assert task.stdin is not None
        params = {"name": STACK, **given}
        task.stdin.write(json.dumps({"module": "stack", "params": params, "check": False}).encode())
        task.stdin.close()
        until_asked()
        until("the other one is started again", lambda: status("a") == "running" and pid("a") != first)
        os.killpg(task.pid, number)
        assert task.wait() == -number
    assert pid("deaf") == hangs
    # What stops it has not been told, and whoever comes next waits for that.
    end = begun(lambda: applied(**given))
    os.kill(hangs, signal.SIGKILL)
    assert end() == 0
    assert actions(predict(**given)) == []
    os.kill(until_deaf(), signal.SIGKILL)


# --- What a thread does not expect


class Broken:
    """A runtime that fails for one container, in a way that nobody has thought of."""

    def __init__(self, real: Any, function: str, name: str, fault: Callable[[], object]) -> None:
        self._real, self._function, self._name, self._fault = real, function, name, fault

    def __getattr__(self, function: str) -> Any:
        real = getattr(self._real, function)

        def called(name: str, *arguments: Any) -> Any:
            if function == self._function and name == self._name:
                self._fault()
            return real(name, *arguments)

        return called


@contextlib.contextmanager
def broken(function: str, name: str, fault: Callable[[], object]) -> Iterator[None]:
    real = ContainerResource.kernel

    def kernel(resource: ContainerResource) -> Any:
        host = real(resource)
        host.runtime = Broken(host.runtime, function, name, fault)
        return host

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContainerResource, "kernel", kernel)
        yield


def mistake() -> None:
    raise ZeroDivisionError("of ours")


@pytest.mark.parametrize("function", ["start", "stop", "clear"])
def test_a_mistake_of_ours_in_a_thread_is_that_containers_failure(function: str) -> None:
    names = ("a", "b", "c")
    applied(networks=[NETWORK], containers=[container(name, "bktest0") for name in names])
    given: dict[str, Any] = {
        "networks": [NETWORK],
        "containers": [container(name, "bktest0", env={"A": "b"}) for name in names],
    }
    if function == "clear":
        given.update(containers=given["containers"][1:], prune=True)
    with broken(function, "bktest-a", mistake):
        answer = converge(**given)
    assert len(answer.failures) == 1 and "bktest-a" in answer.failures[0], answer.failures
    assert "of ours" in answer.failures[0]
    for name in names[1:]:
        assert status(name) == "running" and b"A=b" in Path(f"/proc/{pid(name)}/environ").read_bytes()
    applied(**given)
    assert actions(predict(**given)) == []


def test_a_condition_that_cannot_be_asked_for_is_that_containers_failure() -> None:
    waits = container("later", depends_on={"bktest-first": {"condition": "completed"}})
    first = container("first", command=["true"], restart_policy="no")
    given = {"containers": [waits, first, container("other")]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContainerResource, "await_condition", lambda *_arguments: mistake())
        answer = converge(**given)
    assert len(answer.failures) == 1 and "bktest-later" in answer.failures[0] and "of ours" in answer.failures[0]
    assert status("other") == "running" and status("later") != "running"
    applied(**given)
    assert status("later") == "running"


def test_a_supervisor_that_is_killed_while_it_stops_its_container_is_no_failure() -> None:
    """As the kernel does it that has no memory left: what it was to do is done by whoever waits for it."""
    applied(containers=[deaf_one(), container("a")])
    hangs = until_deaf()
    supervisor = control.observe("bktest-deaf").supervisor
    assert supervisor is not None
    given = {"containers": [deaf_one(env={"A": "b"}), container("a", env={"A": "b"})]}
    end = begun(lambda: applied(**given))
    until_asked()
    os.kill(supervisor, signal.SIGKILL)
    assert end() == 0
    for name in ("deaf", "a"):
        assert b"A=b" in Path(f"/proc/{pid(name)}/environ").read_bytes()
    assert actions(predict(**given)) == [] and pid("deaf") != hangs
    os.kill(until_deaf(), signal.SIGKILL)


# --- A full disk

STATE = "/var/lib/barekernel"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Everything that is kept is on a file system of its own. A path on it, for what fills it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", STATE], check=True)
    try:
        images.apply(name="bktest", build=BUILD)
        yield Path(STATE, "ballast")
        images.remove_all()
    finally:
        subprocess.run(["umount", STATE], check=True)


def used() -> int:
    found = os.statvfs(STATE)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def fill(ballast: Path, left: int) -> None:
    """The file system, but for so many bytes."""
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)
        file.truncate(max(0, file.tell() - left) // 4096 * 4096)


def test_a_full_disk_is_said_and_the_next_run_goes_on(small_disk: Path, tmp_path: Path) -> None:
    before = leaks.take()
    empty = used()
    done(whole(tmp_path))
    needed = used() - empty
    done(GONE)
    for turn, lacking in enumerate((needed, needed - 8192, needed // 2, 100 << 10, 50 << 10, 4096)):
        fill(small_disk, needed - lacking)

        def work(lacking: int = lacking) -> None:
            answer = converge_all(whole(tmp_path))
            for failure in answer.failures:
                full = re.search(r"No space left on device \(ENOSPC\)\. .*Free some space", failure)
                assert full or re.search("not (done|started), as .* failed$", failure), (lacking, failure)
            assert answer.failures

        assert in_child(work) == 0
        if turn % 2:
            small_disk.unlink()
            done(whole(tmp_path))
            fill(small_disk, 0)
        done(GONE)  # on the full disk
        small_disk.unlink()
        assert leaks.leaked_since(before) == [], lacking
