# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hooks: programs run at points of the container's life, with its state on standard input. config.md, Posix-hooks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from ..._kernel import spawn
from ..errors import RuntimeFailure
from .spec import Hook


def run(kind: str, hooks: Iterable[Hook], state: Mapping[str, Any]) -> None:
    """Run them in order. Raises RuntimeFailure for the first that fails, with what it wrote to standard error."""
    for hook in hooks:
        try:
            done = spawn.run(
                list(hook.args),
                executable=hook.path,
                env=dict(entry.partition("=")[::2] for entry in hook.env or ()),
                input=json.dumps(state).encode(),
                capture_output=True,
                timeout=hook.timeout,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeFailure(f"hooks.{kind}: {hook.path}: took longer than {hook.timeout} s") from None
        except OSError as error:
            raise RuntimeFailure(f"hooks.{kind}: {hook.path}: {error.strerror}") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise RuntimeFailure(f"hooks.{kind}: {hook.path}: exited with {done.returncode}: {said}")
