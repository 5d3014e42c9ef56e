# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run's machines: made present, power-cycled, made absent. Both ways of a run can be repeated and interrupted."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from . import accelerator, build, guest, machine, prerequisites, process, prune, record, snapshot, ssh, store
from .command_line import Machine
from .errors import VmError
from .recipe import RECIPES
from .record import Instance, Wanted
from .store import Say

OVERHEAD = 300  #: MiB that QEMU uses beside a guest's memory (measured: 150-250 with a TCG buffer of 512 MiB)
RESUME_LIMIT = 90.0  #: seconds until a resumed guest answers; one that does not is booted instead


def _locked(say: Say) -> contextlib.AbstractContextManager[None]:
    run = os.path.basename(record.run_directory())
    return store.lock(f"run-{run}", say, "another run is starting or ending this checkout's machines; waiting for it")


def present(wanted: Sequence[Wanted], say: Say) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Every wanted machine runs and answers. Returns whether anything was started, and Ansible's variables by name.

    What already runs as wanted is left alone. On an error whatever this call started is ended and VmError is raised.
    """
    _check(wanted)
    prerequisites.ensure(say)
    run = record.run_directory()
    with _locked(say):
        os.makedirs(run, exist_ok=True)
        missing = [one for one in wanted if not _is_present(run, one)]
        if missing:
            _check_memory(missing)
            _start_all(run, wanted, missing, say)
        return bool(missing), {one.name: _variables(run, one.name) for one in wanted}


def prepare(wanted: Sequence[Wanted], say: Say) -> bool:
    """Images and snapshots for these machines are in the cache. Returns whether any had to be made. Raises VmError.

    One after the other, before anything else runs: a booting guest takes all of two cores under emulation. A snapshot
    that cannot be taken is no error: machines then boot.
    """
    _check(wanted)
    prerequisites.ensure(say)
    before = set(_cached())
    images = {one.image: build.ensure(RECIPES[one.image], say) for one in wanted}
    _check_memory(wanted[:1])
    accelerated_by = accelerator.choose(next(iter(images.values())), say)
    frozen = []
    for image, memory, cpus, hybrid in sorted({(o.image, o.memory, o.cpus, o.hybrid) for o in wanted}):
        try:
            frozen.append(snapshot.ensure(images[image], memory, cpus, hybrid, accelerated_by, say))
        except VmError as error:
            say(f"{image}: no snapshot of a booted machine could be taken ({error}); machines will boot")
    prune.used([*images.values(), *frozen])
    prune.prune(say)
    return set(_cached()) != before


def _cached() -> list[str]:
    return [name for kind in ("images", "snapshots") for name in store.listed(kind)]


def _check(wanted: Sequence[Wanted]) -> None:
    for one in wanted:
        if one.image not in RECIPES:
            raise VmError(f"{one.name}: no image {one.image!r}; there are {', '.join(RECIPES)}")
    if len({one.number for one in wanted}) != len(wanted) or any(not 1 <= one.number <= 250 for one in wanted):
        raise VmError("the machines' numbers must differ and lie between 1 and 250")


def _check_memory(missing: Sequence[Wanted]) -> None:
    need = sum(one.memory + OVERHEAD for one in missing)
    fields = dict(line.split(":") for line in store.read("/proc/meminfo").decode().splitlines())
    free = int(fields["MemAvailable"].split()[0]) // 1024
    if free < need:
        names = ", ".join(one.name for one in missing)
        raise VmError(
            f"not enough memory: {names} need {need} MiB, {free} MiB are available; "
            "free some, or run one scenario at a time (make molecule SCENARIO=primitives)"
        )


def _is_present(run: str, one: Wanted) -> bool:
    found = record.read(os.path.join(run, one.name))
    return found is not None and found.ready and found.wanted == one and found.running.alive()


def _variables(run: str, name: str) -> dict[str, Any]:
    directory = os.path.join(run, name)
    found = record.read(directory)
    if found is None:
        raise VmError(f"{name}: no such machine")
    return found.variables(directory)


def variables() -> dict[str, dict[str, Any]]:
    """Ansible's variables of the machines that this checkout has now; what the inventory shows."""
    run = record.run_directory()
    return {name: _variables(run, name) for name in record.names(run) if record.read(os.path.join(run, name))}


def _start_all(run: str, wanted: Sequence[Wanted], missing: Sequence[Wanted], say: Say) -> None:
    segment = record.segment(run)
    logs = os.path.join(run, "logs")
    siblings = {one.name: one.identity.address4 for one in wanted}

    def start(one: Wanted) -> None:
        _remove(run, one.name, say)
        _start(os.path.join(run, one.name), one, segment, siblings, say)

    try:
        prepare(missing, say)
        _each(start, missing)
    except BaseException:
        for one in missing:
            with contextlib.suppress(VmError):
                _remove(run, one.name, say, logs)
        say(f"serial logs and journals are kept in {logs}")
        raise


def _each(action: Callable[[Wanted], None], all_of_them: Iterable[Wanted]) -> None:
    """In parallel; waits for all, then raises the first error."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        futures = [pool.submit(action, one) for one in all_of_them]
        concurrent.futures.wait(futures)
    for future in futures:
        future.result()


def _start(directory: str, one: Wanted, segment: str, siblings: Mapping[str, str], say: Say) -> None:
    started = time.monotonic()
    image = build.image_directory(RECIPES[one.image])
    accelerated_by = accelerator.choose(image, say)

    def described(port: int, incoming: str = "") -> Machine:
        return Machine(
            name=one.name,
            accelerator=accelerated_by,
            memory=one.memory,
            cpus=one.cpus,
            disk="disk.qcow2",
            kernel=os.path.join(image, "vmlinuz"),
            initrd=os.path.join(image, "initrd"),
            ssh_port=port,
            mac=one.identity.mac,
            segment=segment,
            hybrid=one.hybrid,
            incoming=incoming,
        )

    frozen = snapshot.place(image, one.memory, one.cpus, one.hybrid, accelerated_by)
    try:
        found = _resume(directory, one, image, frozen, lambda port: described(port, "defer"))
        resumed = True
    except VmError as error:
        say(f"{one.name}: could not resume from a snapshot ({error}); booting instead")
        found = _boot(directory, one, image, described)
        resumed = False
    guest.introduce(one.identity, siblings, found.machine.ssh_port, image, directory, resumed)
    record.write(directory, dataclasses.replace(found, ready=True))
    how = "resumed" if resumed else "booted"
    say(f"{one.name}: {how} ({accelerated_by}), ready after {time.monotonic() - started:.0f} s")


def _launch(directory: str, one: Wanted, image: str, described: machine.Described) -> Instance:
    """Start QEMU; its record is on disk before it is waited for, so that nothing can be forgotten."""
    last: list[Instance] = []

    def note(running: machine.Running, chosen: Machine) -> None:
        last.append(Instance(one, chosen, running, image))
        record.write(directory, last[-1])

    machine.launch(directory, described, note)
    return last[-1]


def _resume(directory: str, one: Wanted, image: str, frozen: str, described: machine.Described) -> Instance:
    """From the snapshot in ``frozen``. Raises VmError, having ended what it started."""
    if not os.path.isdir(frozen):
        raise VmError("there is none")
    _fresh(directory)
    machine.overlay(directory, os.path.join(frozen, "disk.qcow2"), "qcow2")
    found = _launch(directory, one, image, described)
    try:
        snapshot.thaw(directory, os.path.join(frozen, "state"))
        machine.wait_for_login(directory, found.running, found.machine, RESUME_LIMIT)
    except VmError:
        found.running.end()
        raise
    return found


def _boot(directory: str, one: Wanted, image: str, described: machine.Described) -> Instance:
    _fresh(directory)
    machine.overlay(directory, os.path.join(image, "base.ext4"), "raw")
    found = _launch(directory, one, image, described)
    machine.wait_for_login(directory, found.running, found.machine)
    return found


def _fresh(directory: str) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)


def power_cycle(name: str, say: Say) -> dict[str, Any]:
    """End the machine's QEMU as a power cut would, start it again on the same disk, wait for login. Its variables."""
    directory = os.path.join(record.run_directory(), name)
    with _locked(say):
        found = record.read(directory)
        if found is None:
            raise VmError(f"{name}: no such machine to power-cycle")
        started = time.monotonic()
        found.running.end()
        again = dataclasses.replace(found.machine, incoming="")

        def note(running: machine.Running, chosen: Machine) -> None:
            record.write(directory, dataclasses.replace(found, machine=chosen, running=running))

        running = machine.launch(directory, lambda port: dataclasses.replace(again, ssh_port=port), note)
        cycled = record.read(directory)
        assert cycled is not None
        machine.wait_for_login(directory, running, cycled.machine)
        say(f"{name}: power was cut and is back; login after {time.monotonic() - started:.0f} s")
        return cycled.variables(directory)


def absent(say: Say, only: Sequence[str] = (), label: str = "") -> bool:
    """End and remove this checkout's machines (all, or those named). Returns whether there were any.

    Keeps their logs, below ``label`` if there is one (a later call without it does not touch those), and says where.
    """
    run = record.run_directory()
    logs = os.path.join(run, "logs", label)
    if not os.path.isdir(run):
        return False
    with _locked(say):
        names = [name for name in record.names(run) if not only or name in only]
        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda name: _remove(run, name, say, logs), names))
        if not record.names(run):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(run, "run.json"))
        if names:
            say(f"serial logs and journals are kept in {logs}")
    return bool(names)


def _remove(run: str, name: str, say: Say, logs: str = "") -> None:
    """End a machine and delete its directory; what is worth reading later is put below the directory ``logs``."""
    directory = os.path.join(run, name)
    found = record.read(directory)
    if logs and os.path.isdir(directory):
        _keep_logs(directory, os.path.join(logs, name), found)
    if found is not None and not found.running.end():
        stranger = process.who(found.running.pid)
        if stranger:
            say(f"{name}: its QEMU is gone; pid {found.running.pid} now is {stranger!r}, which is left alone")
    if os.path.isdir(directory):
        process.end_all_in(directory)
    shutil.rmtree(directory, ignore_errors=True)


def _keep_logs(directory: str, kept: str, found: Instance | None) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for log in ("serial.log", "qemu.log"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(os.path.join(directory, log), kept)
    if found is None or not found.ready or not found.running.alive():
        return
    options = ssh.options(os.path.join(directory, "known_hosts"), found.wanted.name)
    with contextlib.suppress(VmError):
        journal = ssh.run(found.machine.ssh_port, options, "journalctl --no-pager -o short-monotonic -n 5000", 60.0)
        with open(os.path.join(kept, "journal.txt"), "w", encoding="utf-8") as stream:
            stream.write(journal)
