# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees made here: what differs from run to run is taken out, so that the same packages and steps give one digest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from ..._kernel import tree as tree_
from ..format.config import LayerBlob
from ..layers.fingerprint import fingerprint
from ..layers.policy import DEEPEST, Policy, check_policy
from ..layers.tarwriter import Written
from ..store.write import Writer


def new_tree(path: str) -> int:
    """An empty root directory. Returns its time: whatever is made later is not older.

    Asked of the file system, whose clock is coarser than time(2)'s.
    """
    os.makedirs(path)
    os.chmod(path, 0o755)
    return os.stat(path).st_mtime_ns


def settle_times(tree: str, started_ns: int) -> int:
    """Files made while building get the time of the newest one that was not. Removes sockets.

    Returns that time in nanoseconds: it depends on what went in alone.
    """
    newest = 0
    root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for status, parent, name in _everything(root):
            if stat.S_ISSOCK(status.st_mode):
                os.unlink(name, dir_fd=parent)
            elif status.st_mtime_ns < started_ns:
                newest = max(newest, status.st_mtime_ns)
        for status, parent, name in _everything(root):
            if status.st_mtime_ns >= started_ns:
                os.utime(name, ns=(newest, newest), dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(root)
    return newest


def _everything(root: int) -> Iterator[tuple[os.stat_result, int, bytes]]:
    """All but what lies deeper than a layer may hold, which TarWriter refuses."""
    for node in tree_.walk(root, DEEPEST):
        yield node.status, node.parent, node.name
    yield os.fstat(root), root, b"."


def take_tree(
    writer: Writer,
    home: str,
    written: Written,
    blob: str,
    documents: tuple[bytes, bytes],
    policy: Policy,
) -> str:
    """The tree in ``home``/fs and the tar made of it become a layer and a blob. Returns the manifest's digest.

    Raises HostileLayer where the policy refuses what the tree holds.
    """
    layer = LayerBlob(written.diff_id, written.size, written.diff_id)
    record = _record_of(home + "/fs", written)
    check_policy(layer.digest, record, policy)
    writer.sync()
    writer.take_layer(home, layer.diff_id, record)
    writer.take_blob(blob, layer.digest)
    return writer.put_image(*documents)


def _record_of(tree: str, written: Written) -> Mapping[str, Any]:
    """What layer.json keeps of a tree made here."""
    devices, setuid, size = [], [], 0
    for path, names, others, fd in os.fwalk(os.fsencode(tree)):
        for name in [*names, *others]:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            shown = os.fsdecode(os.path.relpath(os.path.join(path, name), os.fsencode(tree)))
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
                if status.st_mode & 0o6000:
                    setuid.append(shown)
            elif stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and status.st_rdev):
                devices.append(shown)
    return {
        "entries": written.entries,
        "size": size,
        "devices": devices[:20],
        "setuid": setuid[:20],
        "xattrs_dropped": [],
        "implied": [],
        "outside_links": [],
        "blob": written.diff_id,
        "blob_size": written.size,
        "compression": "none",
        "diff_id": written.diff_id,
        "tar_size": written.size,
        "fingerprint": fingerprint(tree),
    }
