# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of another shape than OCI's are refused by name, whatever is in them."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.format import config, digest, shapes
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.manifest import choose
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.platforms import Platform

DIGEST = "sha256:" + "1" * 64
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIGEST, "size": 1}
MANIFEST: dict[str, Any] = {"schemaVersion": 2, "config": {"digest": DIGEST, "size": 1}, "layers": [LAYER]}
CONFIG: dict[str, Any] = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [DIGEST]}}
ODD: tuple[Any, ...] = (7, 1.5, True, "x", ["x"], [7], [None], [["x"]], {"x": 7}, {"x": None}, {})


def fails_by_name(function: Any, document: Any) -> None:
    """Or passes: what it never does is to end in another error."""
    try:
        function(document)
    except ImageError as error:
        assert "the thing" in str(error) or "diff ID" in str(error)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something else can be put."""
    found = [path] if path else []
    if isinstance(document, dict):
        found += [place for key, value in document.items() for place in places(value, (*path, key))]
    elif isinstance(document, list):
        found += [place for key, value in enumerate(document) for place in places(value, (*path, key))]
    return found


def with_odd(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(document)
    inner = result
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return result


INDEX = {"manifests": [{"digest": DIGEST, "platform": {"os": "linux", "architecture": "amd64"}, "annotations": {}}]}
KINDS: dict[str, tuple[Any, Any]] = {
    "manifest": (MANIFEST, lambda d: shapes.check_manifest(d, "the thing")),
    "config": ({**CONFIG, "config": {}, "history": [{}]}, lambda d: shapes.check_config(d, "the thing")),
    "index": (INDEX, lambda d: shapes.entries_of(d, "the thing")),
    "choice": (INDEX, lambda d: choose(d, [Platform("linux", "amd64")], "the thing")),
    "parsed": ({**CONFIG, "config": {"Env": ["A=1"]}, "history": [{}]}, lambda d: parsed(d)),
}


def parsed(document: Any) -> None:
    try:
        config.parse(digest.canonical(document))
    except ImageError as error:
        raise ImageError(f"the thing: {error}") from None


@pytest.mark.parametrize("kind", KINDS)
def test_anything_anywhere(kind: str) -> None:
    document, function = KINDS[kind]
    function(document)
    for place in places(document):
        for value in (*ODD, None):
            fails_by_name(function, with_odd(document, place, value))


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("manifest", ("layers",), ["x"]),
        ("manifest", ("layers",), [None]),
        ("manifest", ("layers", 0, "size"), 1e3),
        ("manifest", ("layers", 0, "size"), -1),
        ("manifest", ("layers", 0, "mediaType"), 7),
        ("manifest", ("config",), {"digest": DIGEST}),
        ("manifest", ("config", "digest"), "../x"),
        ("config", ("history",), 5),
        ("config", ("history",), [1]),
        ("config", ("architecture",), [1]),
        ("config", ("created",), {}),
        ("config", ("rootfs",), "x"),
        ("index", ("manifests",), [1]),
        ("index", ("manifests",), 5),
        ("index", ("manifests", 0, "platform"), 7),
        ("index", ("manifests", 0, "annotations"), []),
    ],
)
def test_refused(kind: str, place: tuple[Any, ...], value: Any) -> None:
    document, function = KINDS[kind]
    with pytest.raises(ImageError, match="the thing"):
        function(with_odd(document, place, value))


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("manifest", ("layers", 0, "digest")),
        ("manifest", ("config", "digest")),
        ("config", ("rootfs", "diff_ids", 0)),
        ("choice", ("manifests", 0, "digest")),
    ],
)
@pytest.mark.parametrize("other", ["sha512:" + "1" * 128, "blake3:" + "1" * 64, "multihash+base58:QmRZxt2b1FVZPNqd"])
def test_digests_of_another_algorithm_are_refused_by_its_name(kind: str, place: tuple[Any, ...], other: str) -> None:
    document, function = KINDS[kind]
    with pytest.raises(ImageError, match=f"algorithm {re.escape(other.partition(':')[0])}. Only sha256 is supported"):
        function(with_odd(document, place, other))


def test_an_index_may_have_them_for_other_platforms() -> None:
    other = {"digest": "sha512:" + "1" * 128, "platform": {"os": "linux", "architecture": "s390x"}}
    index = {"manifests": [other, *INDEX["manifests"]]}
    assert choose(index, [Platform("linux", "amd64")], "the thing") == DIGEST


@pytest.mark.parametrize("key", ["history", "config"])
def test_null_is_as_if_it_were_not_there(key: str) -> None:
    """As Go writes what is empty."""
    document = {**CONFIG, key: None}
    shapes.check_config(document, "the thing")
    made = config.new_document([config.LayerBlob(DIGEST, 1, DIGEST)], "step", 0, document)
    assert len(made["history"]) == 1 and len(made["rootfs"]["diff_ids"]) == 2
