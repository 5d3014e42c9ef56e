# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a new user does: make site, again, one value changed, make teardown. The tests follow each other."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import waiting
from tests.kernel import leaks, state

from .conftest import Run, Site

PAGE = "Hello from a container on nothing but the kernel."
IMAGES = "file /var/lib/barekernel/images"


@pytest.fixture(scope="module", autouse=True)
def clean() -> leaks.Snapshot:
    return leaks.take()


@pytest.fixture(scope="module")
def prediction(site: Site) -> Run:
    """What check mode says on the clean host."""
    site.make("build")  # the environment is no part of the prediction
    before = state.take()
    predicted = site.make("site", "--check --diff")
    assert state.differences(before, state.take()) == []
    return predicted


@pytest.fixture(scope="module")
def first(site: Site, prediction: Run) -> Run:
    return site.make("site", "--diff")


def fetched(url: str) -> str:
    """The page, as soon as there is one: a server that was just started does not listen yet."""
    deadline = time.monotonic() + waiting.PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=waiting.PATIENCE) as answer:
                text: str = answer.read().decode()
                return text.strip()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_the_prediction_is_what_is_done(prediction: Run, first: Run) -> None:
    assert prediction.actions == first.actions
    assert prediction.changed == first.changed > 0


def test_next_to_nothing_is_skipped(first: Run) -> None:
    """Two tasks: what would make up for what the host lacks, and what a host does that hands images to others."""
    assert "skipped=2 " in first.output


def test_long_work_is_seen_while_it_goes_on(first: Run) -> None:
    """Through a pipe too; a log that stands still looks like one of a command that hangs."""
    begun = first.came("TASK [barekernel.containers.stack : Everything that is declared for this host]")
    seen = first.came("  [localhost: stack default: building")
    done = first.came("changed: [localhost]", begun)
    assert begun <= seen < done - 2, (begun, seen, done)


def test_the_summary_names_each_container(first: Run) -> None:
    for word in ("web", "client", "running", "10.88.0.10", "8080", "exec -t web sh"):
        assert word in " ".join(first.output.split())


def test_limits_that_cannot_be_kept_are_told_once(first: Run) -> None:
    unkept = {why for r in first.of("ns_container") for why in r["container"]["limits_not_enforced"].values()}
    told = " ".join(first.output.split())
    for reason in unkept:
        assert told.count(reason.partition(";")[0]) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "10.88.0.1:8080", "10.88.0.10", "[fd88::10]"])
def test_web_answers(first: Run, address: str) -> None:
    assert fetched(f"http://{address}/") == PAGE


def test_client_finds_web_by_name(first: Run) -> None:
    log = Path("/var/lib/barekernel/containers/client/log")

    def told() -> list[str]:
        return [file.read_text() for file in log.rglob("*") if file.is_file()]

    waiting.until("a page in the client's log", lambda: any(PAGE in text for text in told()), told)


def test_again_nothing_changes(site: Site, first: Run) -> None:
    again = site.make("site")
    assert again.changed == 0
    assert again.actions == []


def changes(run: Run, module: str, name: str) -> dict[str, str]:
    """Each option that the module says it changes, and how."""
    return {change["option"]: change["how"] for result in run.of(module, name) for change in result["changes"]}


#: (what the user replaces, by what, the module and object it is about, the options and how they are applied, a proof)
EDITS: list[tuple[str, str, str, str, dict[str, str], Callable[[], Any]]] = [
    (
        "PAGE: " + PAGE,
        "PAGE: Another page.",
        "ns_container",
        "web",
        {"env.PAGE": "restart"},
        lambda: fetched("http://127.0.0.1:8080/") == "Another page.",
    ),
    (
        '["8080:80"]',
        '["8088:80"]',
        "ns_container",
        "web",
        {"ports": "live"},
        lambda: fetched("http://127.0.0.1:8088/") == "Another page.",
    ),
    (
        '[10.88.0.10, "fd88::10"]',
        '[10.88.0.20, "fd88::20"]',
        "ns_container",
        "web",
        {"networks.lab0": "live", "hosts": "live", "ports": "live"},
        lambda: fetched("http://10.88.0.20/") == "Another page.",
    ),
    (
        "      cmd: [sh]",
        "      cmd: [sh, -l]",
        "ns_container",
        "web",
        {"image": "recreate"},
        lambda: fetched("http://127.0.0.1:8088/") == "Another page.",
    ),
]


@pytest.mark.parametrize("edit", EDITS, ids=["environment", "port", "address", "image"])
def test_one_value_is_one_change(site: Site, first: Run, edit: tuple[Any, ...]) -> None:
    before, after, module, name, expected, proof = edit
    site.edit(before, after)
    predicted = site.make("site", "--check --diff")
    done = site.make("site", "--diff")
    assert changes(done, module, name) == expected
    assert predicted.actions == done.actions
    # Where the other one is found is all that may change for the client.
    assert set(changes(done, "ns_container", "client")) <= {"hosts"}
    assert proof()
    assert site.make("site").changed == 0


def test_required_limits_fail_before_anything_is_made(site: Site, first: Run) -> None:
    unkept = first.of("ns_container", "web")[0]["container"]["limits_not_enforced"]
    run = site.make("site", "-e container_limits=require", expect=2 if unkept else 0)
    assert not run.actions
    if unkept:
        assert "held by" in run.output


def test_teardown_leaves_nothing(site: Site, first: Run, clean: leaks.Snapshot) -> None:
    site.make("teardown")
    # Images stay unless they are purged, and so does the record of whose they are.
    recorded = "left behind: file /var/lib/barekernel/stacks"
    assert [left for left in leaks.leaked_since(clean, kept=IMAGES) if not left.startswith(recorded)] == []
    again = site.make("teardown")
    assert again.changed == 0
    site.make("teardown", "-e purge_images=true")
    assert leaks.leaked_since(clean) == []
    assert site.make("teardown", "-e purge_images=true").changed == 0
