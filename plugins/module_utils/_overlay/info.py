# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""overlay_mount_info: the overlays of a host, from the same observers as overlay_mount."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError
from .._core.paths import parse_path, show_path
from .._kernel import mountinfo, overlay_state, process_holders
from .._kernel.mountinfo import Mount
from .records import layers_shown, live_flags, live_options, propagation_of


class OverlayInfo:
    """Reads; changes nothing."""

    name = "overlay_mount_info"

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Every overlay of this mount namespace, or those at one path. Raises OptionError, KernelError."""
        mounts = mountinfo.read_mountinfo()
        wanted = [m for m in mounts if m.fstype == "overlay"]
        if params["path"] is not None:
            wanted = [m for m in wanted if m.target == _real(params["path"])]
        if params["ours"]:
            wanted = [m for m in wanted if overlay_state.live_overlay(m).ours]
        return {"overlays": [_shown(each, mounts, params["holders"]) for each in wanted]}


def _real(text: str) -> bytes:
    try:
        return os.path.realpath(parse_path(text))
    except ValueError as error:
        raise OptionError("path", text, str(error)) from None


def _shown(mounted: Mount, mounts: tuple[Mount, ...], with_holders: bool) -> dict[str, Any]:
    live = overlay_state.live_overlay(mounted)
    visible = overlay_state.stack_at(mounted.target, mounts)
    state = {
        "path": show_path(mounted.target),
        "source": show_path(mounted.source),
        "ours": live.ours,
        "mount_id": mounted.mount_id,
        "device": mounted.device,
        "covered": not visible or visible[0].mount_id != mounted.mount_id,
        **layers_shown(live.layers),
        "options": live_options(live, overlay_state.module_defaults(), one_file_system=True),
        "flags": live_flags(live),
        "propagation": propagation_of(mounted),
    }
    if with_holders:
        state["holders"] = list(process_holders.holders(mounted))
    return state
