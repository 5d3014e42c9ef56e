# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a process on its way into a running container has of its runtime, when the container can see it already.

Two pipes: in one it waits for a byte until it may go on, into the other it writes why it failed. No socket:
getsockopt(2) of one gives a pidfd of the process at its other end (SO_PEERPIDFD, Linux 6.5), by which pidfd_getfd(2)
takes descriptors out of it. What comes out of the second pipe may be the container's words.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
from typing import Any

from ..errors import RuntimeFailure

_MOST = 65536
#: Characters of an error that are told; in JSON one takes 12 bytes at most (a surrogate pair), and a pipe holds 64 KiB.
_LONGEST_TEXT = 4096
_GO = b"\0"
_WHO = "the process that joins the container"


class Lifeline:
    """Both ends, until one is chosen by runtime_side() or other_side(). All descriptors are close-on-exec."""

    def __init__(self) -> None:
        self._go_on, self._let_go = os.pipe2(os.O_CLOEXEC)
        self._hear, self._tell = os.pipe2(os.O_CLOEXEC)
        # Shared with the stage, and not with the process that the stage makes: what is read there is the stage's word.
        self._made = mmap.mmap(-1, mmap.PAGESIZE)

    # The runtime's side.

    def runtime_side(self) -> None:
        """Close the ends that are the other side's."""
        os.close(self._go_on)
        os.close(self._tell)

    def close(self) -> None:
        """Close the runtime's ends: a process that waits at the others ends."""
        os.close(self._let_go)
        os.close(self._hear)

    def wait_ready(self) -> None:
        """Wait until the other side waits in wait(). Raises RuntimeFailure with its error."""
        data = os.read(self._hear, _MOST)
        if data != _GO:
            raise self._failure(data) or RuntimeFailure(f"{_WHO} ended before it was ready")

    def let_go(self) -> None:
        """Let it go on; it may have ended."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._let_go, _GO)

    def made(self) -> int:
        """The PID that the stage has told; 0 where it has told none."""
        return int.from_bytes(self._made[:4], "little")

    def end(self) -> RuntimeFailure | None:
        """Wait until the other side has become the program (None), or has ended."""
        return self._failure(os.read(self._hear, _MOST))

    def _failure(self, data: bytes) -> RuntimeFailure | None:
        if not data:
            return None
        try:
            text, status = json.loads(data)
            return RuntimeFailure(str(text), int(status))
        except (ValueError, TypeError, OverflowError, RecursionError):
            return RuntimeFailure(f"{_WHO} sent what is no message")

    # The other side: the stage, and the process that it makes.

    def other_side(self) -> None:
        """Close the runtime's ends."""
        os.close(self._let_go)
        os.close(self._hear)

    def filenos(self) -> tuple[int, int]:
        """What must stay open for wait() and fail()."""
        return self._go_on, self._tell

    def ready(self) -> None:
        """Tell the runtime, and wait until it lets us go on."""
        os.write(self._tell, _GO)
        self.wait()

    def wait(self) -> None:
        """Wait until the runtime lets us go on; without a runtime there is nothing to wait for: the process ends."""
        if not os.read(self._go_on, 1):
            os._exit(1)

    def begin_alone(self) -> None:
        """From now on a process that this one makes cannot tell made() anything; madvise(2), MADV_DONTFORK."""
        self._made.madvise(mmap.MADV_DONTFORK)

    def tell_made(self, pid: int) -> None:
        """The stage's word to made()."""
        self._made[:4] = pid.to_bytes(4, "little")

    def fail(self, text: str, status: Any = 1) -> None:
        """Tell the runtime of an error, of a long one its beginning, where it still listens."""
        cut = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."
        with contextlib.suppress(OSError):
            os.write(self._tell, json.dumps([cut, status]).encode())
