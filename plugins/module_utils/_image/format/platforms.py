# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which platforms images are for, and which of them a host runs (image-index.md, platform variants)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ImageError
from .config import host_platform

#: An architecture's variants: each runs what is for those before it.
_VARIANTS = {"amd64": ("v1", "v2", "v3", "v4"), "arm": ("v5", "v6", "v7", "v8"), "arm64": ("v8", "v9")}
#: The variant that is meant where none is written.
_PLAIN = {"amd64": "v1", "arm": "v7", "arm64": "v8"}
#: The flags in /proc/cpuinfo that each level has beyond the one before (x86-64 psABI, microarchitecture levels).
_LEVELS = (
    ("v2", "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"),
    ("v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("v4", "avx512bw avx512cd avx512dq avx512f avx512vl"),
)
#: What a processor also runs.
_ALSO = {"amd64": ("386",), "arm64": ("arm",)}
#: The architecture as the files of binfmt_misc have it, where that is another word.
_QEMU = {"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}
_BINFMT = "/proc/sys/fs/binfmt_misc"


@dataclass(frozen=True)
class Platform:
    """An operating system, an architecture and, or empty, its variant."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def meets(self, wanted: Platform) -> bool:
        """Whether it is the wanted one. Where no variant is asked for and nobody has put them in order, any will do."""
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return False
        any_will_do = self.architecture not in _VARIANTS and not wanted.variant
        return any_will_do or self._full() == wanted._full()

    def _full(self) -> str:
        return self.variant or _PLAIN.get(self.architecture, "")


def parse(text: str) -> Platform:
    return Platform(*text.split("/", 2))


def of(document: Mapping[str, Any]) -> Platform:
    """What an index says of an image, or its configuration of itself; what is not said stays empty."""
    parts = (document.get(key) for key in ("os", "architecture", "variant"))
    return Platform(*(part if isinstance(part, str) else "" for part in parts))


def of_host() -> tuple[Platform, ...]:
    """What this host runs, the most demanding first."""
    architecture, variant = host_platform()
    if architecture == "amd64":
        variant = amd64_level(_cpu_flags())
    known = _VARIANTS.get(architecture, ())
    if variant not in known:
        return (Platform("linux", architecture, variant),)
    return tuple(Platform("linux", architecture, each) for each in reversed(known[: known.index(variant) + 1]))


def amd64_level(flags: frozenset[str]) -> str:
    level = "v1"
    for name, needed in _LEVELS:
        if not flags.issuperset(needed.split()):
            break
        level = name
    return level


def _cpu_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            found = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(found.partition(":")[2].split())


def wanted(text: str, own: Sequence[Platform]) -> tuple[Platform, ...]:
    """The platforms that ``registry.platform`` means, the best first; ``own`` is what the host runs.

    With a variant that very one; without, of the host's architecture what it runs, of another one the plain variant,
    else the next below, else the next above.
    """
    if not text:
        return tuple(own)
    asked = parse(text)
    if asked.variant:
        return (asked,)
    if (asked.os, asked.architecture) == (own[0].os, own[0].architecture):
        return tuple(own)
    known = _VARIANTS.get(asked.architecture)
    if known is None:
        return (asked,)
    plain = known.index(_PLAIN[asked.architecture])
    ordered = (*reversed(known[: plain + 1]), *known[plain + 1 :])
    return tuple(Platform(asked.os, asked.architecture, variant) for variant in ordered)


def check(document: Mapping[str, Any], text: str, what: str) -> None:
    """Raises ImageError where the configuration is of another platform than ``registry.platform``, or without that
    than this host's: a manifest that is in no index says so nowhere else."""
    its = of(document)
    check_system(document, what, text)
    if not its.architecture:
        return
    if text:
        if its.architecture != parse(text).architecture:
            hint = "Take an image for that platform, or change registry.platform"
            raise ImageError(f"{what}: registry.platform is {text}, and the image is for {its}", hint)
        return
    host = _host()
    if not _runs(host, its):
        raise ImageError(
            f"{what}: the image is for {its}, and this host is {host}",
            f"Take an image for this host; to have it all the same set registry.platform to {its}. {_NEEDS}",
        )


def check_system(document: Mapping[str, Any], what: str, text: str = "") -> None:
    """Raises ImageError for an image of another operating system than is asked for, which is Linux."""
    its = of(document)
    if its.os and its.os != (parse(text).os if text else "linux"):
        raise ImageError(f"{what}: the image is for {its}", "A host with Linux runs images for linux")


def stranger(document: Mapping[str, Any]) -> str:
    """What to say of an image whose programs this host does not run; nothing where it does, by an emulator too."""
    its, host = of(document), _host()
    if not its.architecture or _runs(host, its):
        return ""
    if os.path.exists(f"{_BINFMT}/qemu-{_QEMU.get(its.architecture, its.architecture)}"):
        return ""
    return f"is for {its}, and this host is {host}. {_NEEDS}"


_NEEDS = "Its programs run here only with qemu-user-static and binfmt_misc"


def _host() -> Platform:
    return Platform("linux", *host_platform())


def _runs(host: Platform, its: Platform) -> bool:
    return its.architecture in (host.architecture, *_ALSO.get(host.architecture, ()))
