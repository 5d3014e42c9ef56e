# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of oci_image as a desired state. Raises OptionError; does no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError
from .._image.format import reference
from .._image.format.digest import is_digest
from .._image.layers.policy import Limits, Policy
from .._image.registry.access import Access
from .._image.sources.from_registry import Registry
from .._image.sources.handed import Handed, Seeded
from .._image.sources.source import Source
from .plan import ALWAYS, IF_CHANGED, IF_MISSING, IF_REDECLARED, Desired

_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9.]+)?")
_PULL = {"missing": IF_REDECLARED, "newer": IF_CHANGED, "always": IF_CHANGED, "never": IF_MISSING}
_SOURCES = ("archive", "image", "container", "directory", "rootfs", "debootstrap", "build")
_REBUILD = {"changed": IF_CHANGED, "always": ALWAYS, "never": IF_MISSING}


def desired_image(params: Mapping[str, Any]) -> Desired:
    """Raises OptionError."""
    name = image_name("name", params["name"])
    if params["state"] == "absent":
        return Desired(name, present=False, force=bool(params.get("force")))
    source = _source(params)
    if source.named()[0] == name:
        why = "is the image that is to be made: name another one, or give the new one another name"
        raise OptionError(source.named()[1], reference.familiar(name), why)
    overrides = _overrides(params.get("config") or {})
    if overrides and reference.parse(name).digest:
        hint = "an image that is configured here has a digest of its own: give it a name with a tag"
        raise OptionError("config", overrides, hint)
    return Desired(
        reference=name,
        source=source,
        refresh=_PULL[params["pull"]] if source.kind == Registry.kind else _REBUILD[params["rebuild"]],
        overrides=overrides,
        policy=policy(params.get("policy") or {}),
        verify=bool(params.get("verify")),
        progress=params.get("progress_file") or "",
    )


def image_name(option: str, value: str) -> str:
    """A reference in full. Raises OptionError."""
    try:
        return str(reference.parse(value))
    except reference.BadReference as error:
        raise OptionError(option, value, error.reason) from None


def absolute(option: str, value: str) -> str:
    """A path of the host. Raises OptionError."""
    if not value.startswith("/"):
        raise OptionError(option, value, "write an absolute path of the host")
    return value


def _overrides(group: Mapping[str, Any]) -> dict[str, Any]:
    if not group:
        return {}
    from .options_config import overrides  # here, as the next one: what few tasks give

    return overrides(group)


def _source(params: Mapping[str, Any]) -> Source:
    """From the registry, where no other source is given."""
    handed = _handed((params.get("handed_over") or {}).get(image_name("name", params["name"])) or {})
    for option in _SOURCES:
        if params.get(option) is not None:
            from .options_sources import source_of

            return source_of(option, params[option], handed)
    pulled = registry_source(params)
    if params.get("seed"):
        return Seeded(pulled.reference, params["seed"], handed, pulled.forbidden, pulled.platform)
    return pulled


def _handed(group: Mapping[str, Any]) -> Handed:
    """What the controller has brought of one image's source."""
    digest, path = group.get("digest") or "", group.get("path") or ""
    if digest and not is_digest(digest):
        raise OptionError("handed_over.digest", digest, "is no digest")
    return Handed(digest, absolute("handed_over.path", path) if path else "")


def policy(group: Mapping[str, Any]) -> Policy:
    """Raises OptionError."""
    if not group:
        return Policy()
    if group["max_entries"] < 1:
        raise OptionError("policy.max_entries", group["max_entries"], "write a positive number")
    from .._core.quantities import parse_size  # here: few tasks give a policy

    limits = Limits(parse_size("policy.max_size", group["max_size"]), group["max_entries"])
    return Policy(limits, group["devices"] == "allow", group["setuid"] == "allow")


def registry_source(params: Mapping[str, Any]) -> Registry:
    """The image's own name, pulled, where no other source is given."""
    group = params.get("registry") or {}
    name = image_name("registry.reference", group["reference"]) if group.get("reference") else params["name"]
    platform = group.get("platform") or ""
    if platform and not _PLATFORM.fullmatch(platform):
        raise OptionError("registry.platform", platform, "write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT")
    pull = params["pull"]
    pulled = image_name("name", name)
    return Registry(pulled, platform, access(group, "registry."), tolerant=pull == "newer", forbidden=pull == "never")


def access(group: Mapping[str, Any], above: str = "") -> Access:
    """How to reach a registry; ``above`` begins the names of the options. Raises OptionError."""
    if not group:
        return Access()
    if group.get("username") and not group.get("password"):
        raise OptionError(f"{above}username", group["username"], f"needs {above}password")
    if group.get("password") and not group.get("username"):
        raise OptionError(f"{above}username", group.get("username"), f"is not set: {above}password needs it")
    if group.get("username") and group.get("auth_file"):
        raise OptionError(f"{above}auth_file", group["auth_file"], "give either this or username and password")
    if not 0 <= group["retries"] <= 20:
        raise OptionError(f"{above}retries", group["retries"], "write a number from 0 to 20")
    return Access(
        auth_file=group.get("auth_file") or "",
        username=group.get("username") or "",
        password=group.get("password") or "",
        tls_verify=group["tls_verify"],
        cert_dir=group.get("cert_dir") or "",
        retries=group["retries"],
        policy=group.get("signature_policy") or "",
        group=above,
    )
