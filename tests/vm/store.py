# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache outside the checkout: whole things under their keys, made in a corner and moved into place at once.

images/KEY/       base.ext4, vmlinuz, initrd, image.json
snapshots/KEY/    disk.qcow2, state, image (the key of the image below)
making/RANDOM/    what is being made, flock-ed by its maker; without a lock it is the rest of an interrupted one
locks/            one per thing that only one process may make at a time
runs/RUN/         the machines of one checkout
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping

from . import process
from .errors import VmError

Say = Callable[[str], None]


def root(environment: Mapping[str, str] | None = None) -> str:
    """Where everything is kept: ``$BAREKERNEL_VM_CACHE``, else barekernel/vm in the user's cache directory."""
    env = os.environ if environment is None else environment
    chosen = env.get("BAREKERNEL_VM_CACHE")
    if chosen:
        return os.path.abspath(chosen)
    cache = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "barekernel", "vm")


@contextlib.contextmanager
def lock(name: str, say: Say, waiting: str) -> Iterator[None]:
    """Hold ``locks/NAME``; says ``waiting`` once when another process has it. The kernel frees it with its holder."""
    path = os.path.join(root(), "locks", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def clear_interrupted(making: str) -> list[str]:
    """Remove what makers that are gone have left below ``making``. Returns what is being made right now."""
    busy = []
    for name in os.listdir(making):
        path = os.path.join(making, name)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy.append(path)
            else:
                process.end_all_in(path)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)
    return busy


def being_made() -> list[str]:
    """Directories in which something is being made right now; those that nobody fills any more are cleared."""
    corner = os.path.join(root(), "making")
    return clear_interrupted(corner) if os.path.isdir(corner) else []


@contextlib.contextmanager
def making(final: str) -> Iterator[str]:
    """A directory to fill. On success it is synced and becomes ``final``; on any error it is gone.

    A maker that was killed leaves an unlocked directory, which the next one clears.
    """
    corner = os.path.join(root(), "making")
    os.makedirs(corner, exist_ok=True)
    os.makedirs(os.path.dirname(final), exist_ok=True)
    path, handle = _begin(corner)
    try:
        yield path
        subprocess.run(["sync", "-f", path], check=False)
        os.rename(path, final)
    except OSError as error:
        hint = f": {root()} needs about 3 GB of free space for images"
        raise VmError(f"{error}{hint if error.errno in (errno.ENOSPC, errno.EDQUOT) else ''}") from error
    finally:
        os.close(handle)
        shutil.rmtree(path, ignore_errors=True)


def _begin(corner: str) -> tuple[str, int]:
    """A new directory, locked before another maker could take it for one that was left; its path and descriptor."""
    one_at_a_time = os.open(corner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        clear_interrupted(corner)
        path = tempfile.mkdtemp(dir=corner)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_EX)
        return path, handle
    finally:
        os.close(one_at_a_time)


def login_key() -> str:
    """Path of the private SSH key that opens the guests; made once per cache."""
    path = os.path.join(root(), "login_key", "id_ed25519")
    if not os.path.exists(path):
        with contextlib.suppress(OSError, VmError), making(os.path.dirname(path)) as corner:
            new_key(os.path.join(corner, "id_ed25519"), "barekernel test guests")
    if not os.path.exists(path):
        raise VmError(f"no SSH key could be made at {path}")
    return path


def new_key(path: str, comment: str) -> None:
    """An ed25519 key pair at ``path`` and ``path``.pub."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def read(path: str) -> bytes:
    """A file's content. Raises OSError."""
    with open(path, "rb") as stream:
        return stream.read()


def listed(kind: str) -> list[str]:
    """Names of what is in the cache: the keys of ``images`` and ``snapshots``, the ``runs``, ``molecule``'s own."""
    try:
        return sorted(os.listdir(os.path.join(root(), kind)))
    except FileNotFoundError:
        return []
