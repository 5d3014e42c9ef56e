# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that runc has too: what each option means, in terms of create, execute and end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..._kernel import process, regular, terminal
from ..bundle import signals
from ..bundle.spec import Process, Spec, load
from ..errors import RuntimeFailure
from ..process import create as create_
from ..process import descriptors, end, pipes, state
from ..process.standard import Standard
from .options import FLAG, LIST, VALUE, Options, parse

#: More than any caller has open; each is looked at.
_MOST_FDS = 65536
_CREATE = {
    "bundle": VALUE,
    "console-socket": VALUE,
    "pid-file": VALUE,
    "preserve-fds": VALUE,
    "no-pivot": FLAG,
    "no-new-keyring": FLAG,
}
_RUN = {**_CREATE, "detach": FLAG, "keep": FLAG, "no-subreaper": FLAG}
_EXEC = {
    "process": VALUE,
    "user": VALUE,
    "additional-gids": LIST,
    "env": LIST,
    "cwd": VALUE,
    "tty": FLAG,
    "interactive": FLAG,
    "detach": FLAG,
    "pid-file": VALUE,
    "console-socket": VALUE,
    "cap": LIST,
    "no-new-privs": FLAG,
    "preserve-fds": VALUE,
    "ignore-paused": FLAG,
}


def create(root: str, arguments: Sequence[str]) -> int:
    """create [options] ID"""
    options = parse(arguments, _CREATE, {"b": "bundle"})
    wanted = _load(options)
    container = _create(root, options, wanted, _console_socket(options), _standard(wanted.process, stays=True))
    _pid_file(options, container.pid)
    return 0


def start(root: str, arguments: Sequence[str]) -> int:
    """start ID"""
    create_.start(state.read(root, _only_id(parse(arguments, {}, {}))))
    return 0


def run(root: str, arguments: Sequence[str]) -> int:
    """run [options] ID: create, start and, unless --detach, wait and delete; the status is the program's."""
    from ..process import foreground

    options = parse(arguments, _RUN, {"b": "bundle", "d": "detach"})
    wanted = _load(options)
    standard = _standard(wanted.process, options.flag("detach"))
    if options.flag("detach"):
        container = _create(root, options, wanted, _console_socket(options), standard)
        _pid_file(options, container.pid)
        _start_or_delete(container)
        return 0
    with foreground.Forwarding() as forwarding:
        ours, console_fd = _relay_pair(options)
        container = _create(root, options, wanted, console_fd, standard)
        forwarding.to(container.pid)
        _pid_file(options, container.pid)
        master = _master(ours)
        _start_or_delete(container)
        status = _in_foreground(master, container.pid, standard)
        if not options.flag("keep"):
            end.delete(container, force=True)
    return status


def exec_(root: str, arguments: Sequence[str]) -> int:
    """exec [options] ID COMMAND [ARGUMENT...]: the status is the command's."""
    from ..process import execute, foreground

    short = {"p": "process", "u": "user", "g": "additional-gids", "e": "env", "c": "cap"}
    short.update(t="tty", i="interactive", d="detach")
    options = parse(arguments, _EXEC, short, stop_at_first=True)
    if not options.arguments:
        raise RuntimeFailure("exec needs the container's id and a command", 64)
    if len(options.arguments) == 1 and options.value("process") is None:
        raise RuntimeFailure("exec needs a command after the container's id; a shell is often there as sh", 64)
    container = state.read(root, options.arguments[0])
    execute.seal_for(container)
    document = _process_document(options)
    wanted = execute.process_from(container, document, options.arguments[1:], _process_changes(options, container))
    console: Any = None
    if wanted.terminal:
        from ..process import console
    with foreground.Forwarding() as forwarding:
        ours, console_fd = _relay_pair(options) if wanted.terminal else (None, None)
        standard = _standard(wanted, options.flag("detach"))
        request = execute.Request(wanted, console, console_fd, _preserved(options), standard.fds)
        pid = execute.start(container, request)
        forwarding.to(pid)
        _pid_file(options, pid)
        if options.flag("detach"):
            return 0
        master = _master(ours)
        return _in_foreground(master, pid, standard)


def _standard(process_: Process | None, stays: bool) -> Standard:
    return Standard(process_ is not None and process_.terminal, stays)


def _in_foreground(master: int | None, pid: int, standard: Standard) -> int:
    """The exit status of the child, when it has ended."""
    from ..process import foreground

    if master is not None:
        return foreground.relay(master, pid)
    standard.relay(pid)
    return foreground.wait(pid)


def state_(root: str, arguments: Sequence[str]) -> int:
    """state ID: the runtime-spec's document on standard output."""
    _print(state.read(root, _only_id(parse(arguments, {}, {}))).state())
    return 0


def kill(root: str, arguments: Sequence[str]) -> int:
    """kill [--all] ID [SIGNAL]; SIGTERM where none is named."""
    options = parse(arguments, {"all": FLAG}, {"a": "all"})
    if len(options.arguments) not in (1, 2):
        raise RuntimeFailure("kill needs the container's id and at most one signal", 64)
    container = state.read(root, options.arguments[0])
    end.kill(container, signals.signal_number((options.arguments[1:] or ["SIGTERM"])[0]), options.flag("all"))
    return 0


def delete(root: str, arguments: Sequence[str]) -> int:
    """delete [--force] ID; with --force one that does not exist is fine."""
    options = parse(arguments, {"force": FLAG}, {"f": "force"})
    container_id, force = _only_id(options), options.flag("force")
    if not os.path.isfile(f"{root}/{state.check_id(container_id)}/state.json") and force:
        end.delete_unfinished(root, container_id)
        return 0
    end.delete(state.read(root, container_id), force)
    return 0


def pause(root: str, arguments: Sequence[str]) -> int:
    """pause ID"""
    end.pause(state.read(root, _only_id(parse(arguments, {}, {}))), True)
    return 0


def resume(root: str, arguments: Sequence[str]) -> int:
    """resume ID"""
    end.pause(state.read(root, _only_id(parse(arguments, {}, {}))), False)
    return 0


def list_(root: str, arguments: Sequence[str]) -> int:
    """list [--format table|json] [--quiet]"""
    options = parse(arguments, {"format": VALUE, "quiet": FLAG}, {"f": "format", "q": "quiet"})
    found = state.read_all(root)
    rows = [{**c.state(), "created": c.created, "rootfs": f"{c.bundle}/rootfs"} for c in found]
    if options.flag("quiet"):
        _say(*(c.id for c in found))
    elif options.value("format") == "json":
        _print(rows)
    else:
        _say(f"{'ID':<24} {'PID':<8} {'STATUS':<10} {'BUNDLE':<40} CREATED")
        for row in rows:
            _say(f"{row['id']:<24} {row.get('pid', 0):<8} {row['status']:<10} {row['bundle']:<40} {row['created']}")
    return 0


def ps(root: str, arguments: Sequence[str]) -> int:
    """ps [--format json] ID: the PIDs of the container's processes."""
    from ..._kernel import cgroup

    options = parse(arguments, {"format": VALUE}, {"f": "format"})
    container = state.read(root, _only_id(options))
    if container.cgroup is None:
        raise RuntimeFailure(f"container {container.id!r} has no cgroup by which its processes are known")
    pids = cgroup.processes(container.cgroup, recursive=True)
    if options.value("format") == "json":
        _print(list(pids))
    else:
        _say(*(f"{pid:>8} {terminal.shown_line(process.command(pid))}" for pid in pids))
    return 0


def spec(_root: str, arguments: Sequence[str]) -> int:
    """spec [--bundle DIR]: write a config.json to begin with."""
    from ..bundle.defaults import default_spec

    options = parse(arguments, {"bundle": VALUE}, {"b": "bundle"})
    path = os.path.join(options.value("bundle", ".") or ".", "config.json")
    try:
        with open(path, "x", encoding="utf-8") as handle:
            handle.write(json.dumps(default_spec(), indent=1) + "\n")
    except FileExistsError:
        raise RuntimeFailure(f"{path} exists already") from None
    return 0


def features(_root: str, arguments: Sequence[str]) -> int:
    """features: what this runtime does, features.md of the runtime-spec."""
    parse(arguments, {}, {})
    from .features import features as document

    _print(document())
    return 0


def _load(options: Options) -> Spec:
    """The bundle's config.json; and first of all this process becomes one that may enter such a container."""
    wanted = load(os.path.realpath(options.value("bundle", ".") or "."))
    from ..process import seal

    seal.ensure_for(seal.ids_of(wanted))
    return wanted


def _create(root: str, options: Options, wanted: Spec, console_fd: int | None, standard: Standard) -> state.Container:
    container = create_.create(_request(root, options, wanted, console_fd)._replace(stdio=standard.fds))
    if wanted.process is not None and not wanted.process.terminal:
        pipes.give(
            standard.fds or pipes.OWN, container.pid, container.start_time, wanted.process.uid, wanted.process.gid
        )
    return container


def _request(root: str, options: Options, wanted: Spec, console_fd: int | None) -> create_.Request:
    if options.flag("no-pivot"):
        raise RuntimeFailure("--no-pivot is not supported: a root that one can leave is no container")
    return create_.Request(
        root=root,
        id=_only_id(options),
        bundle=options.value("bundle", ".") or ".",
        console_fd=console_fd,
        preserve_fds=_preserved(options),
        spec=wanted,
    )


def _preserved(options: Options) -> tuple[int, ...]:
    given = options.value("preserve-fds", "0") or "0"
    if not given.isdecimal() or int(given) > _MOST_FDS:
        raise RuntimeFailure(f"--preserve-fds {given}: must be a number of descriptors, at most {_MOST_FDS}", 64)
    return descriptors.handed_on(int(given))


def _start_or_delete(container: state.Container) -> None:
    try:
        create_.start(container)
    except BaseException:
        end.delete(container, force=True)
        raise


def _only_id(options: Options) -> str:
    if len(options.arguments) != 1:
        raise RuntimeFailure("needs exactly one container id", 64)
    return options.arguments[0]


def _console_socket(options: Options) -> int | None:
    path = options.value("console-socket")
    if path is None:
        return None
    from ..process import console

    return console.connect(path)


def _relay_pair(options: Options) -> tuple[Any, int | None]:
    """Without --console-socket the foreground itself takes the terminal: (our end, the container's end)."""
    if options.value("console-socket"):
        return None, _console_socket(options)
    import _socket

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    return ours, theirs.detach()


def _master(ours: Any) -> int | None:
    """The terminal that came over our end of the pair; None where there is none to come."""
    if ours is None:
        return None
    import _socket

    try:
        ours.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    from ..process import console

    return console.receive(ours)


def _pid_file(options: Options, pid: int) -> None:
    path = options.value("pid-file")
    if path:
        from ..._kernel import files

        files.write_atomically(os.path.abspath(path), str(pid), 0o644)


def _process_document(options: Options) -> Any:
    path = options.value("process")
    if path is None:
        return None
    try:
        with regular.opened(path) as handle:
            return json.loads(handle.read().decode("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise RuntimeFailure(f"--process {path}: {error}", 64) from None


def _process_changes(options: Options, container: state.Container) -> dict[str, Any]:
    """What the options of exec change in the container's own process."""
    from ..process import execute

    changes: dict[str, Any] = {"env": options.list("env")}
    user = options.value("user")
    if user is not None:
        uid, gid, groups = _user(user, container)
        given = options.list("additional-gids")
        if not all(group.isascii() and group.isdigit() for group in given):
            raise RuntimeFailure(f"--additional-gids {given[0]}: must be a group ID", 64)
        held = execute.capabilities_of(container, uid)
        changes.update({"capabilities": held} if held else {})
        changes["user"] = {"uid": uid, "gid": gid, "additionalGids": [int(g) for g in given] or list(groups)}
    if options.value("cwd") is not None:
        changes["cwd"] = options.value("cwd")
    if options.flag("tty"):
        changes["terminal"] = True
    if options.flag("no-new-privs"):
        changes["noNewPrivileges"] = True
    if options.list("cap"):
        raise RuntimeFailure("--cap is not supported: give the sets with --process", 64)
    return changes


def _user(user: str, container: state.Container) -> tuple[int, int, tuple[int, ...]]:
    """UID, GID and further groups: numbers as they stand (as runc takes them), names by the container's own files."""
    uid, _colon, gid = user.partition(":")
    if uid.isascii() and uid.isdigit() and (not gid or (gid.isascii() and gid.isdigit())):
        return int(uid), int(gid or 0), ()
    from ..._kernel import passwd, process_root

    try:
        return passwd.parse_user(user, lambda path: process_root.read_file(container.pid, container.start_time, path))
    except passwd.NoSuchUser as error:
        raise RuntimeFailure(f"--user {user}: {error}", 64) from None


def _print(document: Any) -> None:
    _say(json.dumps(document, indent=2))


def _say(*lines: str) -> None:
    sys.stdout.writelines(terminal.shown(line) + "\n" for line in lines)
