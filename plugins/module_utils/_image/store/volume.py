# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container's volume begins as a copy of what its image has at that path."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Sequence
from typing import BinaryIO

from ..._kernel import files, locations, mount_overlay, openat2
from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..layers import tarstream
from ..layers.layer import Unpacker
from ..layers.policy import Limits
from ..layers.stream import LayerStream
from ..layers.tarstream import Entry
from ..layers.tarwriter import TarWriter
from . import disk


def make(target: str, layers: Sequence[str], inside: str, mark: bool = False) -> None:
    """The directory ``target`` with the content that ``layers`` (topmost first) show at ``inside``.

    Owners, modes, times, links and attributes are kept, but for what could be used on the host (``_harmless``); where
    the image has nothing there, it is empty. Made beside its place and renamed, so that what bears the name is whole.
    Raises KernelError, ImageError.
    """
    staged = f"{os.path.dirname(target)}/{locations.HALF_MADE}{os.path.basename(target)}"
    files.remove_tree(staged)
    files.make_directory(staged, 0o755, mark=mark)
    free = disk.free(staged)
    try:
        _fill(staged, layers, inside)
        files.sync_file_system(staged)
        files.rename(staged, target)
    except BaseException as error:
        disk.explain(error, os.path.dirname(target), before=free, what="The volume")
        files.remove_tree(staged)
        raise


def _fill(target: str, layers: Sequence[str], inside: str) -> None:
    root = mount_overlay.overlay_tree(layers, source="barekernel:volume")
    try:
        # Every layer is untrusted: a symlink on the way ends inside the image.
        source = openat2.openat2(root, inside, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise ImageError(f"the image has no directory at {inside}", "Mount something else there") from None
        raise
    finally:
        os.close(root)
    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(target)) as archive:
            TarWriter(archive).write_tree(f"/proc/self/fd/{source}")
            archive.flush()
            _unpack(archive, target)
    except KernelError:
        raise
    except OSError as error:
        raise KernelError.wrap(error, "write", target) from error
    finally:
        os.close(source)


def _harmless(entry: Entry) -> bool:
    """Leave out device nodes, and take from files what gives rights to whoever runs them.

    A volume holds the container's IDs unshifted: root's program would be one of the host's root. A container has no use
    for either, as volumes are mounted with nosuid and nodev.
    """
    if entry.kind in (tarstream.CHAR, tarstream.BLOCK_DEVICE):
        return False
    if entry.kind != tarstream.DIRECTORY:  # setgid of a directory says which group new files get, no more
        entry.mode &= ~(stat.S_ISUID | stat.S_ISGID)
        entry.xattrs.pop("security.capability", None)
    return True


def _unpack(archive: BinaryIO, target: str) -> None:
    archive.seek(0)
    limits = Limits(size=1 << 62, entries=1 << 62)  # it was a layer before, and passed the policy as one
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stream = LayerStream(archive, limits.size)
    try:
        Unpacker(directory, limits, _harmless).unpack(stream)
    finally:
        stream.close()
        os.close(directory)
