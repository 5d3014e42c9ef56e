# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One module in a process of its own, with the interpreter and the libraries that a host has."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PLUGINS = "ansible_collections.barekernel.containers.plugins"
#: What a host has: the distribution's Python with the distribution's pyroute2.
HOST_PYTHON = "/usr/bin/python3"

#: Audit events (https://docs.python.org/3/library/audit_events.html) that mean a change.
CHANGING = {
    *("os.chflags", "os.chmod", "os.chown", "os.link", "os.lockf", "os.mkdir", "os.removexattr", "os.remove"),
    *("os.rename", "os.rmdir", "os.setxattr", "os.symlink", "os.truncate", "os.unlink", "os.utime", "os.exec"),
    *("shutil.chown", "shutil.copyfile", "shutil.move", "shutil.rmtree", "os.posix_spawn", "os.system"),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Commands that observers may run, with a word that must be among the arguments.
READING = {
    "ip6tables-legacy": "-S",
    "iptables-legacy": "-S",
    "nft": "list",
    "python3": "--",  # the module again, by respawn_module()
    "skopeo": "inspect",
    "systemctl": "show",
}


def environment() -> dict[str, str]:
    """What the host's interpreter needs to import the collection and Ansible's own library."""
    ansible = Path(importlib.import_module("ansible").__file__ or "").parent
    libraries = CHECKOUT / ".cache" / "ansible"
    libraries.mkdir(parents=True, exist_ok=True)
    if (libraries / "ansible").resolve() != ansible.resolve():
        new = libraries / f"new-{os.getpid()}"  # renamed into place: others may run with it just now
        new.symlink_to(ansible)
        new.rename(libraries / "ansible")
    search = f"{libraries}:{CHECKOUT / '.cache' / 'collections'}"
    return {**os.environ, "PYTHONPATH": search, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def run_module(name: str, params: dict[str, Any], check: bool = False) -> dict[str, Any]:
    """The module's result, with ``failed`` where it failed. In check mode any attempt to change something fails it.

    Every result is held against what all of them promise (check_promises).
    """
    request = json.dumps({"module": name, "params": params, "check": check})
    process = subprocess.run(
        [HOST_PYTHON, "-B", __file__],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    try:
        result: dict[str, Any] = json.loads(process.stdout)
    except ValueError:
        raise AssertionError(f"{name} said no JSON\n{process.stdout}\n{process.stderr}") from None
    check_promises(result)
    return result


def check_promises(result: dict[str, Any]) -> None:
    """Of every module's every run: who reads the diff knows of each change, and a change is what was done."""
    assert bool(result.get("changed")) == bool(result.get("actions")), result
    if "diff" in result:
        sections = result["diff"] if isinstance(result["diff"], list) else [result["diff"]]
        assert result["changed"] == any(each["before"] != each["after"] for each in sections), result["diff"]


#: The network namespace of the host's, by which a child knows that what it writes below /proc/sys is not the host's.
HOST_NETNS = os.readlink("/proc/self/ns/net")


def of_a_trial(path: Any) -> bool:
    """Whether that is written in namespaces made for a question, or makes them."""
    if re.fullmatch(r"/proc/[0-9]+/[ug]id_map", str(path)):
        return True
    return str(path).startswith("/proc/sys/") and os.readlink("/proc/self/ns/net") != HOST_NETNS


def refuse_changes(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook that lets nothing be changed through Python's own functions."""
    if event == "open":
        path, _mode, flags = arguments
        changing = isinstance(flags, int) and flags & WRITING and path not in ("/dev/null", b"/dev/null")
        changing = changing and not of_a_trial(path)
    elif event == "subprocess.Popen":
        command = [os.fsdecode(word) for word in arguments[1]]
        changing = READING.get(os.path.basename(command[0]), "\0") not in command
    elif event == "os.kill":
        changing = arguments[1] != 0
    else:
        changing = event in CHANGING
    if changing:
        raise PermissionError(f"check mode tried to change the host: {event}{arguments!r}")


def main() -> None:
    """In the process: parameters from stdin to the module, as Ansible hands them over."""
    from ansible.module_utils.testing import patch_module_args

    request = json.load(sys.stdin)
    module = importlib.import_module(f"{PLUGINS}.modules.{request['module']}")
    internal = {"_ansible_check_mode": request["check"], "_ansible_diff": True, "_ansible_remote_tmp": "/nonexistent"}
    # What AnsiballZ leaves there, for a module that runs itself again with another interpreter.
    names = {"_module_fqn": module.__name__, "_modlib_path": str(CHECKOUT / ".cache" / "collections")}
    vars(sys.modules["__main__"]).update(names)
    with patch_module_args({**request["params"], **internal}):
        if request["check"]:
            sys.addaudithook(refuse_changes)
        module.main()


if __name__ == "__main__":
    import compiling

    compiling.remember()
    # This directory's other files are no part of what runs on a host.
    sys.path.pop(0)
    main()
