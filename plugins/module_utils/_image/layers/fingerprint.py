# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an unpacked layer looked like when it was right."""

from __future__ import annotations

import hashlib
import os
import stat

from .overlay_marks import OPAQUE_XATTR

#: The extended attributes that unpacking sets, and those that steer overlayfs; labels of the host's policy are its own.
_XATTRS = ("user.", "security.capability", "system.posix_acl_", "trusted.overlay.")
#: What the fingerprints begin with that have the attributes in them. Those of earlier versions begin with sha256.
_WITH_XATTRS = "2:sha256:"


def fingerprint(root: str) -> str:
    """One digest over names, kinds, modes, owners, sizes, times, links, devices and extended attributes of a tree.

    Contents are not in it: they are compared with the blob. Raises OSError.
    """
    return _WITH_XATTRS + _digest(root, with_xattrs=True)


def fits(recorded: object, root: str) -> bool:
    """Whether a tree is what a fingerprint was taken of, by whichever version. Raises OSError."""
    if isinstance(recorded, str) and recorded.startswith("sha256:"):
        return recorded == "sha256:" + _digest(root, with_xattrs=False)
    return recorded == fingerprint(root)


def _digest(root: str, with_xattrs: bool) -> str:
    hasher = hashlib.sha256()
    for directory, names, others, fd in os.fwalk(os.fsencode(root)):
        names.sort()
        inside = os.path.relpath(directory, os.fsencode(root))
        opaque = OPAQUE_XATTR in os.listxattr(fd)
        for name in [b".", *sorted([*names, *others])]:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            target = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(status.st_mode) else b""
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            links = status.st_nlink if stat.S_ISREG(status.st_mode) else 0
            facts = (status.st_mode, status.st_uid, status.st_gid, size, links, status.st_mtime_ns, status.st_rdev)
            hasher.update(b"%s/%s\0%s\0%s\0%d\n" % (inside, name, repr(facts).encode(), os.fsencode(target), opaque))
            if with_xattrs:
                hasher.update(_xattrs(b"/proc/self/fd/%d/%s" % (fd, name)))
    return hasher.hexdigest()


def _xattrs(path: bytes) -> bytes:
    """Those of one file, as bytes that are the same for the same attributes."""
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False) if name.startswith(_XATTRS))
    return repr([(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]).encode() if names else b""
