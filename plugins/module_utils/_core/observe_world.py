# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host as it is and, with what plans will make of it, as it will be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .observe_files import Files

if TYPE_CHECKING:
    from .._kernel.namespaces import NetnsRef

Part = TypeVar("Part")


class World:
    """A host: each part of it is read once, when somebody first asks for it.

    A part is named by the function that reads it and that function's arguments. An operation that has not been executed
    yet says with ``expect`` what such a function will return after it (Operation.expect). So the next object is planned
    against the host as the plans before it leave it, and check mode is the same as applying without the last step.

    A world is good for as long as nobody else changes the host: for one look under the locks.
    """

    def __init__(self) -> None:
        self.files = Files()
        self._parts: dict[tuple[Any, ...], Any] = {}
        self._parameters: dict[tuple[NetnsRef, str], str | None] = {}
        self._written: dict[NetnsRef, list[tuple[str, str]]] = {}
        self._new_namespaces: set[NetnsRef] = set()

    def read(self, reader: Callable[..., Part], *arguments: Any) -> Part:
        """What ``reader(*arguments)`` returns, or has returned. Raises what the reader raises, each time anew."""
        return self.part((reader, *arguments), lambda: reader(*arguments))

    def part(self, key: tuple[Any, ...], read: Callable[[], Part]) -> Part:
        """The same for what is known by another key than the function that reads it."""
        if key not in self._parts:
            self._parts[key] = read()
        found: Part = self._parts[key]
        return found

    def knows(self, reader: Callable[..., Any], *arguments: Any) -> bool:
        """Whether that has been read, or is expected."""
        return (reader, *arguments) in self._parts

    def known(self, reader: Callable[..., Part]) -> list[tuple[tuple[Any, ...], Part]]:
        """Everything that was read by that function or is expected of it: its arguments, and what it returns."""
        return [(key[1:], value) for key, value in self._parts.items() if key[0] == reader]

    def expect(self, value: Any, reader: Callable[..., Any], *arguments: Any) -> None:
        """From now on ``value`` is what that reader returns."""
        self.expect_part(value, (reader, *arguments))

    def expect_part(self, value: Any, key: tuple[Any, ...]) -> None:
        """The same for part()."""
        self._parts[key] = value

    def forget(self, reader: Callable[..., Any]) -> None:
        """Whatever that reader returned is to be read again, as it was changed by other means than operations."""
        for key in [key for key in self._parts if key[0] == reader]:
            del self._parts[key]

    def sysctls(self, names: Iterable[str], netns: NetnsRef | None = None) -> dict[str, str | None]:
        """Kernel parameters (_kernel/sysctl.py) of the host or of another network namespace, None for one that there is
        not. Raises KernelError."""
        from .._kernel import sysctl  # here, as below: many objects have none
        from .._kernel.namespaces import HOST

        netns = netns or HOST
        wanted = tuple(names)
        unknown = tuple(name for name in wanted if (netns, sysctl.path_of(name)) not in self._parameters)
        if unknown:
            new = netns in self._new_namespaces
            for name, value in (sysctl.read_fresh(unknown) if new else sysctl.read_many(unknown, netns)).items():
                self._parameters[netns, sysctl.path_of(name)] = value
            for name, value in self._written.get(netns, ()):
                self._expect_carried(name, value, netns, [sysctl.path_of(other) for other in unknown])
        return {name: self._parameters[netns, sysctl.path_of(name)] for name in wanted}

    def expect_sysctl(self, name: str, value: str, netns: NetnsRef | None = None) -> None:
        """From now on that is the parameter's value, and others are what the kernel makes of them along with it."""
        from .._kernel import sysctl
        from .._kernel.namespaces import HOST
        from .._kernel.sysctl_carried import carries

        netns, value = netns or HOST, sysctl.normalise(value)
        if carries(name):
            self._written.setdefault(netns, []).append((name, value))
            self._expect_carried(name, value, netns, [path for there, path in self._parameters if there == netns])
        self._parameters[netns, sysctl.path_of(name)] = value

    def _expect_carried(self, name: str, value: str, netns: NetnsRef, paths: Iterable[str]) -> None:
        from .._kernel.sysctl_carried import carried
        from .._kernel.sysctl_names import name_of, path_of

        there = [name_of(path) for path in paths if self._parameters[netns, path] is not None]
        for other, becomes in carried(name, value, there).items():
            self._parameters[netns, path_of(other)] = becomes

    def expect_new_sysctls(self, netns: NetnsRef) -> None:
        """That network namespace is made anew: its parameters are those of any new one."""
        self._new_namespaces.add(netns)
        self._written.pop(netns, None)
        for known in [known for known in self._parameters if known[0] == netns]:
            del self._parameters[known]
