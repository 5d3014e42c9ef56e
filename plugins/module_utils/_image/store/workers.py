# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in processes of its own: layers unpack as many at once as there are processors, a build is kept apart."""

from __future__ import annotations

import json
import os
import select
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel import clone, mount, process
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, ImageError

_POLL = 0.1
Report = Callable[[Mapping[str, Any]], None]


@dataclass
class _Worker:
    key: str
    pid: int
    pipe: int
    pending: bytes = b""
    result: Mapping[str, Any] | None = None


class Pool:
    """Runs functions in forked children; their result (plain data) or error comes back.

    ``start`` never blocks, ``wait`` hands out what has finished. Leaving the context ends what still runs.
    With ``apart`` each child has PID and mount namespaces of its own, so that whatever it starts or mounts ends with
    it, however it ends and whatever that became meanwhile.
    """

    def __init__(self, at_once: int = 0, apart: bool = False) -> None:
        self.at_once = at_once or len(os.sched_getaffinity(0))
        self._apart = apart
        self._waiting: list[tuple[str, Callable[[Report], Mapping[str, Any]]]] = []
        self._running: dict[int, _Worker] = {}
        self.reports: dict[str, Mapping[str, Any]] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._waiting.clear()
        for worker in list(self._running.values()):
            os.kill(worker.pid, signal.SIGKILL)
            self._reap(worker)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running)

    @property
    def full(self) -> bool:
        """Whether what is submitted now would have to wait."""
        return len(self._waiting) + len(self._running) >= self.at_once

    def submit(self, key: str, work: Callable[[Report], Mapping[str, Any]]) -> None:
        """``work`` gets a function to report progress with."""
        self._waiting.append((key, work))
        self._fill()

    def wait(self, seconds: float) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What finished within that time. Raises the error of a worker that failed."""
        if not self._running:
            return
        ready, _none, _nor = select.select(list(self._running), [], [], seconds)
        for pipe in ready:
            worker = self._running[pipe]
            data = os.read(pipe, 65536)
            if data:
                self._lines(worker, data)
                continue
            self._reap(worker)
            self._fill()
            if worker.result is None:
                raise ImageError(f"the process that worked on {worker.key} was ended from outside")
            yield worker.key, _value(worker.result)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.at_once:
            key, work = self._waiting.pop(0)
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            ours = process.pidfd_open(os.getpid())
            pid, pidfd = clone.clone3(clone.CLONE_NEWPID | clone.CLONE_NEWNS) if self._apart else (os.fork(), -1)
            if pid == 0:
                _child(write_end, work, ours, self._apart)
            for fd in (write_end, ours, pidfd):
                if fd >= 0:
                    os.close(fd)
            self._running[read_end] = _Worker(key, pid, read_end)

    def _reap(self, worker: _Worker) -> None:
        os.close(worker.pipe)
        del self._running[worker.pipe]
        os.waitpid(worker.pid, 0)

    def _lines(self, worker: _Worker, data: bytes) -> None:
        *lines, worker.pending = (worker.pending + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "report" in message:
                self.reports[worker.key] = message["report"]
            else:
                worker.result = message


def run_apart(
    what: str, work: Callable[[Report], Mapping[str, Any]], show: Callable[[Mapping[str, Any]], None]
) -> None:
    """One piece of work, kept apart; ``show`` gets what it reports. Raises its error."""
    with Pool(1, apart=True) as pool:
        pool.submit(what, work)
        while pool.busy:
            for _ended in pool.wait(_POLL):
                pass
            show(pool.reports.get(what, {}))


def _child(pipe: int, work: Callable[[Report], Mapping[str, Any]], parent: int, apart: bool) -> None:
    """The child's whole life; it never returns into the parent's code."""
    status = 1
    try:
        process.end_with(parent)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

        def send(message: Mapping[str, Any]) -> None:
            data = json.dumps(message).encode() + b"\n"
            while data:
                data = data[os.write(pipe, data) :]

        try:
            if apart:
                mount.set_propagation(b"/", "private", recursive=True)
                mount.mount("proc", "/proc", "proc")
            send({"value": work(lambda report: send({"report": report}))})
            status = 0
        except KernelError as error:
            fields = [error.errno, error.syscall, error.path, error.hint, error.detail]
            send({"error": "kernel", "fields": fields})
        except ImageError as error:
            send({"error": type(error).__name__, "message": str(error)})
        except BaseException:
            send({"error": "bug", "message": traceback.format_exc()})
    finally:
        os._exit(status)


def _value(result: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = result.get("error")
    if kind is None:
        value: Mapping[str, Any] = result["value"]
        return value
    if kind == "kernel":
        raise KernelError(*result["fields"])
    raise (HostileLayer if kind == "HostileLayer" else ImageError)(result["message"])
