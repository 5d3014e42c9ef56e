# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests against the real kernel: isolated from the machine, and nothing may be left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from . import compiling
from .clearing import clear
from .leaks import Snapshot, leaked_since, take

compiling.remember()


def pytest_configure(config: pytest.Config) -> None:
    runs_tests = config.getoption("dist", "no") == "no" or hasattr(config, "workerinput")  # pytest-xdist hands them out
    if runs_tests and "BAREKERNEL_ISOLATED" not in os.environ:
        raise pytest.UsageError(
            "tests/kernel changes mounts and networks: run it as `tests/isolated pytest tests/kernel`"
        )


@pytest.fixture(scope="session", autouse=True)
def nothing_left_by_the_run() -> Iterator[None]:
    """Counted before and after the whole run."""
    before = take()
    yield
    assert leaked_since(before) == []


@pytest.fixture(autouse=True)
def nothing_left_by_the_test() -> Iterator[Snapshot]:
    """Counted before and after each test, so that the culprit has a name."""
    before = take()
    yield before
    left = leaked_since(before)
    if left:
        # One fault is one failure: the tests that follow find the host as this one did.
        clear(before)
    assert left == []
