# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Image configurations and manifests, OCI image-spec config.md and manifest.md: pure functions.

Documents are written as canonical JSON, so that the same layers and settings give the same digest everywhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ImageError
from . import digest as digests
from . import shapes
from .healthcheck import HEALTH_TIMES
from .media_types import DOCKER_MANIFEST, OCI_CONFIG, OCI_FOREIGN_LAYER, OCI_LAYER, OCI_MANIFEST
from .shapes import parse_document
from .variables import variables_of

#: Docker's media types (image manifest v2, schema 2) and OCI's (media-types.md) for the same bytes.
_OCI_TYPES = {
    DOCKER_MANIFEST: OCI_MANIFEST,
    "application/vnd.docker.container.image.v1+json": OCI_CONFIG,
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_LAYER + "+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER + "+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar": OCI_FOREIGN_LAYER,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": OCI_FOREIGN_LAYER + "+gzip",
}

#: uname -m to the architecture (and variant) as the Go tool chain and OCI spell it.
_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
}


@dataclass(frozen=True)
class LayerBlob:
    """A layer as a manifest lists it, with its diff ID."""

    digest: str
    size: int
    diff_id: str
    media_type: str = OCI_LAYER


def _is_text(value: Any) -> bool:
    """A string that can be an argument, a path or a line of a file."""
    if not isinstance(value, str):
        return False
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        return False


def _is_line(value: Any) -> bool:
    return _is_text(value) and (value.isprintable() or not value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_set(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_line, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, [*value, *value.values()]))


def _is_healthcheck(value: Any) -> bool:
    """Docker's extension of config.md, which all engines know: times are nanoseconds."""
    if not isinstance(value, Mapping) or not (value.get("Test") is None or _is_list(value["Test"])):
        return False
    numbers = [value[key] for key in (*HEALTH_TIMES.values(), "Retries") if value.get(key) is not None]
    return all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)


#: What config.md makes of the keys that a container is started by.
_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("User", "WorkingDir", "StopSignal"), (_is_line, "one line of text")),
    **dict.fromkeys(("Entrypoint", "Cmd", "Env"), (_is_list, "a list of text")),
    **dict.fromkeys(("ExposedPorts", "Volumes"), (_is_set, "an object of lines of text")),
    "Labels": (_is_mapping, "an object of text"),
    "Healthcheck": (_is_healthcheck, "a health check"),
}


def parse(content: bytes) -> Mapping[str, Any]:
    """An image's configuration as it came. Raises ImageError for one that a container could not be started by."""
    document = parse_document(content, "image configuration")
    shapes.check_config(document, "the image configuration")
    config = document.get("config") or {}
    for key, (fits, what) in _SHAPES.items():
        if config.get(key) is not None and not fits(config[key]):
            raise ImageError(f"the image configuration's {key} is {str(config[key])[:200]!r}, not {what}")
    return document


def host_platform() -> tuple[str, str]:
    """This host's architecture and variant."""
    machine = os.uname().machine
    return _MACHINES.get(machine, (machine, ""))


def rfc3339(nanoseconds: int) -> str:
    """A time as image configurations write it, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, nanoseconds // 1_000_000_000)))


def new_document(
    layers: Sequence[LayerBlob],
    created_by: str,
    created_ns: int,
    base: Mapping[str, Any] | None = None,
    architecture: str = "",
) -> dict[str, Any]:
    """The configuration of an image with these layers on top of those of ``base``."""
    document: dict[str, Any] = dict(base or {"config": {}, "os": "linux"})
    created = rfc3339(created_ns)
    below = list((base or {}).get("rootfs", {}).get("diff_ids", []))
    history = list((base or {}).get("history") or [])
    document["created"] = created
    if not base:
        document["architecture"], variant = (architecture, "") if architecture else host_platform()
        if variant:
            document["variant"] = variant
    document["rootfs"] = {"type": "layers", "diff_ids": below + [layer.diff_id for layer in layers]}
    document["history"] = history + [{"created": created, "created_by": created_by} for _layer in layers]
    return document


def new_manifest(document: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> tuple[bytes, bytes]:
    """The bytes of manifest and configuration; ``layers`` are descriptors, also of a Docker manifest."""
    config = digests.canonical(document)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digests.of_bytes(config), "size": len(config)},
        "layers": layers,
    }
    return digests.canonical(as_oci(manifest)), config


def as_oci(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with OCI's media types in place of Docker's, of the very same blobs; equal to it where it has none."""

    def typed(document: Mapping[str, Any]) -> dict[str, Any]:
        kind = document.get("mediaType")
        return {**document, "mediaType": _OCI_TYPES[kind]} if kind in _OCI_TYPES else dict(document)

    layers = [typed(layer) for layer in manifest["layers"]]
    return {**typed(manifest), "config": typed(manifest["config"]), "layers": layers}


def descriptor(layer: LayerBlob) -> dict[str, Any]:
    """What a manifest says of a layer (OCI image-spec, descriptor.md)."""
    return {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}


#: The module's option -> the configuration's key, for what is replaced as a whole.
_REPLACED = {
    "cmd": "Cmd",
    "entrypoint": "Entrypoint",
    "workdir": "WorkingDir",
    "user": "User",
    "stop_signal": "StopSignal",
    "healthcheck": "Healthcheck",
}
_SETS = {"exposed_ports": "ExposedPorts", "volumes": "Volumes"}


def overridden(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the options of the module applied.

    ``env`` and ``labels`` are merged by name, ``exposed_ports`` and ``volumes`` added to, the rest replaced; an empty
    value removes the key. Raises nothing: values were checked when the options were read.
    """
    config = dict(document.get("config") or {})
    for option, key in _REPLACED.items():
        if option in overrides:
            config[key] = overrides[option]
    if "env" in overrides:
        env = {**variables_of(config), **overrides["env"]}
        config["Env"] = [f"{name}={value}" for name, value in env.items()]
    if "labels" in overrides:
        config["Labels"] = {**(config.get("Labels") or {}), **overrides["labels"]}
    for option, key in _SETS.items():
        if option in overrides:
            config[key] = {**(config.get(key) or {}), **{name: {} for name in overrides[option]}}
    if "entrypoint" in overrides and "cmd" not in overrides:
        config.pop("Cmd", None)  # as every engine: arguments of another program mean nothing to this one
    return {**document, "config": {key: value for key, value in config.items() if value not in ("", [], {}, None)}}


def with_overrides(
    manifest: Mapping[str, Any], document: Mapping[str, Any], overrides: Mapping[str, Any]
) -> tuple[bytes, bytes] | None:
    """The bytes of manifest and configuration with the options applied; None where they change nothing."""
    changed = overridden(document, overrides)
    if not overrides or changed == document:
        return None
    return new_manifest(changed, manifest["layers"])
