# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text becomes bytes as UTF-8, whatever the host's locale: paths, arguments and environments come from YAML."""

from __future__ import annotations

import os
import sys

from ansible.module_utils.common.respawn import has_respawned, respawn_module

#: python(1), PEP 540. The interpreter decides at its start, and never again.
_VARIABLE = "PYTHONUTF8"


def prepare() -> bool:
    """Whether Python here takes names for another encoding than UTF-8; an interpreter that is started next does not."""
    if sys.getfilesystemencoding().lower() == "utf-8":
        return False
    os.environ[_VARIABLE] = "1"
    return True


def require() -> None:
    """Return where names are UTF-8; else run the module again in an interpreter for which they are."""
    if prepare() and not has_respawned():
        respawn_module(sys.executable)  # does not return
