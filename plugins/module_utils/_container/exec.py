# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container_exec: a command in a running container."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._boot.host import ContainerHost
from .._core.command_line import words
from .._core.names import container_name
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import CommandFailed, OptionError, Resource
from .._core.texts import variables
from .._core.user_ids import outside_of
from .._image.format.user import NoSuchUser, parse_user
from .._kernel import container_records, files, locations, process_root
from .._kernel.errors import KernelError
from .._kernel.process import LONGEST_WAIT
from .._runtime.supervise import control
from .plan_exec import Exec, ExecObserved, plan_exec


class ExecResource(Resource[Exec, ExecObserved]):
    """Not a state but an event: after it ran, nothing is left to do."""

    name = "ns_container_exec"

    def desired(self, params: Mapping[str, Any]) -> Exec:
        argv = params.get("argv") or words("cmd", params.get("cmd") or "")
        if not argv:
            option = "argv" if params.get("argv") is not None else "cmd"
            raise OptionError(option, params.get(option), "is empty; name the command to run")
        for option in ("cwd", "creates", "removes"):
            value = params.get(option)
            if value is not None and not value.startswith("/"):
                raise OptionError(option, value, "must be an absolute path inside the container")
        timeout = params.get("timeout")
        if timeout is not None and not 0 < timeout <= LONGEST_WAIT:
            raise OptionError("timeout", timeout, f"must be more than 0 and at most {LONGEST_WAIT} seconds")
        stdin = params.get("stdin")
        if stdin is not None and params.get("stdin_add_newline", True):
            stdin += "\n"
        return Exec(
            name=container_name(params["name"]),
            argv=tuple(argv),
            stdin=(stdin or "").encode("utf-8", "surrogateescape"),
            env=variables("env", params.get("env")),
            cwd=params.get("cwd"),
            user=params.get("user"),
            creates=params.get("creates"),
            removes=params.get("removes"),
            timeout=timeout,
            strip=params.get("strip_empty_ends", True),
        )

    def locks(self, desired: Exec) -> tuple[str, ...]:
        return ()

    def observe(self, desired: Exec, world: World) -> ExecObserved:
        while True:
            try:
                return self._look(desired)
            except KernelError as error:
                if error.errno != errno.ESRCH:
                    raise  # it ended while it was looked into: then it is looked at again

    def _look(self, desired: Exec) -> ExecObserved:
        directory = f"{locations.CONTAINERS}/{desired.name}"
        config = files.read_json(f"{directory}/bundle/config.json")
        if config is None:
            return ExecObserved(None)
        supervised = control.observe(desired.name)
        if not supervised.running or supervised.pid is None:
            return ExecObserved(supervised.status)
        process = (supervised.pid, supervised.start_time)
        launch = container_records.read_launch(desired.name) or {}
        return ExecObserved(
            supervised.status,
            config["process"],
            _user(desired.user, process, (launch.get("rootfs") or {}).get("idmap")),
            created=desired.creates is not None and process_root.exists(*process, desired.creates),
            to_remove=desired.removes is None or process_root.exists(*process, desired.removes),
            runtime=launch.get("runtime", "nsrun"),
        )

    def plan(self, desired: Exec, observed: ExecObserved) -> Plan:
        return plan_exec(desired, observed)

    def settled(self, desired: Exec) -> Exec:
        return replace(desired, done=True)

    def results(self, returned: Sequence[Any]) -> dict[str, Any]:
        if not returned:
            return {}
        answer = dict(returned[-1])
        if answer["rc"] != 0:
            raise CommandFailed("non-zero return code", answer)
        return answer

    def kernel(self) -> Any:
        return ContainerHost()


def _user(
    user: str | None, process: tuple[int, int | None], idmap: Mapping[str, int] | None
) -> tuple[int, int, tuple[int, ...]] | None:
    """As the container's own files name it; ``process`` is its init's PID and start time."""
    if user is None:
        return None
    try:
        found = parse_user(user, lambda path: process_root.read_file(*process, path))
    except NoSuchUser as error:
        raise OptionError("user", user, str(error)) from None
    outside = outside_of(found, idmap["size"] if idmap else None)
    if outside:
        raise OptionError("user", user, outside)
    return found
