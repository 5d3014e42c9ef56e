# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option group ``boot``: what is to be there after the next boot too."""

from __future__ import annotations

from typing import Any


def boot() -> dict[str, Any]:
    """The same option as plugins/doc_fragments/boot.py documents."""
    return {"systemd": {"type": "bool", "default": False}}
