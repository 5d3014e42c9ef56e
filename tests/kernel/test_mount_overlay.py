# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlay mounts on the real kernel, by both interfaces."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    idmap,
    mount,
    mountinfo,
    openat2,
    overlay_options,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.mount_overlay import (
    AUTO,
    CONTEXT,
    MOUNT,
    mount_overlay,
    takes_layers_one_by_one,
)

ODD = [
    b"plain",
    b"with space",
    b"colon:colon",
    b"comma,comma",
    b"back\\slash",
    b"trailing\\",
    b"esc\\,aped\\:both",
    b"quote'\"quote",
    b"new\nline",
    b"tab\there",
    b"octal\\040",
    b"latin-\xe9-\xff",
    b"lowerdir=x,upperdir=y",
    b"percent%20",
    b"-dash",
]


#: What this kernel can do; on one before Linux 6.7 AUTO is MOUNT.
INTERFACES = [AUTO, CONTEXT, MOUNT] if takes_layers_one_by_one() else [AUTO, MOUNT]


@pytest.fixture(params=INTERFACES)
def interface(request):
    return request.param


def refused_detached(interface, detached):
    """Before Linux 6.15 overlays take no detached mounts as layers: forced to a context they then say EINVAL."""
    release = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    return interface == CONTEXT and detached and release < (6, 15)


def expect_refused_detached(place, interface):
    with pytest.raises(KernelError) as refused:
        lower = directory(place, b"l")
        mount_overlay(directory(place, b"t"), [lower], idmap=(100000, 65536), interface=interface)
    assert refused.value.errno == errno.EINVAL
    assert overlay_at(os.path.join(place, b"t")) is None


@pytest.fixture
def place(tmp_path):
    """A directory to mount in; whatever is mounted below it is unmounted afterwards."""
    yield os.fsencode(tmp_path)
    for entry in reversed(mountinfo.read_mountinfo()):
        if entry.target.startswith(os.fsencode(tmp_path)):
            mount.umount2(entry.target, mount.MNT_DETACH)


def directory(*parts, **files):
    path = os.path.join(*parts)
    os.makedirs(path, exist_ok=True)
    for name, content in files.items():
        with open(os.path.join(path, os.fsencode(name)), "w") as handle:
            handle.write(content)
    return path


def read(path):
    with open(path, "rb") as handle:
        return handle.read().decode()


def overlay_at(target):
    return next((m for m in reversed(mountinfo.read_mountinfo()) if m.target == os.fsencode(target)), None)


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_any_bytes_in_every_path(place, interface, name):
    lowers = [directory(place, b"l%d" % n, name, **{f"from{n}": str(n)}) for n in range(2)]
    upper, work = directory(place, b"rw", name, b"u"), directory(place, b"rw", name, b"w")
    target = directory(place, b"t", name)
    mount_overlay(target, lowers, upper, work, source="barekernel:test", interface=interface)
    assert sorted(os.listdir(target)) == [b"from0", b"from1"]
    with open(os.path.join(target, b"new"), "w") as handle:
        handle.write("x")
    assert os.listdir(upper) == [b"new"]
    live = overlay_at(target)
    assert (live.fstype, live.source) == ("overlay", b"barekernel:test")
    shown = overlay_options.parse(live.options)
    assert list(shown.lowerdirs) == lowers
    for given, value in ((upper, shown.upperdir), (work, shown.workdir)):
        # Linux 6.7 to 6.12 takes backslashes off a string, and gets a link instead.
        assert given in overlay_options.readings(value) or (b"\\" in name and value.startswith(b"/proc/self/fd/"))


def test_a_sibling_named_like_the_escape_is_not_mounted(place, interface):
    directory(place, b"a,b", wrong="1")
    right = directory(place, b"a\\,b", right="1")
    other = directory(place, b"other")
    target = directory(place, b"t")
    mount_overlay(target, [right, other], interface=interface)
    assert os.listdir(target) == [b"right"]


@pytest.mark.parametrize("count", [1, 2, 500])
def test_read_only_without_upper(place, interface, count):
    if refused_detached(interface, count == 1):
        expect_refused_detached(place, interface)
        return
    lowers = [directory(place, b"%d" % n, **{f"f{n}": "1"}) for n in range(count)]
    target = directory(place, b"t")
    mount_overlay(target, lowers, interface=interface)
    assert len(os.listdir(target)) == count
    with pytest.raises(OSError) as refused:
        os.mkdir(os.path.join(target, b"x"))
    assert refused.value.errno == errno.EROFS


def test_500_layers_with_long_names_and_an_upper(place, interface):
    long_name = b"n" * 200
    lowers = [directory(place, long_name + b"%d" % n, same=str(n)) for n in range(500)]
    upper, work, target = (directory(place, name) for name in (b"u", b"w", b"t"))
    mount_overlay(target, lowers, upper, work, interface=interface)
    assert read(os.path.join(target, b"same")) == "0"


def test_a_path_longer_than_any_option_string(place, interface):
    deep = os.path.join(place, *[b"d" * 250] * 12)
    os.makedirs(deep)
    lowers = [directory(deep, b"l%d" % n, **{f"f{n}": ""}) for n in range(2)]
    upper, work, target = directory(deep, b"u"), directory(deep, b"w"), directory(place, b"t")
    mount_overlay(target, lowers, upper, work, interface=interface)
    assert sorted(os.listdir(target)) == [b"f0", b"f1"]


@pytest.mark.parametrize("how", ["range", "descriptor"])
def test_idmapped_layers_shift_owners_both_ways(place, interface, how):
    if refused_detached(interface, True):
        expect_refused_detached(place, interface)
        return
    lower = directory(place, b"l", f="1", gone="1")
    upper, work, target = directory(place, b"rw", b"u"), directory(place, b"rw", b"w"), directory(place, b"t")
    userns = idmap.user_namespace(100000, 65536) if how == "descriptor" else None
    mount_overlay(target, [lower], upper, work, idmap=userns or (100000, 65536), interface=interface)
    assert os.stat(target + b"/f").st_uid == 100000
    with pytest.raises(OSError) as refused:
        os.mkdir(target + b"/by-host-root")
    assert refused.value.errno == errno.EOVERFLOW, "the host's root has no place in the map"
    with idmap.creating_as(os.stat(target + b"/f")), open(target + b"/g", "w"):
        pass
    assert os.stat(upper + b"/g").st_uid == 0
    os.chown(target + b"/g", 100007, 100008)
    stored = os.stat(upper + b"/g")
    assert (stored.st_uid, stored.st_gid) == (7, 8)
    os.unlink(target + b"/gone")
    assert stat.S_ISCHR(os.stat(upper + b"/gone").st_mode), "a whiteout"
    os.chmod(target + b"/f", 0o600)
    assert os.stat(upper + b"/f").st_uid == 0, "a copy-up keeps the layer's owner"
    assert os.stat(directory(place, b"ours")).st_uid == 0, "the caller is itself again"
    if userns is not None:
        os.close(userns)


def test_idmapped_read_only_with_500_layers(place, interface):
    if refused_detached(interface, True):
        expect_refused_detached(place, interface)
        return
    lowers = [directory(place, b"%d" % n, f=str(n)) for n in range(500)]
    target = directory(place, b"t")
    mount_overlay(target, lowers, idmap=(200000, 1000), interface=interface)
    assert os.stat(target + b"/f").st_uid == 200000


def test_attributes_and_options_reach_the_mount(place, interface):
    lower, upper, work, target = (directory(place, name) for name in (b"l", b"u", b"w", b"t"))
    attributes = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV | mount.MOUNT_ATTR_NOEXEC | mount.MOUNT_ATTR_NOATIME
    options = ("metacopy=on", "volatile")
    mount_overlay(target, [lower], upper, work, options=options, attributes=attributes, interface=interface)
    live = overlay_at(target)
    assert {"nosuid", "nodev", "noexec", "noatime"} <= set(live.flags)
    assert {"metacopy=on"} <= set(overlay_options.parse(live.options).options)
    assert os.path.isdir(work + b"/work/incompat/volatile")
    assert not os.path.exists(place + b"/nothing-else")


def test_read_only_attribute_can_be_lifted_live(place, interface):
    lower, upper, work, target = (directory(place, name) for name in (b"l", b"u", b"w", b"t"))
    mount_overlay(target, [lower], upper, work, attributes=mount.MOUNT_ATTR_RDONLY, interface=interface)
    with pytest.raises(OSError):
        os.mkdir(target + b"/x")
    mount.set_attributes(target, 0)
    os.mkdir(target + b"/x")


def test_into_a_descriptor_inside_a_hostile_root(place, interface):
    outside = directory(place, b"outside")
    root = directory(place, b"root")
    directory(root, b"outside")
    os.symlink(b"../../outside", os.path.join(root, b"link"))
    root_fd = os.open(root, os.O_PATH)
    fd = openat2.openat2(root_fd, b"../link", os.O_PATH | os.O_DIRECTORY)
    lowers = [directory(place, b"a", f="1"), directory(place, b"b")]
    mount_overlay(b"", lowers, target_fd=fd, interface=interface)
    assert os.listdir(outside) == []
    assert os.listdir(root + b"/outside") == [b"f"]
    os.close(fd)
    os.close(root_fd)


@pytest.mark.parametrize(
    ("lowers", "upper", "expected"),
    [
        ([b"file"], None, errno.ENOTDIR),
        ([b"missing"], None, errno.ENOENT),
        ([b"a", b"a"], None, errno.ELOOP),
        ([b"a"], b"file", errno.ENOTDIR),
        ([b"a"], b"missing", errno.ENOENT),
    ],
)
def test_what_cannot_be_mounted_is_named(place, interface, lowers, upper, expected):
    directory(place, b"a")
    directory(place, b".", file="")
    work, target = directory(place, b"w"), directory(place, b"t")
    paths = [os.path.join(place, name) for name in lowers]
    with pytest.raises(KernelError) as refused:
        upper_path = os.path.join(place, upper) if upper else None
        mount_overlay(target, paths, upper_path, work if upper else None, interface=interface)
    assert refused.value.errno == expected
    assert overlay_at(target) is None


def test_an_unknown_option_is_reported_in_the_kernels_words_where_it_has_any(place):
    lowers = [directory(place, b"a"), directory(place, b"b")]
    with pytest.raises(KernelError) as refused:
        mount_overlay(directory(place, b"t"), lowers, options=("nosuchoption=1",))
    assert refused.value.errno == errno.EINVAL
    assert ("nosuchoption" in refused.value.detail) == takes_layers_one_by_one()


def test_a_leftover_of_a_volatile_mount_is_explained(place, interface):
    lower, upper, work, target = (directory(place, name) for name in (b"l", b"u", b"w", b"t"))
    directory(work, b"work", b"incompat", b"volatile")
    with pytest.raises(KernelError) as refused:
        mount_overlay(target, [lower], upper, work, interface=interface)
    assert "volatile" in refused.value.hint


def test_bind_resolves_no_path_and_may_be_read_only(place):
    source, target = directory(place, b"s", f="1"), directory(place, b"t")
    fds = [os.open(path, os.O_PATH) for path in (source, target)]
    mount.bind(*fds, attributes=mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NODEV, propagation="private")
    assert os.listdir(target) == [b"f"]
    live = overlay_at(target)
    assert {"ro", "nodev"} <= set(live.flags)
    for fd in fds:
        os.close(fd)


def test_propagation_is_set_by_name(place):
    target = directory(place, b"t")
    mount.mount("tmpfs", target, "tmpfs")
    mount.set_propagation(target, "shared")
    assert overlay_at(target).propagation[0].startswith("shared:")
    mount.set_propagation(target, "private")
    assert overlay_at(target).propagation == ()


def test_mount_refuses_options_the_kernel_would_cut(place):
    with pytest.raises(KernelError) as refused:
        mount.mount("x", directory(place, b"t"), "overlay", 0, b"x" * 4096)
    assert refused.value.errno == errno.E2BIG


def test_an_upper_nobody_can_write_is_an_error_and_not_a_read_only_mount(place, interface):
    writable = directory(place, b"fs")
    mount.mount("tmpfs", writable, "tmpfs")
    lower, target = directory(place, b"l"), directory(place, b"t")
    upper, work = directory(writable, b"u"), directory(writable, b"w")
    mount.set_attributes(writable, mount.MOUNT_ATTR_RDONLY)
    with pytest.raises(KernelError):
        mount_overlay(target, [lower], upper, work, interface=interface)
    assert overlay_at(target) is None


def test_an_upper_whose_owner_is_not_in_the_map_is_refused(place, interface):
    if refused_detached(interface, True):
        expect_refused_detached(place, interface)
        return
    lower, upper, work, target = (directory(place, b"rw", name) for name in (b"l", b"u", b"w", b"t"))
    os.chown(upper, 70000, 70000)
    with pytest.raises(KernelError) as refused:
        mount_overlay(target, [lower], upper, work, idmap=(100000, 10), interface=interface)
    assert refused.value.errno == errno.EROFS
    assert overlay_at(target) is None
