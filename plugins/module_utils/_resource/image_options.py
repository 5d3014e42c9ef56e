# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of oci_image as a desired state. Raises OptionError; does no I/O."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from .._image import reference, steps
from .._image.digest import is_digest
from .._image.errors import ImageError
from .._image.from_archive import Archive, Other
from .._image.from_container import Container
from .._image.from_debootstrap import Debootstrap
from .._image.from_registry import Registry
from .._image.from_steps import Steps
from .._image.from_tree import Directory, Rootfs
from .._image.handed import Handed, Seeded
from .._image.layer import Limits
from .._image.source import Source
from .._image.transport import Access
from .._image.unpack import Policy
from .._plan.errors import OptionError
from .._plan.image import ALWAYS, IF_CHANGED, IF_MISSING, Desired
from .image_config import overrides

_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:~/=_-]*|[?~].+")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9.]+)?")
_PULL = {"missing": IF_MISSING, "newer": IF_CHANGED, "always": IF_CHANGED, "never": IF_MISSING}
_REBUILD = {"changed": IF_CHANGED, "always": ALWAYS, "never": IF_MISSING}


def desired_image(params: Mapping[str, Any]) -> Desired:
    """Raises OptionError."""
    name = image_name("name", params["name"])
    if params["state"] == "absent":
        return Desired(name, present=False, force=bool(params.get("force")))
    source = _source(params)
    return Desired(
        reference=name,
        source=source,
        refresh=_PULL[params["pull"]] if source.kind == Registry.kind else _REBUILD[params["rebuild"]],
        overrides=overrides(params.get("config") or {}),
        policy=policy(params.get("policy") or {}),
        verify=bool(params.get("verify")),
        progress=params.get("progress_file") or "",
    )


def image_name(option: str, value: str) -> str:
    """A reference in full. Raises OptionError."""
    try:
        return str(reference.parse(value))
    except ImageError as error:
        raise OptionError(option, value, str(error)) from None


def _source(params: Mapping[str, Any]) -> Source:
    handed = _handed(params.get("handed_over") or {})
    for option, make in _SOURCES.items():
        if params.get(option) is not None:
            source = make(params[option])
            if isinstance(source, (Archive, Rootfs)) and source.handed is not None:
                return dataclasses.replace(source, handed=handed)
            return source
    pulled = registry_source(params)
    if params.get("seed"):
        return Seeded(pulled.reference, params["seed"], handed, pulled.forbidden)
    return pulled


def _handed(group: Mapping[str, Any]) -> Handed:
    digest, path = group.get("digest") or "", group.get("path") or ""
    if digest and not is_digest(digest):
        raise OptionError("handed_over.digest", digest, "is no digest")
    return Handed(digest, _absolute("handed_over.path", path) if path else "")


def _absolute(option: str, value: str) -> str:
    if not value.startswith("/"):
        raise OptionError(option, value, "write an absolute path of the host")
    return value


def _inside(option: str, value: str) -> str:
    """A path inside an image."""
    if ".." in value.split("/") or "\0" in value or not value.strip("/"):
        raise OptionError(option, value, "write a path inside the image, without '..'")
    return "/" + value.strip("/")


def _mode(option: str, value: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3,4}", value):
        raise OptionError(option, value, "write permissions in octal, such as '0755', with quotes")
    return int(value, 8)


def _directory(group: Mapping[str, Any]) -> Source:
    exclude = tuple(sorted(_inside("directory.exclude", path).strip("/") for path in group.get("exclude") or []))
    return Directory(_absolute("directory.path", group["path"]), exclude)


def _rootfs(group: Mapping[str, Any]) -> Source:
    return Rootfs(_absolute("rootfs.path", group["path"]), None if group["remote_src"] else Handed())


def _debootstrap(group: Mapping[str, Any]) -> Source:
    _match("debootstrap.suite", group["suite"], _SUITE, "write a release's name, such as bookworm")
    packages = group.get("packages") or []
    for package in packages:
        _match("debootstrap.packages", package, _PACKAGE, "that is no package name")
    mirror = group.get("mirror") or ""
    if mirror and ("://" not in mirror or "\n" in mirror):
        raise OptionError("debootstrap.mirror", mirror, "write a URL, such as http://deb.debian.org/debian")
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


def _build(group: Mapping[str, Any]) -> Source:
    made: list[Any] = []
    for entry in group.get("directories") or []:
        path = _inside("build.directories.path", entry["path"])
        made.append(
            steps.MakeDirectory(path, _mode("build.directories.mode", entry["mode"]), *_owner("directories", entry))
        )
    for entry in group.get("copy") or []:
        mode = _mode("build.copy.mode", entry["mode"]) if entry.get("mode") else None
        src, dest = _absolute("build.copy.src", entry["src"]), _inside("build.copy.dest", entry["dest"])
        made.append(steps.CopyFile(src, dest, mode, *_owner("copy", entry)))
    for entry in group.get("links") or []:
        if not entry["target"]:
            raise OptionError("build.links.target", "", "a link needs a target")
        made.append(steps.Link(_inside("build.links.path", entry["path"]), entry["target"]))
    for command in group.get("run") or []:
        made.append(steps.Run(_words("build.run", command), group["network"] == "host"))
    if not made:
        raise OptionError("build", dict(group), "give at least one of directories, copy, links and run")
    base = image_name("build.base", group["base"]) if group.get("base") else ""
    return Steps(base, tuple(made))


def _words(option: str, command: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise OptionError(option, command, f"cannot be split into words: {error}") from None
    if not words:
        raise OptionError(option, command, "an empty command")
    return words


def _owner(group: str, entry: Mapping[str, Any]) -> tuple[int, int]:
    for key in ("uid", "gid"):
        if not 0 <= entry[key] < 2**32 - 1:
            raise OptionError(f"build.{group}.{key}", entry[key], "is no user or group ID")
    return entry["uid"], entry["gid"]


def _match(option: str, value: str, pattern: re.Pattern[str], message: str) -> None:
    if not pattern.fullmatch(value):
        raise OptionError(option, value, message)


def policy(group: Mapping[str, Any]) -> Policy:
    """Raises OptionError."""
    if not group:
        return Policy()
    if group["max_entries"] < 1:
        raise OptionError("policy.max_entries", group["max_entries"], "write a positive number")
    limits = Limits(size("policy.max_size", group["max_size"]), group["max_entries"])
    return Policy(limits, group["devices"] == "allow", group["setuid"] == "allow")


def size(option: str, value: str) -> int:
    """Bytes. Raises OptionError."""
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise OptionError(option, value, "write bytes, or a number with K, M, G or T")
    unit = _UNITS[match[3].upper()]
    fraction = int(match[2]) * unit // 10 ** len(match[2]) if match[2] else 0
    return int(match[1]) * unit + fraction


def registry_source(params: Mapping[str, Any]) -> Registry:
    """The image's own name, pulled, where no other source is given."""
    group = params.get("registry") or {}
    name = image_name("registry.reference", group["reference"]) if group.get("reference") else params["name"]
    platform = group.get("platform") or ""
    if platform and not _PLATFORM.fullmatch(platform):
        raise OptionError("registry.platform", platform, "write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT")
    pull = params["pull"]
    pulled = image_name("name", name)
    return Registry(pulled, platform, access(group), tolerant=pull == "newer", forbidden=pull == "never")


def access(group: Mapping[str, Any]) -> Access:
    """How to reach a registry. Raises OptionError."""
    if not group:
        return Access()
    if bool(group.get("username")) != bool(group.get("password")):
        raise OptionError("username", group.get("username"), "a user name needs a password, and the other way round")
    if group.get("username") and group.get("auth_file"):
        raise OptionError("auth_file", group["auth_file"], "give either this or username and password")
    if not 0 <= group["retries"] <= 20:
        raise OptionError("retries", group["retries"], "write a number from 0 to 20")
    return Access(
        auth_file=group.get("auth_file") or "",
        username=group.get("username") or "",
        password=group.get("password") or "",
        tls_verify=group["tls_verify"],
        cert_dir=group.get("cert_dir") or "",
        retries=group["retries"],
        policy=group.get("signature_policy") or "",
    )


def _archive(group: Mapping[str, Any]) -> Source:
    path = _absolute("archive.path", group["path"])
    if ":" in path and group["remote_src"]:
        raise OptionError("archive.path", path, "skopeo takes no path with a colon")
    policy_file = Access(policy=group.get("signature_policy") or "")
    handed = None if group["remote_src"] else Handed()
    return Archive(path, group["format"], group.get("reference") or "", policy_file, handed)


def _other(name: str) -> Source:
    return Other(image_name("image", name))


def _container(name: str) -> Source:
    if not _CONTAINER.fullmatch(name):
        raise OptionError("container", name, "that is no name of a container")
    return Container(name)


_SOURCES: dict[str, Callable[[Any], Source]] = {
    "archive": _archive,
    "image": _other,
    "container": _container,
    "directory": _directory,
    "rootfs": _rootfs,
    "debootstrap": _debootstrap,
    "build": _build,
}
