# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside the machine: does to each limit what it is there to stop, and prints what happened as JSON.

Only bounds that the kernel guarantees are judged by the caller (a limited write can not be quicker than its limit),
so a slow machine does not change the answer.
"""

import contextlib
import json
import mmap
import os
import signal
import subprocess
import time

ROOT = "/sys/fs/cgroup/primitives/"


def keys(path):
    """A flat-keyed file (memory.events, cpu.stat): {name: number}."""
    with open(ROOT + path) as stream:
        return {name: int(value) for name, value in (line.split() for line in stream)}


def inside(cgroup, action):
    """Fork a process into the cgroup that runs the action. Its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(Exception):
            with open(f"{ROOT}{cgroup}/cgroup.procs", "w") as stream:
                stream.write("0")
            status = action() or 0
        os._exit(status)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def memory():
    """Touch twice as much as allowed."""
    before = keys("box/memory.events")["oom_kill"]
    status = ended(inside("box", lambda: len(b"x" * (128 << 20)) and 0))
    return {"killed_by": -status, "kills": keys("box/memory.events")["oom_kill"] - before}


def processes():
    """Fork until it is refused."""
    before = keys("box/pids.events")["max"]

    def fork_many():
        for made in range(20):
            try:
                if os.fork() == 0:
                    time.sleep(600)
            except BlockingIOError:
                return made
        return 20

    made = ended(inside("box", fork_many))
    with open(ROOT + "box/cgroup.kill", "w") as stream:
        stream.write("1")
    return {"made": made, "refused": keys("box/pids.events")["max"] - before}


def write(cgroup, size=4 << 20):
    """Seconds to write some megabytes past the page cache."""
    shared = mmap.mmap(-1, 4096)

    def direct():
        handle = os.open("/srv/io-test", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        block = mmap.mmap(-1, 1 << 20)
        started = time.monotonic()
        for _ in range(size >> 20):
            os.write(handle, block)
        shared[:32] = f"{time.monotonic() - started:32.6f}".encode()

    while populated(cgroup):
        time.sleep(0.1)
    status = ended(inside(cgroup, direct))
    os.unlink("/srv/io-test")
    return {"status": status, "seconds": float(shared[:32])}


def populated(cgroup):
    return bool(keys(f"{cgroup}/cgroup.events")["populated"])


@contextlib.contextmanager
def thawed(cgroup):
    """As long as something is to run in a group that is frozen before and after."""
    set_freeze(cgroup, "0")
    yield
    set_freeze(cgroup, "1")


def set_freeze(cgroup, value):
    with open(f"{ROOT}{cgroup}/cgroup.freeze", "w") as stream:
        stream.write(value)


def free_write():
    """Like write(), where writes are not limited."""
    with thawed("slow"):
        return write("slow")


def cpu(seconds=5):
    """Burn one CPU for a while: the share that was had, and how often the kernel held it back."""
    before = keys("slow/cpu.stat")

    def burn():
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass

    with thawed("slow"):
        started = time.monotonic()
        ended(inside("slow", burn))
        wall = time.monotonic() - started
    after = keys("slow/cpu.stat")
    used = (after["usage_usec"] - before["usage_usec"]) / 1e6
    return {"share": used / wall, "throttled": after["nr_throttled"] - before["nr_throttled"]}


def freeze():
    """A counting process is put into the frozen cgroup; how far it counts from then on, and once thawed."""
    counter = mmap.mmap(-1, 8)

    def count():
        number = 0
        while True:
            number += 1
            counter[:8] = number.to_bytes(8, "little")

    pid = os.fork()
    if pid == 0:
        count()
    while int.from_bytes(counter[:8], "little") == 0:
        time.sleep(0.05)
    with open(ROOT + "slow/cgroup.procs", "w") as stream:
        stream.write(str(pid))
    while not keys("slow/cgroup.events")["frozen"]:
        time.sleep(0.05)
    held = int.from_bytes(counter[:8], "little")
    time.sleep(1)
    moved = int.from_bytes(counter[:8], "little") - held
    os.kill(pid, signal.SIGKILL)
    with open(ROOT + "slow/cgroup.freeze") as stream:
        return {"moved": moved, "freeze": int(stream.read()), "status": ended(pid)}


def overlay():
    """A write through the overlay goes to the upper layer; the lower one keeps what it had."""
    with open("/srv/overlay/merged/file", "a") as stream:
        stream.write("from above\n")
    return {layer: read(f"/srv/overlay/{layer}/file") for layer in ("merged", "upper", "lower/one")}


def link():
    """Round trips over the slow link, in milliseconds, by IPv4 and IPv6."""
    times = {}
    for address in ("10.99.0.2", "fd99::2"):
        ping = ["ip", "netns", "exec", "near", "ping", "-n", "-c3", "-i0.3", "-W20", address]
        lines = subprocess.run(ping, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        times[address] = [float(word[len("time=") :]) for word in lines if word.startswith("time=")]
    return times


def read(path):
    with open(path) as stream:
        return stream.read()


print(
    json.dumps(
        {
            "memory": memory(),
            "processes": processes(),
            "write": write("box"),
            "free_write": free_write(),
            "cpu": cpu(),
            "freeze": freeze(),
            "overlay": overlay(),
            "link": link(),
            "controllers": read(ROOT + "cgroup.subtree_control").split(),
        }
    )
)
