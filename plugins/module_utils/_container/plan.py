# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner of ns_container: from what is declared and what is there to the steps between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._cgroup.plan import limits_view, plan_limits
from .._core.errors import OptionError
from .._core.files import MakeDirectory, RemoveFile, RemoveTree, ReplaceFile, SetAside, WriteFile
from .._core.operation import LIVE, RECREATE, RESTART, Change, Operation, Plan
from .._core.units import EnableUnit, ReloadUnits, RemoveIfEmpty
from .._core.user_ids import taken_by_users
from .._kernel import locations
from .._network.publish import warnings_of_absent
from .._runtime.supervise import unit
from .._runtime.supervise.control import Supervised
from . import documents as documents_
from . import plan_identity as identity
from .bundle_options import option_names
from .documents import Document, Documents, directory
from .observed import ContainerObserved
from .operations import ClearRuntime, InterruptContainer, RemoveMountPoint, StartContainer, StopContainer
from .plan_declared import declared_otherwise
from .plan_modes import modes_view, set_modes, wrong_modes
from .plan_namespaces import check_running
from .plan_network import (
    networks_after,
    networks_before,
    plan_dropped_sysctls,
    plan_network,
    plan_network_removal,
    ports_after,
    ports_before,
)
from .plan_resolve import image_of, limits_left_out, resolve
from .plan_shared_memory import how_resized, plan_resize
from .plan_start import check_ever, check_start
from .plan_userns import takes_over, void_capabilities
from .plan_volumes import half_made_volumes, missing_volumes, own_volumes
from .records import Container, Resolved
from .view import HOW, changes, shown, view

_RUNS = ("running", "restarting", "created")
"""Statuses of a container that has a process, or is about to get one again by itself."""
_ASIDE = ".before"
"""What a root that is recreated is called until the container runs with the new one."""
SHARED = (locations.CONTAINERS, locations.VOLUMES, locations.CONTAINERS_RUN)
"""Directories that containers share; they go with the last one."""
PLACES = (*SHARED, *locations.NETNS_DIRECTORIES)
"""Of these it is asked whether nothing is in them."""


def plan_container(container: Container, observed: ContainerObserved) -> Plan:
    """Pure. Raises OptionError and Refused, both before anything is planned."""
    if container.state == "absent":
        return _absent(container, observed)
    resolved = resolve(container, observed)
    check_ever(observed)
    docs = documents_.documents(container, resolved, observed)
    before = _before(container, observed)
    wrong = wrong_modes(container.name, (*docs.files, *filter(None, [docs.unit])), observed) if before else ()
    before = {**before, **modes_view(wrong, now=True)}
    after = {**_after(container, resolved, docs, observed), **modes_view(wrong, now=False)}
    how = {**HOW, "shm_size": how_resized(container, observed)}
    starts = _starts(container, observed, changes(before, after, how) if before else ())
    after["state"] = _state_after(container, observed, starts)
    found = changes(before, after, how) if before else ()
    otherwise = declared_otherwise(container, observed.recorded)
    if before and otherwise and all(change.option in ("state", "modes") for change in found):
        # It comes to the same today: an image's own command that is spelled out, an address that it has already.
        found = (*found, *otherwise)
        before = {**before, "declared": {change.option: change.before for change in otherwise}}
        after = {**after, "declared": {change.option: change.after for change in otherwise}}
    operations = _operations(container, resolved, docs, observed, found, starts)
    written = {operation.path for operation in operations if isinstance(operation, WriteFile)}
    operations = [*set_modes(wrong, written), *operations]
    warnings = _warnings(container, resolved, observed, starts)
    before, after = shown(before, after if operations else before)
    return Plan(tuple(operations), before, after, found, warnings)


def _operations(
    container: Container,
    resolved: Resolved,
    docs: Documents,
    observed: ContainerObserved,
    found: tuple[Change, ...],
    starts: bool,
) -> list[Operation]:
    runs = observed.supervised.status in _RUNS
    why = _why_interrupted(container, found) if runs or observed.supervised.unwatched else ""
    recreate = any(change.how == RECREATE for change in found)
    operations: list[Operation] = []
    # One that ran, and is to run on, runs again as it did where it cannot be started with what is new.
    goes_back = bool(why) and observed.supervised.status in _RUNS and container.state != "stopped"
    if why:
        operations.append((InterruptContainer if goes_back else StopContainer)(container.name, why))
    operations += _old_root(container, observed, recreate, goes_back)
    operations += _directories(container, observed, recreate)
    if starts and not recreate:
        operations += [RemoveMountPoint(f"{directory(container.name)}/upper", path) for path in observed.spent]
    image = image_of(container, observed)
    operations += half_made_volumes(observed, own_volumes(container.name))
    operations += missing_volumes(container, image.config, image.lowerdirs, observed)
    if not why:
        operations += plan_resize(container, observed)
    if _limited_now(observed) and not why:
        # Before what is written of them: a limit that a killed run did not take back is one that is still to go.
        operations += plan_limits(observed.cgroup, _limits_wanted(resolved, observed))
    operations += plan_dropped_sysctls(container, resolved, observed)
    operations += _writes(docs, observed, goes_back)
    operations += plan_network(container, resolved, observed, goes_back)
    operations += _unit_operations(container, docs, observed, goes_back)
    if starts or container.state == "present" and why:
        check_start(container, resolved, observed)
        check_running(container, docs.launch.get("namespaces") or {}, observed.host)
        operations.append(StartContainer(container.name, option_names(container, docs.config)))
        operations += _set_aside(operations)
    return operations


def _starts(container: Container, observed: ContainerObserved, found: tuple[Change, ...]) -> bool:
    """Whether a process is started: where none runs as declared, unless it has done what it was declared for."""
    if container.state != "started":
        return container.state == "restarted"
    if any(change.how != LIVE for change in found):
        return True
    return observed.supervised.status not in _RUNS and not observed.supervised.completed


def _why_interrupted(container: Container, found: tuple[Change, ...]) -> str:
    """Why a running container must be stopped; empty where it need not be."""
    if container.state == "stopped":
        return "as declared"
    for how in (RECREATE, RESTART):
        options = [change.option for change in found if change.how == how]
        if options:
            return f"to {how} it with another {', '.join(options)}"
    return "as asked" if container.state == "restarted" else ""


def _old_root(container: Container, observed: ContainerObserved, recreate: bool, goes_back: bool) -> list[Operation]:
    """What the container wrote goes with recreation, and what an earlier one that was ended half-way has left."""
    home = directory(container.name)
    there = [f"{home}/{name}" for name in ("upper", "work") if f"{home}/{name}" in observed.directories]
    left = [path + _ASIDE for path in (f"{home}/upper", f"{home}/work") if path + _ASIDE in observed.directories]
    operations: list[Operation] = [RemoveTree(path) for path in left]
    if recreate:
        operations += [SetAside(path, path + _ASIDE) if goes_back else RemoveTree(path) for path in there]
    return operations


def _set_aside(operations: list[Operation]) -> list[Operation]:
    return [RemoveTree(operation.aside) for operation in operations if isinstance(operation, SetAside)]


def _directories(container: Container, observed: ContainerObserved, recreate: bool) -> list[Operation]:
    """upper is the root directory that the container sees, so it has the mode and owner of the image's."""
    home = directory(container.name)
    mode, uid, gid = observed.root
    wanted = [
        MakeDirectory(home, 0o700, mark=True),
        MakeDirectory(f"{home}/bundle", 0o700),
        MakeDirectory(f"{home}/bundle/rootfs", 0o700),
        MakeDirectory(f"{home}/log", 0o700),
        MakeDirectory(f"{home}/upper", mode, uid, gid),
        MakeDirectory(f"{home}/work", 0o700),
    ]
    again = {f"{home}/upper", f"{home}/work"} if recreate else set()
    return [d for d in wanted if d.path not in observed.directories or d.path in again]


def _writes(docs: Documents, observed: ContainerObserved, goes_back: bool) -> list[Operation]:
    return [
        _write(document, observed, goes_back)
        for document in docs.files
        if not _same(observed.files.get(document.path), document)
    ]


def _same(text: str | None, document: Document) -> bool:
    """A JSON document is the same however it is laid out, as another version of the collection may have written it."""
    if text == document.content or text is None or not document.path.endswith(".json"):
        return text == document.content
    try:
        return bool(json.loads(text) == json.loads(document.content))
    except ValueError:
        return False


def _write(document: Document, observed: ContainerObserved, goes_back: bool) -> WriteFile:
    wanted = (document.path, document.content, document.mode, document.in_place)
    return ReplaceFile(*wanted, previous=observed.files.get(document.path)) if goes_back else WriteFile(*wanted)


def _unit_operations(
    container: Container, docs: Documents, observed: ContainerObserved, goes_back: bool
) -> list[Operation]:
    if docs.unit is None:
        return []
    operations: list[Operation] = []
    if observed.files.get(docs.unit.path) != docs.unit.content:
        operations.append(_write(docs.unit, observed, goes_back))
    name = unit.unit_name(container.name)
    enabled = {"started": True, "restarted": True, "stopped": False}.get(container.state, observed.unit_enabled)
    if enabled != observed.unit_enabled:
        operations.append(EnableUnit(name, enabled))
    elif operations:
        operations.append(ReloadUnits())
    return operations


def _before(container: Container, observed: ContainerObserved) -> dict[str, Any]:
    live = {
        "state": _state(observed.supervised),
        "limits": {**_limits_now(observed), **_left_out_before(observed)},
        "networks": networks_before(container, observed),
        "ports": ports_before(container.name, observed),
        "namespace_owner": dict.fromkeys(observed.strayed, "nothing that has its name any more"),
        "replaced_mounts": {target: f"{source} as it was" for target, source in observed.replaced.items()},
        **({"shm_size": observed.shared_memory.size} if observed.shared_memory else {}),
    }
    return view(observed.documents, live, _identity(container.name, observed.files))


def _limits_now(observed: ContainerObserved) -> Mapping[str, str | None]:
    """What the kernel shows of the declared limits; of a container that does not run, what it will be started with."""
    launched = _launched(observed)
    return limits_view(observed.cgroup, launched) if _limited_now(observed) else launched


def _limited_now(observed: ContainerObserved) -> bool:
    """Whether it has a cgroup to write to: while it waits for its restart, or has just ended, it has none."""
    return observed.supervised.running and observed.cgroup.exists


def _left_out_before(observed: ContainerObserved) -> Mapping[str, str]:
    """The limits of the recorded declaration that this host cannot keep."""
    try:
        return limits_left_out(observed.recorded.limits, observed) if observed.recorded else {}
    except OptionError:  # no longer one of this host: it may have lost a CPU, or its swap
        return {}


def _launched(observed: ContainerObserved) -> Mapping[str, str]:
    return dict((observed.documents.get("launch") or {}).get("files") or {})


def _after(container: Container, resolved: Resolved, docs: Documents, observed: ContainerObserved) -> dict[str, Any]:
    live = {
        "state": _state(observed.supervised),
        "limits": {**resolved.files, **limits_left_out(container.limits, observed)},
        "networks": networks_after(container, resolved, observed),
        "ports": ports_after(container, resolved),
        "namespace_owner": {},
        "replaced_mounts": {},
    }
    contents = {document.path: document.content for document in docs.files}
    return view({"config": docs.config, "launch": docs.launch}, live, _identity(container.name, contents))


def _state_after(container: Container, observed: ContainerObserved, starts: bool) -> str:
    now = _state(observed.supervised)
    if starts:
        return "running"
    return "stopped" if container.state == "stopped" and now == "running" else now


def _identity(name: str, contents: Mapping[str, str | None]) -> dict[str, str | None]:
    return {file: contents.get(f"{directory(name)}/{file}") for file in ("hosts", "hostname", "resolv.conf")}


def _state(supervised: Supervised) -> str:
    return "running" if supervised.status in _RUNS else "completed" if supervised.completed else "stopped"


def _limits_wanted(resolved: Resolved, observed: ContainerObserved) -> dict[str, str | None]:
    """The declared files, and None for those that were declared and no longer are: back to the kernel's default."""
    return {**dict.fromkeys(_launched(observed)), **resolved.files}


def _warnings(container: Container, resolved: Resolved, observed: ContainerObserved, starts: bool) -> tuple[str, ...]:
    mapped = resolved.idmap is not None
    about = void_capabilities(container, mapped), takes_over(container, mapped)
    return (
        # A range that it had before somebody gave it to a user too: it keeps it, as its files have those owners.
        *taken_by_users(f"container {container.name}", resolved.idmap, observed.host.granted_ids),
        *identity.resolver_warnings(container, resolved, observed.host),
        *_without_user_namespace(container, observed),
        *_not_again(container, observed, starts),
        *_not_next_time(container, observed, starts),
        *filter(None, about),
        *warnings_of_absent(
            ((f"networks[{index}].ports", attachment.ports) for index, attachment in enumerate(container.networks)),
            observed.host.absent,
            observed.host.networks.values(),
        ),
        *_without_limits(resolved),
    )


def _without_limits(resolved: Resolved) -> tuple[str, ...]:
    """One for each controller, and without the container's name: of a text Ansible shows one for all containers."""
    return tuple(
        f"limits are not enforced on this host. {why}. Set limits_required (of role container: "
        "container_limits=require) to fail instead"
        for why in sorted(set(resolved.unenforced.values()))
    )


def _not_again(container: Container, observed: ContainerObserved, starts: bool) -> tuple[str, ...]:
    supervised = observed.supervised
    if container.state != "started" or container.just_started or starts or not supervised.completed:
        return ()
    return (
        f"container {container.name} exited with code 0 at {supervised.finished_at} and is not started again "
        f"(restart_policy {container.restart_policy}): state restarted runs it again",
    )


def _not_next_time(container: Container, observed: ContainerObserved, starts: bool) -> tuple[str, ...]:
    """What would keep one that runs on from being started again, by whomever."""
    if starts or container.state == "stopped" or observed.supervised.status not in _RUNS:
        return ()
    return tuple(
        f"container {container.name} runs on as it is, and its next start will fail: {found.option}: '{found.value}'"
        f"{_at(container, found.option)}: {found.why}"
        for found in observed.unusable
    )


def _at(container: Container, option: str) -> str:
    """Where a mount that the option names is in the container."""
    named = (f", mounted at {m.target}" for n, m in enumerate(container.mounts) if option == f"mounts[{n}].source")
    return next(named, "")


def _without_user_namespace(container: Container, observed: ContainerObserved) -> tuple[str, ...]:
    if observed.host.no_idmap and "user" not in container.namespaces:
        return (
            f"container {container.name} runs without a user namespace: {observed.host.no_idmap} "
            "(set namespaces.user to host to accept this)",
        )
    return ()


def _absent(container: Container, observed: ContainerObserved) -> Plan:
    name, home = container.name, directory(container.name)
    operations: list[Operation] = []
    if observed.leftovers or observed.supervised.status in _RUNS:
        operations.append(ClearRuntime(name))
    if observed.host.systemd and unit.unit_path(name) in observed.files:
        there = observed.files[unit.unit_path(name)] is not None
        if observed.unit_enabled:
            operations.append(EnableUnit(unit.unit_name(name), False, reload=not there))
        if there:
            operations += [RemoveFile(unit.unit_path(name)), ReloadUnits()]
    operations += plan_network_removal(name, observed)
    if home in observed.directories:
        operations.append(RemoveTree(home))
    operations += half_made_volumes(observed)
    operations += _purged_volumes(container, observed)
    if not observed.host.neighbours:
        # Those that are empty already were left by a removal that was interrupted.
        operations += [RemoveIfEmpty(path) for path in SHARED if operations or path in observed.empty]
    operations += [RemoveIfEmpty(path) for path in locations.NETNS_DIRECTORIES if path in observed.empty]
    before, _gone = shown(_before(container, observed), {})
    return Plan(tuple(operations), before, {})


def _purged_volumes(container: Container, observed: ContainerObserved) -> list[Operation]:
    if not container.purge_volumes:
        return []
    mounts = ((observed.record or {}).get("params") or {}).get("mounts") or ()
    mine = {m["source"] for m in mounts if m["type"] == "volume"}
    others = {m.source for n in observed.host.neighbours for m in n.container.mounts if m.kind == "volume"}
    gone = sorted((mine - others) & observed.host.volumes)
    return [RemoveTree(f"{locations.VOLUMES}/{volume}") for volume in gone]
