# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""stack on the real kernel: what is predicted is done, in an order that works; a failure takes nothing else along."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from datetime import datetime
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
from tests.kernel import images, leaks, state
from tests.kernel.module_process import run_module
from tests.kernel.test_container import run
from tests.waiting import until

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
    assert sorted(actions(answer)) == sorted(actions(promised))
    assert actions(converge(**given)) == actions(predict(**given)) == []
    values = answer.values(diff)
    assert all(section["before"] != section["after"] for section in values["diff"])
    return {**values, "warnings": answer.warnings}


def hows(values: dict[str, Any]) -> dict[str, str]:
    return {f"{change['object']} {change['option']}": change["how"] for change in values["changes"]}


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


def test_a_life(tmp_path: Path) -> None:
    before = leaks.take()
    web = container("web", {"name": "bktest0", "addresses": ["10.88.7.20"], "ports": ["8080:80"]})
    whole: dict[str, Any] = {
        "images": [{"name": "bktest:2", "image": "bktest", "config": {"env": {"X": "1"}}}],
        "networks": [NETWORK],
        "containers": [web, container("a", "bktest0", image="bktest:2"), container("b", "bktest0")],
    }
    made = apply(**whole)
    assert set(made["objects"]) == {
        *("image/bktest:2", "network/bktest0", "container/bktest-web", "container/bktest-a", "container/bktest-b")
    }
    assert made["objects"]["container/bktest-a"]["container"]["status"] == "running"
    assert made["changes"] == []  # objects that are made
    assert {section["before_header"].partition(",")[0] for section in made["diff"]} >= set(made["objects"])
    # Each finds all others, whoever was made first.
    for name in ("web", "a", "b"):
        hosts = Path(f"/var/lib/barekernel/containers/bktest-{name}/hosts").read_text()
        assert all(f"bktest-{other}" in hosts for other in ("web", "a", "b"))

    pids = {name: pid(name) for name in ("web", "a", "b")}
    live = {**web, "networks": [{"name": "bktest0", "addresses": ["10.88.7.21"], "ports": ["8081:80"]}]}
    changed = apply(**{**whole, "containers": [live, *whole["containers"][1:]]})
    assert hows(changed) == {
        "container/bktest-web networks.bktest0": "live",
        "container/bktest-web ports": "live",
        **{f"container/bktest-{name} hosts": "live" for name in ("web", "a", "b")},
    }
    assert {name: pid(name) for name in pids} == pids
    whole["containers"] = [live, {**whole["containers"][1], "env": {"A": "b"}}, whole["containers"][2]]
    changed = apply(**whole)
    assert hows(changed) == {"container/bktest-a env.A": "restart"}
    assert changed["objects"]["container/bktest-b"] == {**changed["objects"]["container/bktest-b"], "changed": False}
    assert pid("a") != pids["a"] and (pid("web"), pid("b")) == (pids["web"], pids["b"])

    # A part of it: what is declared beside it is not touched, nor is it missed.
    partly = {
        **whole,
        "containers": [live, {**whole["containers"][1], "env": {}}, {**whole["containers"][2], "env": {"C": "d"}}],
    }
    changed = apply(**partly, only=["container/bktest-b"])
    assert set(changed["objects"]) == {"container/bktest-b"} and hows(changed) == {
        "container/bktest-b env.C": "restart"
    }
    apply(**partly)

    # What is taken out of a list is named, and removed where that is asked for.
    less = {**partly, "containers": [live], "images": []}
    kept = apply(**less)
    assert kept["actions"] == [] and "container/bktest-a, container/bktest-b, image/bktest:2" in kept["warnings"][0]
    assert status("a") == "running"
    pruned = apply(**less, prune=True)
    assert set(pruned["objects"]) == {
        *("container/bktest-web", "network/bktest0"),
        *("container/bktest-a", "container/bktest-b", "image/bktest:2"),
    }
    assert not pruned["warnings"] and "bktest:2" not in images.Store().names()
    hosts = Path("/var/lib/barekernel/containers/bktest-web/hosts").read_text()
    assert "bktest-a" not in hosts

    apply(state="absent")
    assert leaks.leaked_since(before) == []


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


def test_conditions_of_depends_on() -> None:
    """The second is started when the first has done what it is needed for, and not at all where it never does."""
    check = {"test": ["CMD", "test", "-e", "/ready"], "interval": "100ms", "start_period": "30s", "retries": 1}
    images.apply(name="bktest:checked", image="bktest", config={"healthcheck": check})
    ready = {"image": "bktest:checked", "command": ["sh", "-c", "sleep 1; touch /ready; exec sleep 100000"]}
    ends = {"command": ["sh", "-c", "sleep 1"], "restart_policy": "no"}

    def pair(of: dict[str, Any], condition: str) -> list[dict[str, Any]]:
        return [container("later", depends_on={"bktest-first": {"condition": condition}}), container("first", **of)]

    for of, condition in ((ready, "healthy"), (ends, "completed")):
        answer = converge(containers=pair(of, condition))
        assert answer.failures == []
        first, later = control.observe("bktest-first"), control.observe("bktest-later")
        began = [datetime.fromisoformat(str(each.started_at)) for each in (first, later)]
        assert (began[1] - began[0]).total_seconds() >= 0.9
        assert actions(converge(containers=pair(of, condition))) == []
        assert converge(state="absent").failures == []
    for of, condition, why in (
        ({"command": ["sh", "-c", "sleep 1; exit 3"], "restart_policy": "no"}, "completed", "ended with code 3"),
        ({}, "healthy", "has no health check"),
    ):
        answer = converge(containers=[*pair(of, condition), container("other")])
        assert any(why in failure for failure in answer.failures), answer.failures
        assert status("later") != "running" and status("other") == "running"
        assert converge(state="absent").failures == []


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


def test_links_overlays_and_cgroups_go_with_what_uses_them(tmp_path: Path) -> None:
    apply(**everything(tmp_path))
    assert run("bktest-a", "cat", "/view/word")["stdout"] == "of the overlay"
    assert "10.77.0.2" in run("bktest-a", "ip", "addr", "show", "eth7")["stdout"]
    assert "eth7" in run("bktest-b", "ip", "addr")["stdout"]
    # The overlay is mounted anew below a container that binds it.
    (tmp_path / "more").mkdir()
    (tmp_path / "more/word").write_text("of another")
    given = everything(tmp_path)
    given["overlays"][0]["lowerdirs"].insert(0, f"{tmp_path}/more")
    apply(**given)


def everything(tmp: Path) -> dict[str, Any]:
    """An object of each kind, each of which uses others."""
    (tmp / "lower/inside").mkdir(parents=True, exist_ok=True)
    (tmp / "lower/inside/word").write_text("of the overlay")
    (tmp / "lower/word").write_text("of the overlay")
    view = {"type": "bind", "source": f"{tmp}/new/view", "target": "/view", "read_only": True}
    ends = [
        {"container": "bktest-a", "interface": "eth7", "addresses": ["10.77.0.2/24"]},
        {"interface": "bktestl0", "bridge": "bktest0"},
    ]
    return {
        "images": [{"name": "bktest:4", "image": "bktest"}],
        "cgroups": [{"path": "bktest-stack/part", "limits": {"raw": {"cgroup.max.depth": 3}}}],
        "overlays": [{"path": f"{tmp}/new/view", "lowerdirs": [f"{tmp}/lower"]}],
        "networks": [NETWORK],
        "links": [{"name": "bktestl", "ends": ends}],
        "containers": [
            container("a", {"name": "bktest0", "ports": ["8080:80"]}, image="bktest:4", mounts=[view]),
            container("b", namespaces={"network": "container:bktest-a"}),
        ],
    }


def test_objects_with_parents_in_common_are_made_and_removed_together(tmp_path: Path) -> None:
    """The first makes what lies above both, the last one that goes takes it along: also in a check."""
    (tmp_path / "lower/inside").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    new, lower = f"{tmp_path}/new/deep", f"{tmp_path}/lower"
    limits = {"raw": {"cgroup.max.depth": 3}}
    before = leaks.take()
    whole: dict[str, Any] = {
        "cgroups": [
            *({"path": f"bktest-parts/of/{name}", "limits": limits} for name in ("one", "two")),
            {"path": "bktest-parts/of", "limits": limits},  # made for its children, then asked for itself
            {"path": "bktest-parts/of/two/deeper"},
        ],
        "overlays": [
            {
                "path": f"{new}/view",
                "lowerdirs": [f"{tmp_path}/other"],
                "upperdir": f"{new}/up",
                "workdir": f"{new}/wk",
            },
            {"path": f"{new}/read", "lowerdirs": [lower, f"{tmp_path}/other"]},
            {"path": f"{new}/read/inside", "lowerdirs": [f"{tmp_path}/other", lower]},  # in the mount before
            {"path": f"{tmp_path}/copy", "lowerdirs": [f"{new}/read/inside", f"{tmp_path}/other"]},
        ],
    }
    made = apply(**whole)
    assert len(made["actions"]) == len(set(made["actions"]))  # nothing is made twice
    one, two, above, _deeper = whole["cgroups"]
    less = {"cgroups": [one, above], "overlays": whole["overlays"][:1]}
    apply(**less, prune=True)
    assert os.path.isdir(f"{new}/view") and not os.path.exists(f"{new}/read")
    apply(cgroups=[two, above], overlays=[whole["overlays"][1]], prune=True)
    apply(**whole)
    apply(state="absent")
    apply(cgroups=[one, two])
    apply(state="absent")
    assert leaks.leaked_since(before) == [] and not os.path.exists(f"{tmp_path}/new")


def test_two_overlays_of_one_run_do_not_share_an_upper_layer(tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    layers = {"lowerdirs": [f"{tmp_path}/lower"], "upperdir": f"{tmp_path}/up", "workdir": f"{tmp_path}/work"}
    given = {"overlays": [{"path": f"{tmp_path}/{name}", **layers} for name in ("first", "second")]}
    promised, answer = predict(**given), converge(**given)
    for found in (promised, answer):
        (failure,) = found.failures
        assert "upperdir" in found.message and "first" in found.message, failure
    assert os.path.ismount(tmp_path / "first") and not (tmp_path / "second").exists()


def test_stacks_leave_each_other_alone() -> None:
    apply(networks=[NETWORK], containers=[container("a", "bktest0")])
    apply(name="bktest-other", containers=[container("b", "bktest0")], prune=True)
    before, running = state.take(), pid("a")
    for given in (
        {"containers": [container("a", "bktest0", env={"A": "b"})]},
        {"containers": [container("b", "bktest0"), container("c")], "networks": [{**NETWORK, "mtu": 1400}]},
        {"images": [{"name": "bktest:5", "image": "bktest"}], "containers": [container("a")]},
        {"containers": [{"name": "bktest-a", "state": "absent"}]},
    ):
        for go in (predict, converge):
            answer = go(name="bktest-other", **given)
            assert [f for f in answer.failures if re.search("(bktest-a|bktest0)'?: belongs to stack bktest:", f)], (
                answer.failures
            )
            assert go is predict or actions(answer) == []
    assert state.differences(before, state.take()) == [] and pid("a") == running
    apply(name="bktest-other", state="absent")
    assert pid("a") == running and status("b") != "running"


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


def test_one_that_takes_its_time_to_stop_keeps_nobody_waiting() -> None:
    """Neither the others of its run nor other tasks on the host."""
    ignores = "trap '' TERM; while :; do sleep 0.1; done"
    deaf = container("deaf", "bktest0", command=["sh", "-c", ignores], stop_timeout=40)
    others = [container(f"o{n}", "bktest0") for n in range(3)]
    apply(networks=[NETWORK], containers=[deaf, *others])
    old = {name: pid(name) for name in ("deaf", "o0", "o2")}
    blocked = Path(f"/proc/{old['deaf']}/status")
    until("it does not listen", lambda: re.search(r"^SigIgn:.*4...$", blocked.read_text(), re.MULTILINE))
    changed = [{**each, "env": {"A": "b"}} for each in (deaf, *others)]
    child = subprocess_of({"networks": [NETWORK], "containers": changed})
    try:
        for name in ("o0", "o2"):
            until("the others are started anew", lambda name=name: status(name) == "running" and pid(name) != old[name])
        for params in (container("alone", "bktest0"), {"name": "bktest-alone", "state": "absent"}):
            done = run_module("ns_container", params)
            assert not done.get("failed") and done["changed"], done
        assert pid("deaf") == old["deaf"]
    finally:
        os.kill(old["deaf"], signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert status("deaf") == "running" and b"A=b" in Path(f"/proc/{pid('deaf')}/environ").read_bytes()
    # It would take its time to remove.
    os.kill(pid("deaf"), signal.SIGKILL)


def test_a_start_that_fails_goes_back_to_what_ran() -> None:
    good = [container("a", "bktest0"), container("b", "bktest0")]
    apply(networks=[NETWORK], containers=good)
    # What only the start shows: the program is there, and its user may not execute it.
    broken = {**good[0], "command": ["/bin/roots"], "user": "7", "env": {"A": "b"}}
    answer = converge(networks=[NETWORK], containers=[broken, {**good[1], "env": {"A": "b"}}])
    assert len(answer.failures) == 1 and "again as it was" in answer.message, answer.message
    assert status("a") == "running" and b"A=b" not in Path(f"/proc/{pid('a')}/environ").read_bytes()
    assert b"A=b" in Path(f"/proc/{pid('b')}/environ").read_bytes()
    apply(networks=[NETWORK], containers=[good[0], {**good[1], "env": {"A": "b"}}])


def test_no_two_links_of_one_run_have_the_same_address_or_route() -> None:
    """Also in a check; what one link gives up, another may have in the same run."""

    def link(name: str, address: str, **more: Any) -> dict[str, Any]:
        mine = {"netns": "bktesta", "interface": name, "addresses": [address], **more}
        return {"name": f"bktest{name}", "ends": [mine, {"netns": "bktestb", "interface": name}]}

    def route(via: str) -> dict[str, Any]:
        return {"routes": [{"to": "10.79.0.0/24", "via": via}]}

    before = leaks.take()
    for taken, words in (
        (link("e1", "10.77.0.1/24"), "addresses: '10.77.0.1/24': e0 in netns bktesta has it"),
        (link("e1", "10.78.0.1/24", **route("10.78.0.2")), "netns bktesta has that route through e0"),
    ):
        links = [link("e0", "10.77.0.1/24", **route("10.77.0.2")), taken]
        for go in (predict, converge):
            answer = go(links=links)
            assert words in answer.message and (go is predict or actions(answer) == [])
    assert leaks.leaked_since(before) == []
    apply(links=[link("e0", "10.77.0.1/24", **route("10.77.0.2")), link("e1", "10.78.0.1/24")])
    apply(links=[link("e0", "10.76.0.1/24", routes=[]), link("e1", "10.77.0.1/24", **route("10.77.0.2"))])
    apply(links=[link("e2", "10.77.0.1/24", **route("10.77.0.2"))], prune=True)
    apply(state="absent")
    assert leaks.leaked_since(before) == []


@pytest.mark.parametrize("name", ["a\0b", "s\u00f6", "\ud800", "../x", "x" * 64])
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_name_that_cannot_be_is_refused_in_any_locale(
    name: str, locale: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it becomes part of a path."""
    for variable, value in locale.items():
        monkeypatch.setenv(variable, value)
    result = run_module("stack", {"name": name})
    assert result["failed"] and result["option"] == "name" and result["msg"].startswith("name: "), result


def test_what_one_gives_up_another_one_may_have() -> None:
    """In the same run, whichever of them is named first: address, port, subnet, name of an interface, upper layer."""

    def web(name: str, address: str, port: int) -> dict[str, Any]:
        return container(name, {"name": "bktest0", "addresses": [address], "ports": [f"{port}:80"]})

    before = leaks.take()
    first = {"networks": [NETWORK], "containers": [web("a", "10.88.7.10", 8080), web("b", "10.88.7.11", 8081)]}
    apply(**first)
    taken = {**first, "containers": [web("a", "10.88.7.11", 8081), web("b", "10.88.7.12", 8082)]}
    apply(**taken)
    restarted = {
        **container("b", {"name": "bktest0", "addresses": ["10.88.7.13"], "ports": ["8083:80"]}),
        "env": {"A": "b"},
    }
    apply(**{**first, "containers": [web("a", "10.88.7.12", 8082), restarted]})
    apply(state="absent")

    def network(number: int, subnet: int) -> dict[str, Any]:
        return {"name": f"bktest{number}", "addresses": [f"10.88.{subnet}.1/24"]}

    apply(networks=[network(0, 7), network(1, 8)])
    apply(networks=[network(0, 8), network(1, 9)])
    apply(networks=[network(2, 8), network(1, 9)], prune=True)
    apply(state="absent")

    def link(name: str, interface: str) -> dict[str, Any]:
        ends = [{"netns": f"bktest{side}", "interface": interface} for side in "ab"]
        return {"name": f"bktest{name}", "ends": ends}

    apply(links=[link("e", "e0"), link("f", "e1")])
    apply(links=[link("e", "e1"), link("f", "e2")])
    apply(state="absent")

    places = {name: f"/run/bktest/{name}" for name in ("lower", "upper", "work", "one", "other")}
    for path in places.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    layers = {"lowerdirs": [places["lower"]], "upperdir": places["upper"], "workdir": places["work"]}
    apply(overlays=[{"path": places["one"], **layers}])
    apply(overlays=[{"path": places["other"], **layers}], prune=True)
    apply(state="absent")
    shutil.rmtree("/run/bktest")
    assert leaks.leaked_since(before) == []


def test_an_image_is_made_from_another_one_of_the_stack() -> None:
    before = leaks.take()
    made = {
        "images": [
            {"name": "bktest-below", "build": BUILD},
            {"name": "bktest-alias", "image": "bktest-below", "config": {"env": {"A": "b"}}},
            {"name": "bktest-above", "build": {"base": "bktest-alias", "directories": [{"path": "/srv/x"}]}},
        ],
        "containers": [container("a", image="bktest-above")],
    }
    apply(**made)
    assert b"A=b" in Path(f"/proc/{pid('a')}/environ").read_bytes()
    made["images"][0]["build"] = {**BUILD, "directories": [*BUILD["directories"], {"path": "/new"}]}
    apply(**made)
    assert run("bktest-a", "ls", "-d", "/new", "/srv/x")["rc"] == 0
    # How many layers go with each is only known once those before it are gone.
    assert len(actions(predict(state="absent"))) == len(actions(converge(state="absent")))
    assert leaks.leaked_since(before) == []
