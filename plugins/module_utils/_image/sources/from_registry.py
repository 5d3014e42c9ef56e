# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from a registry: its manifest is kept byte for byte, so its digest is the registry's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..._kernel.errors import absent
from ..errors import ImageError, Unreachable
from ..format import digest as digests
from ..format import reference as references
from ..format.shapes import parse_document
from ..registry.access import Access
from ..store.store import Store
from .source import Seen, Source, parts_differ

if TYPE_CHECKING:
    from ..layers.policy import Policy
    from ..store.progress import Progress
    from ..store.write import Writer


@dataclass(frozen=True)
class Answer:
    """What a registry said: a manifest or an index."""

    digest: str
    content: bytes
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Registry(Source):
    """``platform`` is OS/ARCHITECTURE[/VARIANT], empty for what ``runs`` on the host (empty: on this one). ``tolerant``
    keeps what is there where the registry cannot be asked."""

    reference: str = ""
    platform: str = ""
    access: Access = field(default_factory=Access)
    tolerant: bool = False
    forbidden: bool = False
    runs: tuple[str, ...] = ()
    kind = "registry"

    def describe(self) -> str:
        return f"docker://{self.reference}"

    def parts(self) -> tuple[str, ...]:
        return pulled_parts(self.reference, self.platform)

    def redeclared(self, recorded: Mapping[str, Any]) -> bool:
        return super().redeclared(recorded) or parts_differ(recorded, self.parts())

    def gives(self, digest: str, seen: Seen, pinned: str) -> bool:
        """By the digest of an index too: that is the registry's own (the stamp), or was asked for."""
        return pinned in (digest, seen.stamp, references.parse(self.reference).digest)

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """Asks the registry for the manifest and for nothing else. The key is its digest; the stamp that of the index
        which it was chosen from: as long as that is the same, so is the choice."""
        if self.forbidden:
            raise absent(ImageError(f"{self.reference} is not on this host, and pull is never", "Pull it, or load it"))
        try:
            answer = self._ask("")
            if recorded.get("key") and recorded.get("stamp") == answer.digest:
                return Seen(str(recorded["key"]), str(recorded["key"]), answer.digest)
            manifest = self._chosen(answer)
        except Unreachable as error:
            if self.tolerant and recorded.get("key"):
                warning = f"kept as it is: {error}"
                return Seen(str(recorded["key"]), str(recorded.get("base", "")), warning=warning)
            raise
        index = "" if manifest is answer else answer.digest
        return Seen(manifest.digest, manifest.digest, index, carried=manifest.content)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        from . import pull  # here, as each source does: most tasks find their image in the store and make none

        return pull.pull(self, writer, seen, policy, progress)

    def manifest(self) -> bytes:
        """The manifest for the platform. Raises Unreachable, ImageError."""
        return self._chosen(self._ask("")).content

    def _ask(self, digest: str) -> Answer:
        """A manifest or index, which is a GET of a few kB, as skopeo has no HEAD. Raises Unreachable, ImageError."""
        from ..registry import transport

        name = references.parse(self.reference)
        asked = name.at(digest) if digest else name
        content = transport.inspect(f"docker://{asked}", self.access, name.domain)
        got = digests.of_bytes(content)
        if asked.digest and asked.digest != got:
            raise ImageError(f"{self.reference}: the registry answered with another digest than {asked.digest}")
        return Answer(got, content, parse_document(content, f"manifest of {self.reference}"))

    def _chosen(self, answer: Answer) -> Answer:
        """The manifest itself, or out of an index the one for the platform. Raises Unreachable, ImageError."""
        from ..format import platforms
        from ..format.manifest import check_manifest, choose

        if "manifests" in answer.document:
            own = tuple(map(platforms.parse, self.runs)) or platforms.of_host()
            wanted = platforms.wanted(self.platform, own)
            answer = self._ask(choose(answer.document, wanted, self.reference))
        check_manifest(answer.document, self.reference, len(answer.content))
        return answer


def pulled_parts(reference: str, platform: str) -> tuple[str, ...]:
    """What is declared of an image of a registry, whoever brings it."""
    return (f"docker://{reference}", *([f"platform {platform}"] if platform else []))
