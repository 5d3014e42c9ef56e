# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images: a Debian file tree from mmdebstrap, an ext4 file from mke2fs (no loop mounts), a kernel and an initrd."""

from __future__ import annotations

import glob
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping

from . import initrd, key, store
from .errors import VmError
from .recipe import Recipe
from .store import Say

HERE = os.path.dirname(os.path.abspath(__file__))
HOOKS = ("hooks/customize.sh", "hooks/repository.sh")

#: Everything in this package that decides what an image holds.
SOURCES = (*HOOKS, "hooks/zipimport_cache.py", "build.py", "initrd.py")

#: What no container of the scenarios reads, and thousands of files that each of them would unpack.
NOT_IN_CONTAINERS = (
    *(f"/usr/share/{part}" for part in ("bash-completion", "doc", "info", "lintian", "locale", "man", "zoneinfo")),
    "/usr/lib/*/gconv",
    "/usr/lib/*/perl-base/unicore",
)

#: apt then takes usr-is-merged in its place, as debootstrap does: usrmerge needs all of Perl.
NO_USRMERGE = (
    'mkdir -p "$1/etc/apt/preferences.d"; '
    r'printf "Package: usrmerge\nPin: release *\nPin-Priority: -1\n" >"$1/etc/apt/preferences.d/no-usrmerge"'
)

LIMIT = 1800.0  #: seconds for mmdebstrap; a slow mirror on a busy machine needs minutes, nothing needs this


def image_key(recipe: Recipe) -> str:
    """The image's name in the cache."""
    sources = {name: store.read(os.path.join(HERE, name)) for name in SOURCES}
    return key.digest({"recipe": recipe, "login_key": store.read(store.login_key() + ".pub"), **sources})


def image_directory(recipe: Recipe) -> str:
    """Where the image is, or would be. Raises VmError."""
    return os.path.join(store.root(), "images", image_key(recipe))


def is_cached(recipe: Recipe) -> bool:
    """True if the image need not be built. Asks nothing of a host that has never built one."""
    return bool(store.listed("images")) and os.path.isdir(image_directory(recipe))


def ensure(recipe: Recipe, say: Say) -> str:
    """The image's directory; built first when there is none for this key. Raises VmError."""
    final = image_directory(recipe)
    if os.path.isdir(final):
        return final
    name = os.path.basename(final)
    with store.lock(f"image-{name}", say, f"{recipe.name}: another run is building this image; waiting for it"):
        if not os.path.isdir(final):
            started = time.monotonic()
            say(f"{recipe.name}: building the image (about a minute; kept in {final})")
            with store.making(final) as directory:
                _build(recipe, directory, say)
            say(f"{recipe.name}: image ready after {time.monotonic() - started:.0f} s")
    return final


def _build(recipe: Recipe, directory: str, say: Say) -> None:
    host_key = os.path.join(directory, "host_key")
    store.new_key(host_key, "barekernel guest image")
    tree, temporary = os.path.join(directory, "tree"), os.path.join(directory, "tmp")
    os.mkdir(temporary)  # mmdebstrap's and the hooks' too: what they leave when they are killed goes with ``directory``
    _file_tree(recipe, tree, host_key, temporary, say)
    release = os.path.basename(glob.glob(os.path.join(tree, "boot/vmlinuz-*"))[0]).partition("-")[2]
    say(f"{recipe.name}: kernel {release}; writing the initrd and the disk")
    shutil.copy(os.path.join(tree, "boot", f"vmlinuz-{release}"), os.path.join(directory, "vmlinuz"))
    with open(os.path.join(directory, "initrd"), "wb") as stream:
        stream.write(initrd.make(tree, release, _busybox(tree, temporary)))
    disk = os.path.join(directory, "base.ext4")
    options = ["-L", "root", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"]
    _command(["mke2fs", "-q", "-F", "-t", "ext4", *options, "-d", tree, disk, recipe.size])
    shutil.rmtree(tree)
    shutil.rmtree(temporary)
    with open(os.path.join(directory, "image.json"), "w", encoding="utf-8") as stream:
        json.dump({"recipe": recipe.name, "kernel": release, "built": int(time.time())}, stream)


def _busybox(tree: str, temporary: str) -> bytes:
    """The static busybox of the guest's own package repository."""
    packages = glob.glob(os.path.join(tree, "srv/debian/pool/busybox-static_*.deb"))
    if not packages:
        raise VmError("the guest's package repository holds no busybox-static")
    place = os.path.join(temporary, "busybox")
    _command(["dpkg-deb", "-x", packages[0], place])
    binary = next(p for p in ("usr/bin/busybox", "bin/busybox") if os.path.exists(os.path.join(place, p)))
    return store.read(os.path.join(place, binary))


def _file_tree(recipe: Recipe, tree: str, host_key: str, temporary: str, say: Say) -> None:
    """The guest's file tree, and in it the root file system that containers in the guest are made from."""
    rootfs = f"{tree}.tar"
    say(f"{recipe.name}: a root file system for containers in the guest")
    thin = [f"--dpkgopt=path-exclude={part}/*" for part in NOT_IN_CONTAINERS]
    _mmdebstrap(
        recipe, ["--format=tar", f"--include={','.join(recipe.rootfs)}", *thin], rootfs, {"TMPDIR": temporary}, say
    )
    environment = {
        "TMPDIR": temporary,
        "LOGIN_KEY": store.read(store.login_key() + ".pub").decode().strip(),
        "HOST_KEY": host_key,
        "ROOTFS": rootfs,
        "SUITE": recipe.suite,
        "PACKAGES": " ".join(recipe.repository),
        "INITRD": "No",  # the kernel package's hook then makes none; ours is made below
    }
    say(f"{recipe.name}: the guest itself")
    options = ["--format=directory", "--skip=cleanup/apt/lists", f"--include={','.join(recipe.base)}"]
    options += [f"--customize-hook={os.path.join(HERE, hook)}" for hook in HOOKS]
    _mmdebstrap(recipe, options, tree, environment, say)
    os.unlink(rootfs)


def _mmdebstrap(recipe: Recipe, options: list[str], target: str, environment: Mapping[str, str], say: Say) -> None:
    """mmdebstrap in namespaces of its own: what it mounts and starts ends with it, and it ends with this process."""
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]
    command += ["mmdebstrap", "--mode=root", "--variant=minbase", f"--components={recipe.components}"]
    command += ['--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io"]
    command += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", f"--setup-hook={NO_USRMERGE}", *options]
    _with_progress([*command, recipe.suite, target, recipe.mirror], environment, recipe.name, say)


def _with_progress(command: list[str], environment: Mapping[str, str], name: str, say: Say) -> None:
    """Run the command, saying each of mmdebstrap's steps as it comes. Raises VmError with its last lines.

    It has LIMIT seconds, whether it says something meanwhile or not; then it is ended with all that it started.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    last: list[str] = []
    until = time.monotonic() + LIMIT
    try:
        assert process.stdout is not None
        for line in _lines(process.stdout.fileno(), until):
            last = [*last[-7:], line]
            if line.startswith("I: ") and not line.startswith(("I: skipping", "I: success")):
                say(f"{name}: {_step(line[3:])}")
        status = process.wait(max(0.0, until - time.monotonic()))
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the number still is that of its group
        if isinstance(error, (TimeoutError, subprocess.TimeoutExpired)):
            told = " / ".join(last) or "nothing"
            raise VmError(f"{name}: mmdebstrap took more than {LIMIT:g} s; the last it said: {told}") from error
        raise
    finally:
        process.wait()
        process.stdout.close()
    if status != 0:
        raise VmError(f"{name}: mmdebstrap failed: " + " / ".join(last))


def _lines(handle: int, until: float) -> Iterator[str]:
    """Lines from a pipe until its end. Raises TimeoutError when the time comes first, also while nothing comes."""
    rest = b""
    while True:
        remaining = until - time.monotonic()
        if remaining <= 0 or not select.select([handle], [], [], remaining)[0]:
            raise TimeoutError
        data = os.read(handle, 65536)
        *lines, rest = (rest + data).split(b"\n") if data else [rest, b""]
        yield from (line.decode(errors="replace").rstrip() for line in lines if data or line)
        if not data:
            return


def _step(line: str) -> str:
    """mmdebstrap's line about a step; of a hook its name alone."""
    hook = line.partition(" directly: ")[2].split()
    return f"running {os.path.basename(hook[0])}" if hook else line


def _command(command: list[str]) -> None:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VmError(f"{command[0]} failed: {' / '.join(done.stderr.strip().splitlines()[-3:])}")
