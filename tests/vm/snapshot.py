# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A booted guest, frozen: its disk and its memory. Machines resume from it within seconds instead of booting."""

from __future__ import annotations

import os
import shlex
import time

from . import accelerator, command_line, guest, key, machine, qmp, ssh, store
from .command_line import Machine
from .errors import VmError
from .store import Say

SEGMENT = "239.255.255.255:49151"  #: the machine that is frozen is alone there


def snapshot_key(image: str, memory: int, cpus: int, hybrid: bool, accelerated_by: str) -> str:
    """Name in the cache for a boot of the image ``image`` (a directory named by its key).

    Made of what resumes it and nothing else: the same hardware, kernel command line and QEMU.
    """
    hardware = command_line.argv(_machine(image, memory, cpus, hybrid, accelerated_by, 0))
    parts = {"image": os.path.basename(image), "argv": hardware, "qemu": accelerator.qemu_version()}
    return key.digest(parts)


def _machine(image: str, memory: int, cpus: int, hybrid: bool, accelerated_by: str, port: int) -> Machine:
    return Machine(
        name="barekernel-snapshot",
        accelerator=accelerated_by,
        memory=memory,
        cpus=cpus,
        disk="disk.qcow2",
        kernel=os.path.join(image, "vmlinuz"),
        initrd=os.path.join(image, "initrd"),
        ssh_port=port,
        mac=guest.Identity("snapshot", 255).mac,
        segment=SEGMENT,
        hybrid=hybrid,
    )


def place(image: str, memory: int, cpus: int, hybrid: bool, accelerated_by: str) -> str:
    """The snapshot's directory, where there is one."""
    return os.path.join(store.root(), "snapshots", snapshot_key(image, memory, cpus, hybrid, accelerated_by))


def ensure(image: str, memory: int, cpus: int, hybrid: bool, accelerated_by: str, say: Say) -> str:
    """The snapshot's directory; taken first when there is none for this key. Raises VmError."""
    final = place(image, memory, cpus, hybrid, accelerated_by)
    if os.path.isdir(final):
        return final
    with store.lock(f"snapshot-{os.path.basename(final)}", say, "another run is taking this snapshot; waiting for it"):
        if not os.path.isdir(final):
            started = time.monotonic()
            say(f"booting {'a hybrid-cgroup ' if hybrid else ''}guest once to take a snapshot of it")
            with store.making(final) as directory:
                _take(directory, lambda port: _machine(image, memory, cpus, hybrid, accelerated_by, port), image)
            say(f"snapshot ready after {time.monotonic() - started:.0f} s")
    return final


def image_of(frozen: str) -> str:
    """Key of the image that the snapshot in a directory lies on; empty where it does not tell."""
    try:
        return store.read(os.path.join(frozen, "image")).decode()
    except OSError:
        return ""


def _take(directory: str, described: machine.Described, image: str) -> None:
    machine.overlay(directory, os.path.join(image, "base.ext4"), "raw")
    launched: list[tuple[machine.Running, Machine]] = []
    try:
        running = machine.launch(directory, described, lambda *both: launched.append(both))
        chosen = launched[-1][1]
        machine.wait_for_login(directory, running, chosen)
        known_hosts = os.path.join(directory, "known_hosts")
        guest.note(known_hosts, "image", os.path.join(image, "host_key.pub"))
        settle = "systemctl is-system-running --wait || true\nsync\n"
        ssh.run(chosen.ssh_port, ssh.options(known_hosts, "image"), settle, timeout=machine.BOOT_LIMIT)
        freeze(directory, os.path.join(directory, "state"))
    finally:
        for running, _ in launched:
            running.end()
    with open(os.path.join(directory, "image"), "w", encoding="ascii") as stream:
        stream.write(os.path.basename(image))
    for rest in ("known_hosts", "qmp.sock", "qemu.log"):
        if os.path.lexists(os.path.join(directory, rest)):
            os.unlink(os.path.join(directory, rest))


def freeze(directory: str, state: str) -> None:
    """Stop the machine in ``directory``, write its state to the file ``state`` and end it. Raises VmError."""
    with qmp.connect(directory, timeout=120.0) as session:
        session.execute("stop")
        session.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        session.execute("migrate", uri=f"exec:cat > {shlex.quote(state)}")
        qmp.wait_for_migration(session, 300.0)
        if not os.path.getsize(state):
            raise VmError("the machine's state came out empty")
        session.quit()


def thaw(directory: str, state: str) -> None:
    """Load the file ``state`` into the machine in ``directory``, started with ``-incoming defer``, and let it run."""
    with qmp.connect(directory, timeout=120.0) as session:
        session.execute("migrate-incoming", uri=f"exec:cat {shlex.quote(state)}")
        qmp.wait_for_migration(session, 120.0)
        session.execute("cont")
