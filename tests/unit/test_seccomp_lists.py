# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The default seccomp policy against the table of docs/runtime.md and the list that Podman ships."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import capabilities
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import defaults, seccomp_policy

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "runtime.md"
#: Of Debian's package golang-github-containers-common, which skopeo depends on.
PODMAN = Path("/usr/share/containers/seccomp.json")
HELD = frozenset(defaults.CAPABILITIES)


def rows() -> list[tuple[frozenset[str], str, str]]:
    """Of the table: the calls that a row is about in general, what is said of them here, and of containers-common."""
    lines = DOCUMENT.read_text().partition("## The default seccomp policy")[2].partition("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    whole = [row for row in cells if re.fullmatch(r"`[^`]*`", row[0])]
    return [(frozenset(row[0].strip("`").split()), row[1], row[3]) for row in whole]


def ours(held: Collection[str], user_namespace: bool = True) -> set[str]:
    """What the policy allows, in general or by some argument."""
    rules = seccomp_policy.default_policy(held, "x86_64", user_namespace)["syscalls"]
    return {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def theirs(document: Any, held: Collection[str]) -> set[str]:
    """The same of a list in the form of moby and Podman, for this machine and those capabilities."""
    found = set()
    for rule in document["syscalls"]:
        only, never = rule.get("includes") or {}, rule.get("excludes") or {}
        fits = "amd64" in only.get("arches", ["amd64"]) and set(only.get("caps", ())) <= set(held)
        if fits and not set(never.get("caps", ())) & set(held) and rule["action"] == "SCMP_ACT_ALLOW":
            found |= set(rule["names"])
    return found


def test_the_table_says_what_the_policy_does() -> None:
    assert len(rows()) >= 14
    everything = ours(capabilities.NUMBERS)
    for calls, here, _podman in rows():
        if here == "denied":
            assert not calls & everything, calls
        elif here == "allowed":
            assert calls <= ours(()), calls
        else:
            needed = "CAP_" + here[len("with ") :]
            assert not calls & ours(()), calls
            assert calls <= ours({needed}), calls


def test_descriptors_of_others_are_taken_in_a_user_namespace_only() -> None:
    assert ours(capabilities.NUMBERS) - ours(capabilities.NUMBERS, user_namespace=False) == {"pidfd_getfd"}
    denying = [rule for rule in seccomp_policy.default_policy({"CAP_SYS_PTRACE"})["syscalls"] if "errnoRet" in rule]
    assert any("pidfd_getfd" in rule["names"] and rule["errnoRet"] == seccomp_policy.EPERM for rule in denying)


@pytest.mark.skipif(not PODMAN.exists(), reason="golang-github-containers-common is not installed")
def test_each_difference_from_podmans_list_has_its_row() -> None:
    podman = json.loads(PODMAN.read_text())
    allowed, denied = theirs(podman, HELD), ours(HELD) - theirs(podman, HELD)
    explained = {name for calls, _here, said in rows() if said == "allowed" for name in calls}
    assert allowed - ours(HELD) <= explained
    assert denied <= {name for calls, _here, said in rows() if said == "denied" for name in calls}


def test_nothing_is_allowed_of_socket_by_what_it_is_not() -> None:
    """By "above" and "not" it would also be those numbers of which the kernel cuts off the upper bits."""
    for held in (HELD, {*HELD, "CAP_AUDIT_WRITE"}):
        rules = seccomp_policy.default_policy(held, "x86_64")["syscalls"]
        allowing = [rule for rule in rules if rule["names"] == ["socket"] and rule["action"] == "SCMP_ACT_ALLOW"]
        assert {argument["op"] for rule in allowing for argument in rule["args"]} == {"SCMP_CMP_EQ", "SCMP_CMP_LT"}
