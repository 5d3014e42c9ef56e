# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing the store. Everything is made in ``staging`` and becomes visible by one rename, the name last.

The caller holds the lock ``images`` (converge does); reading needs none.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from ..._kernel import libc, locations, record_file
from ..._kernel.errors import BareKernelError
from ..format import digest as digests
from ..format.media_types import OCI_INDEX, OCI_MANIFEST
from ..format.shapes import parse_document
from . import disk, progress
from . import store as stores
from .store import Store


class Writer:
    """One change of the store: a staging directory, removed at the end whatever happens."""

    def __init__(self, store: Store, kernel: Any) -> None:
        self.store = store
        self.kernel = kernel
        self.staging = f"{store.root}/staging"
        self._change = secrets.token_hex(8)
        self._root = -1
        self._free = 0

    def __enter__(self) -> Writer:
        self._free = disk.free(self.store.root)
        try:
            self._prepare()
        except BaseException as error:
            self._finish(error)
            raise
        return self

    def _prepare(self) -> None:
        root, files = self.store.root, self.kernel.files
        files.make_directory(root, 0o700)
        files.make_directory(root + "/blobs/sha256", 0o755)
        files.make_directory(root + "/layers", 0o755)
        self.clear_half_made()
        files.make_directory(self.staging, 0o700)
        self.kernel.inode_flags.spread(self.staging)
        layout = root + "/oci-layout"
        if not os.path.exists(layout):
            files.write_json(layout, {"imageLayoutVersion": stores.LAYOUT_VERSION})
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        self._finish(error)

    def _finish(self, error: object) -> None:
        self.explain(error)  # what is free now is more in a moment
        if self._root >= 0:
            os.close(self._root)
        self.kernel.build_cgroup.clear()
        self.kernel.files.remove_tree(self.staging)
        if not os.path.isdir(locations.LIBRARY):  # steps ran and there is no container, with the last of which it goes
            self.kernel.files.remove_tree(locations.CACHE)
        if not self.store.descriptors() and not any(self._contents()):
            self._remove_store()

    def _remove_store(self) -> None:
        """Nothing is left in it. A file system of its own that is mounted there stays, and so does a link to one."""
        if not (os.path.ismount(self.store.root) or os.path.islink(self.store.root)):
            self.kernel.files.remove_tree(self.store.root)
            if os.path.dirname(self.store.root) == locations.STATE:
                self.kernel.files.remove_if_empty(locations.STATE)
            return
        for name in ("blobs", "layers", "index.json", "oci-layout"):
            self.kernel.files.remove_tree(f"{self.store.root}/{name}")

    def _contents(self) -> Iterator[str]:
        for directory in ("blobs/sha256", "layers"):
            path = f"{self.store.root}/{directory}"
            yield from os.listdir(path) if os.path.isdir(path) else ()

    def explain(self, error: object, needed: str = "") -> None:
        """Where it is about a full disk, it says so as all do (disk.explain)."""
        disk.explain(error, self.store.root, needed, self._free)

    def clear_half_made(self) -> None:
        """What an interrupted run left: nobody else can be at work, as the caller holds the lock."""
        self.kernel.build_cgroup.clear()  # what runs there could write on in what goes next
        self.kernel.files.remove_tree(self.staging)
        for path in progress.left():
            self.kernel.files.remove_file(path)
        self.kernel.files.remove_if_empty(locations.PROGRESS)
        for directory in ("/blobs/sha256", "/layers", ""):
            path = self.store.root + directory
            for name in os.listdir(path) if os.path.isdir(path) else ():
                if name.startswith(locations.HALF_MADE):
                    self.kernel.files.remove_tree(f"{path}/{name}")

    def path(self, name: str) -> str:
        """A place in staging. Its name is another each time, as ext4 spreads directories by name."""
        return f"{self.staging}/{self._change}-{name}"

    def put_blob(self, content: bytes) -> str:
        """A small blob (manifest, configuration), also in place of a damaged one; returns its digest."""
        digest = digests.of_bytes(content)
        try:
            self.store.read_blob(digest)
        except BareKernelError:
            self.kernel.files.write_atomically(self.store.blob_path(digest), content, 0o644)
        return digest

    def put_image(self, manifest: bytes, config: bytes) -> str:
        """Configuration first: a manifest in the store has all it points at. Returns the manifest's digest."""
        self.put_blob(config)
        return self.put_blob(manifest)

    def take_blob(self, path: str, digest: str) -> None:
        """A blob written in staging, whose digest was taken while it was written."""
        if self.store.has_blob(digest):
            self.kernel.files.remove_file(path)
            return
        os.chmod(path, 0o644)
        self.kernel.files.rename(path, self.store.blob_path(digest))

    def take_layer(self, home: str, key: str, record: Mapping[str, Any]) -> None:
        """An unpacked layer (``home``/fs) and its record; sync() was called after the last change to it.

        One that is there already stays. Somebody may have removed its ``fs`` alone: then it is missing (Image.missing).
        """
        target = self.store.layer_home(key)
        if os.path.isdir(target + "/fs"):
            self.kernel.files.remove_tree(home)
            self.note_blob(key, str(record["blob"]))
            return
        self.kernel.files.remove_tree(target)
        self.kernel.files.write_json(home + "/layer.json", {record_file.VERSION: record_file.FIRST, **record})
        os.chmod(home, 0o755)
        self.kernel.files.rename(home, target)

    def note_blob(self, key: str, digest: str) -> None:
        """That blob was read and holds the unpacked layer of that name: it need not be read for this again."""
        seen = self.store.blobs_seen(key)
        if digest not in seen:
            record = {**self.store.layer_record(key), "blobs": sorted(seen | {digest})}
            self.kernel.files.write_json(self.store.layer_home(key) + "/layer.json", record)

    def sync(self) -> None:
        """Everything written so far is on the disk, syncfs(2): only then may a name point at it.

        By a descriptor from the beginning: it is told of every failure since, also of one that others asked about.
        """
        libc.call("syncfs", self._root, path=self.store.root)

    def name(self, reference: str, digest: str, source: Mapping[str, Any]) -> None:
        """The reference points at that manifest from now on: what makes an image visible."""
        manifest = parse_document(self.store.read_blob(digest), "manifest")
        path = self.store.blob_path(digest)
        descriptor: dict[str, Any] = {
            "mediaType": manifest.get("mediaType", OCI_MANIFEST),
            "digest": digest,
            "size": os.stat(path).st_size,
            "annotations": {stores.REF_NAME: reference},
        }
        if source:
            descriptor["annotations"][stores.SOURCE] = json.dumps(dict(source), sort_keys=True)
        others = [d for d in self.store.descriptors() if stores.reference_of(d) != reference]
        self._write_index([*others, descriptor])

    def unname(self, reference: str) -> None:
        """Forget a name; what then nothing uses is for prune."""
        self._write_index([d for d in self.store.descriptors() if stores.reference_of(d) != reference])

    def _write_index(self, descriptors: list[Mapping[str, Any]]) -> None:
        ordered = sorted(descriptors, key=stores.reference_of)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": ordered}
        self.kernel.files.write_json(self.store.root + "/index.json", index)
        self.sync()
