# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mountinfo is parsed as the kernel writes it."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import mountinfo
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from hypothesis import given
from hypothesis import strategies as st


def escape(raw: bytes) -> bytes:
    """As fs/proc_namespace.c does (mangle): space, tab, newline, backslash and hash in octal."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in raw)


@given(st.binary(max_size=60).filter(lambda raw: b"\0" not in raw))
def test_unescape_undoes_the_kernels_escapes(raw: bytes) -> None:
    assert mountinfo.unescape(escape(raw)) == raw


def test_a_line_with_optional_fields_and_odd_bytes() -> None:
    line = rb"36 35 98:0 /mnt1 /mnt\0402 rw master:1 shared:7 - overlay barekernel:a rw,lowerdir=/l\054x,upperdir=/u"
    mount = mountinfo.parse_line(line)
    assert mount.target == b"/mnt 2"
    assert mount.propagation == ("master:1", "shared:7")
    assert mount.source == b"barekernel:a"
    assert mount.options == (b"rw", b"lowerdir=/l,x", b"upperdir=/u")


def test_a_process_that_has_ended_and_is_not_waited_for_is_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        directory = os.open(f"/proc/{pid}", os.O_PATH)
        try:
            for asked in ({"pid": pid}, {"directory": directory}):
                with pytest.raises(KernelError) as caught:
                    mountinfo.read_mountinfo(**asked)  # type: ignore[arg-type]
                assert caught.value.errno == errno.ESRCH
        finally:
            os.close(directory)
    finally:
        os.waitpid(pid, 0)
