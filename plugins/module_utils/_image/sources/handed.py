# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller hands over: an archive of its own, or an image of a registry that it or another host has pulled.

The action plugin first runs the module with nothing in hand. Where a source has to be looked at (Wanted), the module
changes nothing and returns what it ``needs``; the action plugin then brings what the host lacks and runs it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._kernel.errors import KernelError, absent
from ..errors import ImageError
from ..format import digest as digests
from ..format import reference as references
from ..store.store import Store
from .from_registry import pulled_parts
from .source import Seen, Source, parts_differ

if TYPE_CHECKING:
    from ..layers.policy import Policy
    from ..store.progress import Progress
    from ..store.write import Writer


class Wanted(ImageError):
    """The source is not in this host's hands, and it is needed."""


@dataclass(frozen=True)
class Handed:
    """``digest`` is of what is offered (an archive or a manifest); ``path`` is where it, or the directory with its
    blobs, lies on this host, and is empty where the host needs nothing of it."""

    digest: str = ""
    path: str = ""

    def look(self, what: str, key: Callable[[str], str] = str) -> Seen:
        """Raises Wanted."""
        if not self.digest:
            raise Wanted(f"{what} has to be handed over to this host", "The action plugin of oci_image does that")
        return Seen(key(self.digest), "")

    def place(self, what: str) -> str:
        """Raises ImageError where nothing was brought."""
        if not self.path:
            raise ImageError(f"{what} was not handed over, as the host seemed to have it", "Run the task again")
        return self.path

    def archive(self, what: str) -> str:
        """Where the archive lies, which is still the one that was offered. Raises ImageError, KernelError."""
        path = self.place(what)
        try:
            arrived = digests.of_file(path)
        except OSError as error:
            raise KernelError.wrap(error, "read", path) from error
        if arrived != self.digest:
            raise ImageError(f"{what} was damaged on its way: it has the digest {arrived}, not {self.digest}")
        return path


@dataclass(frozen=True)
class Seeded(Source):
    """An image of a registry by way of ``seed``, which has asked and pulled: this host needs neither network nor
    skopeo for it. Recorded as if it had been pulled here."""

    reference: str = ""
    seed: str = ""
    handed: Handed = Handed()
    forbidden: bool = False
    platform: str = ""
    kind = "registry"

    def describe(self) -> str:
        return f"docker://{self.reference} by way of {self.seed}"

    def parts(self) -> tuple[str, ...]:
        return pulled_parts(self.reference, self.platform)

    def redeclared(self, recorded: Mapping[str, Any]) -> bool:
        return super().redeclared(recorded) or parts_differ(recorded, self.parts())

    def gives(self, digest: str, seen: Seen, pinned: str) -> bool:
        """By the digest of an index, whoever has pulled it took care of that."""
        return pinned in (digest, references.parse(self.reference).digest)

    def look(self, store: Store, recorded: Any) -> Seen:
        if self.forbidden:
            raise absent(ImageError(f"{self.reference} is not on this host, and pull is never", "Pull it, or load it"))
        seen = self.handed.look(f"image {self.reference}")
        return Seen(seen.key, seen.key)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        from . import arrived

        return arrived.take_in(self, writer, seen, policy, progress)


def file_name(digest: str) -> str:
    """A blob's name outside a store; not every way of copying files takes a colon."""
    return digests.check(digest).replace(":", "-")


def platform() -> str:
    """For which platform this host takes images."""
    from ..format import config

    return "/".join(filter(None, ("linux", *config.host_platform())))


def needs(store: Store, images: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the controller has to know to hand over the sources of ``images`` (by reference; need()): beside these the
    blobs there are, and for which platform this host takes images; ``runs`` is what it runs, the best first."""
    from ..format import platforms

    directory = f"{store.root}/blobs/sha256"
    names = os.listdir(directory) if os.path.isdir(directory) else []
    blobs = sorted(digest for digest in (f"sha256:{name}" for name in names) if digests.is_digest(digest))
    runs = [str(each) for each in platforms.of_host()]
    return {"images": images, "blobs": blobs, "platform": platform(), "runs": runs}


def need(key: str, damaged: Iterable[str]) -> dict[str, Any]:
    """Of one image: the key of what it was made from as it is, and the blobs that are not what they should be."""
    return {"key": key, "damaged": list(damaged)}
