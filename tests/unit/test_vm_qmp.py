# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's control socket: whole objects out of any pieces, answers told from events, every failure a sentence."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.barekernel.containers.tests.vm import qmp
from ansible_collections.barekernel.containers.tests.vm.errors import VmError
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.once

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text()), max_size=5), st.data())
def test_objects_survive_any_cutting(objects: list[dict[str, object]], data: st.DataObject) -> None:
    raw = b"".join(json.dumps(one).encode() + b"\r\n" for one in objects)
    framer, found = qmp.Framer(), []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        found += framer.feed(raw[:size])
        raw = raw[size:]
    assert found == objects


def test_what_is_not_json_is_an_error() -> None:
    with pytest.raises(VmError, match="not a QMP message"):
        qmp.Framer().feed(b"(qemu) \n")


@contextlib.contextmanager
def peer(path: str, answers: list[bytes]) -> Iterator[list[dict[str, object]]]:
    """A QEMU that greets and answers each command with the next of ``answers``, then closes."""
    asked: list[dict[str, object]] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def serve() -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(GREETING)
            for answer, line in zip(answers, lines):
                asked.append(json.loads(line))
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        thread.join()
        server.close()


def test_an_answer_is_told_from_events(tmp_path) -> None:
    answers = [b'{"return": {}}\n', b'{"event": "STOP"}\n{"return": {"status": "completed"}}\n']
    with peer(str(tmp_path / "qmp.sock"), answers) as asked, qmp.connect(str(tmp_path)) as session:
        qmp.wait_for_migration(session, 60.0)
    assert asked == [{"execute": "qmp_capabilities"}, {"execute": "query-migrate"}]


def test_a_refusal_carries_qemus_words(tmp_path) -> None:
    answers = [b'{"return": {}}\n', b'{"error": {"class": "GenericError", "desc": "No such file"}}\n']
    refused = pytest.raises(VmError, match="QEMU refused migrate: No such file")
    with peer(str(tmp_path / "qmp.sock"), answers) as asked, qmp.connect(str(tmp_path)) as session, refused:
        session.execute("migrate", uri="exec:cat > x")
    assert asked[1] == {"execute": "migrate", "arguments": {"uri": "exec:cat > x"}}


@pytest.mark.parametrize("answers", [[], [b'{"return": {}}\n']])
def test_a_closed_socket_is_a_sentence(tmp_path, answers: list[bytes]) -> None:
    closed = pytest.raises(VmError, match="control socket")
    with peer(str(tmp_path / "qmp.sock"), answers), closed, qmp.connect(str(tmp_path)) as session:
        session.execute("stop")


def test_a_socket_far_down_is_reached(tmp_path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with pytest.raises(VmError, match="No such file"), qmp.connect(str(deep)):
        pass
