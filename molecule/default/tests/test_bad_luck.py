# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad luck that must be survived, with the real QEMU: a clear message, and neither a process nor a file left."""

import contextlib
import dataclasses
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests import waiting
from tests.vm import accelerator, build, initrd, instances, machine, ports, process, record, store
from tests.vm.command_line import Machine
from tests.vm.errors import VmError
from tests.vm.recipe import RECIPES
from tests.vm.record import Wanted

ALPHA = Wanted("alpha", 1)


@pytest.fixture(name="run")
def a_run_of_its_own(tmp_path, monkeypatch):
    """A run directory beside the real one; at the end nothing may work in it."""
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(record, "run_directory", lambda *_: str(run))
    yield run
    for base, _, _ in os.walk(run):
        assert process.end_all_in(base) == 0


@pytest.fixture(name="said")
def sentences():
    return []


def machine_for(port):
    image = build.image_directory(RECIPES["debian12"])
    kernel, initrd = os.path.join(image, "vmlinuz"), os.path.join(image, "initrd")
    chosen = accelerator.choose(image, print)
    return Machine("x", chosen, 256, 1, "disk.qcow2", kernel, initrd, port, ALPHA.identity.mac, "239.192.0.1:50000")


def blank_disk(run):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", run / "disk.qcow2", "64M"], check=True)
    return str(run)


def test_a_port_taken_between_pick_and_start(run, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        free, taken = ports.free_port, holder.getsockname()[1]
        picks = iter([taken])
        monkeypatch.setattr(ports, "free_port", lambda: next(picks, None) or free())
        started = []
        running = machine.launch(blank_disk(run), machine_for, lambda _, chosen: started.append(chosen.ssh_port))
        assert running.end()
    assert started[0] == taken
    assert len(started) == 2 and started[1] != taken


#: An init that never comes to an end. The kernel takes the last file of a name that an initrd has, and a second archive
#: after the first (Documentation/driver-api/early-userspace/buffer-format.rst).
HANGS = b"""#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
echo "this guest hangs" >/dev/console
exec /bin/busybox sleep 86400
"""


def test_a_boot_that_hangs(run):
    """Until its time is over; then the end of its serial log is told."""
    directory, seen = blank_disk(run), []

    def hanging(port):
        plain = machine_for(port)
        archive = initrd.cpio({"init": (0o100755, HANGS)})
        (run / "initrd").write_bytes(store.read(plain.initrd) + archive)
        return dataclasses.replace(plain, initrd=str(run / "initrd"))

    running = machine.launch(directory, hanging, lambda _, chosen: seen.append(chosen))
    serial = run / "serial.log"
    waiting.until("a word on the serial port", lambda: b"hangs" in store.read(str(serial)), patience=300)
    with pytest.raises(
        VmError, match=r"x: no login within 3 s; the end of its serial log:\n(.*\n)*    this guest hangs"
    ):
        machine.wait_for_login(directory, running, seen[-1], limit=3)
    assert running.alive()  # whoever started it ends it
    assert running.end()


def test_a_guest_that_ends_while_it_boots(run):
    """A disk without a file system."""
    directory, seen = blank_disk(run), []
    running = machine.launch(directory, machine_for, lambda _, chosen: seen.append(chosen))
    with pytest.raises(VmError, match=r"QEMU ended while the guest booted(.*\n)*.*no root file system on /dev/vda"):
        machine.wait_for_login(directory, running, seen[-1])
    assert not running.end()


def test_create_again_leaves_the_machines_alone(said):
    """Those of this scenario, as they are."""
    run = record.run_directory()
    before = [record.read(os.path.join(run, name)) for name in record.names(run)]
    changed, variables = instances.present([one.wanted for one in before], said.append)
    assert not changed
    assert [record.read(os.path.join(run, name)) for name in variables] == before


def test_a_create_that_fails_leaves_nothing_but_its_logs(run, said, monkeypatch):
    def fail(*_):
        raise VmError("the guest could not be introduced")

    monkeypatch.setattr(instances.guest, "introduce", fail)
    with pytest.raises(VmError, match="could not be introduced"):
        instances.present([dataclasses.replace(ALPHA, name="x")], said.append)
    assert record.names(str(run)) == []
    assert os.listdir(run / "logs") == ["x"]
    assert any(str(run / "logs") in sentence for sentence in said)


def test_no_free_memory(run, said):
    with pytest.raises(VmError, match=r"not enough memory: alpha need \d+ MiB, \d+ MiB are available"):
        instances.present([dataclasses.replace(ALPHA, memory=1 << 30)], said.append)
    assert record.names(str(run)) == []


def test_a_stale_record_whose_pid_is_someone_elses(run, said):
    with waiting.process("sleep", "600") as stranger:
        directory = run / "alpha"
        directory.mkdir()
        recorded = machine.Running(stranger.pid, 1, ("qemu-system-x86_64", "-name", "alpha"))
        record.write(str(directory), record.Instance(ALPHA, machine_for(2201), recorded, "/nowhere", ready=True))
        assert instances.absent(said.append)
        assert stranger.poll() is None
    assert any(f"pid {stranger.pid} now is 'sleep 600', which is left alone" in sentence for sentence in said)
    assert record.names(str(run)) == []


def test_two_runs_at_once(run, said):
    """The second one says that it waits, and goes on when the first is done."""
    path = os.path.join(store.root(), "locks", f"run-{run.name}")
    with open(path, "w", encoding="ascii") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = threading.Thread(target=instances.absent, args=(said.append,))
        second.start()
        waiting.until("a word", lambda: said)
        assert said == ["another run is starting or ending this checkout's machines; waiting for it"]
    second.join(waiting.PATIENCE)
    assert not second.is_alive()
    os.unlink(path)


def test_an_image_build_that_was_killed(tmp_path, tmp_path_factory):
    """What it started ends with it; what it left is no image and in one place, and the next build clears it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environment = {**os.environ, "BAREKERNEL_VM_CACHE": str(tmp_path), "TMPDIR": str(elsewhere)}
    command = [sys.executable, "-m", "tests.vm", "images", "debian12"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=record.CHECKOUT, env=environment, **streams) as builder:
        for line in builder.stderr:
            if "running apt-get update" in line:
                builder.send_signal(signal.SIGKILL)
                break
        builder.wait()
    waiting.until(
        "the end of what it started", lambda: not mentioning(str(tmp_path)), lambda: mentioning(str(tmp_path))
    )
    assert os.listdir(elsewhere) == []
    assert os.listdir(tmp_path / "images") == []
    assert len(os.listdir(tmp_path / "making")) == 1
    store.clear_interrupted(str(tmp_path / "making"))
    assert os.listdir(tmp_path / "making") == []


def mentioning(path):
    """Command lines that have the path in them."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
            line = stream.read()
            if path in line and int(pid) != os.getpid():
                found.append(line.replace("\0", " "))
    return found
