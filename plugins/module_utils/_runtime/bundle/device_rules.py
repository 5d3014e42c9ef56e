# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which devices a container may use: linux.resources.devices, or what else of config.json gives it devices.

config-linux.md, Allowed Device list. Any device node may be made, as that alone opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._kernel import capabilities, cgroup_devices, mount
from ..._kernel.cgroup_devices import BLOCK, CHARACTER, EVERYTHING, MAKE, READ, WRITE, Rule
from ..._kernel.errors import KernelError
from ..errors import BundleError
from .checks import integer, obj
from .spec import Spec

_MKNOD = capabilities.mask(["CAP_MKNOD"])
_KINDS = {"a": None, "b": BLOCK, "c": CHARACTER}
_ACCESSES = {"m": MAKE, "r": READ, "w": WRITE}
_DENY_ALL = Rule(False, None, None, None, EVERYTHING)
#: null, zero, full, random and urandom, tty and ptmx, and every terminal of a devpts (devices.txt of the kernel).
_NUMBERS = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, None))
#: What every container may use, whatever else is said.
ALWAYS = (
    Rule(True, None, None, None, MAKE),
    *(Rule(True, CHARACTER, major, minor, EVERYTHING) for major, minor in _NUMBERS),
)


def given(resources: Mapping[str, Any]) -> tuple[Rule, ...]:
    """linux.resources.devices in order. Raises BundleError."""
    return tuple(
        _rule(f"linux.resources.devices[{i}]", entry) for i, entry in enumerate(resources.get("devices") or [])
    )


def _rule(prop: str, value: Any) -> Rule:
    entry = obj(prop, value)
    allow, kind = entry.get("allow"), entry.get("type") or "a"
    if not isinstance(allow, bool):
        raise BundleError(f"{prop}.allow", allow, "must be true or false")
    if kind not in _KINDS:
        raise BundleError(f"{prop}.type", kind, "must be a, b or c")
    access = entry.get("access") or "rwm"
    if not isinstance(access, str) or not set(access) <= set(_ACCESSES):
        raise BundleError(f"{prop}.access", access, "must consist of r, w and m")
    major, minor = (_number(f"{prop}.{name}", entry.get(name)) for name in ("major", "minor"))
    return Rule(allow, _KINDS[kind], major, minor, sum(_ACCESSES[letter] for letter in set(access)))


def _number(prop: str, value: Any) -> int | None:
    """None for any: not there, or -1 as runc writes it."""
    if value is None or value == -1:
        return None
    if not 0 <= integer(prop, value) < 2**31:
        raise BundleError(prop, value, "is not a device number")
    return int(value)


def rules(spec: Spec, bound: Iterable[tuple[int, int, int]]) -> tuple[Rule, ...]:
    """All of them, the last one about a device decides. ``bound``: kind and number of each device that is mounted."""
    listed = given(spec.resources)
    if not listed:
        kinds = {"c": CHARACTER, "b": BLOCK}
        made = ((kinds[d.kind], d.major, d.minor) for d in spec.devices if d.kind in kinds)
        listed = tuple(Rule(True, *device, EVERYTHING) for device in (*made, *bound))
        if any(entry.bind and entry.attributes[1] & mount.MOUNT_ATTR_NODEV for entry in spec.mounts):
            # Whoever says dev of a directory of the host means the devices in it, whichever these are.
            listed = (Rule(True, None, None, None, EVERYTHING),)
    return (_DENY_ALL, *listed, *ALWAYS)


def restrict(cgroup: str, spec: Spec, bound: Sequence[tuple[int, int, int]]) -> None:
    """Hold the container in that cgroup to its rules. Raises KernelError where it must be and cannot."""
    try:
        cgroup_devices.restrict(cgroup, cgroup_devices.program(rules(spec, bound)))
    except KernelError:
        if _needed(spec):
            raise


def _needed(spec: Spec) -> bool:
    """Whether rules were asked for, or the container could make a device node that works.

    In a user namespace no node works but those that the runtime mounted, and without CAP_MKNOD there are no others:
    the layers of an image are mounted nodev.
    """
    makes = spec.process is not None and bool(spec.process.capabilities["bounding"] & _MKNOD)
    return bool(given(spec.resources)) or (makes and spec.namespace("user") is None)
