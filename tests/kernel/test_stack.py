# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""stack on the real kernel: what is predicted is done, in an order that works; a failure takes nothing else along."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.stack import entries
from ansible_collections.barekernel.containers.plugins.module_utils._module.entries import judged
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import diff
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import control
from ansible_collections.barekernel.containers.plugins.module_utils._stack.resource import StackResource
from ansible_collections.barekernel.containers.plugins.module_utils._stack.view import Answer

from tests import collection
from tests.kernel import images, state
from tests.kernel.test_container import run

BUILD = {
    "directories": [{"path": path} for path in ("/etc", "/tmp", "/root", "/srv")],
    "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
    "run": ["/bin/busybox --install -s /bin", "/bin/cp /bin/busybox /bin/roots", "/bin/chmod 700 /bin/roots"],
}
NETWORK = {"name": "bktest0", "addresses": ["10.88.7.1/24"]}
STACK = "bktest"


def container(name: str, *networks: Any, **more: Any) -> dict[str, Any]:
    """One that does nothing, and ends at once when it is to."""
    named = [{"name": each} if isinstance(each, str) else each for each in networks]
    idle = {"image": "bktest", "command": ["sleep", "100000"], "stop_timeout": 0, "networks": named}
    return {"name": f"bktest-{name}", **idle, **more}


def parameters(**given: Any) -> dict[str, Any]:
    """As the runner hands them over: defaults filled in, every entry judged."""
    params = collection.full_params("stack", {"name": STACK, **given})
    for name, spec in entries().items():
        params[name], wrong = judged(name, params[name], spec)
        assert wrong == []
    return params


def predict(**given: Any) -> Answer:
    return StackResource().predict(parameters(**given))


def converge(**given: Any) -> Answer:
    return StackResource().converge(parameters(**given))


def actions(answer: Answer) -> list[str]:
    return list(answer.values(None)["actions"])


def apply(**given: Any) -> dict[str, Any]:
    """Check, apply, compare, apply again: every use is a test of its idempotence."""
    promised = predict(**given)
    assert promised.failures == []
    answer = converge(**given)
    assert answer.failures == []
    assert actions(answer) == actions(promised)
    assert actions(converge(**given)) == actions(predict(**given)) == []
    values = answer.values(diff)
    assert all(section["before"] != section["after"] for section in values["diff"])
    return {**values, "warnings": answer.warnings}


def pid(name: str) -> int:
    return control.observe(f"bktest-{name}").pid


def status(name: str) -> str:
    return control.observe(f"bktest-{name}").status


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    images.apply(name="bktest", build=BUILD)
    yield
    images.remove_all()


@pytest.fixture(autouse=True)
def removed() -> Iterator[None]:
    """Whatever a test leaves goes by what is recorded alone."""
    yield
    for path in sorted(Path("/var/lib/barekernel/stacks").glob("*.json")):
        answer = StackResource().converge(parameters(name=path.stem, state="absent"))
        assert answer.failures == []
    if "docker.io/library/bktest:checked" in images.Store().names():
        images.remove("bktest:checked")


def test_order_is_that_of_needs_and_a_circle_is_shown() -> None:
    names = [entry["name"] for entry in (container("a"), container("b"), container("c"))]
    backwards = [
        container("a", "bktest0", depends_on=[names[1]]),
        container("b", namespaces={"network": f"container:{names[2]}"}),
        container("c", "bktest0"),
    ]
    done = apply(networks=[NETWORK], containers=backwards)["actions"]
    starts = [action for action in done if action.startswith("start container")]
    assert starts == [f"start container {name}" for name in reversed(names)]
    before = state.take()
    circle = [*backwards[:2], {**backwards[2], "depends_on": {names[0]: {"condition": "started"}}}]
    for go in (predict, converge):
        with pytest.raises(
            OptionError, match="bktest-a -> container/bktest-b -> container/bktest-c -> container/bktest-a"
        ):
            go(networks=[NETWORK], containers=circle)
    assert state.differences(before, state.take()) == []


def test_a_failure_stops_what_needs_it_and_nothing_else() -> None:
    given: dict[str, Any] = {
        "networks": [NETWORK, {"name": "bktest1", "addresses": ["10.88.8.1/24"]}],
        "containers": [
            container("bad", "bktest0", command=["sh", "-c", "echo last words; exit 7"], restart_policy="no"),
            container("needs", "bktest0", depends_on=["bktest-bad"]),
            container("joins", namespaces={"network": "container:bktest-needs"}),
            container("clash", "nowhere"),
            container("good", "bktest1", depends_on=["bktest-fine"]),
            container("fine", "bktest1"),
        ],
    }
    promised = predict(**given)
    answer = converge(**given)
    assert len(promised.failures) == 1 and "bktest-clash" in promised.failures[0]
    told = answer.message
    assert "last words" in told and "bktest-needs" in told and "bktest-joins" in told, told
    for name, expected in (("good", "running"), ("fine", "running"), ("joins", ""), ("needs", "")):
        assert (status(name) == "running") == (expected == "running"), name
    values = answer.values(None)
    assert set(values["objects"]) == {f"container/bktest-{name}" for name in ("bad", "needs", "joins", "clash")}
    assert values["objects"]["container/bktest-needs"]["skipped"]
    assert not values["objects"]["container/bktest-bad"]["skipped"]
    # What was mended is made by the next run; what was done before stays as it is.
    stays = pid("good")
    given["containers"][0] = container("bad", "bktest0")
    given["containers"][3] = container("clash", "bktest0")
    apply(**given)
    assert pid("good") == stays


def test_a_wrong_option_of_one_entry_changes_nothing() -> None:
    before = state.take()
    bad = container("bad", env={"A=B": "x"})
    given = {
        "networks": [NETWORK],
        "images": [{"name": "bktest:3", "image": "bktest"}],
        "containers": [container("good", "bktest0"), bad],
    }
    for go in (predict, converge):
        try:
            answer = go(**given)
        except OptionError as error:
            assert error.option.startswith("containers[1]")
        else:
            assert len(answer.failures) == 1 and "containers[1]" in answer.failures[0], answer.failures
            assert go is predict or actions(answer) == []
    assert state.differences(before, state.take()) == []


def test_a_network_goes_while_its_container_moves_to_another() -> None:
    old, new = NETWORK, {"name": "bktest1", "addresses": ["10.88.8.1/24"]}
    apply(
        networks=[old],
        containers=[container("a", {"name": "bktest0", "addresses": ["10.88.7.9"], "ports": ["8080:80"]})],
    )
    moved = container("a", {"name": "bktest1", "addresses": ["10.88.8.9"], "ports": ["8080:80"]})
    apply(networks=[new], containers=[moved], prune=True)
    assert not Path("/sys/class/net/bktest0").exists()


def test_who_joins_anothers_namespaces_is_restarted_with_it() -> None:
    def pair(**more: Any) -> dict[str, Any]:
        joined = {"network": "container:bktest-a", "ipc": "container:bktest-a"}
        return {
            "networks": [NETWORK],
            "containers": [container("b", namespaces=joined), container("a", "bktest0", **more)],
        }

    apply(**pair())
    pids = pid("a"), pid("b")
    changed = apply(**pair(env={"A": "b"}))
    assert pid("a") != pids[0] and pid("b") != pids[1], changed["actions"]
    assert os.readlink(f"/proc/{pid('a')}/ns/ipc") == os.readlink(f"/proc/{pid('b')}/ns/ipc")
    assert run("bktest-b", "cat", "/proc/net/dev")["stdout"].count("eth0") == 1
    apply(networks=[NETWORK], containers=[container("b", "bktest0")], prune=True)


def test_two_runs_at_once() -> None:
    """Each in a process of its own; the second finds, or waits for, what it shares with the first."""
    stacks = [
        {"name": f"bktest-{which}", "containers": [container(f"{which}{n}", "bktest0") for n in range(3)]}
        for which in "xy"
    ]
    apply(networks=[NETWORK])
    children = [subprocess_of(given) for given in (*stacks, stacks[0])]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    for given in stacks:
        assert actions(converge(**given)) == []
        apply(name=given["name"], state="absent")


def subprocess_of(given: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            answer = converge(**given)
            print(answer.failures, flush=True)
            failed = bool(answer.failures)
        finally:
            os._exit(failed)
    return child
