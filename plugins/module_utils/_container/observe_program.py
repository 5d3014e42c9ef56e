# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the kernel would execute a container's program: looked for in the layers of its image. execve(2)."""

from __future__ import annotations

import os
import posixpath
import resource
import stat
import struct
from collections.abc import Collection, Iterator, Sequence

from .._image.layers.find import Found, Stack
from .._image.store.store import Image
from .._kernel import elf
from .documents_bundle import environment, process_args
from .observe_covered import PROGRAM, UNKNOWN, Covers
from .observed import Unusable
from .records import Container

#: PATH_MAX and NAME_MAX of limits.h, in bytes.
_LONGEST_PATH, _LONGEST_NAME = 4096, 255
#: How much of a #! line the kernel takes, in bytes (BINPRM_BUF_SIZE).
_LINE = 256
#: How often a #! line may lead to a file that has one, fs/exec.c.
_MOST_INTERPRETERS = 5
#: Of the room for arguments and environment: a quarter of the stack, at least ARG_MAX and at most 6 MiB (fs/exec.c).
_ARG_MAX, _MOST = 128 * 1024, 6 * 1024 * 1024


def program(container: Container, image: Image, root: Stack, covers: Covers, cwd: str) -> Iterator[Unusable]:
    """What would keep the program from being executed, as far as that is known for sure. Raises CannotTell."""
    words = process_args(container, image.config)
    if not words or not words[0]:
        return
    name = words[0]
    option = "command" if container.command else "args" if container.args else "image"
    if too_long(os.fsencode(name)):
        yield Unusable(option, f"{name[:40]}...", "no program can have so long a name: the first word is the program")
        return
    path = next((e[5:] for e in environment(container, image.config) if e.startswith("PATH=")), "")
    places = [name] if "/" in name else [f"{directory}/{name}" for directory in path.split(":")]
    covered = covers.places
    found = [root.find(posixpath.join(cwd, place), covered) for place in places]
    first = next((there for there in found if _may_run(there, covers)), None)
    hidden = next((there for there in found if first is None and there.covered and root.find(there.path).status), None)
    if hidden is not None:
        by = covers.over(hidden.path)
        what = f"{by.option} hides it" if by is not None and by.option else "what every container has there hides it"
        yield Unusable(option, name, f"is {hidden.path} in the image, and {what}: mount that elsewhere")
    elif first is None:
        there = any(entry.status is not None and stat.S_ISREG(entry.status.st_mode) for entry in found)
        where = "" if "/" in name else f" in PATH ({path})"
        why = "is not executable" if there else f"no such program is in image '{container.image}'{where}"
        yield Unusable(option, name, why)
    elif not first.covered and (why := _not_executed(first.path, root, covered, cwd)):
        yield Unusable(option, name, why)


def sizes(container: Container, image: Image) -> Iterator[Unusable]:
    """What execve(2) would call too big (E2BIG): one word, or all of them."""
    longest = 32 * resource.getpagesize()  # MAX_ARG_STRLEN, with the NUL at its end
    words = process_args(container, image.config)
    option = "command" if container.command else "args" if container.args else "image"
    variables = environment(container, image.config)
    for word in words:
        if len(_bytes(word)) >= longest:
            yield Unusable(option, f"{word[:20]}...", _too_big(len(_bytes(word)), longest - 1))
    for variable in variables:
        if len(_bytes(variable)) >= longest:
            name = variable.partition("=")[0]
            own = f"env.{name[:40]}" if name in container.env else "image"
            yield Unusable(own, "a long text", _too_big(len(_bytes(variable)), longest - 1))
    room = _room(container)
    size = sum(len(_bytes(text)) + 1 + struct.calcsize("P") for text in (*words, *variables))
    if size > room:
        yield Unusable("env", "all of it", f"with the arguments it is {size} bytes, and the kernel takes {room}")


def _too_big(size: int, most: int) -> str:
    return f"is {size} bytes long, and the kernel takes {most} for one argument or variable: mount a file instead"


def _room(container: Container) -> int:
    given = container.rlimits.get("stack", "").partition(":")[0]
    stack = int(given) if given.isdigit() else resource.getrlimit(resource.RLIMIT_STACK)[0]
    return _MOST if stack < 0 else max(_ARG_MAX, min(_MOST, stack // 4))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def too_long(name: bytes) -> bool:
    """Whether the kernel would take no such path, ENAMETOOLONG."""
    return len(name) >= _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in name.split(b"/"))


def _may_run(found: Found, covers: Covers) -> bool:
    return covers.look(found.path) in (PROGRAM, UNKNOWN) if found.covered else _runs(found)


def _runs(found: Found) -> bool:
    mode = found.status.st_mode if found.status is not None else 0
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def _not_executed(path: str, root: Stack, covered: Collection[str], cwd: str) -> str:
    """Why the kernel would not execute the file; empty where nothing is known to stand against it."""
    whose = "it"
    for _depth in range(_MOST_INTERPRETERS):
        head = root.read(path, elf.HEAD) or b""
        if elf.is_elf(head):
            return _elf(head, whose, root, covered)
        if _has_binary_formats():
            return ""
        if not head.startswith(b"#!"):
            return f"{whose} is not a program for this machine, and has no #! line"
        line = head[2:_LINE].split(b"\n")[0].strip(b" \t")
        interpreter = os.fsdecode(line.split(b"\0")[0].replace(b"\t", b" ").split(b" ")[0].rstrip(b"\r"))
        if not interpreter:
            return f"the #! line of {whose} names no interpreter"
        why, there = _named(interpreter, "interpreter", whose, root, covered, cwd)
        if why or there is None:
            return why
        path, whose = there.path, interpreter
    return ""


def _elf(head: bytes, whose: str, root: Stack, covered: Collection[str]) -> str:
    machine = elf.other_machine(head)
    if machine and not _has_binary_formats():
        return f"{whose} is a program for {machine}, and this host is {os.uname().machine}"
    loader = elf.loader(head)
    return _named(loader, "loader", whose, root, covered, "/")[0] if loader else ""


def _named(
    name: str, what: str, whose: str, root: Stack, covered: Collection[str], cwd: str
) -> tuple[str, Found | None]:
    """Why the file that a program names cannot be used, and what it is where that can be told."""
    there = root.find(posixpath.join(cwd, name), covered)
    if there.covered:
        return "", None
    if there.status is None:
        return f"the {what} that {whose} names, {name}, is not in the image", None
    if not _runs(there):
        return f"the {what} that {whose} names, {name}, is not executable", None
    return "", there


def _has_binary_formats() -> bool:
    """Whether the host executes more than its own programs: binfmt_misc, as qemu-user-static sets it up."""
    try:
        names: Sequence[str] = os.listdir("/proc/sys/fs/binfmt_misc")
    except OSError:
        return False
    return bool(set(names) - {"register", "status"})
