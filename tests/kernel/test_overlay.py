# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""overlay_mount on the real kernel."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import subprocess
import sys

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import (
    Interrupted,
    NotConverged,
    converge,
    predict,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.paths import show_path
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import mount, mountinfo
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import Busy
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.kernel import Kernel
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.overlay import overlay
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.info import OverlayInfo
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.mount_unit import unit_name
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.resource import Overlay

from tests.kernels import DIED, Dying, Watched, in_child

RESOURCE = Overlay()
UNITS = "/etc/systemd/system"
RECORDS = "/run/barekernel/overlay-*.json"


def desired(**options):
    result = ArgumentSpecValidator(overlay()).validate(options)
    assert not result.error_messages
    return RESOURCE.desired(result.validated_parameters)


def apply(**options):
    """Check, apply, apply again; returns the outcome of the first run."""
    wanted = desired(**options)
    predicted = predict(RESOURCE, wanted)
    outcome = converge(RESOURCE, wanted)
    assert predicted.plan.actions == outcome.plan.actions
    assert predicted.plan.after == outcome.plan.after
    assert converge(RESOURCE, wanted).plan.actions == []
    return outcome


def info(**options):
    return OverlayInfo().gather({"path": None, "ours": False, "holders": False, **options})["overlays"]


class Place:
    """A directory with two lower layers, and names for the rest of an overlay in it."""

    def __init__(self, root: bytes) -> None:
        self.root = root
        for name in ("a", "b", "c"):
            os.mkdir(self.raw(name))
            with open(self.raw(name, "from-" + name), "w") as handle:
                handle.write(name)

    def raw(self, *names: str | bytes) -> bytes:
        return os.path.join(self.root, *(os.fsencode(name) for name in names))

    def __call__(self, *names: str | bytes) -> str:
        return show_path(self.raw(*names))

    def writable(self, **more):
        """Options of a writable overlay on "t"."""
        options = {
            "path": self("t"),
            "lowerdirs": [self("a"), self("b")],
            "upperdir": self("rw/u"),
            "workdir": self("rw/w"),
        }
        return {**options, **more}

    def files(self, *names):
        return sorted(os.listdir(self.raw(*names)))

    def mounts(self, name="t"):
        return [m for m in mountinfo.read_mountinfo() if m.target == self.raw(name)]


@pytest.fixture
def place(tmp_path):
    yield Place(os.fsencode(tmp_path))
    for entry in reversed(mountinfo.read_mountinfo()):
        if entry.target.startswith(os.fsencode(tmp_path)):
            mount.umount2(entry.target, mount.MNT_DETACH)
    for record in glob.glob(RECORDS):
        os.unlink(record)


def test_from_nothing_to_a_mount_and_back(place):
    before = place.files()
    outcome = apply(**place.writable())
    assert outcome.facts["overlay"]["mounted"] is True
    assert place.files("t") == [b"from-a", b"from-b"]
    outcome = apply(path=place("t"), state="absent")
    assert outcome.facts["overlay"] == {"mounted": False}
    assert place.files() == before
    assert glob.glob(RECORDS) == []


def test_what_was_written_stays_until_it_is_purged(place):
    before = place.files()
    apply(**place.writable())
    os.mkdir(place.raw("t", "mine"))
    apply(path=place("t"), state="absent")
    assert place.files("rw/u") == [b"mine"]
    apply(**place.writable())
    assert b"mine" in place.files("t")
    apply(path=place("t"), state="absent", purge=True)
    assert place.files() == before


def test_an_upperdir_of_someone_else_is_never_purged(place):
    os.makedirs(place.raw("rw/u"))
    apply(**place.writable())
    os.mkdir(place.raw("t", "mine"))
    with pytest.raises(Refused, match="not created by this module"):
        converge(RESOURCE, desired(path=place("t"), state="absent", purge=True))
    assert place.files("t") == [b"from-a", b"from-b", b"mine"]
    apply(path=place("t"), state="absent")
    assert place.files("rw") == [b"u"]


@pytest.mark.parametrize(
    "name", [b"caf\xe9", b"with space", b"a:b,c\\d", b"quote'\"", b"new\nline", b"%41", b"$HOME", b"~"], ids=repr
)
def test_any_bytes_that_a_path_can_hold(place, name):
    for layer in ("a", "b"):
        os.mkdir(place.raw(layer, name))
        os.mkdir(place.raw(layer, name, layer))
    options = {
        "path": place(name, "t"),
        "lowerdirs": [place("a", name), place("b", name)],
        "upperdir": place(name, "u"),
        "workdir": place(name, "w"),
    }
    outcome = apply(**options)
    assert {k: v for k, v in outcome.facts["overlay"].items() if k in options} == options
    assert place.files(name, "t") == [b"a", b"b"]
    apply(path=place(name, "t"), state="absent")
    assert place.files() == [b"a", b"b", b"c"]


@pytest.mark.parametrize("count", [1, 500])
def test_many_layers_and_one(place, count):
    for number in range(count):
        os.makedirs(place.raw("layers", str(number), f"dir{number}"))
    lowerdirs = [place("layers", str(number)) for number in range(count)]
    outcome = apply(path=place("t"), lowerdirs=lowerdirs)
    assert outcome.facts["overlay"]["lowerdirs"] == lowerdirs
    assert len(place.files("t")) == count
    apply(path=place("t"), state="absent")


def test_idmapped_layers_are_known_again(place):
    outcome = apply(**place.writable(idmap={"host_id": 100000}))
    assert os.stat(place.raw("t", "from-a")).st_uid == 100000
    assert outcome.facts["overlay"]["lowerdirs"] == [place("a"), place("b")]
    assert outcome.facts["overlay"]["idmap"] == {"host_id": 100000, "size": 65536}
    outcome = apply(**place.writable(idmap={"host_id": 200000}))
    assert [(c.option, c.how) for c in outcome.plan.changes] == [("idmap", "recreate")]
    assert os.stat(place.raw("t", "from-a")).st_uid == 200000
    outcome = apply(**place.writable())
    assert [c.option for c in outcome.plan.changes] == ["idmap"]


@pytest.mark.parametrize(
    "options",
    [
        {"metacopy": True},
        {"metacopy": False},
        {"redirect_dir": "on"},
        {"redirect_dir": "off"},
        {"redirect_dir": "follow"},
        {"redirect_dir": "nofollow"},
        {"index": True},
        {"index": False},
        {"index": True, "nfs_export": True},
        {"xino": "on"},
        {"xino": "auto"},
        {"xino": "off"},
        {"volatile": True},
        {"volatile": False},
        {"userxattr": True},
        {"userxattr": True, "redirect_dir": "nofollow"},
        {"metacopy": True, "redirect_dir": "on"},
    ],
    ids=str,
)
def test_each_option_converges(place, options):
    apply(**place.writable(**options))
    apply(**place.writable())
    apply(path=place("t"), state="absent")
    assert place.files() == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"metacopy": True},
        {"redirect_dir": "follow"},
        {"xino": "on"},
        {"nfs_export": True, "redirect_dir": "nofollow"},
    ],
    ids=str,
)
def test_options_of_a_read_only_overlay_converge(place, options):
    apply(path=place("t"), lowerdirs=[place("a"), place("b")], **options)


def inode(place):
    return os.stat(place.raw("t", "from-a")).st_ino


@pytest.mark.parametrize("writable", [True, False])
def test_xino_is_compared_where_layers_are_in_several_file_systems(place, writable):
    mount.mount("tmpfs", place.raw("a"), "tmpfs")
    with open(place.raw("a", "from-a"), "w"):
        pass
    options = place.writable() if writable else {"path": place("t"), "lowerdirs": [place("a"), place("b")]}
    apply(**options)
    plain = inode(place)
    for xino, before in (("on", "off"), ("auto", "on"), ("off", "auto"), ("auto", "off")):
        outcome = apply(**options, xino=xino)
        assert [(c.option, c.before, c.after) for c in outcome.plan.changes] == [("xino", before, xino)]
        assert outcome.facts["overlay"]["xino"] == xino
        assert (inode(place) == plain) == (xino == "off")
    assert apply(**options).plan.actions == []


def test_xino_is_not_compared_where_it_makes_no_difference(place):
    apply(**place.writable())
    outcome = apply(**place.writable(xino="on"))
    assert outcome.plan.actions == [] and "xino" not in outcome.facts["overlay"]


def test_xino_of_a_single_layer_which_an_empty_one_joins(place):
    apply(path=place("t"), lowerdirs=[place("a")])
    outcome = apply(path=place("t"), lowerdirs=[place("a")], xino="on")
    assert [change.option for change in outcome.plan.changes] == ["xino"]


def test_xino_that_the_kernel_turns_off_is_no_change(place, units):
    mount.mount("ramfs", place.raw("a"), "ramfs")  # knows no file handles
    apply(**place.writable())
    options = place.writable(xino="auto", systemd=True)
    outcome = apply(**options)
    assert outcome.facts["overlay"]["xino"] == "off"
    mount.umount2(place.raw("t"))
    os.unlink(glob.glob(RECORDS)[0])
    mount_as_systemd_does(os.path.join(units, unit_name(place.raw("t"))))
    assert apply(**options).plan.actions == []
    assert [change.option for change in apply(**{**options, "xino": "on"}).plan.changes] == ["xino"]


@pytest.mark.parametrize("options", [{"index": True}, {"nfs_export": True}], ids=str)
def test_what_the_kernel_turns_off_is_an_error_and_not_mounted_again_and_again(place, options):
    mount.mount("ramfs", place.raw("a"), "ramfs")
    with pytest.raises(NotConverged, match="the kernel made it off"):
        converge(RESOURCE, desired(**place.writable(**options)))
    first = place.mounts()[0].mount_id
    with pytest.raises(OptionError, match="the kernel made it off"):
        converge(RESOURCE, desired(**place.writable(**options)))
    assert place.mounts()[0].mount_id == first
    mount.umount2(place.raw("t"))
    mount.umount2(place.raw("a"))
    apply(**place.writable(**options))


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize(("option", "value", "other"), [("index", True, False), ("xino", "auto", "off")])
def test_a_run_that_dies_leaves_no_mount_with_the_record_of_another(place, option, value, other, after):
    mount.mount("tmpfs", place.raw("a"), "tmpfs")
    before = apply(**place.writable(**{option: value})).facts["overlay"][option]
    dying = Dying(Kernel(), after)
    assert in_child(lambda: converge(RESOURCE, desired(**place.writable(**{option: other})), dying)) in (0, DIED)
    assert apply(**place.writable(**{option: value})).facts["overlay"][option] == before


def test_flags_and_propagation_change_while_a_file_is_open(place):
    apply(**place.writable(flags=["nosuid", "noatime"], propagation="private"))
    first = place.mounts()[0].mount_id
    with open(place.raw("t", "from-a")):
        for flags in (["nodev", "noexec"], ["ro"], []):
            outcome = apply(**place.writable(flags=flags))
            assert [(c.option, c.how) for c in outcome.plan.changes] == [("flags", "live")]
            assert outcome.facts["overlay"]["flags"] == flags
        for propagation in ("shared", "unbindable", "slave"):
            outcome = apply(**place.writable(propagation=propagation))
            assert [(c.option, c.how) for c in outcome.plan.changes] == [("propagation", "live")]
    assert place.mounts()[0].mount_id == first


@pytest.mark.parametrize("above", ["private", "shared"])
@pytest.mark.parametrize("propagation", ["private", "shared", "unbindable"])
def test_flags_and_propagation_that_are_left_out_stay_where_it_is_mounted_anew(place, above, propagation):
    mount.mount(place.root, place.root, None, mount.MS_BIND)
    mount.set_propagation(place.root, above)
    apply(**place.writable(flags=["ro", "nosuid"], propagation=propagation))
    mount.mount_setattr(mount.AT_FDCWD, place.raw("t"), mount.MOUNT_ATTR_NOSYMFOLLOW)  # no option sets it
    before = place.mounts()[0]
    outcome = apply(**place.writable(lowerdirs=[place("c")]))
    after = place.mounts()[0]
    assert outcome.plan.after["flags"] == outcome.facts["overlay"]["flags"] == ["nosuid", "ro"]
    assert (outcome.facts["overlay"]["propagation"], after.flags) == (propagation, before.flags)
    assert after.source != before.source


def test_other_layers_are_mounted_anew_and_the_diff_says_so(place):
    apply(**place.writable())
    outcome = apply(**place.writable(lowerdirs=[place("c"), place("b")]))
    assert [(c.option, c.how) for c in outcome.plan.changes] == [("lowerdirs", "recreate")]
    assert place.files("t") == [b"from-b", b"from-c"]
    assert len(place.mounts()) == 1


def test_a_link_that_leads_elsewhere_is_another_layer(place):
    os.symlink(place.raw("a"), place.raw("current"))
    apply(path=place("t"), lowerdirs=[place("current"), place("c")])
    os.unlink(place.raw("current"))
    os.symlink(place.raw("b"), place.raw("current"))
    apply(path=place("t"), lowerdirs=[place("current"), place("c")])
    assert place.files("t") == [b"from-b", b"from-c"]


def test_stacked_mounts_of_ours_become_one_and_then_none(place):
    apply(**place.writable())
    source = place.mounts()[0].source
    tree = mount.open_tree(mount.AT_FDCWD, place.raw("t"))
    mount.move_mount(tree, b"", mount.AT_FDCWD, place.raw("t"))
    os.close(tree)
    assert [m.source for m in place.mounts()] == [source] * 2
    outcome = apply(**place.writable())
    assert outcome.plan.actions and outcome.plan.changes == ()  # no option says how many there are
    assert len(place.mounts()) == 1
    tree = mount.open_tree(mount.AT_FDCWD, place.raw("t"))
    mount.move_mount(tree, b"", mount.AT_FDCWD, place.raw("t"))
    os.close(tree)
    apply(path=place("t"), state="absent")
    assert place.mounts() == []


def test_a_foreign_mount_is_left_alone_unless_told_otherwise(place):
    os.mkdir(place.raw("t"))
    mount.mount("something", place.raw("t"), "tmpfs")
    with pytest.raises(Refused, match="tmpfs from something"):
        converge(RESOURCE, desired(**place.writable()))
    assert not os.path.exists(place.raw("rw"))
    outcome = apply(path=place("t"), state="absent")
    assert outcome.plan.actions == [] and "left alone" in outcome.plan.warnings[0]
    apply(**place.writable(cover=True))
    assert [m.fstype for m in place.mounts()] == ["tmpfs", "overlay"]
    apply(path=place("t"), state="absent")
    assert [m.fstype for m in place.mounts()] == ["tmpfs"]


def test_a_foreign_mount_over_ours_is_not_taken_down(place):
    apply(**place.writable())
    mount.mount("something", place.raw("t"), "tmpfs")
    for options in (place.writable(), {"path": place("t"), "state": "absent"}):
        with pytest.raises(Refused, match="tmpfs from something"):
            converge(RESOURCE, desired(**options))


def test_two_mounts_never_share_an_upper_layer(place):
    apply(**place.writable())
    os.symlink(place.raw("rw"), place.raw("link"))
    os.mkdir(place.raw("bound"))
    mount.mount(place.raw("rw"), place.raw("bound"), None, mount.MS_BIND)
    others = [
        {"upperdir": place("rw/u"), "workdir": place("rw/w2")},
        {"upperdir": place("rw/u2"), "workdir": place("rw/w")},
        {"upperdir": place("link/u"), "workdir": place("link/w2")},
        {"upperdir": place("bound/u"), "workdir": place("bound/w2")},
    ]
    for other in others:
        with pytest.raises(Refused, match="in use by the overlay on " + place("t")):
            converge(RESOURCE, desired(**place.writable(path=place("other"), **other)))
    assert not os.path.exists(place.raw("other"))


def test_an_upper_layer_used_in_another_mount_namespace_is_in_use(place):
    """As containers have their overlays; ID-mapped, where mountinfo shows no path that means anything."""
    apply(**place.writable(idmap={"host_id": 100000}))
    held = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo; read x"], stdin=-1, stdout=-1)
    held.stdout.readline()
    mount.umount2(place.raw("t"))
    with pytest.raises(Refused, match="in use by the overlay on"):
        converge(RESOURCE, desired(**place.writable(path=place("other"))))
    held.communicate(b"\n")
    apply(**place.writable(path=place("other")))


def test_a_busy_mount_names_who_holds_it(place):
    apply(**place.writable())
    held = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); input()"], cwd=place.raw("t"), stdin=-1, stdout=-1
    )
    held.stdout.readline()
    with pytest.raises(Interrupted, match=rf"held by {held.pid} python\S* \(working directory\)") as interrupted:
        converge(RESOURCE, desired(path=place("t"), state="absent"))
    assert isinstance(interrupted.value.error, Busy)
    assert interrupted.value.done == []
    assert info(path=place("t"), holders=True)[0]["holders"] == list(interrupted.value.error.holders)
    apply(path=place("t"), state="absent", lazy=True)
    assert place.mounts() == []
    held.communicate(b"\n")


def test_lazy_never_leaves_two_mounts_that_write_to_the_same_layer(place):
    apply(**place.writable(volatile=True))
    outcome = apply(**place.writable(lowerdirs=[place("c")], lazy=True))  # nobody uses it
    assert outcome.plan.actions[0] == "unmount " + place("t")
    with open(place.raw("t", "from-c")):
        with pytest.raises(Interrupted, match="lazy would not help"):
            converge(RESOURCE, desired(**place.writable(lazy=True)))
        assert place.files("t") == [b"from-c"]
        apply(**place.writable(upperdir=place("rw/u2"), workdir=place("rw/w2"), lazy=True))


def test_a_mount_below_holds_it_too(place):
    apply(**place.writable())
    os.mkdir(place.raw("t", "sub"))
    mount.mount("tmpfs", place.raw("t", "sub"), "tmpfs")
    with pytest.raises(Interrupted, match="held by mount " + place("t", "sub")):
        converge(RESOURCE, desired(path=place("t"), state="absent"))


def the_record():
    with open(glob.glob(RECORDS)[0]) as handle:
        return handle.read()


def test_when_the_first_mount_fails_no_record_is_left(place):
    with pytest.raises(Interrupted):
        converge(RESOURCE, desired(**place.writable()), FirstMountFails())
    assert glob.glob(RECORDS) == []


class FirstMountFails(Watched):
    """Refuses to mount what is asked for first."""

    def __init__(self):
        super().__init__(Kernel())
        self.mounts = 0

    def before(self, call, arguments):
        self.mounts += call == "mount_overlay.mount_overlay"
        if call == "mount_overlay.mount_overlay" and self.mounts == 1:
            raise OSError(errno.EINVAL, "no")


@pytest.mark.parametrize(
    "options",
    [
        {"flags": ["nosuid", "noatime"], "propagation": "shared"},
        {"index": True, "nfs_export": True},
        {"metacopy": True, "volatile": True},
        {"userxattr": True, "xino": "on"},
        {"idmap": {"host_id": 100000}},
        {"upperdir": None, "workdir": None},
        {"upperdir": None, "workdir": None, "nfs_export": True, "redirect_dir": "nofollow"},
    ],
    ids=str,
)
def test_when_the_new_mount_fails_the_old_one_comes_back(place, options):
    os.makedirs(place.raw("rw/u/mine"))
    apply(**place.writable(**options))
    before, files, record = info(path=place("t"))[0], place.files("t"), the_record()
    with pytest.raises(Interrupted) as interrupted:
        converge(RESOURCE, desired(**{**place.writable(**options), "lowerdirs": [place("c")]}), FirstMountFails())
    assert [what.split()[0] for what in interrupted.value.undone] == ["record", "unmount"]
    assert [what for what in interrupted.value.done if not what.startswith("sync ")] == []  # of a volatile one
    assert place.files("t") == files and the_record() == record
    assert {**info(path=place("t"))[0], "mount_id": 0, "device": ""} == {**before, "mount_id": 0, "device": ""}
    assert apply(**place.writable(**options)).plan.actions == []


def test_when_the_first_mount_fails_its_directories_go(place):
    before = sorted(os.listdir(place.raw("")))
    with pytest.raises(Interrupted) as interrupted:
        converge(RESOURCE, desired(**place.writable(path=place("new/view"))), FirstMountFails())
    assert interrupted.value.done == [] and len(interrupted.value.undone) > 3
    assert sorted(os.listdir(place.raw(""))) == before
    apply(**place.writable(path=place("new/view")))


def test_when_a_step_after_the_new_mount_fails_the_old_one_does_not_come_back(place, units):
    apply(**place.writable())
    mount.mount_setattr(mount.AT_FDCWD, units, mount.MOUNT_ATTR_RDONLY)
    with pytest.raises(Interrupted, match="Read-only") as interrupted:
        converge(RESOURCE, desired(**place.writable(lowerdirs=[place("c")], systemd=True)))
    assert interrupted.value.undone == []
    assert len(place.mounts()) == 1 and place.files("t") == [b"from-c"]
    assert apply(**place.writable(lowerdirs=[place("c")])).plan.actions == []


def test_volatile_is_unmounted_cleanly_and_a_crash_is_noticed(place):
    apply(**place.writable(volatile=True))
    os.mkdir(place.raw("t", "mine"))
    outcome = apply(**place.writable(volatile=False))
    assert [(c.option, c.how) for c in outcome.plan.changes] == [("volatile", "recreate")]
    apply(**place.writable(volatile=True))
    mount.umount2(place.raw("t"))
    with pytest.raises(Refused, match="volatile_recover"):
        converge(RESOURCE, desired(**place.writable()))
    apply(**place.writable(volatile_recover=True))
    assert b"mine" in place.files("t")


def test_an_unmount_by_hand_and_a_lost_record_are_repaired(place):
    apply(**place.writable(idmap={"host_id": 100000}))
    mount.umount2(place.raw("t"))
    apply(**place.writable(idmap={"host_id": 100000}))
    os.unlink(glob.glob(RECORDS)[0])
    outcome = apply(**place.writable(idmap={"host_id": 100000}))
    assert len(outcome.plan.actions) == 1
    mount.umount2(place.raw("t"))
    apply(path=place("t"), state="absent")
    assert place.files() == [b"a", b"b", b"c"]


def test_owner_and_mode_of_what_is_created(place):
    apply(**place.writable(owner="1", group="2", mode="2750"))
    status = os.stat(place.raw("rw/u"))
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1, 2, 0o2750)


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"lowerdirs": ["{}/file"]}, "lowerdirs"),
        ({"lowerdirs": ["{}/missing"]}, "lowerdirs"),
        ({"lowerdirs": ["{}/a", "{}/a"]}, "lowerdirs"),
        ({"lowerdirs": ["{}/a", "{}/a/below"]}, "lowerdirs"),
        ({"lowerdirs": []}, "lowerdirs"),
        ({"lowerdirs": ["relative"]}, "lowerdirs"),
        ({"lowerdirs": ["{}/a/../b"]}, "lowerdirs"),
        ({"upperdir": "{}/file"}, "upperdir"),
        ({"upperdir": "{}/file/below"}, "upperdir"),
        ({"upperdir": "{}/a"}, "upperdir"),
        ({"upperdir": "{}/rw/w/in"}, "upperdir"),
        ({"workdir": "{}/other-fs/w"}, "workdir"),
        ({"workdir": None}, "workdir"),
        ({"path": "{}/file"}, "path"),
        ({"path": "/"}, "path"),
        ({"path": "file:///nul%00"}, "path"),
        ({"path": "/" + "n" * 256}, "path"),
        ({"create": False}, "path"),
        ({"owner": "no-such-user"}, "owner"),
        ({"owner": "\u00b2"}, "owner"),
        ({"group": "nul\0"}, "group"),
        ({"mode": "rwx"}, "mode"),
        ({"idmap": {"host_id": 4294967290}}, "idmap"),
        ({"volatile": True, "systemd": True}, "systemd"),
        ({"metacopy": True, "redirect_dir": "off"}, "metacopy"),
        ({"metacopy": True, "redirect_dir": "follow"}, "metacopy"),
        ({"userxattr": True, "redirect_dir": "off"}, "userxattr"),
        ({"userxattr": True, "metacopy": True}, "userxattr"),
        ({"nfs_export": True, "index": False}, "nfs_export"),
        ({"volatile": True, "upperdir": None, "workdir": None}, "volatile"),
        ({"nfs_export": True, "upperdir": None, "workdir": None}, "nfs_export"),
        ({"idmap": {"host_id": 1000}, "systemd": True}, "systemd"),
    ],
    ids=str,
)
def test_bad_input_names_the_option_and_changes_nothing(place, change, option):
    with open(place.raw("file"), "w"):
        pass
    os.mkdir(place.raw("a/below"))
    os.mkdir(place.raw("other-fs"))
    mount.mount("tmpfs", place.raw("other-fs"), "tmpfs")

    def filled(value):
        if isinstance(value, list):
            return [filled(each) for each in value]
        return value.replace("{}", place.root.decode()) if isinstance(value, str) else value

    before = place.files()
    with pytest.raises(OptionError) as refused:
        converge(RESOURCE, desired(**place.writable(**{name: filled(value) for name, value in change.items()})))
    assert refused.value.option == option
    assert place.files() == before
    assert place.mounts() == []


@pytest.mark.parametrize("after", range(14))
def test_a_run_that_dies_is_completed_by_the_next(place, after):
    """Ended after each call in turn: on the way up, at a change that needs a new mount, and on the way down."""
    steps = [
        place.writable(flags=["nodev"], propagation="private"),
        place.writable(lowerdirs=[place("c")], volatile=True),
        {"path": place("t"), "state": "absent"},
    ]
    for options in steps:
        child = os.fork()
        if child == 0:
            try:
                converge(RESOURCE, desired(**options), Dying(Kernel(), after))
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, DIED)
        apply(**{"volatile_recover": True, **options})
    assert place.files() == [b"a", b"b", b"c"]


def test_info_tells_ours_from_others(place):
    apply(**place.writable())
    for name in ("t2", "t3"):
        os.mkdir(place.raw(name))
    data = b"lowerdir=" + place.raw("a") + b":" + place.raw("b")
    mount.mount("foreign", place.raw("t2"), "overlay", 0, data)
    mount.mount("tmpfs", place.raw("t2"), "tmpfs")
    found = {entry["path"]: entry for entry in info()}
    assert found[place("t")]["ours"] is True and found[place("t")]["covered"] is False
    assert found[place("t2")]["ours"] is False and found[place("t2")]["covered"] is True
    assert found[place("t2")]["lowerdirs"] == [place("a"), place("b")]
    assert found[place("t2")]["source"] == "foreign"
    assert [entry["path"] for entry in info(ours=True)] == [place("t")]


@pytest.fixture
def units(place):
    """/etc/systemd/system, empty and the test's own."""
    mount.mount("tmpfs", UNITS, "tmpfs")
    yield UNITS
    mount.umount2(UNITS)
    shutil.rmtree("/run/systemd", ignore_errors=True)  # systemd-analyze's; /run is the isolated host's


def mount_as_systemd_does(unit):
    """mount(8) with what the unit says, systemd.mount(5)."""
    with open(unit) as handle:
        fields = dict(line.rstrip("\n").split("=", 1) for line in handle if "=" in line and line[0] not in "#[")
    what, where, options = (fields[name].replace("%%", "%") for name in ("What", "Where", "Options"))
    variable, value = fields["Environment"].split("=")
    command = ["mount", what, where, "-t", fields["Type"], "-o", options]
    subprocess.run(command, env={**os.environ, variable: value}, check=True)


@pytest.mark.parametrize("name", ["plain", "a b", "a,b", "a:b", "a\\b", "100%", "it's", "caf\u00e9", "-dash", ".dot"])
def test_the_mount_unit_mounts_the_same_overlay(place, units, name):
    for layer in ("a", "b"):
        os.makedirs(place.raw(layer, name))
    options = place.writable(
        path=place(name, "t"),
        lowerdirs=[place("a", name), place("b", name)],
        upperdir=place(name, "u"),
        workdir=place(name, "w"),
        index=True,
        flags=["nodev", "noatime"],
        propagation="private",
        systemd=True,
    )
    apply(**options)
    link = os.path.join(units, "local-fs.target.wants")
    unit = os.path.realpath(os.path.join(link, os.listdir(link)[0]))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert os.path.basename(unit) not in verified.stderr, verified.stderr
    mount.umount2(place.raw(name, "t"))
    mount_as_systemd_does(unit)
    assert converge(RESOURCE, desired(**options)).plan.actions == []
    outcome = apply(**{**options, "systemd": False})
    assert [(c.option, c.how) for c in outcome.plan.changes] == [("systemd", "live")]
    assert os.listdir(units) == []


def test_absent_takes_the_unit_too_and_never_a_foreign_one(place, units):
    apply(**place.writable(systemd=True))
    apply(path=place("t"), state="absent")
    assert os.listdir(units) == []
    apply(**place.writable())
    unit = unit_name(place.raw("t"))
    with open(os.path.join(units, unit), "w") as handle:
        handle.write("[Mount]\n")
    for options in (place.writable(systemd=True), {"path": place("t"), "state": "absent"}):
        with pytest.raises(Refused, match="not written by this module"):
            converge(RESOURCE, desired(**options))
