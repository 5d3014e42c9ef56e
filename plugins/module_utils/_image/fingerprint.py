# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an unpacked layer looked like when it was right."""

from __future__ import annotations

import hashlib
import os
import stat

from .overlay_marks import OPAQUE_XATTR


def fingerprint(root: str) -> str:
    """One digest over names, kinds, modes, owners, sizes, times, links, devices and overlay marks of a tree.

    Contents are not in it: they are compared with the blob. Raises OSError.
    """
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
    return "sha256:" + hasher.hexdigest()
