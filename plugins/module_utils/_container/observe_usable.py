# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a container could not be started as declared: what its options name is looked at before anything is stopped.

Only what is known for sure is listed here; what is not, the runtime finds out.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._core.errors import Refused
from .._core.observe_own_paths import why_ours
from .._image.layers.find import CannotTell, Found, Stack
from .._image.store.store import Image
from .._kernel import locations
from .._kernel.errors import KernelError
from .._kernel.libc import AT_FDCWD
from .documents_bundle import capabilities
from .observe_covered import FILE, MISSING, PROGRAM, Covers
from .observe_mount_places import misplaced
from .observe_mount_points import is_of_file
from .observe_program import program, sizes, too_long
from .observed import Unusable
from .options_values import NONE, RLIM_INFINITY
from .plan_init import HIDDEN_BY, PLACE
from .plan_volumes import may_hold_volume, volumes_of
from .records import FIRST_ID, ID_RANGE, Container, ContainerMount, netns_name

#: RLIMIT_LOCKS, which Python does not name and the kernel does not heed.
_LOCKS = 10
_PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "unbindable", "runbindable")


def unusable(
    container: Container,
    image: Image | None,
    layers: Sequence[str],
    no_idmap: str,
    config: Mapping[str, Any] | None,
    spent: Sequence[str] = (),
    starts: bool = True,
    coming: Mapping[str, bool] | None = None,
) -> tuple[Unusable, ...]:
    """All of them.

    ``layers`` are what the container's root shows, the topmost first, where that is known; ``no_idmap`` why it cannot
    have a user namespace; ``config`` its config.json of now, whose parameters the kernel has taken once; ``spent`` the
    paths of mount points that will be made anew; ``starts`` is False where its runtime runs it already; ``coming`` are
    sources of mounts that will be there by then, and whether each is a file.
    """
    coming = coming or {}
    own_ids = container.namespaces.get("user", "host" if no_idmap else "private") != "host"
    found = [*_sources(container, coming), *_tmpfs(container, own_ids), *_rlimits(container), *_oom_score(container)]
    found += _idmapped(container, own_ids) if not found else ()
    found += _runtime(container, starts)
    found += _sysctls(container)
    if not found and container.sysctls != ((config or {}).get("linux") or {}).get("sysctl", {}):
        found += _tried_sysctls(container, own_ids)
    if not own_ids:
        found += _capabilities(container)
    if image is not None:
        found += sizes(container, image)
    if image is not None and image.layers:
        try:
            with Stack(layers) as root:
                found += _inside(container, image, root, spent, coming)
                found += misplaced(container, volumes_of(container, image.config), root, own_ids, coming)
        except (CannotTell, Refused):  # the planner says what it refuses
            pass
    return tuple(found)


def _sources(container: Container, coming: Mapping[str, bool]) -> Iterator[Unusable]:
    for index, mount in enumerate(container.mounts):
        if mount.kind == "bind" and mount.source not in coming:
            try:
                os.stat(mount.source or "")
            except OSError as error:
                missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
                why = "is not on this host: create it first" if missing else f"{error.strerror}"
                yield Unusable(f"mounts[{index}].source", mount.source, why, absent=missing)
                continue
            if not mount.read_only and not {"ro", "rro"} & set(mount.options) and _is_ours(mount.source or ""):
                why = f"{why_ours(mount.source or '')}; a named volume is a mount of type volume"
                yield Unusable(f"mounts[{index}].source", mount.source, why)
            yield from _follows(index, mount)


def _idmapped(container: Container, own_ids: bool) -> Iterator[Unusable]:
    """Whether the kernel maps the IDs of a source's file system is known from a copy of the mount, attached nowhere."""
    wanted = [(i, m) for i, m in enumerate(container.mounts) if m.kind == "bind" and {"idmap", "ridmap"} & {*m.options}]
    if not wanted or not own_ids or container.runtime != "nsrun":
        return
    from .._kernel import idmap  # here: few containers ask for it

    userns = idmap.user_namespace(FIRST_ID, ID_RANGE)
    try:
        for index, mount in wanted:
            word = [option for option in mount.options if option in ("idmap", "ridmap")][0]
            try:
                os.close(idmap.clone(AT_FDCWD, mount.source or "", userns, recursive=word == "ridmap"))
            except KernelError as error:
                if error.errno in (errno.EINVAL, errno.EPERM):
                    why = f"the kernel does not map the IDs of the file system of {mount.source}: leave it out"
                    yield Unusable(f"mounts[{index}].options", word, why)
    finally:
        os.close(userns)


def _is_ours(source: str) -> bool:
    return bool(why_ours(source)) and not os.path.realpath(source).startswith(os.path.realpath(locations.VOLUMES) + "/")


def _follows(index: int, mount: ContainerMount) -> Iterator[Unusable]:
    """A slave of a mount that is not shared would be private, without an error (mount_namespaces(7))."""
    words = [word for word in (mount.propagation, *mount.options) if word in _PROPAGATIONS]
    if not words or words[-1] not in ("slave", "rslave"):
        return
    from .._kernel import mount as mounting  # here, as the next one: few containers ask for it
    from .._kernel.mountinfo import read_mountinfo

    fd = os.open(mount.source or "", os.O_PATH | os.O_CLOEXEC)
    try:
        mount_id = mounting.mount_id(fd)
    finally:
        os.close(fd)
    holds = next((entry for entry in read_mountinfo() if entry.mount_id == mount_id), None)
    if holds is not None and not any(word.startswith(("shared:", "master:")) for word in holds.propagation):
        where = os.fsdecode(holds.target)
        why = f"the mount at {where} that holds {mount.source} is private on this host, so nothing would arrive: "
        option = "propagation" if mount.propagation == words[-1] else "options"
        yield Unusable(f"mounts[{index}].{option}", words[-1], f"{why}mount --make-shared {where}, or leave it out")


def _tmpfs(container: Container, own_ids: bool) -> Iterator[Unusable]:
    """The kernel reads a file system's options when they are set, long before anything is mounted."""
    for index, mount in enumerate(container.mounts):
        if mount.kind != "tmpfs" or not mount.options or container.runtime != "nsrun":
            continue
        from .._kernel import mount as mounting  # here: few containers have any
        from .._runtime.bundle.mount_entry import parse_mount

        entry = {"destination": mount.target, "type": "tmpfs", "options": list(mount.options)}
        try:
            context = mounting.fsopen("tmpfs")
        except KernelError:
            return
        try:
            for word in parse_mount("", entry, "/").data:
                why = (_not_mapped(word) if own_ids else "") or _refused(mounting, context, word)
                if why:
                    yield Unusable(f"mounts[{index}].options", word, why)
        finally:
            os.close(context)


def _not_mapped(word: str) -> str:
    """Of the IDs that own a tmpfs: the trial is not made in the container's user namespace."""
    key, _equals, value = word.partition("=")
    if key not in ("uid", "gid") or not value.isdecimal() or int(value) < ID_RANGE:
        return ""
    return f"is not one of the IDs of the container's user namespace (0 to {ID_RANGE - 1})"


def _refused(mounting: Any, context: int, word: str) -> str:
    key, separator, value = word.partition("=")
    try:
        if separator:
            mounting.fsconfig_set_string(context, key, value)
        else:
            mounting.fsconfig_set_flag(context, key)
    except KernelError as error:
        advice = {
            "size": ": write bytes, with k, m or g for more, or a share of the memory like 50%",
            "mode": ": write octal digits like 1777",
        }
        return f"the kernel does not take it ({error.detail or error.strerror}){advice.get(key, '')}"
    return ""


def _runtime(container: Container, starts: bool) -> Iterator[Unusable]:
    if container.runtime == "nsrun":
        return
    from .observe_runtime import runtime_unusable  # here: few containers have another one

    yield from runtime_unusable(container.runtime, starts)


def _sysctls(container: Container) -> Iterator[Unusable]:
    if not container.sysctls:
        return
    from .._kernel import sysctl  # here, as the next ones: few containers have any
    from .._kernel.namespaces import HOST, NetnsRef
    from .._links.sysctl_values import GIVEN_NUMBERS, SHOWN_NUMBERS, is_mask
    from .._links.sysctls import interface_of, sample_of

    own = netns_name(container.name)
    netns = NetnsRef.named(own) if os.path.exists(f"{locations.NETNS}/{own}") else HOST
    declared = {attachment.interface for attachment in container.networks}
    for name, value in container.sysctls.items():
        interface = interface_of(name) or ""
        # An interface that is still to come will have what others have.
        known = sample_of(name) or name if interface in declared else name
        try:
            now = sysctl.read(known, netns)
        except KernelError:
            continue
        if now is None:
            yield Unusable(f"sysctls.{name}", value, "the kernel has no such parameter for a container")
        elif SHOWN_NUMBERS.fullmatch(now) and not is_mask(name) and not GIVEN_NUMBERS.fullmatch(value):
            yield Unusable(f"sysctls.{name}", value, f"takes numbers; the kernel has {now!r} now")


def _tried_sysctls(container: Container, own_ids: bool) -> Iterator[Unusable]:
    """What the kernel says, in namespaces made for it, to what is set at each start."""
    if not container.sysctls:
        return
    from .._kernel import sysctl_trial
    from .._links.sysctls import sample_of

    # As root of a container, with as many IDs as one has; whose they are on the host makes no difference.
    wanted = [(name, sample_of(name) or name, value) for name, value in container.sysctls.items()]
    for name, answer in sysctl_trial.tried(wanted, (FIRST_ID, ID_RANGE) if own_ids else None).items():
        if answer.error:
            why = f"the kernel does not take it{' in a user namespace' if own_ids else ''} ({answer.error})"
            yield Unusable(f"sysctls.{name}", container.sysctls[name], why)


def _rlimits(container: Container) -> Iterator[Unusable]:
    """prlimit(2): nobody may have more descriptors than fs.nr_open, and few may raise a hard limit."""
    if not container.rlimits:
        return
    import resource

    from .._kernel import sysctl
    from .._kernel.capabilities import mask, of_process

    may_raise = of_process()["effective"] & mask(("CAP_SYS_RESOURCE",))
    most = sysctl.read("fs.nr_open")
    for name, value in sorted(container.rlimits.items()):
        wanted = _number(value.split(":")[-1])
        if name == "nofile" and most is not None and wanted > int(most):
            why = f"is above fs.nr_open of this host, {most}: lower it, or raise that with ansible.posix.sysctl"
            yield Unusable("rlimits.nofile", _words(value), why)
            continue
        there = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}", _LOCKS))[1]
        if not may_raise and 0 <= there < wanted:
            why = f"is above this host's own hard limit, {there}, and root lacks CAP_SYS_RESOURCE to raise it: lower it"
            yield Unusable(f"rlimits.{name}", _words(value), why)


def _words(limit: str) -> str:
    """As a person writes it."""
    return ":".join("unlimited" if word == str(RLIM_INFINITY) else word for word in limit.split(":"))


def _oom_score(container: Container) -> Iterator[Unusable]:
    wanted = container.oom_score_adj
    if wanted is None:
        return
    from .._kernel import process  # here, as the next one: few containers ask for it
    from .._kernel.capabilities import mask, of_process

    held = of_process()["effective"] & mask(("CAP_SYS_RESOURCE",))
    if not held and not process.may_have_oom_score_adj(wanted):
        why = "root lacks CAP_SYS_RESOURCE on this host, and the kernel lets nobody else have so low a score: raise it"
        yield Unusable("oom_score_adj", wanted, why)


def _number(limit: str) -> int:
    return int(limit) if limit.isdigit() else 1 << 64


def _capabilities(container: Container) -> Iterator[Unusable]:
    """Root of the host can give away what it has; in a user namespace of its own a container has them all."""
    from .._kernel.capabilities import mask, of_process

    held = of_process()["permitted"]
    for name in capabilities(container):
        if not held & mask((name,)):
            option = "cap_add" if name in container.cap_add else "cap_drop"
            why = "root does not have it on this host, and the container has no user namespace of its own: "
            yield Unusable(option, name, why + ("leave it out" if option == "cap_add" else "drop it"))


def _below(container: Container, root: Stack, cwd: str) -> Iterator[Unusable]:
    """Directories that the runtime would have to make, where nobody can make one."""
    for option, path in (*((f"mounts[{n}].target", m.target) for n, m in enumerate(container.mounts)), ("cwd", cwd)):
        if too_long(os.fsencode(path)):
            yield Unusable(option, f"{path[:40]}...", "no path can be so long")
            return
        parent = root.find(posixpath.dirname(path.rstrip("/")) or "/")
        if parent.status is not None and not stat.S_ISDIR(parent.status.st_mode):
            yield Unusable(option, path, f"{parent.path} is no directory in the image")


def _inside(
    container: Container, image: Image, root: Stack, spent: Sequence[str], coming: Mapping[str, bool]
) -> Iterator[Unusable]:
    """What is looked for in the root file system: places of mounts, the working directory, the program."""
    cwd = container.cwd or image.config.get("WorkingDir") or "/"
    yield from _below(container, root, cwd)
    volumes = volumes_of(container, image.config)
    for volume in volumes:
        leads_to = root.find(volume.target).path
        if volume.source == volume.target and not may_hold_volume(leads_to):  # it is the image that says so
            why = f"it declares a volume at {volume.target}, a symbolic link to {leads_to}: use an image without it"
            yield Unusable("image", container.image, why, never=True)
        elif volume.source == volume.target and _is_file(root.find(volume.target)):
            why = f"it declares a volume at {volume.target}, which is a file in it: use an image without it"
            yield Unusable("image", container.image, why, never=True)
    covers = Covers(container.mounts, volumes, root, coming)
    covered = covers.places
    for index, mount in enumerate(container.mounts):
        if container.init != NONE and root.find(mount.target).path in HIDDEN_BY:
            why = f"leads to {root.find(mount.target).path} in the image and hides the program of init, {PLACE}"
            yield Unusable(f"mounts[{index}].target", mount.target, why)
        there = root.find(mount.target, covered - {root.find(mount.target).path})
        file = coming.get(mount.source or "", is_of_file(mount))
        if there.status is None or stat.S_ISDIR(there.status.st_mode) != file or there.path.lstrip("/") in spent:
            continue
        kinds = ("directory", "file") if file else ("file", "directory")
        whose = "in the image" if _in_image(image, there.path) else "that was made in this container"
        why = f"is a {kinds[0]} {whose}, and a {kinds[1]} is to be mounted there: choose another target, or "
        why += "use another image" if whose == "in the image" else "remove it (ns_container_exec)"
        yield Unusable(f"mounts[{index}].target", mount.target, why)
    place = root.find(cwd, covered)
    if place.covered:
        yield from _covered_cwd(cwd, place.path, covers)
    elif place.status is not None and not stat.S_ISDIR(place.status.st_mode):
        yield Unusable("cwd", cwd, "is no directory in the image")
    yield from program(container, image, root, covers, cwd)


def _covered_cwd(cwd: str, place: str, covers: Covers) -> Iterator[Unusable]:
    """It is made where it is missing, if anybody can."""
    there = covers.look(place)
    if there in (FILE, PROGRAM):
        yield Unusable("cwd", cwd, "is no directory in the container")
    elif there == MISSING and (why := covers.makes_nothing(place)):
        yield Unusable("cwd", cwd, why)


def _is_file(found: Found) -> bool:
    return found.status is not None and not stat.S_ISDIR(found.status.st_mode)


def _in_image(image: Image, path: str) -> bool:
    with Stack(image.lowerdirs) as root:
        return root.find(path).status is not None
