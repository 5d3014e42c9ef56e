# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of oci_image that say what an image is made from, as a source. Raises OptionError; does no I/O.

Each kind of source is imported where it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._core.command_line import words
from .._core.errors import OptionError
from .._core.modes import parse_mode
from .._image.sources.handed import Handed
from .._image.sources.source import Source
from .._kernel.file_mode import mode_after
from .options import absolute, image_name

_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:~/=_-]*|[?~].+")
#: The sets of packages that each tool knows: mmdebstrap(1), debootstrap(8). Of mmdebstrap's, debootstrap gets those
#: that mean what it makes without any.
_VARIANTS = {
    "mmdebstrap": (
        *("-", "apt", "buildd", "custom", "debootstrap", "essential", "extract", "important", "minbase", "required"),
        "standard",
    ),
    "debootstrap": ("-", "buildd", "debootstrap", "fakechroot", "important", "minbase", "standard"),
}
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def source_of(option: str, value: Any, handed: Handed) -> Source:
    """The source that this option gives; ``handed`` is what has been brought of an archive of the controller's.

    Raises OptionError.
    """
    if option in _ARCHIVES:
        return _ARCHIVES[option](value, None if value["remote_src"] else handed)
    return _OTHERS[option](value)


def _inside(option: str, value: str) -> str:
    """A path inside an image."""
    if ".." in value.split("/") or "\0" in value or not value.strip("/"):
        raise OptionError(option, value, "write a path inside the image, without '..'")
    return "/" + value.strip("/")


def _directory(group: Mapping[str, Any]) -> Source:
    from .._image.sources.from_tree import Directory

    exclude = tuple(sorted(_inside("directory.exclude", path).strip("/") for path in group.get("exclude") or []))
    return Directory(absolute("directory.path", group["path"]), exclude, not group["one_file_system"])


def _rootfs(group: Mapping[str, Any], handed: Handed | None) -> Source:
    from .._image.sources.from_tree import Rootfs

    return Rootfs(absolute("rootfs.path", group["path"]), handed)


def _debootstrap(group: Mapping[str, Any]) -> Source:
    from .._image.sources.from_debootstrap import Debootstrap

    _match("debootstrap.suite", group["suite"], _SUITE, "write a release's name, such as bookworm")
    variants = _VARIANTS.get(group["tool"]) or sorted({name for names in _VARIANTS.values() for name in names})
    if group["variant"] not in variants:
        raise OptionError("debootstrap.variant", group["variant"], f"write one of {', '.join(variants)}")
    packages = group.get("packages") or []
    for package in packages:
        _match("debootstrap.packages", package, _PACKAGE, "that is no package name")
    mirror = group.get("mirror") or ""
    if mirror and ("://" not in mirror or re.search(r"[\x00-\x1f\x7f]", mirror)):
        raise OptionError("debootstrap.mirror", mirror, "write a URL, such as http://deb.debian.org/debian")
    for component in group.get("components") or []:
        _match("debootstrap.components", component, _SUITE, "write a component's name, such as main")
    return Debootstrap(
        suite=group["suite"],
        mirror=mirror,
        variant=group["variant"],
        packages=tuple(packages),
        components=tuple(group.get("components") or ()),
        keyring=group.get("keyring") or "",
        architecture=group.get("architecture") or "",
        tool=group["tool"],
    )


def _directory_mode(option: str, value: Any) -> int:
    """Symbols change what a directory has without them."""
    return mode_after(parse_mode(option, value), 0o755, is_directory=True)


def _build(group: Mapping[str, Any]) -> Source:
    from .._image.sources import steps
    from .._image.sources.from_steps import Steps

    made: list[Any] = []
    for option, entry in _each(group, "directories"):
        path, mode = _inside(f"{option}.path", entry["path"]), _directory_mode(f"{option}.mode", entry["mode"])
        made.append(steps.MakeDirectory(path, mode, *_owner(option, entry)))
    for option, entry in _each(group, "copy"):
        given = entry.get("mode")
        as_it_is = given in (None, "", "preserve")
        src, dest = absolute(f"{option}.src", entry["src"]), _inside(f"{option}.dest", entry["dest"])
        made.append(
            steps.CopyFile(src, dest, None if as_it_is else parse_mode(f"{option}.mode", given), *_owner(option, entry))
        )
    for option, entry in _each(group, "links"):
        if not entry["target"]:
            raise OptionError(f"{option}.target", "", "a link needs a target")
        made.append(steps.Link(_inside(f"{option}.path", entry["path"]), entry["target"]))
    for option, command in _each(group, "run"):
        made.append(steps.Run(_words(option, command), group["network"] == "host"))
    if not made:
        given = {name: value for name, value in group.items() if value and name != "network"}
        raise OptionError("build", given, "give at least one of directories, copy, links and run")
    base = image_name("build.base", group["base"]) if group.get("base") else ""
    return Steps(base, tuple(made))


def _words(option: str, command: str) -> tuple[str, ...]:
    found = words(option, command)
    if not found:
        raise OptionError(option, command, "is an empty command")
    return found


def _each(group: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """The elements of a list of ``build``, each with the name of its option."""
    return ((f"build.{name}[{index}]", entry) for index, entry in enumerate(group.get(name) or []))


def _owner(option: str, entry: Mapping[str, Any]) -> tuple[int, int]:
    for key in ("uid", "gid"):
        if not 0 <= entry[key] < 2**32 - 1:
            raise OptionError(f"{option}.{key}", entry[key], "is no user or group ID")
    return entry["uid"], entry["gid"]


def _match(option: str, value: str, pattern: re.Pattern[str], message: str) -> None:
    if not pattern.fullmatch(value):
        raise OptionError(option, value, message)


def _archive(group: Mapping[str, Any], handed: Handed | None) -> Source:
    from .._image.registry.access import Access
    from .._image.sources.from_archive import Archive

    path = absolute("archive.path", group["path"])
    if ":" in path and group["remote_src"]:
        raise OptionError("archive.path", path, "skopeo takes no path with a colon")
    policy_file = Access(policy=group.get("signature_policy") or "", group="archive.")
    return Archive(path, group["format"], group.get("reference") or "", policy_file, handed)


def _other(name: str) -> Source:
    from .._image.sources.from_archive import Other

    return Other(image_name("image", name))


def _container(name: str) -> Source:
    from .._image.sources.from_container import Container

    if not _CONTAINER.fullmatch(name):
        raise OptionError("container", name, "that is no name of a container")
    return Container(name)


_ARCHIVES: dict[str, Callable[[Any, Handed | None], Source]] = {"archive": _archive, "rootfs": _rootfs}
_OTHERS: dict[str, Callable[[Any], Source]] = {
    "image": _other,
    "container": _container,
    "directory": _directory,
    "debootstrap": _debootstrap,
    "build": _build,
}
