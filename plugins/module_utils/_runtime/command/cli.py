# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of nsrun: runc's, and what supervises declared containers."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence

from ..._kernel import terminal
from ..._kernel.errors import BareKernelError
from ..errors import RuntimeFailure
from ..process import descriptors, state
from .options import FLAG, VALUE, HelpAsked, parse

#: command -> (module, function). Each is imported only when it is called.
COMMANDS = {
    "create": ("commands", "create"),
    "start": ("commands", "start"),
    "run": ("commands", "run"),
    "exec": ("commands", "exec_"),
    "state": ("commands", "state_"),
    "kill": ("commands", "kill"),
    "delete": ("commands", "delete"),
    "pause": ("commands", "pause"),
    "resume": ("commands", "resume"),
    "list": ("commands", "list_"),
    "ps": ("commands", "ps"),
    "spec": ("commands", "spec"),
    "features": ("commands", "features"),
    "supervise": ("supervision", "supervise"),
    "starter": ("supervision", "starter"),
    "stop": ("supervision", "stop"),
    "launch": ("supervision", "launch"),
    "settle": ("supervision", "settle"),
}
_GLOBAL = {
    "root": VALUE,
    "log": VALUE,
    "log-format": VALUE,
    "debug": FLAG,
    "systemd-cgroup": FLAG,
    "cgroup-manager": VALUE,
    "version": FLAG,
    "help": FLAG,
}
_USAGE = """usage: nsrun [--root DIR] [--log FILE] [--log-format text|json] COMMAND [OPTION...] [ARGUMENT...]

OCI runtime:   create start run exec state kill delete pause resume list ps spec features
supervision:   supervise launch stop settle (each with the path of a launch.json), starter

nsrun COMMAND --help says more of a command.
"""
VERSION = "0.1.0"


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status. Every failure is one line on standard error, and in the log."""
    log: tuple[str | None, str] = (None, "text")
    try:
        options = parse(arguments, _GLOBAL, {"v": "version", "h": "help"}, stop_at_first=True)
        log = (options.value("log"), options.value("log-format", "text") or "text")
        if options.flag("version"):
            sys.stdout.write(f"nsrun version {VERSION}\nspec: 1.2.0\n")
            return 0
        if options.flag("help") or not options.arguments or options.arguments[0] == "help":
            sys.stdout.write(_USAGE)
            return 0 if options.flag("help") or options.arguments else 64
        if options.flag("systemd-cgroup") or options.value("cgroup-manager", "cgroupfs") != "cgroupfs":
            raise RuntimeFailure("only the cgroup manager cgroupfs is supported")
        root = os.path.abspath(options.value("root", state.DEFAULT_ROOT) or state.DEFAULT_ROOT)
        return _run(root, options.arguments)
    except HelpAsked:
        from .usage import of_command

        sys.stdout.write(of_command(options.arguments[0]))
        return 0
    except BareKernelError as error:
        _report(str(error), *log)
        return error.status if isinstance(error, RuntimeFailure) else 1
    except OSError as error:
        _report(f"{error.filename or ''}: {error.strerror}".lstrip(": "), *log)
        return 1


def _run(root: str, words: list[str]) -> int:
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise RuntimeFailure(f"command {name!r} is not known\n{_USAGE}", 64)
    if os.geteuid() != 0 and name not in ("spec", "features"):
        raise RuntimeFailure("nsrun needs root: it makes namespaces and mounts")
    descriptors.complete_standard()
    # A caller that ignores it hands that on: the kernel would reap our children, and give their PIDs to others.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    hold_library()
    module_name, function_name = COMMANDS[name]
    module = __import__(f"{__package__}.{module_name}", fromlist=[function_name])
    return int(getattr(module, function_name)(root, rest))


def hold_library() -> None:
    """While this process lives its version of the library is not removed (_boot/library.py)."""
    import fcntl

    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        fd = os.open(os.path.dirname(package), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return  # not an installed one


def _report(message: str, path: str | None, form: str) -> None:
    sys.stderr.write(f"nsrun: {terminal.shown(message)}\n")
    if path is None:
        return
    from ..process import clock

    entry = {"level": "error", "msg": message, "time": clock.now()}
    line = json.dumps(entry) if form == "json" else f'time="{entry["time"]}" level=error msg={json.dumps(message)}'
    try:
        with open(path, "a", encoding="utf-8") as handle:
            handle.write(line + "\n")
    except OSError as error:
        sys.stderr.write(f"nsrun: --log {terminal.shown(path)}: {error.strerror}\n")
