# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image can be made from: the one shape that all sources have."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._kernel import regular, tree
from ..._kernel.errors import BareKernelError, KernelError
from ..errors import ImageError
from ..format import digest as digests
from ..format import reference as references
from ..layers.policy import DEEPEST

if TYPE_CHECKING:
    from ..layers.policy import Policy
    from ..store.progress import Progress
    from ..store.store import Image, Store
    from ..store.write import Writer


@dataclass(frozen=True)
class Seen:
    """A source as it is now.

    ``key`` stands for everything that goes into the image: as long as it is the same the image need not be made
    again. ``digest`` is that of the image it would give, where that can be told without making it, and ``stamp``
    lets the next look be a quick one. ``carried`` is what obtain() need not fetch again. ``content`` is what people are
    told of the content, where there is more to tell than the key.
    """

    key: str
    digest: str = ""
    stamp: str = ""
    warning: str = ""
    carried: bytes = b""
    content: str = ""

    @property
    def shown(self) -> str:
        """The content for people."""
        return shown_content(self.key, self.content)


@dataclass(frozen=True)
class Source:
    """A way to come by an image. Frozen: planners compare them."""

    kind = ""
    #: Whether look() keeps something from changing meanwhile, which two at once cannot.
    holds_still = False

    def describe(self) -> str:
        """What the image is made from, as a sentence's end: ``directory /srv/root``."""
        raise NotImplementedError

    def given(self) -> tuple[str, str]:
        """The option that says where it is, and its value; empty where an error says more of its own."""
        return "", ""

    def named(self) -> tuple[str, str]:
        """The image of the store that it starts from, in full, and the option that names it; empty: there is none."""
        return "", ""

    def parts(self) -> tuple[str, ...]:
        """What goes in, one declared value each: so that a diff names the value where ``Seen.key`` only differs."""
        return (self.describe(),)

    def redeclared(self, recorded: Mapping[str, Any]) -> bool:
        """Whether an image that is recorded like that was declared to come from elsewhere, whatever is there now."""
        return bool(recorded.get("kind", self.kind) != self.kind)

    def gives(self, digest: str, seen: Seen, pinned: str) -> bool:
        """Whether an image with that manifest is the one that NAME@``pinned`` means."""
        return digest == pinned

    def builds_on(self, store: Store) -> Image | None:
        """The image of the store whose layers become the new one's, if there is one. Raises ImageError."""
        return None

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """Look without changing anything; ``recorded`` is what was written down when it was last used ({} if never).

        Raises ImageError, KernelError.
        """
        raise NotImplementedError

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        """Bring the image that was seen into the store, unpacked. Returns its manifest's digest.

        Raises ImageError, KernelError.
        """
        raise NotImplementedError

    def taken(self, store: Store, seen: Seen, digest: str) -> Seen:
        """What has gone into the image with that manifest, which is what is recorded: the next look compares with it.

        Where the source moved after it was seen, and nobody can tell which state went in, the key is empty: the next
        run makes the image again. Raises ImageError, KernelError.
        """
        return seen

    def unless_moved(self, store: Store, seen: Seen) -> Seen:
        """taken() of a source that another look tells of."""
        try:
            again = self.look(store, {"key": seen.key, "stamp": seen.stamp})
        except BareKernelError:
            return Seen("")
        return seen if (again.key, again.stamp) == (seen.key, seen.stamp) else Seen("")


def named_in(recorded: Mapping[str, Any]) -> str:
    """Source.named() of what an image is recorded to be made from."""
    first = str((list(recorded.get("parts") or ()) or [""])[0])
    word = {"image": "image ", "build": "base "}.get(str(recorded.get("kind")), "")
    return first[len(word) :] if word and first.startswith(word) else ""


def shown_content(key: str, content: str) -> str:
    """What there is to tell of a content, and the beginning of its key: so that two look different that are."""
    return ", ".join(filter(None, (content, digests.short(key))))


def amount(count: int, kind: str, kinds: str, size: int) -> str:
    """``1 file of 12 bytes``, ``3 files of 4.5 MB``"""
    told = f"{size} bytes" if size < 1 << 20 else f"{size / (1 << 20):.1f} MB"
    return f"{count} {kind if count == 1 else kinds} of {told}"


def parts_differ(recorded: Mapping[str, Any], parts: Sequence[str]) -> bool:
    """Whether other values are recorded; of an image that has none nobody can tell."""
    return bool(recorded.get("parts")) and list(recorded["parts"]) != list(parts)


def check_pin(reference: str, source: Source, seen: Seen, digest: str) -> None:
    """Raises ImageError where a name with a digest would be given to another image."""
    pinned = references.parse(reference).digest
    if pinned and not source.gives(digest, seen, pinned):
        raise ImageError(
            f"name: {reference} is the image with the digest {pinned}, and {source.describe()} is {digest}",
            "Give it a name with a tag, or the digest that it has",
        )


def key_of(*parts: Any) -> str:
    """A key made of plain data; names of files in it need not be UTF-8."""
    return digests.of_bytes(digests.canonical(parts))


def stamp_of_file(path: str) -> str:
    """Changes whenever the file does: its ctime cannot be set back. Raises KernelError where there is no file."""
    status = regular.check(path)
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def stamp_of_tree(path: str, exclude: Iterable[str] = (), into_mounts: bool = False) -> str:
    """One digest over the inode, size, times, mode and owner of everything below a directory. Raises KernelError.

    Every change of a file's content, attributes or name moves a ctime, so an equal stamp is an equal tree. What is
    excluded is not looked at, and nothing of what is mounted in it, unless ``into_mounts``.
    """
    hasher = hashlib.sha256()
    without = frozenset(name.encode("utf-8", "surrogateescape") for name in exclude)
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
    try:
        hasher.update(_facts(b".", os.fstat(root)))
        with contextlib.closing(tree.walk(root, DEEPEST, without, into_mounts)) as nodes:
            for node in nodes:
                hasher.update(b"%s mounted\0" % node.path if node.mounted else _facts(node.path, node.status))
    except OSError as error:
        raise KernelError.wrap(error, "stat", os.path.join(path, error.filename or "")) from error
    finally:
        os.close(root)
    return "sha256:" + hasher.hexdigest()


def _facts(path: bytes, s: os.stat_result) -> bytes:
    facts = (s.st_dev, s.st_ino, s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
    return b"%s\0%s\n" % (path, repr(facts).encode())
