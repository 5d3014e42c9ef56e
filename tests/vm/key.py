# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names in the cache: a digest of everything that went in, so that what changed is made anew and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(parts: Mapping[str, Any]) -> str:
    """20 hexadecimal digits for named parts: JSON values, dataclasses and bytes (taken as they are).

    The names and the boundaries of the parts count: moving a byte from one part to the next gives another key.
    """
    total = hashlib.sha256()
    for name in sorted(parts):
        raw = parts[name] if isinstance(parts[name], bytes) else _canonical(parts[name])
        total.update(f"{len(name)}:{name}={len(raw)}:".encode())
        total.update(raw)
    return total.hexdigest()[:20]


def _canonical(value: Any) -> bytes:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
