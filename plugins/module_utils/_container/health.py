# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health check that a container's image declares, run once: there is no daemon that would do it on and on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.observe_world import World
from .._core.resource import Refused
from .._runtime.errors import RuntimeFailure
from .exec import ExecResource
from .plan_exec import Exec, plan_exec

#: Bytes of what it writes that are told of: more than a check has to say.
_MOST = 16 * 1024


def health(name: str, launch: Mapping[str, Any]) -> dict[str, Any] | None:
    """``healthy``, ``exit_code`` and ``output``; None where the image has no check. Raises KernelError."""
    check = launch.get("healthcheck")
    if not check:
        return None
    resource = ExecResource()
    wanted = Exec(name, tuple(check["argv"]), timeout=check["timeout"], most=_MOST)
    try:
        [command] = plan_exec(wanted, resource.observe(wanted, World())).operations
        answer = command.execute(resource.kernel())
    except (Refused, RuntimeFailure) as error:  # it does not run, has no such program, or the time was over
        return {"healthy": False, "exit_code": None, "output": str(error)}
    said = "\n".join(filter(None, (answer["stdout"], answer["stderr"])))
    return {"healthy": answer["rc"] == 0, "exit_code": answer["rc"], "output": said}
