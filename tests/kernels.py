# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernels to hand to operations in place of the real one: one records, one refuses, one dies half-way."""

from __future__ import annotations

import functools
import importlib
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.barekernel.containers.plugins import module_utils
from ansible_collections.barekernel.containers.plugins.module_utils._boot import library
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import pyroute2_parts

#: What a process that was ended by a Dying kernel exits with.
DIED = 86


@functools.cache
def load_all() -> None:
    """Load what the code under test loads late, and find out its version: or every child does so for itself.

    In a child that is most of the time of a short task.
    """
    root = Path(module_utils.__path__[0])
    for file in root.rglob("[!_]*.py"):
        importlib.import_module(".".join((module_utils.__name__, *file.relative_to(root).with_suffix("").parts)))
    pyroute2_parts.iproute()
    library.version()


def in_child(work: Callable[[], object]) -> int:
    """Exit status of a child that did it: 0, DIED, or 1 with a traceback; as waitstatus_to_exitcode has it.

    Whatever the work raises, the child never goes on with the tests of its parent.
    """
    load_all()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Touched(AssertionError):
    """Something tried to change the host where nothing may be changed."""


class Watched:
    """Stands in front of a kernel; before() and after() see each call as "interface.function"."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def before(self, call: str, arguments: tuple[Any, ...]) -> None:
        """Seen before the call; nothing by default."""

    def after(self, call: str, arguments: tuple[Any, ...]) -> None:
        """Seen when the call has returned; nothing by default."""

    def __getattr__(self, interface: str) -> Any:
        return _Interface(self, interface, getattr(self.kernel, interface))


class _Interface:
    """One interface of a watched kernel: its functions are called through the watch, the rest is as it is."""

    def __init__(self, watch: Watched, name: str, real: Any) -> None:
        self._watch, self._name, self._real = watch, name, real

    def __getattr__(self, function: str) -> Any:
        real = getattr(self._real, function)
        if not callable(real) or isinstance(real, type):
            return real

        def watched(*args: Any, **kwargs: Any) -> Any:
            call = f"{self._name}.{function}"
            self._watch.before(call, args)
            answer = real(*args, **kwargs)
            self._watch.after(call, args)
            return answer

        return watched


class Recording(Watched):
    """Does what is asked and keeps the calls in order."""

    def __init__(self, kernel: Any) -> None:
        super().__init__(kernel)
        self.calls: list[str] = []

    def before(self, call: str, arguments: tuple[Any, ...]) -> None:
        self.calls.append(call)


class Refusing(Watched):
    """Raises Touched at the first call."""

    def before(self, call: str, arguments: tuple[Any, ...]) -> None:
        raise Touched(f"{call}{arguments!r}")


class Dying(Watched):
    """Ends the process, as a power cut would, when call number ``after_call`` has returned (0: before the first)."""

    def __init__(self, kernel: Any, after_call: int) -> None:
        super().__init__(kernel)
        self.left = after_call

    def before(self, call: str, arguments: tuple[Any, ...]) -> None:
        if self.left == 0:
            os._exit(DIED)

    def after(self, call: str, arguments: tuple[Any, ...]) -> None:
        self.left -= 1
        if self.left == 0:
            os._exit(DIED)
