# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the host that a running container still has as they were: a mount is of a file, not of its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._kernel.mountinfo import Mount
from .plan_init import PLACE

#: What the kernel appends to a root that has no name any more, fs/d_path.c; mountinfo escapes no slash.
_DELETED = b"//deleted"


def replaced(mounts: Mapping[bytes, Mount], config: Mapping[str, Any] | None) -> dict[str, str]:
    """Target -> source of each bind mount whose source was replaced, as ansible.builtin.template and copy do it.

    ``mounts`` are those of the container by target, none where it does not run. The program of ``init: reaper`` is not
    among them: a package's update is no reason to restart what it runs already. One whose source is gone is left out: a
    restart would not mend it.
    """
    binds = {os.fsencode(m["destination"]): m["source"] for m in (config or {}).get("mounts") or () if _is_bind(m)}
    return {
        os.fsdecode(target): source
        for target, source in sorted(binds.items())
        if target in mounts and mounts[target].root.endswith(_DELETED) and os.path.exists(source)
    }


def _is_bind(mount: Mapping[str, Any]) -> bool:
    if mount["destination"] == PLACE:
        return False
    return mount.get("type") == "bind" or bool({"bind", "rbind"} & set(mount.get("options") or ()))
