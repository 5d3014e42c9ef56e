# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What OCI's documents look like, whoever wrote them: what comes after this need not ask for types.

Each function raises ImageError that names the document and what in it is of another shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import ImageError
from . import digest as digests

_SHOWN = 200


def parse_document(content: bytes, what: str) -> Mapping[str, Any]:
    """A JSON object. Raises ImageError."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ImageError(f"the {what} is not JSON") from None
    if not isinstance(document, Mapping):
        raise ImageError(f"the {what} is not a JSON object")
    return document


def check_manifest(document: Mapping[str, Any], what: str) -> None:
    """manifest.md: a configuration and layers, each with digest and size."""
    config, layers = document.get("config"), document.get("layers")
    if not isinstance(config, Mapping) or not isinstance(layers, list):
        raise ImageError(f"{what}: its manifest names no configuration or no layers")
    for name, descriptor in (("configuration", config), *(("layer", layer) for layer in layers)):
        _descriptor(descriptor, f"{what}: its manifest's {name}")
    for layer in layers:
        if not isinstance(layer.get("mediaType"), str):
            raise ImageError(f"{what}: its manifest's layer has the media type {_shown(layer.get('mediaType'))}")


def check_config(document: Mapping[str, Any], what: str) -> None:
    """config.md, but for what a container is started by."""
    for key in ("architecture", "os", "variant", "created", "author"):
        if not isinstance(document.get(key), (str, type(None))):
            raise ImageError(f"{what}'s {key} is {_shown(document[key])}, not text")
    if not isinstance(document.get("config"), (Mapping, type(None))):
        raise ImageError(f"{what}'s config is {_shown(document['config'])}, not an object")
    history = document.get("history")
    if history is not None and not (isinstance(history, list) and all(isinstance(step, Mapping) for step in history)):
        raise ImageError(f"{what}'s history is {_shown(history)}, not a list of objects")
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, Mapping) else None
    if not isinstance(diff_ids, list):
        raise ImageError(f"{what} lists no diff IDs")
    for diff_id in diff_ids:
        digests.check(diff_id, "diff ID")


def entries_of(index: Any, what: str) -> list[Mapping[str, Any]]:
    """image-index.md: the descriptors, each with a digest, and with a platform of text where it has one."""
    entries = index.get("manifests") if isinstance(index, Mapping) else None
    if not isinstance(entries, list):
        raise ImageError(f"{what} is not an OCI index")
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise ImageError(f"{what} lists {_shown(entry)}, not a descriptor")
        digests.check_form(entry.get("digest"), f"digest in {what}")  # those of other platforms may be of any kind
        _all_text(entry.get("platform"), f"{what}: a platform")
        _all_text(entry.get("annotations"), f"{what}: annotations")
    return entries


def _descriptor(descriptor: Any, what: str) -> None:
    if not isinstance(descriptor, Mapping):
        raise ImageError(f"{what} is {_shown(descriptor)}, not a descriptor")
    digests.check(descriptor.get("digest"), f"digest of {what}")
    size = descriptor.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ImageError(f"{what} has the size {_shown(size)}")


def _all_text(group: Any, what: str) -> None:
    """An object whose values that we read are text; ``os.features`` is a list."""
    if group is None:
        return
    if not isinstance(group, Mapping):
        raise ImageError(f"{what} is {_shown(group)}, not an object")
    for key, value in group.items():
        if key != "os.features" and key != "features" and not isinstance(value, (str, type(None))):
            raise ImageError(f"{what} has as {key} {_shown(value)}, not text")


def _shown(value: Any) -> str:
    return repr(value)[:_SHOWN]
