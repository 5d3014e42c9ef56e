# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images have a source that the controller may have to hand over: what an action plugin asks before anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean


def is_handed_over(entry: Mapping[str, Any]) -> bool:
    """Whether these options of oci_image name a seed or a file of the controller."""
    return bool(entry.get("seed")) or any(is_copied(entry.get(kind)) for kind in ("archive", "rootfs"))


def is_copied(group: Any) -> bool:
    """Whether an archive or root file system is one of the controller's."""
    return isinstance(group, dict) and not boolean(group.get("remote_src", True))
