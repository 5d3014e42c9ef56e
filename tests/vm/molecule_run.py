# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One scenario, run by Molecule: in front, with its output where ours goes, or beside others, with it in a file."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence

from . import process, record
from .errors import VmError


class Run:
    """A scenario to be run: started, then waited for, or ended with all that it started."""

    def __init__(
        self,
        name: str,
        ephemeral: str,
        names: Sequence[str],
        results: str,
        log: str = "",
        afterwards: Callable[[], object] = lambda: None,
    ) -> None:
        """One of the scenarios ``names``, whose machines the first of them boots.

        ``ephemeral`` is Molecule's own directory, ``results`` the one for what the verifier writes, ``log`` the file
        for what Molecule says, ``afterwards`` is called as soon as it has ended.
        """
        self.log = log
        self._afterwards = afterwards
        self._command = _command(name)
        self._environment = _environment(ephemeral, names)
        self._results = os.path.join(results, f"molecule-{name}-*.xml")
        self._group: process.Group | None = None
        self._error: OSError | None = None
        self._seconds = 0.0
        self._status = -1
        self._starting = threading.Lock()
        self._over = False
        # Its end is noted when it comes, not when somebody asks. And ^C, which interrupts the main thread anywhere,
        # can not come between its start and the note of it.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin, and go on."""
        for old in glob.glob(self._results):
            os.unlink(old)
        self._thread.start()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            with self._starting, contextlib.ExitStack() as stack:
                if self._over:
                    return
                output = stack.enter_context(open(self.log, "wb")) if self.log else None
                self._group = process.Group(self._command, record.CHECKOUT, self._environment, output)
        except OSError as error:
            self._error = error
            return
        self._status = self._group.wait()
        self._seconds = time.monotonic() - started
        self._afterwards()

    def finished(self) -> tuple[bool, float]:
        """Wait for it, and show what went into its log. Whether it passed, and how many seconds it took.

        Raises VmError where it could not be started.
        """
        # In steps: Python would handle a signal that comes just before it begins to wait only when the wait is over.
        while self._thread.is_alive():
            self._thread.join(timeout=1.0)
        if self._error:
            raise VmError(f"molecule can not be run: {self._error}") from self._error
        if self.log:
            with open(self.log, encoding="utf-8", errors="replace") as stream:
                shutil.copyfileobj(stream, sys.stdout)
            sys.stdout.flush()
        # The verifier writes nothing (see molecule/conftest.py) where no test was run, which is no success.
        return self._status == 0 and bool(glob.glob(self._results)), self._seconds

    def end(self) -> None:
        """End it, whether it was started, still runs, or has ended."""
        with self._starting:
            self._over = True
        if self._group:
            self._group.end()
        if self._thread.is_alive():
            self._thread.join()


def _command(name: str) -> list[str]:
    # Without it Molecule looks for the file in a git repository, and has no machines where there is none.
    base = os.path.join(record.CHECKOUT, ".config", "molecule", "config.yml")
    return ["molecule", f"--base-config={base}", "test", "--scenario-name", name, "--destroy=never"]


def _environment(ephemeral: str, names: Sequence[str]) -> dict[str, str]:
    return {
        **os.environ,
        "SCENARIO": " ".join(names),
        "MOLECULE_EPHEMERAL_DIRECTORY": ephemeral,
        "MOLECULE_COMMAND_BORDERS": "false",
        "PYTHONUNBUFFERED": "1",
        # A test that finds no machine fails instead of being skipped.
        "PYTEST_ADDOPTS": "-o empty_parameter_set_mark=fail_at_collect",
    }
