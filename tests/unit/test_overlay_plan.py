# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the overlay planner plans, as tables: no kernel involved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.mountinfo import Mount
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.overlay_state import (
    Defaults,
    Layers,
    LiveOverlay,
)
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.mount_unit import MountUnit
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.plan import plan
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.records import (
    Desired,
    Directory,
    Observed,
    propagation_to_set,
    redirect,
)

LAYERS = Layers((b"/l/a", b"/l/b"), b"/rw/u", b"/rw/w")
WANTED = Desired(b"/t", lowerdirs=LAYERS.lowerdirs, upperdir=b"/rw/u", workdir=b"/rw/w")
GONE = Desired(b"/t", present=False)
UNIT = MountUnit("t.mount", "# Written by test")


def there(inode: int, marked: bool = False, *entries: bytes) -> Directory:
    return Directory(True, True, marked, frozenset(entries), (1, inode), 10)


HOST = {
    b"/": there(1),
    b"/t": there(2),
    b"/l": there(3),
    b"/l/a": there(4),
    b"/l/b": there(5),
    b"/rw": there(6, True, b"u", b"w"),
    b"/rw/u": there(7, True),
    b"/rw/w": there(8, True, b"work"),
}


def mounted(
    layers: Layers = LAYERS,
    options: tuple[tuple[str, str | None], ...] = (),
    flags: tuple[str, ...] = ("rw", "relatime"),
    propagation: tuple[str, ...] = (),
) -> LiveOverlay:
    mount = Mount(20, 10, "0:50", b"/", b"/t", flags, propagation, "overlay", layers.source().encode(), ())
    return LiveOverlay(mount, layers, True, options)


FOREIGN = Mount(21, 10, "0:51", b"/", b"/t", ("rw",), (), "tmpfs", b"something", ())
NOTHING = Observed(b"/t", LAYERS, directories=HOST, record_path="/run/r", unit=UNIT)


def running(live: LiveOverlay | None = None, **more) -> Observed:
    live = live if live is not None else mounted()
    given = {"record_exists": True, "stack": (live.mount,), "live": live, "ours": 1, **more}
    return replace(NOTHING, **given)


def kinds(outcome) -> list[str]:
    return [type(operation).__name__ for operation in outcome.operations]


def without(*paths: bytes) -> dict[bytes, Directory]:
    return {path: state for path, state in HOST.items() if path not in paths}


@pytest.mark.parametrize(
    ("desired", "observed", "expected"),
    [
        pytest.param(WANTED, NOTHING, ["WriteRecord", "MountOverlay"], id="nothing there"),
        pytest.param(WANTED, running(), [], id="all there"),
        pytest.param(
            WANTED,
            replace(NOTHING, directories=without(b"/t", b"/rw", b"/rw/u", b"/rw/w")),
            ["MakeNewDirectory"] * 4 + ["WriteRecord", "MountOverlay"],
            id="directories missing",
        ),
        pytest.param(replace(WANTED, flags=frozenset({"ro"})), running(), ["SetFlags"], id="flags"),
        pytest.param(replace(WANTED, flags=frozenset()), running(), [], id="no flags, none there"),
        pytest.param(WANTED, running(mounted(flags=("ro", "nodev"))), [], id="flags not asked for"),
        pytest.param(replace(WANTED, propagation="shared"), running(), ["SetPropagation"], id="propagation"),
        pytest.param(replace(WANTED, propagation="slave"), running(), [], id="slave of nobody"),
        pytest.param(
            replace(WANTED, options={"metacopy": "on"}),
            running(),
            ["Unmount", "WriteRecord", "MountOverlay"],
            id="an option that only a new mount takes",
        ),
        pytest.param(
            replace(WANTED, options={"metacopy": "on"}),
            running(mounted(options=(("metacopy", "on"), ("redirect_dir", "on")))),
            [],
            id="metacopy implies redirect_dir",
        ),
        pytest.param(
            replace(WANTED, options={"volatile": "on"}),
            running(mounted(options=(("fsync", "volatile"),))),
            [],
            id="volatile by its new name",
        ),
        pytest.param(WANTED, running(mounted(options=(("fsync", "volatile"),))), [], id="volatile not asked for"),
        pytest.param(
            replace(WANTED, options={"volatile": "off"}),
            running(mounted(options=(("volatile", None),))),
            ["Unmount", "ClearVolatile", "WriteRecord", "MountOverlay"],
            id="no longer volatile",
        ),
        pytest.param(
            WANTED, running(ours=3), ["Unmount"] * 3 + ["WriteRecord", "MountOverlay"], id="stacked three times"
        ),
        pytest.param(WANTED, running(replace(mounted(), recorded=False)), ["WriteRecord"], id="record lost"),
        pytest.param(
            replace(WANTED, systemd=True),
            running(systemd_runs=True),
            ["WriteFile", "LinkUnit", "ReloadUnits"],
            id="unit wanted",
        ),
        pytest.param(
            replace(WANTED, systemd=True),
            running(unit_text=UNIT.text, unit_enabled=True, systemd_runs=True),
            [],
            id="unit there",
        ),
        pytest.param(
            replace(WANTED, systemd=True),
            running(replace(mounted(), recorded=False), unit_text=UNIT.text, unit_enabled=True, systemd_runs=True),
            [],
            id="mounted by its unit at boot",
        ),
        pytest.param(
            WANTED,
            running(unit_text=UNIT.text, unit_enabled=True),
            ["UnlinkUnit", "RemoveFile"],
            id="unit no longer wanted, no systemd running",
        ),
        pytest.param(
            replace(WANTED, volatile_recover=True),
            replace(NOTHING, volatile_leftover=True),
            ["ClearVolatile", "WriteRecord", "MountOverlay"],
            id="accepted after a crash",
        ),
        pytest.param(
            replace(WANTED, cover=True),
            replace(NOTHING, stack=(FOREIGN,)),
            ["WriteRecord", "MountOverlay"],
            id="over a foreign mount, as told",
        ),
        pytest.param(GONE, replace(NOTHING, layers=Layers(())), [], id="absent, never there"),
        pytest.param(
            GONE,
            NOTHING,
            ["RemoveDirectory", "RemoveTree", "RemoveDirectory"],
            id="absent, but its directories are there",
        ),
        pytest.param(
            GONE,
            running(),
            ["Unmount", "RemoveDirectory", "RemoveTree", "RemoveDirectory", "RemoveFile"],
            id="absent: empty upper, workdir and the directory above go",
        ),
        pytest.param(
            GONE,
            running(directories={**HOST, b"/rw/u": there(7, True, b"mine")}),
            ["Unmount", "RemoveFile"],
            id="absent: files stay",
        ),
        pytest.param(
            replace(GONE, purge=True),
            running(directories={**HOST, b"/rw/u": there(7, True, b"mine")}),
            ["Unmount", "RemoveTree", "RemoveTree", "RemoveDirectory", "RemoveFile"],
            id="absent: purged",
        ),
        pytest.param(
            GONE,
            running(directories={**HOST, b"/rw": there(6, True, b"u", b"w", b"other")}),
            ["Unmount", "RemoveDirectory", "RemoveTree", "RemoveFile"],
            id="absent: the directory above holds something else",
        ),
        pytest.param(
            GONE,
            running(directories={**HOST, b"/rw/u": there(7), b"/rw/w": there(8), b"/rw": there(6)}),
            ["Unmount", "RemoveFile"],
            id="absent: directories of someone else stay",
        ),
        pytest.param(
            GONE, replace(NOTHING, layers=Layers(()), stack=(FOREIGN,)), [], id="absent: a foreign mount is not ours"
        ),
        pytest.param(
            GONE,
            replace(NOTHING, recorded=LAYERS, record_exists=True, directories=without(b"/rw/u", b"/rw/w")),
            ["RemoveDirectory", "RemoveFile"],
            id="absent: what is left of a removal that ended half-way",
        ),
    ],
)
def test_operations(desired, observed, expected):
    outcome = plan(desired, observed)
    assert kinds(outcome) == expected
    assert len(outcome.actions) == len(set(outcome.actions)) or observed.ours > 1
    assert bool(outcome.changes) <= bool(outcome.operations)


@pytest.mark.parametrize(
    ("desired", "observed", "error", "words"),
    [
        (WANTED, replace(NOTHING, users=("/other (x)",)), Refused, "in use by the overlay on /other"),
        (WANTED, replace(NOTHING, stack=(FOREIGN,)), Refused, "tmpfs from something is mounted there"),
        (
            replace(WANTED, cover=True),
            replace(NOTHING, stack=(FOREIGN,), covered=True),
            Refused,
            "over an overlay of ours",
        ),
        (GONE, replace(NOTHING, stack=(FOREIGN,), covered=True), Refused, "mounted over our overlay"),
        (WANTED, replace(NOTHING, volatile_leftover=True), Refused, "volatile_recover"),
        (WANTED, running(unit_text="[Mount]\n"), Refused, "not written by this module"),
        (
            replace(GONE, purge=True),
            running(directories={**HOST, b"/rw/u": there(7)}),
            Refused,
            "not created by this module",
        ),
        (WANTED, replace(NOTHING, directories=without(b"/l/a")), OptionError, "lowerdirs: '/l/a': there is no such"),
        (
            WANTED,
            replace(NOTHING, directories={**HOST, b"/l/a": Directory(exists=True)}),
            OptionError,
            "'/l/a': is not a directory",
        ),
        (replace(WANTED, create=False), replace(NOTHING, directories=without(b"/t")), OptionError, "path: '/t'"),
        (
            WANTED,
            replace(NOTHING, directories={**HOST, b"/rw/w": replace(HOST[b"/rw/w"], mount_id=11)}),
            OptionError,
            "workdir: '/rw/w': must be in the same mount",
        ),
        (
            WANTED,
            replace(NOTHING, layers=Layers((b"/l/a", b"/l/a"), b"/rw/u", b"/rw/w")),
            OptionError,
            "named twice",
        ),
        (WANTED, replace(NOTHING, layers=Layers((b"/rw",), b"/rw/u", b"/rw/w")), OptionError, "lies inside /rw"),
        (replace(WANTED, systemd=True), replace(NOTHING, unit_refusal="because"), OptionError, "systemd: True"),
        (
            replace(WANTED, options={"index": "on"}),
            running(replace(mounted(), asked={"index": "on"})),
            OptionError,
            "index: 'on': the kernel made it off",
        ),
    ],
)
def test_refusals(desired, observed, error, words):
    with pytest.raises(error, match=words):
        plan(desired, observed)


def test_a_layer_on_another_file_system_is_not_inside():
    states = {**HOST, b"/l": there(3), b"/l/a": replace(HOST[b"/l/a"], identity=(2, 1))}
    layers = Layers((b"/l", b"/l/a"), b"/rw/u", b"/rw/w")
    assert kinds(plan(WANTED, replace(NOTHING, directories=states, layers=layers)))[1] == "MountOverlay"


@pytest.mark.parametrize(
    ("before", "after", "options"),
    [
        (LAYERS, replace(LAYERS, lowerdirs=(b"/l/b", b"/l/a")), ["lowerdirs"]),
        (LAYERS, replace(LAYERS, idmap=(1000, 10)), ["idmap"]),
        (Layers((b"/l/a", b"/l/b")), LAYERS, ["upperdir", "workdir"]),
    ],
)
def test_the_diff_names_what_a_new_mount_is_for(before, after, options):
    outcome = plan(WANTED, running(mounted(before), layers=after))
    assert [(change.option, change.how) for change in outcome.changes] == [(option, "recreate") for option in options]
    assert ", ".join(options) in outcome.actions[2]


def test_the_state_after_is_what_the_next_look_will_show():
    desired = replace(WANTED, options={"redirect_dir": "off"}, propagation="slave", flags=frozenset({"nodev"}))
    predicted = plan(desired, NOTHING).after
    live = mounted(options=(("redirect_dir", "follow"),), flags=("rw", "nodev"))
    assert plan(desired, running(live)).before == predicted


@pytest.mark.parametrize(
    ("wanted", "shown", "default", "asked", "anew"),
    [
        ("off", None, "off", None, False),
        ("on", None, "off", None, True),
        ("on", "on", "off", "on", False),
        ("auto", None, "auto", None, False),
        ("off", None, "auto", None, True),
        ("auto", "off", "auto", "auto", False),  # turned off by the kernel
        ("auto", None, "off", "auto", False),
        ("on", None, "off", "auto", True),
    ],
)
def test_xino_is_the_default_where_it_is_not_shown(wanted, shown, default, asked, anew):
    live = mounted(options=(("xino", shown),) if shown else ())
    live = replace(live, asked={"xino": asked} if asked else {})
    several = running(live, defaults=Defaults(xino=default), one_file_system=False)
    outcome = plan(replace(WANTED, options={"xino": wanted}), several)
    assert [change.option for change in outcome.changes] == (["xino"] if anew else [])
    assert bool(outcome.operations) == anew


def test_xino_is_what_the_unit_asked_for_where_it_mounted_the_overlay():
    desired = replace(WANTED, options={"xino": "auto"}, systemd=True)
    live = replace(mounted(), recorded=False)
    by_unit = running(live, one_file_system=False, unit_text=UNIT.text, unit_enabled=True)
    assert kinds(plan(desired, by_unit)) == []


@pytest.mark.parametrize(
    ("value", "writable", "off_means", "expected"),
    [
        ("off", True, "follow", "follow"),
        ("off", True, "nofollow", "nofollow"),
        ("off", False, "follow", "on"),
        ("follow", False, "nofollow", "on"),
        ("nofollow", False, "follow", "nofollow"),
        ("on", True, "follow", "on"),
    ],
)
def test_redirect_dir_has_aliases(value, writable, off_means, expected):
    assert redirect(value, Defaults(off_means=off_means), writable) == expected


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        (None, "shared", None),
        ("shared", "shared", None),
        ("slave", "private", None),
        ("slave", "shared", "slave"),
        ("slave", "unbindable", "private"),
        ("private", "slave", "private"),
    ],
)
def test_propagation_as_the_kernel_has_it(wanted, live, expected):
    assert propagation_to_set(wanted, live) == expected
