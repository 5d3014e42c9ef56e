# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a machine: commands join the container web while that is killed and started, on and on; what came of it.

Half of them wait a moment after they have found its process and before they join, as a busy machine would make them.

usage: python3 - SECONDS [CONTAINER]
"""

import collections
import json
import os
import random
import subprocess
import sys
import threading
import time

NAME = sys.argv[2] if len(sys.argv) > 2 else "web"
UNIT = f"barekernel-{NAME}.service"
NSRUN = "/var/lib/barekernel/lib/nsrun"
SLOW = "/run/nsrun-slow"
DELAY = """
import time
from barekernel._runtime.process import cgroups
opened = cgroups.open_directory
cgroups.open_directory = lambda path: (opened(path), time.sleep(0.4))[0]
"""
#: By its mount namespace a command tells where it ran; a shell is in every image, and on the host.
ASK = ["sh", "-c", "readlink /proc/self/ns/mnt"]


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def active():
    return run("systemctl", "is-active", UNIT).stdout.strip() == "active"


def kill_and_start(until, rounds):
    """Ends with a container that runs."""
    while time.monotonic() < until:
        run("systemctl", "kill", "--signal=KILL", UNIT)
        time.sleep(0.3)
        run("systemctl", "reset-failed", UNIT)
        run("systemctl", "restart", UNIT)
        rounds.append(time.monotonic())
        time.sleep(random.uniform(0.5, 1.5))


def join(program, until, told):
    while time.monotonic() < until:
        done = run(program, "--root", "/run/barekernel/nsrun", "exec", NAME, *ASK)
        told[done.stdout.strip() or done.stderr.strip() or f"exited with {done.returncode}"] += 1


def main():
    ran_before = active()
    with open(NSRUN) as installed, open(SLOW, "w") as slow:
        before, importing, after = installed.read().partition("import main\n")
        assert importing, f"{NSRUN} is not what it was"
        slow.write(before + importing + DELAY + after)
    os.chmod(SLOW, 0o755)
    run("systemctl", "start", UNIT)
    told, rounds = collections.Counter(), []
    until = time.monotonic() + float(sys.argv[1])
    threads = [threading.Thread(target=join, args=(program, until, told)) for program in (NSRUN, SLOW, SLOW)]
    threads.append(threading.Thread(target=kill_and_start, args=(until, rounds)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.unlink(SLOW)
    if not ran_before:
        run("systemctl", "stop", UNIT)
    here = os.readlink("/proc/self/ns/mnt")
    print(json.dumps({"host": here, "told": told, "rounds": len(rounds)}))


main()
