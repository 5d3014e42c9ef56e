# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One family of errors with one base: whoever says "whatever fails" needs no list."""

from __future__ import annotations

import ast
import errno
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import restoring
from ansible_collections.barekernel.containers.plugins.module_utils._boot.resource import Restorable
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import Plan
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import BareKernelError, KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import BundleError

from tests import collection

BASE = BareKernelError.__name__
#: Raised and caught within one file, or in a pair of them: no person reads these.
INNER = {"BadTemplate", "HelpAsked", "_NotWritten", "CannotTell", "_Obstacle", "Inexpressible"}
BUILTIN = {"Exception", "OSError", "RuntimeError", "ValueError", "LookupError"}


def exceptions() -> Iterator[tuple[str, set[str]]]:
    """Every class below plugins/ that is one, with the names of its bases."""
    classes: dict[str, set[str]] = {}
    for file in sorted((collection.CHECKOUT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}

    def above(name: str) -> set[str]:
        return {name}.union(*(above(base) for base in classes.get(name, ())))

    yield from ((name, above(name)) for name in classes if above(name) & BUILTIN)


@pytest.mark.parametrize(("name", "above"), list(exceptions()))
def test_every_error_is_of_the_family(name: str, above: set[str]) -> None:
    assert (BASE in above) != (name in INNER)


def test_a_refused_call_stays_an_oserror() -> None:
    error = KernelError(errno.ENOENT, "open", "/x", "Make it")
    assert isinstance(error, OSError) and error.errno == errno.ENOENT and error.args == (2, "No such file or directory")
    assert str(error) == "open /x: No such file or directory (ENOENT). Make it"


class Thing:
    """A kind of object of which the first two cannot be brought back."""

    name = "thing"
    lock_names = ()

    def restorable(self) -> Iterator[Any]:
        for name, error in (("a", ImageError("no layer")), ("b", BundleError("x", 1, "is no")), ("c", None)):
            yield restoring_of(name, error)


def restoring_of(name: str, error: Exception | None) -> Any:
    def desired() -> Any:
        if error is not None:
            raise error
        return name

    return Restorable(name, desired)


def test_whatever_fails_at_boot_the_rest_is_brought_back(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    outcome = type("Outcome", (), {"plan": Plan((), {}, {})})
    monkeypatch.setattr(restoring, "converge_locked", lambda _resource, _desired: outcome)
    assert restoring.restore([Thing]) == 1  # type: ignore[list-item]
    said = capsys.readouterr()
    assert said.err == "thing a: no layer\nthing b: x: 1: is no\n" and said.out == "thing c: nothing to do\n"
