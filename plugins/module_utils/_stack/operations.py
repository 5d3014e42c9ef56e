# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secret files of a stack: what a Compose file calls secrets and configs, on the host for containers to bind."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._core.operation import Operation

if TYPE_CHECKING:
    from .._core.observe_world import World


@dataclass(frozen=True)
class SecretFile:
    """A file as it should be; ``content`` None for one that is to go."""

    path: str
    content: bytes | None = field(repr=False)
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


def secret_from(params: dict[str, Any]) -> SecretFile:
    """As the action plugin gives it."""
    if params.get("state") == "absent":
        return SecretFile(params["path"], None)
    content = base64.b64decode(params["content"])
    return SecretFile(params["path"], content, int(str(params["mode"]), 8), int(params["uid"]), int(params["gid"]))


@dataclass(frozen=True)
class WriteSecret(Operation):
    """Write it in place, as containers that run have it mounted; root alone can read it until it has its owner."""

    file: SecretFile

    def describe(self) -> str:
        mode = f"mode {self.file.mode:04o}, owner {self.file.uid}:{self.file.gid}"
        return f"write {self.file.path} ({mode})"

    def execute(self, kernel: Any) -> None:
        kernel.files.write_in_place(self.file.path, self.file.content or b"", 0o600)
        kernel.files.set_owner(self.file.path, self.file.uid, self.file.gid, self.file.mode)

    def expect(self, world: World) -> None:
        text = (self.file.content or b"").decode("utf-8", "surrogateescape")
        world.files.expect_file(self.file.path, text, self.file.mode)
