# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's command line for a machine: a pure function of what the machine is."""

from __future__ import annotations

import dataclasses

QEMU = "qemu-system-x86_64"

#: Untuned clock sources made a reboot under TCG take minutes; these are for a guest whose only clock is QEMU's.
KERNEL_ARGUMENTS = (
    "root=/dev/vda rw rootfstype=ext4 net.ifnames=0 panic=-1 console=ttyS0 quiet mitigations=off tsc=reliable "
    "clocksource=tsc no_timer_check cryptomgr.notests random.trust_cpu=on systemd.show_status=0"
)

#: systemd 252 then mounts the v1 controllers and an empty cgroup v2 hierarchy beside them.
HYBRID = "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0"


@dataclasses.dataclass(frozen=True)
class Machine:
    """Hardware and kernel of one machine. Paths are absolute or relative to QEMU's working directory."""

    name: str
    accelerator: str
    memory: int  #: MiB
    cpus: int
    disk: str
    kernel: str
    initrd: str
    ssh_port: int
    mac: str
    segment: str
    hybrid: bool = False
    incoming: str = ""


def _accelerator(name: str) -> list[str]:
    if name == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    # A plain CPU is emulated faster than one with AVX (an import in Python by a fifth), and runs all that Debian has.
    # Without cmpxchg16b, which two TCG threads do not do atomically: with it Debian 13 panics sooner or later.
    return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64,-cx16"]


def escape(value: str) -> str:
    """A value inside one of QEMU's comma-separated options: a comma is written twice."""
    return value.replace(",", ",,")


def kernel_arguments(hybrid: bool) -> str:
    """The guest kernel's command line; with ``hybrid`` systemd leaves the controllers to cgroup v1."""
    return f"{KERNEL_ARGUMENTS} {HYBRID}" if hybrid else KERNEL_ARGUMENTS


def argv(machine: Machine) -> list[str]:
    """The command line. eth0 leads nowhere but to the forwarded SSH port (restrict=on); eth1 is the run's segment."""
    words = [QEMU, "-name", escape(machine.name), *_accelerator(machine.accelerator)]
    words += ["-machine", "q35", "-smp", str(machine.cpus), "-m", str(machine.memory)]
    words += ["-nodefaults", "-display", "none", "-serial", "file:serial.log"]
    words += ["-qmp", "unix:qmp.sock,server=on,wait=off"]
    words += ["-drive", f"file={escape(machine.disk)},if=none,id=d0,format=qcow2,cache=unsafe,discard=unmap"]
    words += ["-device", "virtio-blk-pci,drive=d0"]
    words += ["-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{machine.ssh_port}-:22"]
    words += ["-device", "virtio-net-pci,netdev=n0,romfile="]
    words += ["-netdev", f"socket,id=n1,mcast={machine.segment},localaddr=127.0.0.1"]
    words += ["-device", f"virtio-net-pci,netdev=n1,mac={machine.mac},romfile="]
    words += ["-device", "virtio-rng-pci", "-kernel", machine.kernel, "-initrd", machine.initrd]
    words += ["-append", kernel_arguments(machine.hybrid)]
    if machine.incoming:
        words += ["-incoming", "defer"]
    return words
