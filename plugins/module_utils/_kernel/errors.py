# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of all errors that are meant to be read, and those of the kernel layer."""

from __future__ import annotations

import errno as _errno
import os
from typing import TypeVar

Error = TypeVar("Error", bound="BareKernelError")


class BareKernelError(Exception):
    """What is raised for a person: ``str`` says what is wrong and what to do. Everything else is a mistake of ours.

    KernelError is a refused system call; RuntimeFailure (_runtime/errors.py) is nsrun's, ImageError (_image/errors.py)
    of images and their sources; _core/errors.py has those of a task.
    """

    #: What is missing may be something that an earlier task makes, which in check mode has made nothing.
    absent = False


def absent(error: Error) -> Error:
    """The error, marked so."""
    error.absent = True
    return error


class KernelError(BareKernelError, OSError):
    """A refused system call: what was asked, of what, and what the person can do about it.

    errno and strerror are those of OSError; ``syscall`` is the call's name as its man page
    spells it, ``path`` the object it was about (or None), ``hint`` one sentence of advice and
    ``detail`` the kernel's own longer words where it gives any (a file-system context's log).
    """

    def __init__(
        self,
        errno: int,
        syscall: str,
        path: str | bytes | None = None,
        hint: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(errno, os.strerror(errno))
        self.syscall = syscall
        self.path = os.fsdecode(path) if path is not None else None
        self.hint = hint
        self.detail = detail

    @classmethod
    def wrap(cls, error: OSError, syscall: str, path: str | bytes | None = None, hint: str = "") -> KernelError:
        """The same refusal as an OSError raised by Python's own wrapper of the call."""
        return cls(error.errno or _errno.EIO, syscall, path if path is not None else error.filename, hint)

    def __str__(self) -> str:
        where = f" {self.path}" if self.path is not None else ""
        name = _errno.errorcode.get(self.errno or 0, str(self.errno))
        text = f"{self.syscall}{where}: {self.strerror} ({name})"
        if self.detail:
            text += f": {self.detail}"
        if self.hint:
            text += f". {self.hint}"
        return text


class Busy(KernelError):
    """Something still uses the object; ``holders`` names the processes, as "PID command"."""

    def __init__(
        self, errno: int, syscall: str, path: str | bytes | None, holders: tuple[str, ...], hint: str = ""
    ) -> None:
        super().__init__(errno, syscall, path, hint, detail="held by " + ", ".join(holders) if holders else "")
        self.holders = holders
