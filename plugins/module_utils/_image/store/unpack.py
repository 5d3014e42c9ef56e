# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpacking an image's layers: each in a process of its own, as soon as its blob is there.

Which layer a blob holds is a claim of the image's until the blob was unpacked, or read, and its content hashed. So a
layer that the store has already is not unpacked again, but a blob that was never seen to hold it is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..._kernel import openat2
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, ImageError
from ..format.manifest import Layer
from ..layers import contents, lower
from ..layers.fingerprint import fingerprint
from ..layers.layer import Unpacker
from ..layers.policy import Limits, Policy, check_policy
from ..layers.stream import LayerStream
from .progress import Progress
from .store import Store
from .workers import Pool, Report
from .write import Writer

_REPORT_EVERY = 4 << 20
_POLL = 0.02
#: After so many unpacked bytes they begin to go to the disk, while others are still being unpacked.
_SYNC_EVERY = 32 << 20


def unpack_blob(path: str, home: str, layer: Layer | None, limits: Limits, report: Report) -> dict[str, Any]:
    """Unpack one blob into ``home``/fs and check it against ``layer`` (None for one made here, of which nothing is
    known yet). Returns what layer.json keeps.

    Raises HostileLayer, KernelError.
    """
    os.makedirs(home + "/fs", mode=0o755)
    os.chmod(home + "/fs", 0o755)
    root = os.open(home + "/fs", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpacker = Unpacker(root, limits)
        with _reading(path, layer, limits, report) as stream:
            unpacker.unpack(stream)
            if layer is None:  # no digest tells whether it is whole
                refuse_cut(stream)
    finally:
        os.close(root)
    transported = {"blob": stream.blob_digest, "blob_size": stream.blob_size, "compression": stream.compression}
    found = {"diff_id": stream.diff_id, "tar_size": stream.tar_size, "fingerprint": fingerprint(home + "/fs")}
    return {**unpacker.record(), **transported, **found}


def read_blob(path: str, layer: Layer, limits: Limits, report: Report) -> dict[str, Any]:
    """Read one blob to its end to see whether it holds ``layer``, which is unpacked already from another one.

    Returns an empty record. Raises HostileLayer, KernelError.
    """
    with _reading(path, layer, limits, report):
        return {}


@contextlib.contextmanager
def _reading(path: str, layer: Layer | None, limits: Limits, report: Report) -> Iterator[LayerStream]:
    """The blob as a stream, of which the rest is read at the end and its digests are compared with ``layer``."""
    reported = 0

    def on_bytes(count: int) -> None:
        nonlocal reported
        if count - reported >= _REPORT_EVERY:
            reported = count
            report({"bytes": count})

    with _about(layer.digest if layer else path), open(path, "rb", buffering=0) as blob:
        if layer:
            _check_size(os.fstat(blob.fileno()).st_size, layer)
        stream = LayerStream(blob, limits.size, on_bytes)
        try:
            yield stream
            stream.finish()
        finally:
            stream.close()
        if layer:
            _check_digests(stream, layer)


@contextlib.contextmanager
def _about(layer: str) -> Iterator[None]:
    """What is wrong in a layer is said with its name."""
    try:
        yield
    except HostileLayer as error:
        raise HostileLayer(f"layer {layer}: {error}") from None


def refuse_cut(stream: LayerStream) -> None:
    """Raises HostileLayer where an archive that was read to its end does not have what ends one (POSIX pax(1))."""
    if stream.ran_out:
        raise HostileLayer("it ends without the blocks of zeros that end a tar: it is empty or was cut")


def _check_size(there: int, layer: Layer) -> None:
    if there != layer.size:
        raise HostileLayer(f"it has {there} bytes, the manifest says {layer.size}")


def _check_digests(stream: LayerStream, layer: Layer) -> None:
    if stream.blob_digest != layer.digest:
        raise HostileLayer(f"its content has the digest {stream.blob_digest}")
    if stream.diff_id != layer.diff_id:
        raise HostileLayer(f"it unpacks to {stream.diff_id}, the configuration says {layer.diff_id}")


class Ahead:
    """What was unpacked goes to the disk while more is unpacked, so that the sync at the end has little left to do."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pool = Pool(1)
        self._bytes = 0

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: object, *_exception: object) -> None:
        """What has begun is waited for: the kernel tells of a disk's failure once. Raises KernelError for one."""
        with self._pool:
            while kind is None and self._pool.busy:
                self._look(_POLL)

    def unpacked(self, count: int) -> None:
        """So many bytes more. Raises KernelError where the disk failed."""
        self._bytes += count
        self._look(0)
        if self._bytes >= _SYNC_EVERY and not self._pool.busy:
            self._bytes = 0
            self._pool.submit("sync", self._sync)

    def _look(self, seconds: float) -> None:
        for _ended in self._pool.wait(seconds):
            pass

    def _sync(self, _report: Report) -> Mapping[str, Any]:
        self._writer.sync()
        return {}


class Unpacking:
    """The layers of one image on their way into the store; use as a context.

    Blobs are looked for until all are there: ``blob_of`` gives a layer's path once it is complete, else None.
    """

    def __init__(self, writer: Writer, layers: tuple[Layer, ...], policy: Policy, progress: Progress) -> None:
        self._writer = writer
        self._store: Store = writer.store
        self._layers = layers
        self._policy = policy
        self._progress = progress
        self._records: dict[str, Mapping[str, Any]] = {}
        self._done: set[str] = set()
        self._placed: dict[str, str] = {}
        self._pool = Pool()
        self._ahead = Ahead(writer)

    def run(
        self,
        blob_of: Callable[[Layer], str | None],
        still_coming: Callable[[], bool],
        told: Callable[[], bool] = lambda: False,
    ) -> None:
        """Unpack what the store does not have; ``told`` is whether somebody else has said how far the image is.

        Raises HostileLayer, ImageError, KernelError.
        """
        wanted = self._wanted()
        total = sum(layer.size for layer in wanted.values())
        waiting = dict(wanted)
        with self._ahead, self._pool as pool:
            try:
                while waiting or pool.busy:
                    coming = still_coming()  # asked before looking: what came last must not be missed
                    self._start(waiting, blob_of)
                    if waiting and not coming and not pool.full:
                        raise ImageError(f"layer {next(iter(waiting.values())).digest} is missing from the source")
                    for name, record in pool.wait(_POLL):
                        self._take(name, record)
                    if not pool.busy and waiting:
                        time.sleep(_POLL)
                    if not told():
                        self._report(wanted, total)
            except KernelError as error:
                self._writer.explain(error, f"about {4 * total}")
                raise

    def _wanted(self) -> dict[str, Layer]:
        """What has to be done: to unpack a layer, by its diff ID, or to read a blob of which it is only claimed that it
        holds a layer that is unpacked, or will be, from another one, by its digest and the layer's."""
        wanted: dict[str, Layer] = {}
        for layer in self._layers:
            key = self._store.layer_key(layer.diff_id, layer.chain_id)
            if key is None and wanted.setdefault(layer.diff_id, layer).digest == layer.digest:
                continue
            if key is None or layer.digest not in self._store.blobs_seen(key):
                wanted[f"{layer.digest} {layer.diff_id}"] = layer
        return wanted

    def _take(self, name: str, record: Mapping[str, Any]) -> None:
        """What a worker has done."""
        self._done.add(name)
        if record:
            self._records[name] = record
            self._ahead.unpacked(int(record["tar_size"]))

    def _home(self, diff_id: str) -> str:
        return self._writer.path("layer-" + diff_id.partition(":")[2])

    def _start(self, waiting: dict[str, Layer], blob_of: Callable[[Layer], str | None]) -> None:
        """The largest that has come first: then no large one is left to run alone."""
        for name, layer in sorted(waiting.items(), key=lambda pair: -pair[1].size):
            path = None if self._pool.full else blob_of(layer)
            if path is not None:
                del waiting[name]
                self._submit(name, layer, path)

    def _submit(self, name: str, layer: Layer, path: str) -> None:
        home, limits = self._home(layer.diff_id), self._policy.limits
        if name == layer.diff_id:
            self._pool.submit(name, lambda report: unpack_blob(path, home, layer, limits, report))
        else:
            self._pool.submit(name, lambda report: read_blob(path, layer, limits, report))

    def _report(self, wanted: Mapping[str, Layer], total: int) -> None:
        done = sum(wanted[name].size for name in self._done)
        for name, report in self._pool.reports.items():
            if name not in self._done:
                done += int(report["bytes"])
        self._progress.update("unpacking", done, total)

    @staticmethod
    def rest() -> None:
        """Wait a little: all is unpacked, and the transport has not ended yet."""
        time.sleep(_POLL)

    def place(self, blob_of: Callable[[Layer], str | None]) -> None:
        """Complete layers that take from those below, bottom up, check the policy, and make them visible."""
        below: list[str] = []
        placing: list[tuple[str, str, Mapping[str, Any]]] = []
        seen: list[tuple[str, str]] = []
        for layer in self._layers:
            if (path := blob_of(layer)) is not None and os.path.exists(path):
                with _about(layer.digest):
                    _check_size(os.stat(path).st_size, layer)
            key, record, home = self._settle(layer, below, blob_of)
            seen.append((key, layer.digest))
            if home and key not in self._placed:
                placing.append((home, key, record))
                self._placed[key] = home
            check_policy(layer.digest, record, self._policy)
            below.append((home or self._store.layer_home(key)) + "/fs")
        self._writer.sync()
        for home, key, record in placing:
            self._writer.take_layer(home, key, record)
        for key, blob in seen:
            self._writer.note_blob(key, blob)

    def _settle(
        self, layer: Layer, below: list[str], blob_of: Callable[[Layer], str | None]
    ) -> tuple[str, Mapping[str, Any], str]:
        """The name the layer will bear, its record, and where it was staged ('' where the store has it)."""
        key = self._store.layer_key(layer.diff_id, layer.chain_id)
        record = self._store.layer_record(key) if key else self._records[layer.diff_id]
        if key == layer.chain_id:
            return key, record, ""
        needs = lower.depends(record, below)
        name = layer.chain_id if needs else layer.diff_id
        if key == name:
            return name, record, ""
        home = self._home(layer.diff_id)
        if key or home in self._placed.values():
            # There as it is without anything below it, or already another layer of this image, which has it twice.
            if name in self._placed:
                return name, record, self._placed[name]
            record, home = self._unpack_again(layer, blob_of)
        if not needs:
            return name, record, home
        with _about(layer.digest):
            lower.complete(home + "/fs", record, below)
        found = {"fingerprint": fingerprint(home + "/fs"), "brought_up": _brought_up(home + "/fs", record)}
        return name, {**record, **found}, home

    def _unpack_again(self, layer: Layer, blob_of: Callable[[Layer], str | None]) -> tuple[Mapping[str, Any], str]:
        """The layer once more, its record and where it is staged. Raises HostileLayer, ImageError, KernelError."""
        home = self._writer.path("chain-" + layer.chain_id.partition(":")[2])
        path = blob_of(layer)
        if path is None:
            raise ImageError(f"layer {layer.digest} is missing from the store", "Run oci_image with verify")
        record: Mapping[str, Any] = {}
        with self._pool as pool:
            pool.submit(layer.chain_id, lambda r: unpack_blob(path, home, layer, self._policy.limits, r))
            while pool.busy:
                for _key, again in pool.wait(_POLL):
                    record = again
        return record, home


def _brought_up(root: str, record: Mapping[str, Any]) -> dict[str, str]:
    """The files that came from lower layers as targets of hard links, and the digests of their contents, which the
    layer's own blob does not tell. Raises KernelError."""
    found = {}
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for link, _target in record.get("outside_links", ()):
            place = openat2.openat2(root_fd, os.fsencode(link), os.O_PATH | os.O_NOFOLLOW)
            try:
                if stat.S_ISREG(os.fstat(place).st_mode):
                    with open(f"/proc/self/fd/{place}", "rb") as file:
                        found[link] = contents.digest_of(file.fileno())
            finally:
                os.close(place)
    finally:
        os.close(root_fd)
    return found
