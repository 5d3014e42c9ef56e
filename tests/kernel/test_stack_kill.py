# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stack of everything, ended at any point while it is made, changed and removed: the next run completes it.

The process is ended after a call to the kernel of each kind: each function for each sort of object. After every single
call, which takes half an hour, with BAREKERNEL_KILL=all in the environment (BAREKERNEL_KILL=0/4 for a part of four).
"""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.resource import Resource
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import locations
from ansible_collections.barekernel.containers.plugins.module_utils._stack.resource import StackResource
from ansible_collections.barekernel.containers.plugins.module_utils._stack.view import Answer

from tests.kernel import images, leaks
from tests.kernel.clearing import clear
from tests.kernel.test_stack import BUILD, NETWORK, actions, container, parameters
from tests.kernels import DIED, in_child, load_all

SECRET = "/var/lib/barekernel/secrets/bktest/word"
GONE: dict[str, Any] = {"state": "absent"}


def options(given: dict[str, Any]) -> dict[str, Any]:
    """Its options as the runner hands them over, with what only the action plugin gives."""
    rest = dict(given)
    files = rest.pop("files", [])
    return {**parameters(**rest), "files": files, "progress_file": f"{locations.PROGRESS}/bktest-{os.getpid()}"}


def converge(given: dict[str, Any]) -> Answer:
    return StackResource().converge(options(given))


def predict(given: dict[str, Any]) -> Answer:
    return StackResource().predict(options(given))


def whole(tmp: Path) -> dict[str, Any]:
    """An object of each kind; some use others."""
    for name in ("lower", "other"):
        (tmp / name).mkdir(exist_ok=True)
    ends = [
        {"netns": f"bktest-{name}", "interface": "eth0", "addresses": [f"10.77.0.{n}/24"]}
        for n, name in enumerate("xy", 1)
    ]
    return {
        "files": [secret("old")],
        "images": [{"name": "bktest:4", "image": "bktest", "config": {"env": {"X": "1"}}}],
        "cgroups": [{"path": "bktest-stack/part", "limits": {"raw": {"cgroup.max.depth": 3}}}],
        "overlays": [{"path": f"{tmp}/new/view", "lowerdirs": [f"{tmp}/other", f"{tmp}/lower"]}],
        "networks": [NETWORK],
        "links": [{"name": "bktestl", "ends": ends}],
        "containers": [
            container(
                "a",
                {"name": "bktest0", "ports": ["8080:80"]},
                image="bktest:4",
                mounts=[
                    {"type": "bind", "source": f"{tmp}/new/view", "target": "/view", "read_only": True},
                    {"type": "bind", "source": SECRET, "target": "/word", "read_only": True},
                ],
            ),
            container("b", "bktest0", depends_on=["bktest-a"], limits={"raw": {"cgroup.max.depth": 3}}),
            container("c"),
        ],
    }


def changed(tmp: Path) -> dict[str, Any]:
    """Another version: of the containers one is recreated, one restarted, one goes, and so does the link."""
    given = whole(tmp)
    first, second, _third = given["containers"]
    published = [{"name": "bktest0", "ports": ["8081:80"]}]
    return {
        **given,
        "files": [secret("new")],
        "images": [{"name": "bktest:4", "image": "bktest", "config": {"env": {"X": "2"}}}],
        "cgroups": [{"path": "bktest-stack/part", "limits": {"raw": {"cgroup.max.depth": 4}}}],
        "networks": [{**NETWORK, "mtu": 1400}],
        "links": [],
        "containers": [
            {**first, "networks": published},
            {**second, "env": {"A": "b"}, "limits": {"raw": {"cgroup.max.depth": 4}}},
        ],
        "prune": True,
    }


def secret(word: str) -> dict[str, Any]:
    return {"path": SECRET, "content": base64.b64encode(word.encode()).decode(), "mode": "0400", "uid": 0, "gid": 0}


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    images.apply(name="bktest", build=BUILD)
    load_all()
    yield
    images.remove_all()


class Watch:
    """Sees every call of a run to the kernel, whatever object it is for; ``seen`` is called for one at a time, with
    what it is for and which function it is.

    It is told after each, and of what may be left half-done before it: of a file that is just being
    written, and, a moment after it has begun, of the start or the end of a process.
    """

    def __init__(self, seen: Callable[[str], None]) -> None:
        self._seen, self._lock, self._fsync = seen, threading.Lock(), os.fsync

    def __enter__(self) -> Watch:
        kinds = [kind for kind in (Resource, *_below(Resource)) if "kernel" in vars(kind)]
        self._real = {kind: vars(kind)["kernel"] for kind in kinds}
        for kind, real in self._real.items():
            kind.kernel = lambda resource, real=real: _Kernel(self, resource.name, real(resource))  # type: ignore[method-assign]
        os.fsync = self._written
        return self

    def __exit__(self, *_error: object) -> None:
        os.fsync = self._fsync
        for kind, real in self._real.items():
            kind.kernel = real

    def tell(self, call: str) -> None:
        with self._lock:
            self._seen(call)

    def _written(self, fd: int) -> None:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            self.tell(f"being written in {os.path.basename(os.path.dirname(os.readlink(f'/proc/self/fd/{fd}')))}")
        self._fsync(fd)


def _below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


class _Kernel:
    def __init__(self, watch: Watch, path: str, real: Any) -> None:
        self._watch, self._path, self._real = watch, path, real

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if isinstance(real, type):
            return real
        path = f"{self._path} {name}"
        if not callable(real):
            return _Kernel(self._watch, path, real) if hasattr(real, "__dict__") else real

        def called(*arguments: Any, **more: Any) -> Any:
            if " runtime " in path:
                timer = threading.Timer(0.1, self._watch.tell, [f"{path} begun"])
                timer.daemon = True
                timer.start()
            answer = real(*arguments, **more)
            self._watch.tell(path)
            return answer

        return called


def killed(given: dict[str, Any], ends: Callable[[str], bool]) -> str:
    """A run whose process ends, as a power cut would end it, at the call of which ``ends`` says so: that call.

    Empty where it says so of none, and the run comes to its own end.
    """
    reader, writer = os.pipe()

    def look(call: str) -> None:
        if ends(call):
            os.write(writer, call.encode())
            os._exit(DIED)

    def work() -> None:
        with Watch(look):
            assert converge(given).failures == []

    status = in_child(work)
    os.close(writer)
    with os.fdopen(reader) as answer:
        call = answer.read()
    assert status == (DIED if call else 0), call
    return call


def after(number: int) -> Callable[[str], bool]:
    """Ends it after so many calls."""
    left = [number]

    def ends(_call: str) -> bool:
        left[0] -= 1
        return left[0] == 0

    return ends


def calls(given: dict[str, Any]) -> list[str]:
    """Those of a run, in their order. Does it."""
    reader, writer = os.pipe()

    def work() -> None:
        found: list[str] = []
        with Watch(found.append):
            assert converge(given).failures == []
        os.write(writer, json.dumps(found).encode())

    assert in_child(work) == 0
    os.close(writer)
    with os.fdopen(reader) as answer:
        seen: list[str] = json.load(answer)
    return seen


def done(given: dict[str, Any]) -> None:
    """It is as declared, by one run; in a child, as a task has nothing in memory."""

    def work() -> None:
        assert converge(given).failures == []
        assert actions(predict(given)) == []

    assert in_child(work) == 0


def test_ended_again_and_again(tmp_path: Path) -> None:
    """Each run goes on where the one before was killed, until it comes to a call of a kind that none was killed at."""
    before = leaks.take()
    for given in (whole(tmp_path), changed(tmp_path), GONE):
        seen: set[str] = set()
        while call := killed(given, lambda call, seen=seen: call not in seen):
            seen.add(call)
        done(given)
        assert len(seen) > 20
    assert leaks.leaked_since(before) == []


def halves(tmp: Path) -> list[int]:
    """After which calls of a first run something is half-made: half of the calls for each sort of object.

    And the one after which a pair of links has neither its names nor its marks.
    """
    found = calls(whole(tmp))
    done(GONE)
    sorts = [call if " runtime " in call else call.rpartition(" ")[0].rpartition(" ")[0] for call in found]
    of_sort = {sort: [n for n, each in enumerate(sorts, 1) if each == sort] for sort in sorts}
    born = found.index("netns_veth netlink_links create_veth") + 1
    return sorted({born, *(numbers[len(numbers) // 2] for numbers in of_sort.values())})


def test_what_a_killed_run_made_is_removed(tmp_path: Path) -> None:
    before = leaks.take()
    for number in halves(tmp_path):
        call = killed(whole(tmp_path), after(number))
        done(GONE)
        assert leaks.leaked_since(before) == [], f"after {call}"


@pytest.mark.skipif("BAREKERNEL_KILL" not in os.environ, reason="takes half an hour: set BAREKERNEL_KILL=all")
def test_ended_after_every_single_call(tmp_path: Path) -> None:
    before = leaks.take()
    steps = {"made": whole(tmp_path), "changed": changed(tmp_path), "removed": GONE}
    numbers = {step: len(calls(given)) for step, given in steps.items()}
    failures = []
    share, shares = map(int, os.environ["BAREKERNEL_KILL"].replace("all", "0/1").split("/"))
    for turn in range(share, max(numbers.values()), shares):
        try:
            if turn < numbers["made"]:
                where = killed(whole(tmp_path), after(turn + 1))
                done(GONE)
                assert leaks.leaked_since(before) == []
            for step, given in steps.items():
                where = killed(given, after(turn % numbers[step] + 1))
                done(given)
            assert leaks.leaked_since(before) == []
        except AssertionError as error:
            failures.append(f"turn {turn}, {where}: {error}")
            print("FAIL", failures[-1], flush=True)
            clear(before)
        print("turn", turn, flush=True)
    assert failures == []
