# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""linux.seccomp of config.json compiled to a program, once: the result is kept under the policy's hash."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..._kernel import files, locations, seccomp
from ..._kernel.errors import KernelError
from ..errors import BundleError
from .checks import integer, obj, text

CACHE = locations.CACHE + "/seccomp"
_DEFAULT_ERRNO = 1  # EPERM, config-linux.md


def flags(policy: Mapping[str, Any]) -> int:
    """The flags for seccomp(2). Raises BundleError."""
    total = 0
    for name in policy.get("flags") or []:
        if name not in seccomp.FLAGS:
            raise BundleError("linux.seccomp.flags", name, "is not supported")
        total |= seccomp.FLAGS[name]
    return total


def allows(policy: Mapping[str, Any], name: str, first: int | None = None) -> bool:
    """Whether the policy lets a call through whose first argument is ``first`` (None: anything, and any others).

    In doubt False: where rules contradict each other, or look at other arguments. For a policy that program() takes.
    """
    found = policy.get("defaultAction") in _LETS_THROUGH
    for rule in policy.get("syscalls") or []:
        if name not in (rule.get("names") or []):
            continue
        arguments = rule.get("args") or []
        lets = rule.get("action") in _LETS_THROUGH
        known = first is not None and all(argument.get("index") == 0 for argument in arguments)
        if lets and (not arguments or (known and all(_holds(argument, first or 0) for argument in arguments))):
            found = True
        elif not lets and not (known and arguments and not any(_holds(argument, first or 0) for argument in arguments)):
            return False
    return found


_LETS_THROUGH = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")


def _holds(argument: Mapping[str, Any], number: int) -> bool:
    """Whether a comparison is true of a number, seccomp_rule_add(3); in MASKED_EQ ``value`` is the mask."""
    value, second = int(argument.get("value") or 0), int(argument.get("valueTwo") or 0)
    return {
        "SCMP_CMP_NE": number != value,
        "SCMP_CMP_LT": number < value,
        "SCMP_CMP_LE": number <= value,
        "SCMP_CMP_EQ": number == value,
        "SCMP_CMP_GE": number >= value,
        "SCMP_CMP_GT": number > value,
        "SCMP_CMP_MASKED_EQ": number & value == second,
    }[argument["op"]]


def program(policy: Mapping[str, Any], cache: str = CACHE) -> bytes:
    """The compiled policy, from the cache where it is. Raises BundleError, KernelError."""
    for name in ("listenerPath", "listenerMetadata"):
        if policy.get(name):
            raise BundleError(f"linux.seccomp.{name}", policy[name], "is not supported by this runtime yet")
    path = f"{cache}/{_key(policy)}"
    try:
        with open(path, "rb") as handle:
            kept = handle.read()
        if kept and len(kept) % 8 == 0:
            return kept
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from None
    compiled = compile_policy(policy)
    with suppress(KernelError):  # not kept (no space, removed by who builds an image) it costs the next start some time
        files.make_directory(cache, 0o700)
        files.write_atomically(path, compiled, 0o600)
    return compiled


def _key(policy: Mapping[str, Any]) -> str:
    """The policy, the machine and the boot (libseccomp is replaced under a running host at most by an upgrade)."""
    from _blake2 import blake2b  # hashlib loads OpenSSL, which costs milliseconds

    canonical = json.dumps(policy, sort_keys=True) + "\0" + os.uname().machine
    return str(blake2b(canonical.encode(), digest_size=32).hexdigest())


def compile_policy(policy: Mapping[str, Any]) -> bytes:
    """Through libseccomp. Raises BundleError, KernelError."""
    default = _action("linux.seccomp.defaultAction", policy.get("defaultAction"), policy.get("defaultErrnoRet"))
    building = seccomp.Filter(default)
    try:
        for name in policy.get("architectures") or []:
            if not name.startswith("SCMP_ARCH_"):
                raise BundleError("linux.seccomp.architectures", name, "is not an architecture")
            building.add_architecture(name[len("SCMP_ARCH_") :].lower())
        for index, rule in enumerate(policy.get("syscalls") or []):
            _add_rule(building, f"linux.seccomp.syscalls[{index}]", obj("linux.seccomp.syscalls", rule), default)
        return building.export()
    finally:
        building.release()


def _add_rule(building: seccomp.Filter, prop: str, rule: Mapping[str, Any], default: int) -> None:
    action = _action(f"{prop}.action", rule.get("action"), rule.get("errnoRet"))
    if action == default:
        return  # libseccomp refuses a rule that changes nothing
    arguments = [_argument(f"{prop}.args[{i}]", obj(prop, a)) for i, a in enumerate(rule.get("args") or [])]
    # One libseccomp rule can look at an argument only once; several looks mean "any of them", as in runc.
    repeated = len({a.arg for a in arguments}) < len(arguments)
    alternatives = [[a] for a in arguments] if repeated else [arguments]
    for name in rule.get("names") or []:
        for chosen in alternatives:
            building.add(text(f"{prop}.names", name), action, chosen)


def _action(prop: str, name: Any, number: Any) -> int:
    if name not in seccomp.ACTIONS:
        raise BundleError(prop, name, "is not supported")
    action = seccomp.ACTIONS[name]
    if action in (seccomp.ERRNO, seccomp.TRACE):
        return action | (integer(prop, number) if number is not None else _DEFAULT_ERRNO) & 0xFFFF
    if number is not None and number != 0:
        raise BundleError(prop, name, "takes no errnoRet")
    return action


def _argument(prop: str, entry: Mapping[str, Any]) -> seccomp.Argument:
    op = entry.get("op")
    if op not in seccomp.OPERATORS:
        raise BundleError(f"{prop}.op", op, "is not a comparison")
    value, second = (integer(f"{prop}.{k}", entry.get(k) or 0) & 0xFFFFFFFFFFFFFFFF for k in ("value", "valueTwo"))
    return seccomp.Argument(integer(f"{prop}.index", entry.get("index")), seccomp.OPERATORS[op], value, second)
