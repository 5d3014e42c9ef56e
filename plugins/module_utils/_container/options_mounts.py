# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option ``mounts`` of a container, checked."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.names import container_name
from .._core.resource import OptionError
from .records import ContainerMount

_PROPAGATION = ("private", "rprivate", "slave", "rslave")
_NEVER_SHARED = "what is mounted in a container never reaches the host; rslave lets mounts of the host arrive in it"


def parse_mounts(listed: Sequence[Mapping[str, Any]], runtime: str) -> tuple[ContainerMount, ...]:
    """All of them; no two at the same place. Raises OptionError."""
    mounts: list[ContainerMount] = []
    for index, entry in enumerate(listed):
        mount = _mount(entry, f"mounts[{index}]")
        for before, other in enumerate(mounts):
            if other.target == mount.target:
                raise OptionError(f"mounts[{index}].target", entry["target"], f"mounts[{before}] is there already")
        if runtime == "nsrun":  # another one knows words of its own
            _check_words(mount, f"mounts[{index}]")
        mounts.append(mount)
    return tuple(mounts)


def _mount(entry: Mapping[str, Any], option: str) -> ContainerMount:
    kind, source = entry["type"], entry.get("source")
    if kind == "tmpfs" and source is not None:
        raise OptionError(f"{option}.source", source, "a tmpfs has no source")
    if kind == "bind" and (not source or not source.startswith("/") or "\0" in source):
        raise OptionError(f"{option}.source", source, "a bind mount's source is an absolute path on the host")
    if kind == "volume":
        container_name(source or "", f"{option}.source")
    if entry.get("propagation") in ("shared", "rshared"):
        raise OptionError(f"{option}.propagation", entry["propagation"], _NEVER_SHARED)
    if entry.get("propagation") and entry["propagation"] not in _PROPAGATION:
        raise OptionError(f"{option}.propagation", entry["propagation"], "must be one of " + ", ".join(_PROPAGATION))
    return ContainerMount(
        kind=kind,
        target=_target(entry["target"], option),
        source=source,
        read_only=bool(entry.get("read_only")),
        propagation=entry.get("propagation"),
        options=tuple(entry.get("options") or ()),
    )


def _target(target: str, option: str) -> str:
    clean = posixpath.normpath("/" + target.lstrip("/"))
    if not target.startswith("/") or clean == "/" or ".." in target.split("/") or "\0" in target:
        raise OptionError(f"{option}.target", target, "must be an absolute path below / without '..'")
    return clean


def _check_words(mount: ContainerMount, option: str) -> None:
    """What nsrun itself would say of the option words, before anything is stopped for them."""
    if not mount.options:
        return
    from .._runtime.bundle.mount_entry import parse_mount
    from .._runtime.errors import BundleError

    kind = "tmpfs" if mount.kind == "tmpfs" else "bind"
    for word in mount.options:
        if word in ("shared", "rshared"):
            raise OptionError(f"{option}.options", word, _NEVER_SHARED)
        if word in ("bind", "rbind") and kind == "tmpfs":
            raise OptionError(f"{option}.options", word, "is for the types bind and volume")
    try:
        parse_mount(option, {"destination": "/x", "type": kind, "source": "/x", "options": list(mount.options)}, "/")
    except BundleError as error:
        raise OptionError(f"{option}.options", error.value, error.reason) from None
