# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is an image in the store still what it says? Every blob is hashed, every unpacked file compared with its blob."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._kernel import openat2
from .._kernel.errors import KernelError
from . import tarstream
from .contents import Content, digest_of
from .damage import Damage
from .errors import HostileLayer, ImageError
from .fingerprint import fits
from .layer import WHITEOUT, clean
from .manifest import Layer, layers_of
from .policy import Limits
from .store import Image, Store
from .stream import LayerStream
from .workers import Pool, Report


def check(store: Store, image: Image) -> Damage:
    """Compare, in as many processes as there are processors. Changes nothing. Raises ImageError, KernelError."""
    blobs, layers, why = [], [], []
    known = {layer.diff_id: layer for layer in layers_of(image.manifest, image.diff_ids)}
    with Pool() as pool:
        for diff_id, layer in known.items():
            pool.submit(diff_id, _checker(store, layer))
        while pool.busy:
            for diff_id, found in pool.wait(0.1):
                why += found["why"]
                blobs += [known[diff_id].digest] if found["blob"] else []
                layers += [found["key"]] if found["layer"] else []
    return Damage(tuple(blobs), tuple(layers), tuple(why))


def _checker(store: Store, layer: Layer) -> Any:
    def work(_report: Report) -> Mapping[str, Any]:
        key = store.layer_key(layer.diff_id, layer.chain_id)
        try:
            contents = _contents(store.blob_path(layer.digest), layer)
        except (ImageError, OSError) as error:
            # Nothing is left to compare the layer with: it is unpacked again with the blob that takes its place.
            return {"why": [f"blob {layer.digest}: {error}"], "blob": True, "layer": key is not None, "key": key}
        if key is None:
            return {"why": [], "blob": False, "layer": False, "key": None}
        wrong = _compare(store, key, contents)
        return {"why": wrong, "blob": False, "layer": bool(wrong), "key": key}

    return work


def _contents(path: str, layer: Layer) -> dict[bytes, str]:
    """The digest of each regular file that a blob leaves behind. Raises ImageError where the blob is not itself."""
    contents: dict[bytes, str] = {}
    with open(path, "rb", buffering=0) as blob:
        stream = LayerStream(blob, Limits().size)
        try:
            for entry in tarstream.entries(stream):
                name = clean(entry.name)
                if entry.kind != tarstream.FILE or name.rpartition(b"/")[2].startswith(WHITEOUT):
                    if entry.kind != tarstream.DIRECTORY:
                        _forget(contents, name)
                    tarstream.skip(stream, entry)
                    continue
                _forget(contents, name)
                contents[name] = _content(stream, entry)
            stream.finish()
        finally:
            stream.close()
    if stream.blob_digest != layer.digest or stream.diff_id != layer.diff_id:
        raise HostileLayer(f"its content has the digest {stream.blob_digest}")
    return contents


def _forget(contents: dict[bytes, str], name: bytes) -> None:
    """A later entry took the place of this one and, where it was a directory, of all below it."""
    if contents.pop(name, None) is None:
        for below in [path for path in contents if path.startswith(name + b"/")]:
            del contents[below]


def _content(stream: LayerStream, entry: tarstream.Entry) -> str:
    """The digest of a file as it is on disk: holes are zeros."""
    content = Content()
    for offset, length in entry.sparse if entry.sparse is not None else [(0, entry.stored)]:
        end = offset + length
        while offset < end:
            part = stream.read_some(end - offset)
            content.add(offset, part)
            offset += len(part)
    stream.read(tarstream.padded(entry.stored))
    return content.digest(entry.size)


def _compare(store: Store, key: str, contents: Mapping[bytes, str]) -> list[str]:
    """What is wrong with an unpacked layer; the first thing found is enough."""
    home = store.layer_home(key)
    record = store.layer_record(key)
    if not fits(record.get("fingerprint"), home + "/fs"):
        return [f"layer {key}: names, owners, modes, times or attributes are not those that were unpacked"]
    brought_up = {os.fsencode(name): digest for name, digest in (record.get("brought_up") or {}).items()}
    root = os.open(home + "/fs", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, wanted in {**brought_up, **contents}.items():
            try:
                fd = openat2.openat2(root, name, os.O_RDONLY | os.O_NOFOLLOW)
            except KernelError as error:
                return [f"layer {key}: {os.fsdecode(name)}: {error}"]
            with os.fdopen(fd, "rb", buffering=0) as handle:
                if digest_of(handle.fileno()) != wanted:
                    return [f"layer {key}: the content of {os.fsdecode(name)} is not what the blob holds"]
    finally:
        os.close(root)
    return []
