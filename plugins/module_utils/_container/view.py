# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container as people see it: one dictionary of options, from its documents and from what the kernel shows.

The same function makes the observed and the declared view, so that they differ only where the container does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._core.operation import LIVE, RECREATE, RESTART, Change, changes_between
from .._image.format import digest
from .._image.format.reference import familiar
from .._image.store.store import NOT_YET
from .._runtime.bundle.defaults import default_mounts
from . import plan_init
from .documents_bundle import IDENTITY_FILES
from .option import value_at
from .plan_shared_memory import size_in, without_size
from .records import OPTIONS

#: In place of a variable's value, which may be secret, and of one that is another than before.
NOT_SHOWN = "(not shown)"
_NOT_SHOWN_EITHER = "(not shown; another value)"
#: The file; ``hostname`` is the name that the kernel tells in the container.
_HOSTNAME_FILE = "/etc/hostname"
#: Of a part of the bundle that nobody declares.
_OTHER_VERSION = "as another version of the collection wrote it"
_THIS_VERSION = "as this version writes it"
_NAMES = {
    "linux.seccomp": "seccomp policy",
    "linux.maskedPaths": "masked paths",
    "linux.readonlyPaths": "read-only paths",
}
#: How a change of what is shown is applied; what is not named here needs a restart.
HOW = {
    **{name: each.how for name, each in OPTIONS.items()},
    "id_mapping": RECREATE,
    **dict.fromkeys(("ports", "healthcheck", "modes", "hosts", _HOSTNAME_FILE, "resolv.conf"), LIVE),
}
#: Where every container has a mount.
_EVERYWHERE = {m["destination"] for m in default_mounts()} | {f"/etc/{name}" for name in IDENTITY_FILES}
#: Where something is that another option shows.
_SHOWN_ELSEWHERE = {plan_init.PLACE}


def _image(made_from: str) -> str:
    """``NAME@DIGEST`` for people."""
    name, _at, its_digest = made_from.rpartition("@")
    told = "made before this" if its_digest == NOT_YET else digest.short(its_digest)
    return f"{familiar(name)}, {told}" if name else told


def view(documents: Mapping[str, Any], live: Mapping[str, Any], identity: Mapping[str, str | None]) -> dict[str, Any]:
    """The options of one container.

    ``documents`` holds config.json as ``config`` and launch.json as ``launch``; ``live`` what the kernel shows of
    ``state``, ``limits`` and ``networks``; ``identity`` the contents of hosts, hostname and resolv.conf.
    """
    config, launch = documents.get("config") or {}, documents.get("launch") or {}
    if not config or not launch:
        return {}
    process, linux = config["process"], config["linux"]
    init, command = plan_init.view_of(config)
    return {
        **{name: value_at(documents, each.place) for name, each in OPTIONS.items() if each.place},
        **live,
        **{_shown(name): (content or "").splitlines() for name, content in identity.items()},
        "image": _image(launch["image"]),
        "command": command,
        "init": init,
        "env": dict(entry.partition("=")[::2] for entry in process["env"]),
        "capabilities": process["capabilities"]["bounding"],
        "mounts": [mount for mount in config["mounts"] if mount["destination"] not in _EVERYWHERE | _SHOWN_ELSEWHERE],
        "namespaces": _namespaces(linux, launch),
        "shm_size": live.get("shm_size", size_in(config)),
        "user": {name: process["user"].get(name) for name in ("uid", "gid")},
        "groups": process["user"].get("additionalGids") or [],
        "id_mapping": launch["rootfs"]["idmap"],
        "healthcheck": launch.get("healthcheck"),
        # Whatever else the bundle says: nobody declares it, so people are told which part is another one; see shown().
        "bundle": _parts(
            {
                **config,
                "annotations": None,
                "mounts": [without_size(mount) for mount in config["mounts"]],
                "process": {**process, "env": None},
                "linux": {**linux, "resources": None},
            }
        ),
    }


def _parts(config: Mapping[str, Any]) -> dict[str, str]:
    """A digest of each part of a bundle's configuration: only whether two are the same is asked of it."""
    parts = dict(config)
    for name in ("process", "linux"):
        parts.update({f"{name}.{key}": value for key, value in parts.pop(name).items()})
    return {_NAMES.get(name, name): _digest(value) for name, value in parts.items()}


def _namespaces(linux: Mapping[str, Any], launch: Mapping[str, Any]) -> list[dict[str, str]]:
    """As config.json lists them, with the container by name where it is joined by that."""
    joined = launch.get("namespaces") or {}
    return [{**n, "container": joined[n["type"]]} if n["type"] in joined else n for n in linux["namespaces"]]


def _shown(file: str) -> str:
    return _HOSTNAME_FILE if file == "hostname" else file


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def changes(before: Mapping[str, Any], after: Mapping[str, Any], how: Mapping[str, str] = HOW) -> tuple[Change, ...]:
    """What differs, down to the variable, limit or network; ``bundle`` only where nothing else explains it."""
    found: list[Change] = []
    for change in changes_between(before, after, {name: how.get(name, RESTART) for name in {*before, *after}}):
        inner = (change.before, change.after)
        if change.option in ("env", "limits", "networks") and all(isinstance(value, Mapping) for value in inner):
            shown = shown_environment if change.option == "env" else lambda *both: both
            old, new = shown(*inner)
            found += [
                Change(f"{change.option}.{part.option}", old.get(part.option), new.get(part.option), change.how)
                for part in changes_between(*inner, {})
            ]
        else:
            found.append(change)
    if "hostname" in {change.option for change in found}:
        found = [change for change in found if change.option != _HOSTNAME_FILE]
    # It is the host's memory then, which namespaces says.
    found = [change for change in found if change.option != "shm_size" or None not in (change.before, change.after)]
    others = [change for change in found if change.option != "bundle"]
    if any(change.how != LIVE for change in others):
        return tuple(others)
    return tuple(_in_words(change) if change.option == "bundle" else change for change in found)


def _in_words(change: Change) -> Change:
    told = _told(change.before, change.after)
    return replace(change, before=told["before"], after=told["after"])


def _told(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> dict[str, dict[str, str]]:
    """The parts of a bundle that are not the same, in words."""
    old, new = before or {}, after or {}
    other = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return {"before": dict.fromkeys(other, _OTHER_VERSION), "after": dict.fromkeys(other, _THIS_VERSION)}


def shown_environment(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Both without the values, so that they still differ where the values do. (Of a digest a value can be guessed.)"""
    new = {name: NOT_SHOWN if before.get(name, value) == value else _NOT_SHOWN_EITHER for name, value in after.items()}
    return dict.fromkeys(before, NOT_SHOWN), new


def shown(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two views as people may see them, also in a log of the playbook: without the values of variables."""
    old, new = shown_environment(before.get("env") or {}, after.get("env") or {})
    told = {}
    if before and after and any(change.option == "bundle" for change in changes(before, after)):
        told = _told(before.get("bundle"), after.get("bundle"))
    return _shown_view(before, old, told.get("before")), _shown_view(after, new, told.get("after"))


def _shown_view(view_: Mapping[str, Any], env: Mapping[str, str], bundle: Mapping[str, str] | None) -> dict[str, Any]:
    if not view_:
        return {}
    rest = {name: value for name, value in view_.items() if name != "bundle"}
    return {**rest, "env": dict(env), **({"bundle": dict(bundle)} if bundle else {})}
