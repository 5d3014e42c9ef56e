# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from an archive or layout on the host, or from another image of the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._kernel import regular
from ..._kernel.errors import KernelError, absent
from ..errors import ImageError
from ..format import digest as digests
from ..registry.access import Access
from ..store.store import Image, Store
from . import source
from .handed import Handed
from .source import Seen, Source

if TYPE_CHECKING:
    from ..layers.policy import Policy
    from ..store.progress import Progress
    from ..store.write import Writer


@dataclass(frozen=True)
class Archive(Source):
    """What ``docker save``, ``podman save``, ``skopeo copy`` or ``buildah push`` wrote. ``reference`` picks one of
    several images in it, ``form`` is found out where it is ``auto``."""

    path: str = ""
    form: str = "auto"
    reference: str = ""
    access: Access = Access()
    #: What has been brought of an archive that is the controller's.
    handed: Handed | None = None
    kind = "archive"

    def describe(self) -> str:
        whose = " of the controller" if self.handed else ""
        return f"archive {self.path}{whose}" + (f" ({self.reference})" if self.reference else "")

    def given(self) -> tuple[str, str]:
        return "archive.path", self.path

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key is the content's digest: of the archive, or of a layout's index and the names of its blobs."""
        if self.handed is not None:
            return self.handed.look(f"archive {self.path}", lambda digest: source.key_of(digest, self.reference))
        directory = os.path.isdir(self.path)
        if directory:
            _refuse_special(self.path)
        stamp = source.stamp_of_tree(self.path) if directory else source.stamp_of_file(self.path)
        stamp = source.key_of(stamp, self.path, self.reference)
        if stamp == recorded.get("stamp"):
            return Seen(str(recorded["key"]), str(recorded.get("base", "")), stamp)
        listing = "index.json" if os.path.exists(self.path + "/oci-layout") else "manifest.json"
        content = f"{self.path}/{listing}" if directory else self.path
        if directory and not os.path.lexists(content):
            why = "it is a directory that holds no image (neither oci-layout nor manifest.json is in it)"
            raise ImageError(why, "Name what an image was saved into; for a tree of files use directory")
        try:
            size = "" if directory else source.amount(1, "archive", "archives", os.stat(content).st_size)
            return Seen(source.key_of(digests.of_file(content), self.reference), "", stamp, content=size)
        except OSError as error:
            raise KernelError.wrap(error, "read", content) from error

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        from . import unarchive

        return unarchive.unarchive(self, writer, policy, progress)

    def taken(self, store: Store, seen: Seen, digest: str) -> Seen:
        return seen if self.handed is not None else self.unless_moved(store, seen)


def _refuse_special(layout: str) -> None:
    """Raises KernelError for what skopeo would wait for: a layout consists of files and directories."""
    for directory, _names, others in os.walk(layout):
        for name in others:
            try:
                regular.check(f"{directory}/{name}")
            except FileNotFoundError:  # it went just now, or a link leads nowhere
                continue


@dataclass(frozen=True)
class Other(Source):
    """Another image of the store: a further name for it."""

    name: str = ""
    kind = "image"

    def describe(self) -> str:
        return f"image {self.name}"

    def given(self) -> tuple[str, str]:
        return "image", self.name

    def named(self) -> tuple[str, str]:
        return self.name, "image"

    def builds_on(self, store: Store) -> Image:
        image = store.resolve(self.name)
        if image is None:
            raise absent(ImageError(f"there is no image {self.name} on this host", "Make or pull it first"))
        return image

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        image = self.builds_on(store)
        return Seen(image.digest, image.digest)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        return seen.key
