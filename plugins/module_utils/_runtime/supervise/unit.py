# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd unit of one container: no process of ours stays, the container's init is the unit's main process.

Limits are not unit properties: systemd would write its own values back at every daemon-reload. The unit is delegated
(systemd.resource-control(5), Delegate=), and the container lives in the child cgroup ``container``, whose files are
ours alone; systemd removes the whole subtree when the unit ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..._kernel import locations
from ..._kernel.unit_files import requires_mounts_for
from ..bundle.signals import signal_number
from ..errors import BundleError
from .launch import Launch, path_of

UNITS = "/etc/systemd/system"
SLICE = "barekernel.slice"
#: The container's own cgroup and, for the moment of launching, the launcher's, below the unit's.
CONTAINER_CGROUP = "container"
LAUNCHER_CGROUP = "launcher"
#: What systemd calls each policy; that a container stopped on purpose stays stopped is what it does anyway.
RESTART = {"no": "no", "on-failure": "on-failure", "always": "always", "unless-stopped": "always"}
#: What systemd takes for a clean end by itself.
_CLEAN_SIGNALS = ("SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE")
#: Between two tries where delays cannot grow.
_LONE_DELAY_MS = 1000
#: How long the clearing up after a container may take, in seconds.
SETTLE = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


def unit_name(name: str) -> str:
    """The container's unit. Raises BundleError for a name that systemd would have to escape."""
    if not _NAME.match(name):
        raise BundleError("id", name, "may hold letters, digits, '_', '.' and '-', and begins with a letter or digit")
    return f"barekernel-{name}.service"


def unit_path(name: str) -> str:
    """Where the unit's file belongs."""
    return f"{UNITS}/{unit_name(name)}"


def cgroup_path(name: str, mount: str = "/sys/fs/cgroup") -> str:
    """The container's cgroup when systemd supervises it: what launch.json must have as ``cgroup``."""
    return f"{mount}/{SLICE}/{unit_name(name)}/{CONTAINER_CGROUP}"


def unit_text(
    launch: Launch,
    *,
    nsrun: str = locations.LIBRARY + "/nsrun",
    after: Sequence[str] = (),
    mounts: Sequence[str] = (),
    before_start: Sequence[str] = (),
    reaper: bool = False,
    systemd_version: int = 252,
) -> str:
    """The unit's file. Pure.

    after: units that must be up first at boot (networks, mounts). They are not required: that would start them with
    the container, while whoever starts it holds the locks that they wait for.
    mounts: paths whose mounts must be there, which systemd makes where they have units.
    before_start: command lines to run before each start.
    reaper: whether the first process tells of a signal that ended the program by an exit code, 128 and its number.
    systemd_version decides on settings that older versions would warn about.
    """
    restart = launch.restart
    unlimited = restart.max_retries == 0
    lines = [
        "# Written by barekernel.containers; changes are lost when the container is changed.",
        "[Unit]",
        f"Description=Container {launch.id}",
        *([f"After={' '.join(after)}"] if after else []),
        *requires_mounts_for(mounts),
        f"ConditionPathExists={path_of(launch.id)}",
        f"StartLimitIntervalSec={'0' if unlimited else 'infinity'}",
        *([] if unlimited else [f"StartLimitBurst={restart.max_retries + 1}"]),
        "",
        *_service(launch, nsrun, before_start, systemd_version),
        *(_clean_code(launch) if reaper else []),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _service(launch: Launch, nsrun: str, before_start: Sequence[str], systemd_version: int) -> list[str]:
    """systemd.service(5): how it starts, ends and is started again."""
    file = path_of(launch.id)
    longer = f"systemd-notify EXTEND_TIMEOUT_USEC={SETTLE * 1_000_000}"
    return [
        "[Service]",
        "Type=notify",
        "NotifyAccess=all",
        "Delegate=yes",
        f"Slice={SLICE}",
        *(f"ExecStartPre={command}" for command in before_start),
        f"ExecStart={nsrun} launch {file}",
        # TimeoutStopSec is the container's, and may be over before a Python has begun on a busy host.
        f"ExecStopPost=/bin/sh -c '{longer}; exec {nsrun} settle {file}'",
        f"Restart={RESTART[launch.restart.policy]}",
        *_back_off(launch, systemd_version),
        *_clean_end(launch),
        "KillMode=mixed",
        f"KillSignal={_kill_signal(launch)}",
        *([f"TimeoutStopSec={launch.stop.timeout:g}"] if launch.stop.timeout > 0 else []),
        # One process killed for want of memory is the container's own business: its init decides.
        "OOMPolicy=continue",
        "TasksMax=infinity",
        f"SyslogIdentifier={launch.id}",
        "StandardInput=null",
    ]


def _back_off(launch: Launch, systemd_version: int) -> list[str]:
    """Growing delays, which systemd has since version 254; before, one that a crash loop can be lived with."""
    restart = launch.restart
    grows = restart.policy != "no" and restart.max_delay_ms > restart.delay_ms
    if systemd_version < 254 or not grows:
        delay = max(restart.delay_ms, min(_LONE_DELAY_MS, restart.max_delay_ms)) if grows else restart.delay_ms
        return [f"RestartSec={delay}ms"]
    steps = max(1, (restart.max_delay_ms // max(1, restart.delay_ms)).bit_length() - 1)
    return [
        f"RestartSec={restart.delay_ms}ms",
        f"RestartSteps={steps}",
        f"RestartMaxDelaySec={restart.max_delay_ms}ms",
    ]


def _kill_signal(launch: Launch) -> str:
    """Without time to end by itself it is killed at once; to systemd a time-out of 0 would mean to wait for ever."""
    return launch.stop.signal if launch.stop.timeout > 0 else "SIGKILL"


def _clean_code(launch: Launch) -> list[str]:
    """Where a reaper passes the stop signal on, and tells of the end with an exit code."""
    signal = _kill_signal(launch)
    return [] if signal == "SIGKILL" else [f"SuccessExitStatus={128 + signal_number(signal)}"]


def _clean_end(launch: Launch) -> list[str]:
    """A container that its stop signal ended has not failed (systemd.service(5): SuccessExitStatus=).

    SIGKILL may also come from the kernel for want of memory. That still starts it again, for which it must not count
    as success alone; and where nothing would start it again it does not.
    """
    signal, policy = _kill_signal(launch), launch.restart.policy
    if signal in _CLEAN_SIGNALS or (signal == "SIGKILL" and policy == "no"):
        return []
    lines = [f"SuccessExitStatus={signal}"]
    return lines + (["RestartForceExitStatus=SIGKILL"] if signal == "SIGKILL" and policy == "on-failure" else [])
