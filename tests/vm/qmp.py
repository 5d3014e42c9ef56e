# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's control socket (QMP): JSON objects, one a line; answers, and events in between."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from .errors import VmError


class Framer:
    """Bytes as they arrive -> whole objects."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that these bytes complete, in order. Raises VmError for what is not JSON."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            return [json.loads(line) for line in lines if line.strip()]
        except ValueError as error:
            raise VmError(f"QEMU's control socket: not a QMP message: {error}") from error


class Qmp:
    """A connection after the handshake. ``execute`` waits for the answer to its own command."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._framer = Framer()
        self._pending: list[dict[str, Any]] = []
        if "QMP" not in self._receive():
            raise VmError("QEMU's control socket: no QMP greeting")
        self.execute("qmp_capabilities")

    def _receive(self) -> dict[str, Any]:
        while not self._pending:
            try:
                data = self._connection.recv(65536)
            except socket.timeout as error:
                raise VmError("QEMU's control socket: no answer in time") from error
            except OSError as error:
                raise VmError(f"QEMU's control socket: {error}") from error
            if not data:
                raise VmError("QEMU's control socket was closed: QEMU ended")
            self._pending = self._framer.feed(data)
        return self._pending.pop(0)

    def execute(self, command: str, **arguments: Any) -> Any:
        """What the command returned. Raises VmError with QEMU's words for a refusal, a timeout or a closed socket."""
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise VmError(f"QEMU's control socket: {command}: {error}") from error
        while True:
            answer = self._receive()
            if "error" in answer:
                raise VmError(f"QEMU refused {command}: {answer['error'].get('desc', answer['error'])}")
            if "return" in answer:
                return answer["return"]

    def quit(self) -> None:
        """Have QEMU end. It may close the socket before its answer is out, which is an answer as well."""
        with contextlib.suppress(VmError):
            self.execute("quit")


@contextlib.contextmanager
def connect(directory: str, name: str = "qmp.sock", timeout: float = 10.0) -> Iterator[Qmp]:
    """A session with the QEMU whose socket is ``directory/name``. Raises VmError.

    The socket is reached through a descriptor of its directory: an address holds 107 bytes, a path may hold more.
    """
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        try:
            connection.connect(f"/proc/self/fd/{handle}/{name}")
        except OSError as error:
            raise VmError(f"QEMU's control socket in {directory}: {error}") from error
        yield Qmp(connection)
    finally:
        connection.close()
        os.close(handle)


def wait_for_migration(qmp: Qmp, timeout: float) -> None:
    """Until the outgoing or incoming migration is complete. Raises VmError when it failed or takes too long."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        status = qmp.execute("query-migrate").get("status", "none")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise VmError(f"the machine's state could not be transferred: migration {status}")
        time.sleep(0.1)
    raise VmError(f"the machine's state was not transferred within {timeout:.0f} s")
