# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small image made by steps, on top of another image or of nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel.errors import BareKernelError, KernelError, absent
from ..errors import BadOption
from ..format import digest as digests
from ..format import reference as references
from ..format.config import LayerBlob
from ..layers.policy import Policy
from ..store.progress import Progress
from ..store.store import Image, Store
from ..store.workers import Report, run_apart
from ..store.write import Writer
from . import build, copied, one_layer, source, steps
from .source import Seen, Source


@dataclass(frozen=True)
class Steps(Source):
    """``base`` is a name in the store, empty for an image of its own; ``steps`` are those of steps.py."""

    base: str = ""
    steps: tuple[Any, ...] = ()
    kind = "build"

    def describe(self) -> str:
        return f"{len(self.steps)} step{'s' * (len(self.steps) != 1)} on {self.base or 'nothing'}"

    def named(self) -> tuple[str, str]:
        return self.base, "build.base"

    def parts(self) -> tuple[str, ...]:
        return (f"base {self.base}" if self.base else "no base", *map(steps.details, self.steps))

    def builds_on(self, store: Store) -> Image | None:
        if not self.base:
            return None
        image = store.resolve(self.base)
        if image is None:
            why = "there is no such image on this host: make or pull it first"
            raise absent(BadOption("build.base", references.familiar(self.base), why))
        return image

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key covers the base's digest, every step, and the content and mode of every file that is copied."""
        base = self.builds_on(store)
        parts: list[Any] = [base.digest if base else ""]
        files = size = 0
        copies = 0
        for step in self.steps:
            parts.append([type(step).__name__, vars(step)])
            if isinstance(step, steps.CopyFile):
                copied_, bytes_ = _content(f"build.copy[{copies}].src", step.src)
                copies += 1
                parts.append(copied_)
                files, size = files + len(copied_), size + bytes_
        told = [f"base {digests.short(base.digest)}"] if base else []
        told += [source.amount(files, "copied name", "copied names", size)] if files else []
        return Seen(source.key_of(*parts), content=", ".join(told))

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        base = self.builds_on(writer.store)
        home = writer.path("layer")
        tree = home + "/fs"
        started = build.new_tree(tree)
        self._perform(writer, base, tree, progress)
        newest = build.settle_times(tree, started)
        blob = writer.path("layer.tar")
        progress.update("packing")
        if base:
            return self._on_base(writer, base, tree, blob, newest, policy, progress)
        written = one_layer.write_tree(writer, tree, blob)
        layer = LayerBlob(written.diff_id, written.size, written.diff_id)
        documents = one_layer.describe_image([layer], self._created_by(), newest)
        return build.take_tree(writer, home, written, blob, documents, policy)

    def taken(self, store: Store, seen: Seen, digest: str) -> Seen:
        return self.unless_moved(store, seen)

    def _on_base(
        self, writer: Writer, base: Image, tree: str, blob: str, newest: int, policy: Policy, progress: Progress
    ) -> str:
        """What is above the base becomes a layer; unpacked afresh, as overlayfs leaves marks of its own on an upper."""
        one_layer.write_tree(writer, tree, blob, overlay=True)
        writer.kernel.files.remove_tree(writer.path("layer"))

        def documents(layer: LayerBlob) -> tuple[bytes, bytes]:
            below = list(base.manifest["layers"])
            return one_layer.describe_image([layer], self._created_by(), newest, base.document, below)

        return one_layer.store_layer_image(writer, blob, documents, policy, progress)

    def _created_by(self) -> str:
        return "; ".join(steps.describe(step) for step in self.steps)

    def _perform(self, writer: Writer, base: Image | None, tree: str, progress: Progress) -> None:
        overlay_work, merged = writer.path("work"), writer.path("merged")
        os.mkdir(overlay_work, 0o700)
        os.mkdir(merged, 0o700)
        lowerdirs = base.lowerdirs if base else ()
        if base:
            root = os.stat(base.layers[0])
            os.chown(tree, root.st_uid, root.st_gid)
            os.chmod(tree, root.st_mode & 0o7777)

        def run(*what: Any) -> Any:
            return writer.kernel.isolated.run(*what)

        def show(now: Mapping[str, Any]) -> None:
            progress.update(str(now.get("phase", "building")), text=str(now.get("text", "")))

        def work(report: Report) -> Mapping[str, Any]:
            return steps.perform(self.steps, lowerdirs, tree, overlay_work, merged, run, report)

        try:
            run_apart("the steps", work, show)
        except BareKernelError as error:
            writer.explain(error, self._needed())
            raise

    def _needed(self) -> str:
        """What is copied is in the image and in its layer's blob; of what a command writes nobody can tell before."""
        try:
            copied = sum(_size(step.src) for step in self.steps if isinstance(step, steps.CopyFile))
        except BareKernelError:  # gone since it was looked at
            return ""
        return f"at least {2 * copied}" if copied else ""


def _size(src: str) -> int:
    """Bytes of the files that a copy step takes. Raises ImageError, KernelError."""
    with contextlib.closing(copied.entries(src)) as found:
        return sum(entry.status.st_size for entry in found if entry.fd >= 0)


def _content(option: str, src: str) -> tuple[list[list[Any]], int]:
    """Names, modes and digests of what a copy step would take, and the bytes of its files.

    Raises BadOption where it is not there, ImageError where it cannot be copied.
    """
    try:
        with contextlib.closing(copied.entries(src)) as found:
            listed, size = [], 0
            for entry in found:
                listed.append([entry.inside, *_facts(entry)])
                size += entry.status.st_size if entry.fd >= 0 else 0
            return listed, size
    except KernelError as error:
        missing = error.errno == errno.ENOENT and error.path in (None, src)
        why = "is not on this host, where it is to be read: create it first" if missing else str(error)
        raise (absent(BadOption(option, src, why)) if missing else BadOption(option, src, why)) from error


def _facts(entry: copied.Entry) -> list[Any]:
    if stat.S_ISLNK(entry.status.st_mode):
        return [0, entry.target]
    return [entry.status.st_mode, digests.of_open(entry.fd) if entry.fd >= 0 else ""]
