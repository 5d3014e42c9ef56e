# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from a registry: its manifest is kept byte for byte, so its digest is the registry's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import digest as digests
from . import reference as references
from .access import Access
from .errors import ImageError, Unreachable
from .source import Seen, Source
from .store import Store, parse_document

if TYPE_CHECKING:
    from .policy import Policy
    from .progress import Progress
    from .write import Writer


@dataclass(frozen=True)
class Registry(Source):
    """``platform`` is OS/ARCHITECTURE[/VARIANT], empty for the host's own. ``tolerant`` keeps what is there where the
    registry cannot be asked."""

    reference: str = ""
    platform: str = ""
    access: Access = field(default_factory=Access)
    tolerant: bool = False
    forbidden: bool = False
    kind = "registry"

    def describe(self) -> str:
        return f"docker://{self.reference}"

    def parts(self) -> tuple[str, ...]:
        return (self.describe(), *([f"platform {self.platform}"] if self.platform else []))

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """Asks the registry for the manifest and for nothing else. The key is its digest."""
        if self.forbidden:
            raise ImageError(f"{self.reference} is not on this host, and pull is never", "Pull it, or load it")
        try:
            manifest = self.manifest()
        except Unreachable as error:
            if self.tolerant and recorded.get("key"):
                warning = f"kept as it is: {error}"
                return Seen(str(recorded["key"]), str(recorded.get("base", "")), warning=warning)
            raise
        digest = digests.of_bytes(manifest)
        return Seen(digest, digest, carried=manifest)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        from . import pull  # here, as each source does: most tasks find their image in the store and make none

        return pull.pull(self, writer, seen, policy, progress)

    def manifest(self) -> bytes:
        """The manifest for the platform. Raises Unreachable, ImageError."""
        from . import transport
        from .manifest import check_manifest, choose

        name = references.parse(self.reference)
        content = transport.inspect(f"docker://{name}", self.access, name.domain)
        if name.digest and digests.of_bytes(content) != name.digest:
            raise ImageError(f"{self.reference}: the registry answered with another digest")
        document = parse_document(content, f"manifest of {self.reference}")
        if "manifests" in document:
            wanted = choose(document, self.platform, self.reference)
            content = transport.inspect(f"docker://{name.at(wanted)}", self.access, name.domain)
            if digests.of_bytes(content) != wanted:
                raise ImageError(f"{self.reference}: the registry answered with another digest than {wanted}")
            document = parse_document(content, f"manifest of {self.reference}")
        check_manifest(document, self.reference, len(content))
        return content
