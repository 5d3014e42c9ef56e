# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be wrong with an image, its source or the store."""

from __future__ import annotations

from .._kernel.errors import BareKernelError


class ImageError(BareKernelError):
    """An image cannot be had, read or trusted. The message names the image or file and what is wrong with it;
    ``hint`` is one sentence on what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.hint = hint


class BadOption(ImageError):
    """What an option names cannot be used: the option's name, its value, and what is wrong with it."""

    def __init__(self, option: str, value: str, why: str) -> None:
        super().__init__(f"{option}: {value!r}: {why}")
        self.option, self.value, self.why = option, value, why


class HostileLayer(ImageError):
    """A layer holds what no honest tool writes, or what the policy forbids; nothing of it became visible."""


class Unreachable(ImageError):
    """The registry could not be asked: down, cut off, or not to be trusted; ``missing`` where it answered that it
    has no such image."""

    def __init__(self, message: str, hint: str = "", missing: bool = False) -> None:
        super().__init__(message, hint)
        self.missing = missing


def shown(name: bytes) -> str:
    """A path out of an archive, which may be megabytes long, as an error quotes it."""
    return repr(name) if len(name) <= 200 else f"{name[:200]!r}..."
