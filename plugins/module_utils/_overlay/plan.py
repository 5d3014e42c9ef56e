# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlay mounts: declared and observed state in, a plan out."""

from __future__ import annotations

from .._core.errors import OptionError, Refused
from .._core.files import MakeNewDirectory, RemoveFile, WriteFile
from .._core.operation import LIVE, RECREATE, Operation, Plan, changes_between
from .._core.paths import ancestors, show_path
from .._core.units import ReloadUnits
from .._kernel.overlay_state import Layers, LiveOverlay
from .operations import (
    ClearVolatile,
    LinkUnit,
    MountOverlay,
    SetFlags,
    SetPropagation,
    UnlinkUnit,
    Unmount,
    WriteRecord,
)
from .plan_checks import check_absent, check_layers, check_target, left_alone
from .plan_removal import removals
from .records import (
    OPTIONS,
    Desired,
    Observed,
    compared_state,
    declared_state,
    has_option,
    live_attributes,
    live_flags,
    mounted_by_unit,
    propagation_of,
    propagation_to_set,
    running_options,
)

#: Everything else of an overlay is fixed when it is made: the kernel ignores it on remount.
_HOW = dict.fromkeys(("lowerdirs", "upperdir", "workdir", "idmap", *OPTIONS), RECREATE)


def plan(desired: Desired, observed: Observed) -> Plan:
    """What makes the host agree. Raises OptionError and Refused."""
    return _present(desired, observed) if desired.present else _absent(desired, observed)


def _present(desired: Desired, observed: Observed) -> Plan:
    check_layers(desired, observed)
    check_target(desired, observed)
    before, after = compared_state(desired, observed), declared_state(desired, observed)
    differing = _differing(desired, observed)
    if observed.live is not None:
        _check_not_turned_off(differing, desired, observed, observed.live)
    operations: list[Operation] = []
    if observed.live is None or differing:
        shared = _shares_upper_layer(observed)
        operations += _unmount(observed, desired.lazy and not shared, lazy_helps=not shared)
        operations += _make_directories(desired, observed)
        if observed.volatile_leftover:
            operations.append(_clear(desired, observed))
        # Before the mount: a run that is ended in between must not leave one with the record of another.
        operations.append(_record(desired, observed))
        operations.append(_mount(desired, observed, ", ".join(differing)))
        if desired.propagation is not None:
            operations.append(SetPropagation(observed.path, desired.propagation))
        elif observed.live is not None:
            operations += _same_propagation(observed, observed.live)
    else:
        operations += _live_changes(desired, observed, observed.live)
    operations += _unit_operations(desired, observed)
    how = {**_HOW, "flags": LIVE, "propagation": LIVE, "systemd": LIVE}
    changes = changes_between(before, after, how)
    return Plan(tuple(operations), before, after, tuple(c for c in changes if c.option != "stacked"))  # no option


def _differing(desired: Desired, observed: Observed) -> list[str]:
    """The options of the running overlay that only a new mount can change."""
    live = observed.live
    if live is None:
        return []
    names = ["stacked"] if observed.ours > 1 else []
    if live.mount.source.decode("utf-8", "replace") != observed.layers.source() and live.layers != observed.layers:
        pairs = ((name, getattr(live.layers, name), getattr(observed.layers, name)) for name in _LAYERS)
        names += [name for name, now, wanted in pairs if now != wanted]
    given = [name for name in OPTIONS if name in desired.options]
    return names + [name for name in given if not has_option(name, desired, observed, live)]


def _check_not_turned_off(differing: list[str], desired: Desired, observed: Observed, live: LiveOverlay) -> None:
    """Raises OptionError where all that differs was asked for already: to mount anew would end the same."""
    if not all(name in desired.options and live.asked.get(name) == desired.options[name] for name in differing):
        return
    for name in differing:
        message = (
            f"the kernel made it {running_options(observed)[name]}, as the file systems of these layers cannot do it "
            "(dmesg may say more). Leave it out, or choose other layers"
        )
        raise OptionError(name, desired.options[name], message)


_LAYERS = ("lowerdirs", "upperdir", "workdir", "idmap")


def _shares_upper_layer(observed: Observed) -> bool:
    """Whether the new overlay writes where the running one does, which must be gone then and not only out of sight."""

    def written(layers: Layers) -> set[tuple[int, int] | None]:
        return {observed.directory(path).identity for path in layers.written} - {None}

    return observed.live is not None and bool(written(observed.live.layers) & written(observed.layers))


def _unmount(observed: Observed, lazy: bool, lazy_helps: bool = True) -> list[Operation]:
    """Take down every mount of ours at the path; if the new one then fails, the old one comes back."""
    live = observed.live
    if live is None:
        return []
    running = running_options(observed)
    if live.layers.upperdir is None:
        del running["index"]  # it is off without an upperdir, and to ask for that rules nfs_export out
    known = live.recorded or not any(path == b"/" for path in live.layers.lowerdirs)
    old = Desired(observed.path, options=running)
    mounted = MountOverlay(observed.path, live.layers, old.mount_options, live_attributes(live))
    again = (mounted, *_same_propagation(observed, live)) if known else ()
    operations: list[Operation] = [Unmount(observed.path, lazy, lazy_helps) for _each in range(observed.ours - 1)]
    operations.append(Unmount(observed.path, lazy, lazy_helps, again))
    upper, work = live.layers.upperdir, live.layers.workdir
    if running["volatile"] == "on" and upper is not None and work is not None and not lazy:
        operations.append(ClearVolatile(upper, work))
    return operations


def _same_propagation(observed: Observed, live: LiveOverlay) -> list[Operation]:
    """What gives a new mount the propagation of the running one: by itself it is shared where the one above it is."""
    shared = observed.above is not None and propagation_of(observed.above) == "shared"
    to_set = propagation_to_set(propagation_of(live.mount), "shared" if shared else "private")
    return [SetPropagation(observed.path, to_set)] if to_set else []


def _make_directories(desired: Desired, observed: Observed) -> list[Operation]:
    """The missing directories, parents first, each marked as ours."""
    if not desired.create:
        return []
    operations: dict[bytes, Operation] = {}
    layers = observed.layers
    owner = desired.ownership
    for path in (observed.path, layers.upperdir, layers.workdir):
        if path is None or observed.directory(path).exists:
            continue
        for parent in reversed(ancestors(path)):
            if not observed.directory(parent).exists:
                operations.setdefault(parent, MakeNewDirectory(parent, mark=True))
        operations[path] = MakeNewDirectory(path, owner.mode, owner.uid, owner.gid, mark=True)
    return list(operations.values())


def _clear(desired: Desired, observed: Observed) -> Operation:
    upper, work = observed.layers.upperdir, observed.layers.workdir
    if upper is None or work is None or not desired.volatile_recover:
        raise Refused(
            f"workdir {show_path(work or b'')}: a volatile overlay on it was not unmounted cleanly, so files in "
            f"upperdir {show_path(upper or b'')} may be incomplete: empty both, or accept them with volatile_recover"
        )
    return ClearVolatile(upper, work)


def _record(desired: Desired, observed: Observed) -> WriteRecord:
    file, live, before = observed.record_path, observed.live, None
    if live is not None and live.recorded:
        before = WriteRecord(file, live.layers, live.asked)
    elif live is None and observed.recorded is not None:
        before = WriteRecord(file, observed.recorded)
    return WriteRecord(file, observed.layers, desired.options, before)


def _mount(desired: Desired, observed: Observed, why: str) -> MountOverlay:
    return MountOverlay(
        observed.path,
        observed.layers,
        desired.mount_options,
        live_attributes(observed.live) if observed.live and desired.flags is None else desired.attributes,
        f"{why} can only change by mounting anew" if why else "",
    )


def _live_changes(desired: Desired, observed: Observed, live: LiveOverlay) -> list[Operation]:
    operations: list[Operation] = []
    if desired.flags is not None and desired.flags != set(live_flags(live)):
        operations.append(SetFlags(observed.path, tuple(sorted(desired.flags)), desired.attributes))
    propagation = propagation_to_set(desired.propagation, propagation_of(live.mount))
    operations += [SetPropagation(observed.path, propagation)] if propagation else []
    if not live.recorded and not mounted_by_unit(desired, observed):
        operations.append(WriteRecord(observed.record_path, observed.layers, desired.options))
    return operations


def _unit_operations(desired: Desired, observed: Observed) -> list[Operation]:
    unit = observed.unit
    operations: list[Operation] = []
    if unit is None:
        return operations
    if desired.present and desired.systemd:
        if observed.unit_text != unit.text:
            operations.append(WriteFile(unit.path, unit.text, 0o644, why="mounts it at boot"))
        if not observed.unit_enabled:
            operations.append(LinkUnit(unit.link, unit.path))
    else:
        operations += [UnlinkUnit(unit.link)] if observed.unit_enabled else []
        operations += [RemoveFile(unit.path)] if observed.unit_text is not None else []
    if operations and observed.systemd_runs:
        operations.append(ReloadUnits())
    return operations


def _absent(desired: Desired, observed: Observed) -> Plan:
    check_absent(desired, observed)
    operations = _unmount(observed, desired.lazy)
    operations = [Unmount(o.path, o.lazy) if isinstance(o, Unmount) else o for o in operations]
    operations += _unit_operations(desired, observed)
    operations += removals(desired, observed, _known_layers(observed))
    # Last, because a run that is ended half-way needs it to know what is left to remove.
    operations += [RemoveFile(observed.record_path)] if observed.record_exists else []
    before = compared_state(desired, observed)
    warnings = (left_alone(observed),) if observed.stack and not observed.ours else ()
    return Plan(tuple(operations), before, {}, warnings=warnings)


def _known_layers(observed: Observed) -> Layers:
    """Whose directories removal is about: the running overlay's, else those on record, else those that were named."""
    if observed.live is not None:
        return observed.live.layers
    return observed.recorded or observed.layers
