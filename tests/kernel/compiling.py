# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""py_compile with a memory: a test's first container installs some 240 files on its host, the same in every test."""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

#: By interpreter and text; where a file lies makes no difference, as Python corrects that when it loads bytecode.
REMEMBERED = (
    Path(__file__).resolve().parents[2] / ".cache/compiled" / f"{sys.implementation.cache_tag}-{sys.hexversion:x}"
)


def remember() -> None:
    """Have py_compile, in this process and its forks, compile no text that was compiled in any earlier one."""
    compiled = SourceFileLoader.source_to_code

    def source_to_code(loader: SourceFileLoader, data: Any, path: Any, **options: Any) -> CodeType:
        if loader.name != "<py_compile>":
            return compiled(loader, data, path, **options)
        kept = REMEMBERED / hashlib.sha256(data).hexdigest()
        if kept.exists():
            known: CodeType = marshal.loads(kept.read_bytes())
            return known
        code = compiled(loader, data, path, **options)
        REMEMBERED.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")  # renamed into place: others may look for it just now
        new.write_bytes(marshal.dumps(code))
        new.rename(kept)
        return code

    setattr(SourceFileLoader, "source_to_code", source_to_code)  # noqa: B010
