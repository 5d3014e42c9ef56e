# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says to parameters of a container, asked in namespaces made for the question."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from .clone import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWUTS, unshare
from .sysctl import path_of, read


class Answer(NamedTuple):
    """``error`` is what the kernel says, empty where it takes the value; ``shown`` what it then shows, or nothing."""

    error: str
    shown: str


def tried(wanted: Iterable[tuple[str, str, str]], idmap: tuple[int, int] | None) -> dict[str, Answer]:
    """Key -> the kernel's answer to a value. Nothing of the host is changed.

    ``wanted`` are keys of the caller's, each with the parameter to set and its value. A child writes them in order, in
    network, IPC and UTS namespaces of its own; with ``idmap`` (first host ID, size) as root of a user namespace that
    owns these. Empty where such namespaces cannot be had. What does not exist in a new namespace, such as an
    interface's, is left out.
    """
    wanted = list(wanted)
    ready_reader, ready_writer = os.pipe()
    said_reader, said_writer = os.pipe()
    mapped_reader, mapped_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(mapped_writer)
        _child(wanted, idmap is not None, ready_writer, mapped_reader, said_writer)
    for fd in (ready_writer, said_writer, mapped_reader):
        os.close(fd)
    try:
        if os.read(ready_reader, 1) and (idmap is None or _map(pid, idmap)):
            os.write(mapped_writer, b"m")
        os.close(mapped_writer)
        with open(said_reader, "rb") as said:
            answer = said.read()
    finally:
        os.close(ready_reader)
        os.waitpid(pid, 0)
    return {key: Answer(*said) for key, said in json.loads(answer or b"{}").items()}


def _map(pid: int, idmap: tuple[int, int]) -> bool:
    try:
        for name in ("uid_map", "gid_map"):
            fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, f"0 {idmap[0]} {idmap[1]}\n".encode())
            finally:
                os.close(fd)
    except OSError:
        return False
    return True


def _child(wanted: list[tuple[str, str, str]], in_user_namespace: bool, ready: int, mapped: int, said: int) -> None:
    """Never returns; says nothing where it has no namespaces of its own."""
    with contextlib.suppress(Exception):
        if in_user_namespace:
            unshare(CLONE_NEWUSER)
        os.write(ready, b"r")
        if os.read(mapped, 1):
            if in_user_namespace:
                os.setgroups([])
                os.setresgid(0, 0, 0)
                os.setresuid(0, 0, 0)
            unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
            os.write(said, json.dumps(_written(wanted)).encode())
    os._exit(0)


def _written(wanted: list[tuple[str, str, str]]) -> dict[str, Answer]:
    answers = {}
    for key, name, value in wanted:
        try:
            fd = os.open(path_of(name), os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            # Such a namespace shows parameters, too, that only the host may set: nobody in it may open their files.
            answers[key] = Answer(f"{error.strerror}: only the host may set it", "")
            continue
        try:
            os.write(fd, value.encode("utf-8", "surrogateescape") + b"\n")
            answers[key] = Answer("", read(name) or "")
        except OSError as error:
            answers[key] = Answer(error.strerror or str(error), "")
        finally:
            os.close(fd)
    return answers
