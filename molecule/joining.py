# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a machine: commands join the container web, which is ended just then; what they said, as JSON.

Each command is held at a moment of its way into the container until that has ended, or runs anew. On a machine as slow
as this one chance alone would find a few of the moments in an hour.
"""

import contextlib
import functools
import json
import os
import signal
import subprocess
import time

NAME = "web"
UNIT = f"barekernel-{NAME}.service"
NSRUN = "/var/lib/barekernel/lib/nsrun"
HELD = "/run/nsrun-held-"
#: Before (-) or after (+) which system call (the beginning of its name) a command stops itself, and what it has called
#: before: all that is asked of how nsrun joins a container.
MOMENTS = {
    "it was seen to run": ("+", "open_tree", ""),
    "all was opened": ("-", "setns", ""),
    "its namespaces were joined": ("-", "clone", "setns"),
}
#: Put into nsrun. Counted from where it begins to join, as before that it may have started itself again from a copy.
HOLD = """
import os, signal
from barekernel._kernel import libc
from barekernel._runtime.process import execute
called = None
def join(*given):
    global called
    called = []
    return start(*given)
def held(function):
    def call(name, *given, **named):
        now = called is not None and name.startswith(MOMENT[1]) and (not MOMENT[2] or MOMENT[2] in called)
        if called is not None:
            called.append(name)
        if now and MOMENT[0] == "-":
            os.kill(os.getpid(), signal.SIGSTOP)
        answer = function(name, *given, **named)
        if now and MOMENT[0] == "+":
            os.kill(os.getpid(), signal.SIGSTOP)
        return answer
    return call
start, execute.start = execute.start, join
libc.call, libc.syscall = held(libc.call), held(libc.syscall)
"""
#: What is done to the unit while they are held.
ENDS = {"killed": ["kill", "--signal=KILL"], "killed and started": ["restart"]}
#: By its mount namespace a command tells where it ran; a shell is in every image, and on the host.
ASK = ["--root", "/run/barekernel/nsrun", "exec", NAME, "sh", "-c", "readlink /proc/self/ns/mnt"]
#: Seconds until a command or a unit has to be where it is waited for.
PATIENCE = 120


def systemctl(*arguments):
    return subprocess.run(["systemctl", *arguments, UNIT], stdout=subprocess.PIPE, text=True).stdout.strip()


def init():
    """PID of the container's own process; 0 while it has none."""
    return int(systemctl("show", "-p", "MainPID", "--value"))


def wait_until(what):
    """What it answers, as soon as that is true."""
    until = time.monotonic() + PATIENCE
    while not (answer := what()):
        assert time.monotonic() < until, what
        time.sleep(0.1)
    return answer


def begin(program):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([program, *ASK], text=True, **pipes)


def said(command):
    return command.communicate(timeout=PATIENCE)[0].strip() or f"exited with {command.returncode}"


def who_is_held(command):
    """A pidfd of the command or of its child, whichever has stopped itself; None where none has yet."""
    assert command.poll() is None, said(command)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stream:
                state, parent = stream.read().rpartition(")")[2].split()[:2]
            if state == "T" and str(command.pid) in (pid, parent):
                return os.pidfd_open(int(pid))
        except OSError:
            continue  # it has ended
    return None


def let_go(pidfd):
    with contextlib.suppress(ProcessLookupError):  # it was in the container's cgroup and ended with that
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    os.close(pidfd)


def make_held():
    """A program for each moment."""
    with open(NSRUN) as stream:
        before, importing, after = stream.read().partition("import main\n")
    assert importing, f"{NSRUN} is not what it was"
    programs = {}
    for number, (moment, where) in enumerate(MOMENTS.items()):
        programs[moment] = f"{HELD}{number}"
        with open(programs[moment], "w", opener=lambda path, flags: os.open(path, flags, 0o700)) as stream:
            stream.write(f"{before}{importing}MOMENT = {where!r}{HOLD}{after}")
    return programs


def joined(programs, end):
    """What each said that was held while the container ended that way; it runs before and after."""
    pid = init()
    commands = {moment: begin(program) for moment, program in programs.items()}
    held = [wait_until(functools.partial(who_is_held, command)) for command in commands.values()]
    systemctl(*ENDS[end])
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    for pidfd in held:
        let_go(pidfd)
    told = {moment: said(command) for moment, command in commands.items()}
    systemctl("reset-failed")
    systemctl("start")
    return told


def main():
    ran_before = init() != 0
    systemctl("start")
    programs = make_held()
    told = {end: joined(programs, end) for end in ENDS}
    # A number of its own is what tells namespaces apart that are there at the same time, no more.
    where = {"host": os.readlink("/proc/self/ns/mnt"), "container": os.readlink(f"/proc/{init()}/ns/mnt")}
    print(json.dumps({**where, "undisturbed": said(begin(NSRUN)), "told": told}))
    for program in programs.values():
        os.unlink(program)
    if not ran_before:
        systemctl("stop")


main()
