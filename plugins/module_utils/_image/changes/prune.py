# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nothing uses any more. Use is read from what exists, names and containers, and never counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel import container_records, locations
from ..errors import ImageError
from ..format import digest as digests
from ..format.reference import familiar
from ..store import progress, replaced
from ..store.store import Image, Store, reference_of, source_of


@dataclass(frozen=True)
class Garbage:
    """Paths below the store's root, and the bytes that removing them frees; ``half_made`` where an interrupted run
    left something besides. ``unknown`` says of which images in use it cannot be told what they need: then nothing else
    is garbage."""

    blobs: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    size: int = 0
    half_made: bool = False
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.blobs or self.layers or self.half_made)


def unused(store: Store, without: str = "") -> Garbage:
    """What no name and no container uses; ``without`` is a reference that is about to go.

    Raises ImageError, KernelError where use cannot be told: then nothing may be removed.
    """
    old = replaced.over(store)
    kept, unknown = used_by(store, roots(store, without))
    if unknown:
        return Garbage((), old, sum(map(_size_of, old)), unknown=unknown)
    blobs = [path for path in _listing(f"{store.root}/blobs/sha256") if path not in kept]
    layers = [path for path in _listing(f"{store.root}/layers") if path not in kept]
    size = sum(_size_of(path) for path in [*blobs, *layers, *old])
    return Garbage(tuple(blobs), (*layers, *old), size)


def half_made(store: Store) -> bool:
    """Whether an interrupted run left something that no name leads to, or a layer was replaced whose users ended."""
    if progress.left() or replaced.over(store):
        return True
    places = [store.root, f"{store.root}/blobs/sha256", f"{store.root}/layers"]
    names = [name for place in places if os.path.isdir(place) for name in os.listdir(place)]
    if any(name == "staging" or name.startswith(locations.HALF_MADE) for name in names):
        return True
    return os.path.isdir(store.root) and not os.path.ismount(store.root) and not roots(store)


def half_made_bytes(store: Store) -> int:
    """What clearing that frees."""
    places = [store.root, f"{store.root}/blobs/sha256", f"{store.root}/layers"]
    paths = [f"{store.root}/staging", *(f"{p}/{name}" for p in places if os.path.isdir(p) for name in os.listdir(p))]
    half = {p for p in paths if os.path.basename(p).startswith((locations.HALF_MADE, "staging"))}
    return sum(_size_of(path) for path in half if os.path.exists(path))


def roots(store: Store, without: str = "") -> dict[str, str]:
    """Digests of the manifests that must stay, each with who needs it: a name, or a container made from it.

    A named image keeps what it was made from, too, if only its configuration was changed here.
    """
    found: dict[str, str] = {}
    for descriptor in store.descriptors():
        reference = reference_of(descriptor)
        if reference != without or not without:
            for digest in (descriptor["digest"], source_of(descriptor).get("base", "")):
                found.setdefault(str(digest), f"image {familiar(reference)}")
    for container, digest in container_images(store):
        found.setdefault(digest, f"the image of container {container}")
    found.pop("", None)
    return found


def container_images(store: Store) -> Iterable[tuple[str, str]]:
    """The containers and the image digests that they declare. Raises KernelError for a declaration that cannot be
    read."""
    for name, record in container_records.declared(store.containers):
        if name not in store.going and isinstance(record.get("image_digest"), str):
            yield name, record["image_digest"]


def used_by(store: Store, manifests: Mapping[str, str]) -> tuple[set[str], tuple[str, ...]]:
    """The paths of all blobs and layers of those manifests, and of which of them that cannot be told, and why."""
    paths: set[str] = set()
    unknown: list[str] = []
    for digest, who in manifests.items():
        if not digests.is_digest(digest):
            continue
        try:
            image = store.image(digest)
        except ImageError as error:
            unknown.append(f"{who}: {error}")
            continue
        listed = [image.manifest["config"], *image.manifest["layers"]]
        paths |= {store.blob_path(digest), *(store.blob_path(str(descriptor["digest"])) for descriptor in listed)}
        paths |= {store.layer_home(key) for key in (*image.diff_ids, *image.chain_ids)}
    return paths, tuple(unknown)


def remove(garbage: Garbage, kernel: Any) -> None:
    """Manifests and configurations before layers, so that no image is left that looks whole."""
    for path in garbage.blobs:
        kernel.files.remove_file(path)
    for path in garbage.layers:
        # Out of sight by one rename first: a layer half removed must not look like a layer.
        doomed = f"{os.path.dirname(path)}/{locations.HALF_MADE}{os.path.basename(path)}"
        kernel.files.remove_tree(doomed)
        kernel.files.rename(path, doomed)
        kernel.files.remove_tree(doomed)


def image_bytes(image: Image, store: Store) -> int:
    """Bytes of the unpacked layers, as recorded when they were unpacked."""
    keys = [os.path.basename(os.path.dirname(path)) for path in image.layers]
    return sum(int(store.layer_record("sha256:" + key).get("size", 0)) for key in keys)


def _listing(path: str) -> list[str]:
    """What is whole and in its place; what is half-made is cleared by every Writer."""
    names = os.listdir(path) if os.path.isdir(path) else []
    whole = [name for name in names if not name.startswith(locations.HALF_MADE) and not replaced.is_old(name)]
    return sorted(f"{path}/{name}" for name in whole)


def _size_of(path: str) -> int:
    """Blocks on the disk, each inode once."""
    if not os.path.isdir(path):
        return os.lstat(path).st_blocks * 512
    seen: dict[tuple[int, int], int] = {}
    for _directory, names, others, fd in os.fwalk(path):
        for name in [*names, *others]:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            seen[(status.st_dev, status.st_ino)] = status.st_blocks * 512
    return sum(seen.values())
