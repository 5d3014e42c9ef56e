# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image of an index is taken, and which image is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.format import config, platforms
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.manifest import choose

INDEX = "application/vnd.oci.image.index.v1+json"
V2 = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"


def index(*offered: str) -> dict[str, Any]:
    """One image a platform, whose digest is all of the digit that is its place."""
    entries = []
    for number, platform in enumerate(offered):
        names = dict(zip(("os", "architecture", "variant"), platform.split("/")))
        entries.append({"digest": f"sha256:{str(number) * 64}", "platform": names})
    return {"mediaType": INDEX, "manifests": entries}


def runs(*own: str) -> tuple[platforms.Platform, ...]:
    return tuple(map(platforms.parse, own))


AMD64 = runs("linux/amd64/v2", "linux/amd64/v1")
ARM = runs("linux/arm/v7", "linux/arm/v6", "linux/arm/v5")


@pytest.mark.parametrize(
    ("platform", "own", "offered", "taken"),
    [
        ("", AMD64, ("linux/arm64", "linux/amd64"), "linux/amd64"),
        # The best that the host runs, in whatever order.
        ("", AMD64, ("linux/amd64/v3", "linux/amd64", "linux/amd64/v2"), "linux/amd64/v2"),
        ("", AMD64, ("linux/amd64/v3", "linux/amd64/v1"), "linux/amd64/v1"),
        ("", ARM, ("linux/arm/v5", "linux/arm/v6", "linux/arm64"), "linux/arm/v6"),
        ("linux/amd64", AMD64, ("linux/amd64/v3", "linux/amd64/v2"), "linux/amd64/v2"),
        # A variant that is asked for is that one, however it is written.
        ("linux/arm/v6", ARM, ("linux/arm/v7", "linux/arm/v6"), "linux/arm/v6"),
        ("linux/arm64/v8", AMD64, ("linux/amd64", "linux/arm64"), "linux/arm64"),
        ("linux/arm64", AMD64, ("linux/arm64/v9", "linux/arm64/v8"), "linux/arm64/v8"),
        ("linux/amd64/v1", ARM, ("linux/amd64/v2", "linux/amd64"), "linux/amd64"),
        # Of another architecture the plain one, below, above.
        ("linux/arm", AMD64, ("linux/arm/v8", "linux/arm/v5", "linux/arm/v6"), "linux/arm/v6"),
        ("linux/amd64", ARM, ("linux/amd64/v3", "linux/amd64/v2"), "linux/amd64/v2"),
        ("linux/ppc64le", AMD64, ("linux/amd64", "linux/ppc64le/power8"), "linux/ppc64le/power8"),
    ],
)
def test_what_is_taken(platform: str, own: Any, offered: tuple[str, ...], taken: str) -> None:
    chosen = choose(index(*offered), platforms.wanted(platform, own), "app")
    assert offered[int(chosen[7])] == taken


@pytest.mark.parametrize(
    ("platform", "own", "offered", "says"),
    [
        ("linux/arm/v6", ARM, ("linux/arm/v7",), "no image for linux/arm/v6, only for linux/arm/v7"),
        ("", AMD64, ("linux/amd64/v4", "linux/s390x"), "for linux/amd64, only for linux/amd64/v4, linux/s390x"),
        ("", ARM, ("linux/arm/v8", "unknown/unknown"), "for linux/arm, only for linux/arm/v8. Name a platform"),
        ("", AMD64, (), "says of no image which platform"),
        ("", AMD64, ("unknown/unknown",), "says of no image which platform"),
    ],
)
def test_what_is_not_there(platform: str, own: Any, offered: tuple[str, ...], says: str) -> None:
    with pytest.raises(ImageError, match=says):
        choose(index(*offered), platforms.wanted(platform, own), "app")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"manifests": [{"digest": "sha256:" + 64 * "0"}]}, "which platform"),
        ({"manifests": [], "mediaType": "text/plain"}, "text/plain"),
        (
            {"manifests": [{**index("linux/amd64")["manifests"][0], "mediaType": INDEX}]},
            "linux/amd64/v1 its index has another index. Give .*@sha256:000",
        ),
    ],
)
def test_an_index_of_another_shape(document: dict[str, Any], says: str) -> None:
    with pytest.raises(ImageError, match=says):
        choose(document, AMD64[1:], "app")


@pytest.mark.parametrize(
    ("flags", "level"),
    [("sse2", "v1"), (V2, "v2"), (V3, "v3"), (V3.replace("bmi2", ""), "v2"), ("avx512f avx512bw", "v1")],
)
def test_levels(flags: str, level: str) -> None:
    assert platforms.amd64_level(frozenset(flags.split())) == level


@pytest.mark.parametrize(
    ("machine", "platform", "its", "says"),
    [
        ("x86_64", "", "linux/s390x", "is for linux/s390x, and this host is linux/amd64. .*registry.platform to"),
        ("x86_64", "linux/arm64", "linux/s390x", "registry.platform is linux/arm64, and the image is for linux/s390x"),
        ("x86_64", "", "windows/amd64", "is for windows/amd64. A host with Linux"),
        ("x86_64", "linux/amd64", "windows/amd64", "is for windows/amd64"),
        ("x86_64", "", "linux/arm/v7", "is for linux/arm/v7"),
        ("armv7l", "", "linux/arm64", "this host is linux/arm/v7"),
        ("x86_64", "linux/s390x", "linux/s390x", ""),
        ("x86_64", "", "linux/386", ""),
        ("aarch64", "", "linux/arm/v7", ""),
        ("x86_64", "", "linux/amd64", ""),
        # It says nothing of itself.
        ("x86_64", "linux/arm64", "", ""),
    ],
)
def test_what_is_refused(monkeypatch: pytest.MonkeyPatch, machine: str, platform: str, its: str, says: str) -> None:
    found = config._MACHINES[machine]
    monkeypatch.setattr(platforms, "host_platform", lambda: found)
    document = dict(zip(("os", "architecture", "variant"), its.split("/")))
    if not says:
        platforms.check(document, platform, "app")
        return
    with pytest.raises(ImageError, match=says):
        platforms.check(document, platform, "app")
