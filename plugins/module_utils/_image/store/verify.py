# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is an image in the store still what it says? Every blob is hashed, every unpacked file compared with its blob."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from ..._kernel import openat2
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, ImageError
from ..format.manifest import Layer, layers_of
from ..layers import tarstream
from ..layers.contents import Content, digest_of
from ..layers.fingerprint import fits
from ..layers.layer import WHITEOUT, clean
from ..layers.policy import Limits
from ..layers.replay import Replay
from ..layers.stream import LayerStream
from .damage import Damage
from .store import Image, Store
from .workers import Pool, Report


def check(store: Store, image: Image) -> Damage:
    """Compare, in as many processes as there are processors. Changes nothing. Raises ImageError, KernelError."""
    blobs, layers, why = [], [], []
    # By what is stored: a layer that an image has twice may be unpacked as two, and two blobs may hold the same layer.
    known = {}
    for layer in layers_of(image.manifest, image.diff_ids):
        key = store.layer_key(layer.diff_id, layer.chain_id)
        known[f"{layer.digest} {key}"] = (layer, key)
    with Pool() as pool:
        for name, (layer, key) in known.items():
            pool.submit(name, _checker(store, layer, key))
        while pool.busy:
            for name, found in pool.wait(0.1):
                layer, key = known[name]
                why += found["why"]
                blobs += [layer.digest] if found["blob"] else []
                layers += [key] if found["layer"] and key else []
    return Damage(_once(blobs), _once(layers), _once(why))


def _once(found: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))


def _checker(store: Store, layer: Layer, key: str | None) -> Any:
    def work(_report: Report) -> Mapping[str, Any]:
        try:
            contents = _contents(store.blob_path(layer.digest), layer)
        except (ImageError, OSError) as error:
            # Nothing is left to compare the layer with: it is unpacked again with the blob that takes its place.
            return {"why": [f"blob {layer.digest}: {error}"], "blob": True, "layer": True}
        if key is None:
            return {"why": [], "blob": False, "layer": False}
        wrong = _compare(store, key, contents)
        return {"why": wrong, "blob": False, "layer": bool(wrong)}

    return work


def _contents(path: str, layer: Layer) -> dict[bytes, str]:
    """The digest of each regular file that a blob leaves behind, by the path that it has in the unpacked layer.

    Raises ImageError where the blob is not itself.
    """
    replay = Replay()
    with open(path, "rb", buffering=0) as blob:
        stream = LayerStream(blob, Limits().size)
        try:
            for entry in tarstream.entries(stream):
                _replayed(replay, stream, entry)
            stream.finish()
        finally:
            stream.close()
    if stream.blob_digest != layer.digest or stream.diff_id != layer.diff_id:
        raise HostileLayer(f"its content has the digest {stream.blob_digest}")
    return dict(replay.files())


def _replayed(replay: Replay, stream: LayerStream, entry: tarstream.Entry) -> None:
    path = clean(entry.name)
    directory, slash, name = path.rpartition(b"/")
    if name.startswith(WHITEOUT):
        if not name.startswith(WHITEOUT * 2):
            replay.whiteout(directory + slash + name[len(WHITEOUT) :])
    elif entry.kind == tarstream.FILE:
        replay.file(path, _content(stream, entry))
        return
    elif entry.kind == tarstream.DIRECTORY:
        replay.directory(path)
    elif entry.kind == tarstream.SYMLINK:
        replay.symlink(path, entry.linkname)
    elif entry.kind == tarstream.HARDLINK:
        replay.hardlink(path, clean(entry.linkname))
    else:
        replay.other(path)
    tarstream.skip(stream, entry)


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
    compared: dict[int, str] = {}
    root = os.open(home + "/fs", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, wanted in {**brought_up, **contents}.items():
            try:
                fd = openat2.openat2(root, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except KernelError as error:
                return [f"layer {key}: {os.fsdecode(name)}: {error}"]
            try:
                status = os.fstat(fd)
                if compared.get(status.st_ino) == wanted:  # by another of its names
                    continue
                if not stat.S_ISREG(status.st_mode) or digest_of(fd) != wanted:
                    return [f"layer {key}: the content of {os.fsdecode(name)} is not what the blob holds"]
                if status.st_nlink > 1:
                    compared[status.st_ino] = wanted
            finally:
                os.close(fd)
    finally:
        os.close(root)
    return []
