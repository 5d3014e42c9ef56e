# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from a directory, or from the tar of a root file system: one layer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._kernel.errors import KernelError
from ..format import digest as digests
from ..store.store import Store
from . import source
from .handed import Handed
from .source import Seen, Source

if TYPE_CHECKING:
    from ..layers.policy import Policy
    from ..store.progress import Progress
    from ..store.write import Writer


@dataclass(frozen=True)
class Directory(Source):
    """A directory of the host, as it is: owners, modes, times, links and attributes are kept.

    It may be in use: what is mounted in it is left out, unless ``into_mounts``, and so is what ends while it is read.
    """

    path: str = ""
    exclude: tuple[str, ...] = ()
    into_mounts: bool = False
    kind = "directory"

    def describe(self) -> str:
        return f"directory {self.path}"

    def given(self) -> tuple[str, str]:
        return "directory.path", self.path

    def parts(self) -> tuple[str, ...]:
        mounts = ["with what is mounted in it"] if self.into_mounts else []
        return (self.describe(), *mounts, *(f"without {path}" for path in self.exclude))

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key is the layer's diff ID; where no inode changed it is the recorded one, unread."""
        stamp = source.stamp_of_tree(self.path, self.exclude, self.into_mounts)
        stamp = source.key_of(stamp, self.path, self.exclude, self.into_mounts)
        if stamp == recorded.get("stamp"):
            return Seen(str(recorded["key"]), str(recorded.get("base", "")), stamp)
        from . import read_tree

        key, digest, content = read_tree.see(self)
        return Seen(key, digest, stamp, content=content)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        from . import read_tree

        return read_tree.take_directory(self, writer, policy, progress)

    def taken(self, store: Store, seen: Seen, digest: str) -> Seen:
        diff_id = store.image(digest).diff_ids[0]
        return seen if diff_id == seen.key else Seen(diff_id, digest)


@dataclass(frozen=True)
class Rootfs(Source):
    """A root file system's tar, plain or compressed by gzip, zstd, xz or bzip2.

    The archive becomes the layer as it is, so its digest is the layer's; xz and bzip2, which are no layer formats,
    are stored plain.
    """

    path: str = ""
    #: What has been brought of an archive that is the controller's.
    handed: Handed | None = None
    kind = "rootfs"

    def describe(self) -> str:
        return f"root file system {self.path}" + (" of the controller" if self.handed else "")

    def given(self) -> tuple[str, str]:
        return "rootfs.path", self.path

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        if self.handed is not None:
            return self.handed.look(f"root file system {self.path}")
        stamp = source.key_of(source.stamp_of_file(self.path), self.path)
        if stamp == recorded.get("stamp"):
            return Seen(str(recorded["key"]), str(recorded.get("base", "")), stamp)
        from . import read_tree

        read_tree.refuse_no_tar(self.path)
        try:
            content = source.amount(1, "archive", "archives", os.stat(self.path).st_size)
            return Seen(digests.of_file(self.path), "", stamp, content=content)
        except OSError as error:
            raise KernelError.wrap(error, "read", self.path) from error

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        from . import read_tree

        return read_tree.take_rootfs(self, writer, policy, progress)

    def taken(self, store: Store, seen: Seen, digest: str) -> Seen:
        return seen if self.handed is not None else self.unless_moved(store, seen)
