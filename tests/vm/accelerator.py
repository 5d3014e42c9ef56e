# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KVM where it works, else QEMU's own emulation (TCG). /dev/kvm alone proves nothing: a probe boot does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile

from . import key, store
from .command_line import QEMU
from .store import Say

PROBE_LIMIT = 20.0  #: seconds; a kernel under a working KVM reaches its initrd in about one
ANSWER = b"barekernel-probe-ok"


def choose(image: str, say: Say) -> str:
    """``kvm`` or ``tcg``. The answer is kept until the machine boots again or QEMU changes."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    parts = {"boot": store.read("/proc/sys/kernel/random/boot_id"), "qemu": qemu_version()}
    path = os.path.join(store.root(), f"accelerator-{key.digest(parts)}")
    try:
        return store.read(path).decode()
    except FileNotFoundError:
        pass
    say("is KVM usable here? trying to boot a kernel with it")
    chosen = "kvm" if _boots(image) else "tcg"
    say("KVM works and is used" if chosen == "kvm" else "KVM does not boot a kernel here: emulating (TCG, slower)")
    with open(f"{path}.{os.getpid()}", "w", encoding="ascii") as stream:
        stream.write(chosen)
    os.rename(stream.name, path)
    return chosen


def qemu_version() -> str:
    """The line with which QEMU names its version."""
    done = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _boots(image: str) -> bool:
    """True if the image's kernel reaches its initrd under KVM, which then answers on the serial port."""
    with tempfile.TemporaryDirectory(prefix="barekernel-probe-") as place:
        serial = os.path.join(place, "serial.log")
        command = [QEMU, "-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "256", "-nodefaults"]
        command += ["-display", "none", "-serial", f"file:{serial}", "-no-reboot"]
        command += ["-kernel", os.path.join(image, "vmlinuz"), "-initrd", os.path.join(image, "initrd")]
        command += ["-append", "console=ttyS0 quiet panic=-1 barekernel.probe"]
        with contextlib.suppress(subprocess.TimeoutExpired):  # QEMU is killed then
            subprocess.run(command, timeout=PROBE_LIMIT, capture_output=True, check=False)
        return os.path.exists(serial) and ANSWER in store.read(serial)
