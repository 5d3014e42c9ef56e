# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PID is a process's only while that lives: whoever has it next is neither looked at nor sent a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup, process, process_root
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import identity_of_process
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import cgroups, pipes

from tests import waiting

COLLECTIONS = Path(process.__file__).parents[6]


def give_its_pid_to_another(pid: int) -> subprocess.Popen[bytes]:
    """A new process that has that PID, which is free."""
    while True:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        other = subprocess.Popen(["sleep", "1000"])
        if other.pid == pid:
            return other
        other.kill()
        other.wait()


LOOKS: dict[str, Callable[[int, int | None], Any]] = {
    "open_process": process.open_process,
    "open_namespace": lambda pid, started: process.open_namespace(pid, started, "net"),
    "exists": lambda pid, started: process_root.exists(pid, started, "/"),
    "read_file": lambda pid, started: process_root.read_file(pid, started, "/etc/passwd"),
}


def test_who_has_the_pid_of_one_that_ended_is_another() -> None:
    """Also where the /proc/PID of the first is open still."""
    with waiting.process("sleep", "1000") as first:
        pid, started = first.pid, process.start_time(first.pid)
        with process.entry(pid, started) as entry:
            first.kill()
            first.wait()
            while process.start_time(os.getpid()) == started:  # a tick of the clock later
                pass
            other = give_its_pid_to_another(pid)
            try:
                with pytest.raises((FileNotFoundError, ProcessLookupError)):
                    os.open("ns/net", os.O_RDONLY, dir_fd=entry)
                for when in (started, None):
                    assert not process.alive(pid, when) and identity_of_process(pid, when, "net") is None
                    for name, look in LOOKS.items():
                        with pytest.raises(KernelError, match="ESRCH"):
                            pytest.fail(f"{name}: {look(pid, when)}")
                reader, writer = os.pipe()
                pipes.give((reader, writer), pid, started, 1000, 1000)
                assert os.fstat(reader).st_uid == 0
                os.close(reader)
                os.close(writer)
                process.kill_descent(pid, os.getppid())  # it is a child, and not of that one
                assert process.alive(pid, process.start_time(pid))
            finally:
                other.kill()
                other.wait()


def test_a_signal_to_all_of_a_cgroup_spares_the_sender() -> None:
    """One that the sender's PID namespace does not show is listed as 0, which kill(2) takes for one's own group."""
    path = f"{cgroups.mount_point()}/bktest-signal"
    cgroup.make(path)
    code = f"import sys; sys.path.insert(0, {str(COLLECTIONS)!r})\n"
    code += "from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup\n"
    code += f"assert 0 in cgroup.processes({path!r}); cgroup.signal_all({path!r}, 15); print('lives')"
    try:
        with waiting.process("sleep", "1000") as unseen, waiting.process("sleep", "1000") as seen:
            cgroup.attach(path, unseen.pid)
            inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
            assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout == "lives\n"
            cgroup.attach(path, seen.pid)
            cgroup.signal_all(path, signal.SIGTERM)
            assert (unseen.wait(10), seen.wait(10)) == (-signal.SIGTERM, -signal.SIGTERM)
    finally:
        cgroup.kill(path)
        cgroup.remove(path)
