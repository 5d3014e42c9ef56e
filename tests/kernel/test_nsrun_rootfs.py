# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container's files: mounts, devices, masked paths, and images that try to lead the runtime astray."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .nsrun import HOST_ID, Bundle, Nsrun, bundle, nsrun, program, run

__all__ = ["bundle", "nsrun", "program"]

USERS = pytest.mark.parametrize("user", [False, True], ids=["host-user", "user-namespace"])


def add_mount(bundle: Bundle, destination: str, source: Path, *options: str) -> None:
    entry = {"destination": destination, "type": "bind", "source": str(source), "options": ["bind", *options]}
    bundle.spec["mounts"].append(entry)


@USERS
def test_the_default_file_systems(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    if user:
        bundle.user_namespace()
    seen = {}
    for line in run(nsrun, bundle.sh("/bin/cat /proc/self/mountinfo")).splitlines():
        fields = line.split()
        seen.setdefault(fields[4], (fields[fields.index("-") + 1], set(fields[5].split(","))))
    kinds = {target: kind for target, (kind, _flags) in seen.items()}
    assert {"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs"}.items() <= kinds.items()
    assert {"/dev/mqueue": "mqueue", "/sys": "sysfs", "/sys/fs/cgroup": "cgroup2"}.items() <= kinds.items()
    assert {"nosuid", "nodev", "noexec"} <= seen["/proc"][1]
    assert "ro" in seen["/sys"][1] and "ro" in seen["/sys/fs/cgroup"][1] and "ro" in seen["/proc/sys"][1]


@USERS
def test_devices_work_and_are_all_there(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    if user:
        bundle.user_namespace()
    script = (
        "cd /dev; /bin/ls; echo x > null && /bin/busybox head -c 3 zero | /bin/busybox wc -c; "
        "/bin/busybox head -c 5 urandom | /bin/busybox wc -c; echo x > full; "
        "for link in fd stdin ptmx; do /bin/busybox readlink $link; done"
    )
    done = nsrun("run", "--bundle", bundle.sh(script).write(), bundle.id)
    names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    words = done.stdout.split()
    assert words[: len(names)] == names
    assert words[len(names) :] == ["3", "5", "/proc/self/fd", "/proc/self/fd/0", "pts/ptmx"]
    assert "No space left on device" in done.stderr


@USERS
def test_masked_and_read_only_paths(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    if user:
        bundle.user_namespace()
    bundle.spec["linux"]["sysctl"] = {"kernel.shmmni": "77"}
    script = (
        "/bin/cat /proc/keys /proc/timer_list /proc/interrupts | /bin/busybox wc -c; /bin/ls /sys/firmware /proc/acpi; "
        "/bin/cat /proc/sys/kernel/shmmni; echo 1 > /proc/sys/kernel/shmmni; "
        "/bin/busybox touch /sys/firmware/x; /bin/busybox umount /proc/keys; true"
    )
    done = nsrun("run", "--bundle", bundle.sh(script).write(), bundle.id)
    assert [w for w in done.stdout.split() if not w.endswith(":")] == ["0", "77"]
    assert done.stderr.count("Read-only file system") == 2
    assert "ount" in done.stderr


@USERS
@pytest.mark.parametrize("target", ["/data/deep/place", "/data/../data/./deep"])
def test_bind_mounts_make_their_places(nsrun: Nsrun, bundle: Bundle, tmp_path: Path, user: bool, target: str) -> None:
    (tmp_path / "file").write_text("content")
    tmp_path.chmod(0o755)
    if user:
        bundle.user_namespace()
    add_mount(bundle, target, tmp_path, "ro", "nosuid", "nodev", "noexec")
    add_mount(bundle, "/etc/one", tmp_path / "file", "ro")
    done = nsrun(
        "run", "--bundle", bundle.sh(f"/bin/cat {target}/file /etc/one; echo > {target}/new; true").write(), bundle.id
    )
    assert done.stdout == "contentcontent"
    assert "Read-only file system" in done.stderr


def test_recursive_attributes_reach_the_mounts_below(nsrun: Nsrun, bundle: Bundle) -> None:
    outer = Path("/run/bundle-test/outer")
    (outer / "inner").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "inner", str(outer / "inner")], check=True)
    for option, wanted in (("ro", "yes"), ("rro", "no")):
        bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] != "/data"]
        add_mount(bundle, "/data", outer, option)
        bundle.spec["mounts"][-1]["options"][0] = "rbind"
        script = "echo > /data/x && echo no; (echo > /data/inner/x) 2> /dev/null && echo yes || echo no"
        assert run(nsrun, bundle.sh(script)).split() == [wanted] if option == "ro" else ["no", "no"]
    subprocess.run(["umount", str(outer / "inner")], check=True)


#: Each word about a mount's attributes: what mountinfo then shows, and what not.
SHOWN = {
    "ro": ("ro", ""),
    "rw": ("", "ro"),
    "nosuid": ("nosuid", ""),
    "suid": ("", "nosuid"),
    "nodev": ("nodev", ""),
    "dev": ("", "nodev"),
    "noexec": ("noexec", ""),
    "exec": ("", "noexec"),
    "nosymfollow": ("nosymfollow", ""),
    "symfollow": ("", "nosymfollow"),
    "nodiratime": ("nodiratime", ""),
    "diratime": ("", "nodiratime"),
    "relatime": ("relatime", "noatime"),
    "norelatime": ("", "relatime noatime"),
    "strictatime": ("", "relatime noatime"),
    "nostrictatime": ("relatime", "noatime"),
    "noatime": ("noatime", "relatime"),
    "atime": ("relatime", "noatime"),
}
#: Words of a propagation, given a source that is shared: what begins the optional fields.
SPREAD = {"private": "", "slave": "master:", "shared": "shared:", "unbindable": "unbindable"}


def listed(text: str) -> dict[str, tuple[set[str], str, set[str]]]:
    """mountinfo by target: its own options, the optional fields, the file system's options."""
    lines = [line.split() for line in text.splitlines()]
    return {f[4]: (set(f[5].split(",")), " ".join(f[6 : f.index("-")]), set(f[-1].split(","))) for f in lines}


def as_said(options: set[str], word: str) -> bool:
    present, absent = SHOWN[word]
    return set(present.split()) <= options and not options & set(absent.split())


@pytest.fixture
def sources(bundle: Bundle) -> Iterator[dict[bool, Path]]:
    """Two trees of two mounts: one with every attribute (True), one with none, shared."""
    made = {}
    strict = "ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow"
    for full in (True, False):
        made[full] = bundle.directory / f"source-{full}"
        for place in (made[full], made[full] / "below"):
            place.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "strictatime", "s", str(place)], check=True)
        for place in (made[full] / "below", made[full]):
            how = ["-o", f"remount,bind,{strict}"] if full else ["--make-shared"]
            subprocess.run(["mount", *how, str(place)], check=True)
    yield made
    for place in made.values():
        subprocess.run(["umount", "-R", str(place)], check=True)


@USERS
def test_every_word_of_a_bind_mount_is_what_the_kernel_then_shows(
    nsrun: Nsrun, bundle: Bundle, sources: dict[bool, Path], user: bool
) -> None:
    """A word is refused or kept; and where two contradict each other the later one holds, recursive or not."""
    if user:
        bundle.user_namespace()
    cases = {word: [word] for word in SHOWN} | {"r" + word: ["r" + word] for word in SHOWN}
    cases |= {"rnodev-dev": ["rnodev", "dev"], "dev-rnodev": ["dev", "rnodev"], "defaults-ro": ["defaults", "ro"]}
    for name, words in cases.items():
        source = sources[words[-1].lstrip("r").startswith(("w", "suid", "dev", "exec", "sym", "dir", "at", "elat"))]
        bundle.spec["mounts"].append(
            {"destination": f"/w/{name}", "type": "bind", "source": str(source), "options": ["rbind", *words]}
        )
    for word in SPREAD:
        if not (user and word == "shared"):
            options = ["rbind", word]
            entry = {"destination": f"/p/{word}", "type": "bind", "source": str(sources[False]), "options": options}
            bundle.spec["mounts"].append(entry)
    shown = listed(run(nsrun, bundle.sh("/bin/cat /proc/self/mountinfo")))
    for word in SHOWN:
        assert as_said(shown[f"/w/{word}"][0], word), word
        assert as_said(shown[f"/w/r{word}"][0], word), "r" + word
        assert as_said(shown[f"/w/r{word}/below"][0], word), "r" + word
    for word in ("ro", "nodev", "noexec", "nosuid"):
        assert word not in shown[f"/w/{word}/below"][0]
    assert "nodev" not in shown["/w/rnodev-dev"][0] and "nodev" in shown["/w/rnodev-dev/below"][0]
    assert "nodev" in shown["/w/dev-rnodev"][0] and "nodev" in shown["/w/dev-rnodev/below"][0]
    for word, field in SPREAD.items():
        if not (user and word == "shared"):
            assert shown[f"/p/{word}"][1].startswith(field) and bool(field) == bool(shown[f"/p/{word}"][1]), word
    known = json.loads(nsrun("features").stdout)["mountOptions"]
    both = {*SHOWN, *SPREAD, *("r" + word for word in (*SHOWN, *SPREAD))}
    assert set(known) - both == {"bind", "rbind", "idmap", "ridmap"}


@USERS
def test_every_word_of_a_new_file_system_is_what_the_kernel_then_shows(
    nsrun: Nsrun, bundle: Bundle, user: bool
) -> None:
    if user:
        bundle.user_namespace()
    own = {"size=64k", "nr_inodes=9", "mode=700", "uid=5", "gid=6", "sync", "dirsync", "lazytime"}
    for word in (*SHOWN, *own):
        if not (user and word == "dev"):
            entry = {"destination": f"/w/{word}", "type": "tmpfs", "source": "t", "options": ["nodev", word]}
            bundle.spec["mounts"].append(entry)
    shown = listed(run(nsrun, bundle.sh("/bin/cat /proc/self/mountinfo")))
    for word in SHOWN:
        if not (user and word == "dev"):
            assert as_said(shown[f"/w/{word}"][0], word), word
    ids = {"uid=5": f"uid={HOST_ID + 5}", "gid=6": f"gid={HOST_ID + 6}"} if user else {}
    for word in own:
        assert ids.get(word, word) in shown[f"/w/{word}"][2] or word in shown[f"/w/{word}"][2], word


def test_an_idmapped_volume_belongs_to_the_containers_root(nsrun: Nsrun, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    tmp_path.chmod(0o755)
    bundle.user_namespace()
    add_mount(bundle, "/v", tmp_path, "idmap")
    assert run(nsrun, bundle.sh("/bin/busybox stat -c %u /v/mine; echo > /v/new")).split() == ["0"]
    assert (tmp_path / "new").stat().st_uid == 0


def test_own_mappings_of_a_mount(nsrun: Nsrun, bundle: Bundle, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    bundle.user_namespace()
    add_mount(bundle, "/v", tmp_path)
    maps = [{"containerID": 0, "hostID": HOST_ID, "size": 65536}]
    bundle.spec["mounts"][-1].update(uidMappings=maps, gidMappings=maps)
    run(nsrun, bundle.sh("echo > /v/new"))
    assert (tmp_path / "new").stat().st_uid == 0


def test_a_read_only_root(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["root"]["readonly"] = True
    for name in ("proc", "dev", "sys"):
        (bundle.rootfs / name).mkdir()
    done = nsrun("run", "--bundle", bundle.sh("echo > /x || echo > /dev/shm/x && echo ok").write(), bundle.id)
    assert done.stdout == "ok\n" and "Read-only file system" in done.stderr


def test_tmpfs_options(nsrun: Nsrun, bundle: Bundle) -> None:
    entry = {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["nosuid", "size=64k", "mode=1777"]}
    bundle.spec["mounts"].append(entry)
    script = "/bin/busybox stat -c %a /t; /bin/busybox head -c 100000 /dev/zero > /t/x; /bin/busybox stat -c %s /t/x"
    done = nsrun("run", "--bundle", bundle.sh(script).write(), bundle.id)
    assert done.stdout.split() == ["1777", "65536"]


@pytest.mark.parametrize("word", ["rslave", "rprivate"])
def test_later_mounts_of_the_host_arrive_only_with_slave(nsrun: Nsrun, bundle: Bundle, word: str) -> None:
    shared = Path("/run/bundle-test/shared")
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "--make-shared", "s", str(shared)], check=True)
    (shared / "below").mkdir()
    add_mount(bundle, "/s", shared, word)
    bundle.spec["mounts"][-1]["options"][0] = "rbind"
    nsrun.detach(bundle.sh("exec sleep 100"))
    subprocess.run(["mount", "-t", "tmpfs", "b", str(shared / "below")], check=True)
    (shared / "below" / "seen").write_text("")
    listed = nsrun("exec", bundle.id, "/bin/ls", "/s/below").stdout.split()
    assert listed == (["seen"] if word == "rslave" else [])
    nsrun("delete", "--force", bundle.id)
    subprocess.run(["umount", "-R", str(shared)], check=True)


def test_nothing_of_the_container_is_mounted_on_the_host(nsrun: Nsrun, bundle: Bundle) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    nsrun.detach(bundle.sh("exec sleep 100"))
    assert Path("/proc/self/mountinfo").read_text() == before
    nsrun("delete", "--force", bundle.id)


# What an image could prepare. Each of these has a name in the field: the runtime must end inside the root, or refuse.


@USERS
@pytest.mark.parametrize("link", ["/run/victim", "../../../../run/victim", "/proc/1/root/run/victim"])
def test_a_symlink_as_mount_point_stays_inside(
    nsrun: Nsrun, bundle: Bundle, tmp_path: Path, user: bool, link: str
) -> None:
    """CVE-2018-15664, CVE-2021-30465 and their kind."""
    victim = Path("/run/victim")
    victim.mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("content")
    (bundle.rootfs / "data").symlink_to(link)
    if user:
        bundle.user_namespace()
    add_mount(bundle, "/data/in", tmp_path)
    done = nsrun("run", "--bundle", bundle.sh("/bin/cat /data/in/file").write(), bundle.id, rc=None)
    try:
        assert list(victim.iterdir()) == []
        assert done.returncode == 1
        assert "A symlink there" in done.stderr
    finally:
        victim.rmdir()


def test_a_symlink_that_ends_inside_is_followed_inside(nsrun: Nsrun, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (bundle.rootfs / "real").mkdir()
    (bundle.rootfs / "data").symlink_to("/real")
    add_mount(bundle, "/data/in", tmp_path)
    assert run(nsrun, bundle.sh("/bin/cat /real/in/file")) == "content"


@USERS
@pytest.mark.parametrize(
    ("links", "made"),
    [
        ({"etc/one": "../run/victim/one"}, "run/victim/one"),
        ({"etc/one": "/run/victim/one"}, "run/victim/one"),
        ({"etc/one": "../../../../run/victim/one"}, "run/victim/one"),
        ({"etc/one": "two", "etc/two": "../run/victim/"}, "run/victim"),
        ({"etc": "usr/share/etc", "usr/share/etc/one": "../run/victim/one"}, "usr/share/run/victim/one"),
    ],
    ids=["relative", "absolute", "out-of-the-root", "two-links", "of-a-linked-directory"],
)
def test_a_dangling_symlink_to_a_file_is_followed_inside(
    nsrun: Nsrun, bundle: Bundle, tmp_path: Path, user: bool, links: dict[str, str], made: str
) -> None:
    """/etc/resolv.conf of an image with systemd-resolved is one. Nothing is made on the host."""
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("content")
    for name, target in links.items():
        (bundle.rootfs / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle.rootfs / name).symlink_to(target)
        (bundle.rootfs / "usr/share/etc").mkdir(parents=True, exist_ok=True)
    if user:
        bundle.user_namespace()
    add_mount(bundle, "/etc/one", tmp_path / "file")
    assert run(nsrun, bundle.sh(f"/bin/cat /{made}")) == "content"
    assert not os.path.lexists("/run/victim") and (bundle.rootfs / made).is_file()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("one", "Too many levels of symbolic links (ELOOP)"),
        ("/proc/self/exe", "(EXDEV). A symlink there leads out of the root"),
        ("/proc/self/fd/1000", "mounts[7] (bind on /etc/one): open /etc/one: "),
        ("/dir/below", "(ELOOP). A symlink there points to nothing inside the root"),
        ("/bin/sh/below", "Not a directory (ENOTDIR)"),
    ],
    ids=["loop", "magic-link", "procfs", "dangling-directory", "file-as-directory"],
)
def test_a_symlink_to_no_place_for_a_file_is_refused(
    nsrun: Nsrun, bundle: Bundle, tmp_path: Path, target: str, message: str
) -> None:
    (tmp_path / "file").write_text("content")
    (bundle.rootfs / "etc").mkdir()
    (bundle.rootfs / "etc" / "one").symlink_to(target)
    (bundle.rootfs / "dir").symlink_to("/nowhere")
    add_mount(bundle, "/etc/one", tmp_path / "file")
    done = nsrun("run", "--bundle", bundle.sh("echo ran").write(), bundle.id, rc=1)
    assert done.stdout == "" and message in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_a_symlink_in_the_place_of_a_kernel_file_system_is_refused(nsrun: Nsrun, bundle: Bundle, name: str) -> None:
    """CVE-2019-16884 and CVE-2025-52881: else masking and labels would be done to what the image prepared."""
    (bundle.rootfs / "fake").mkdir()
    (bundle.rootfs / name).symlink_to("fake")
    done = nsrun("run", "--bundle", bundle.sh("echo ran").write(), bundle.id, rc=1)
    assert done.stdout == "" and "ELOOP" in done.stderr


def test_masks_use_the_hosts_null_device(nsrun: Nsrun, bundle: Bundle, tmp_path: Path) -> None:
    """CVE-2025-31133: an image or a mount that gives another /dev/null must not be put over /proc/keys."""
    (tmp_path / "null").write_text("not empty")
    add_mount(bundle, "/dev/null", tmp_path / "null")
    output = run(nsrun, bundle.sh("/bin/cat /dev/null; /bin/busybox stat -c '%t,%T' /proc/keys"))
    assert output.split() == ["not", "empty1,3"]


def test_the_old_root_cannot_be_reached(nsrun: Nsrun, bundle: Bundle) -> None:
    for name in ("effective", "permitted", "bounding"):
        bundle.spec["process"]["capabilities"][name].append("CAP_SYS_ADMIN")
    del bundle.spec["linux"]["seccomp"]
    script = "cd /../../..; /bin/busybox pwd; /bin/ls; /bin/busybox chroot . /bin/ls -d /var || echo none"
    done = nsrun("run", "--bundle", bundle.sh(script).write(), bundle.id)
    assert done.stdout.split() == ["/", "bin", "dev", "proc", "sys", "tmp", "none"]


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"destination": "x", "type": "tmpfs"}, "mounts[7].destination: 'x': must be an absolute path"),
        ({"destination": "/x", "type": "nofs"}, "mounts[7] (nofs on /x): fsopen /x: No such device (ENODEV)"),
        ({"destination": "/x", "options": ["bind"], "source": "/no/such"}, "mounts[7].source: '/no/such': cannot be"),
        ({"destination": "/x", "options": ["bind", "size=1"], "source": "/run"}, "mounts[7].options: 'size=1': is not"),
        ({"destination": "/x", "type": "tmpfs", "options": ["tmpcopyup"]}, "mounts[7].options: 'tmpcopyup': is not"),
        ({"destination": "/x", "type": "tmpfs", "options": ["size=wrong"]}, "mounts[7] (tmpfs on /x): fsconfig"),
        ({"destination": "/x", "type": "tmpfs", "options": ["nofail"]}, "mounts[7].options: 'nofail': is for mount(8)"),
        ({"destination": "/x", "type": "bind", "options": ["sync"], "source": "/run"}, "mounts[7].options: 'sync': is"),
    ],
    ids=["relative", "unknown-type", "no-source", "bind-data", "unsupported", "bad-option", "fstab", "sync-of-a-bind"],
)
def test_bad_mounts_are_named(nsrun: Nsrun, bundle: Bundle, mount: dict[str, object], message: str) -> None:
    bundle.spec["mounts"].append(mount)
    done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=1)
    assert done.stderr.startswith("nsrun: " + message), done.stderr
    assert os.listdir(bundle.rootfs) != [] and not nsrun.root.exists()


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"type": "tmpfs", "options": ["dev"]}, "'dev': device nodes of a file system that a user namespace mounts"),
        ({"type": "bind", "source": "/run", "options": ["rshared"]}, "'rshared': no mount made in a user namespace"),
    ],
)
def test_what_the_kernel_does_not_do_for_a_user_namespace_is_refused(
    nsrun: Nsrun, bundle: Bundle, mount: dict[str, object], message: str
) -> None:
    bundle.user_namespace()
    bundle.spec["mounts"].append({"destination": "/x", **mount})
    done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=1)
    assert done.stderr.startswith("nsrun: mounts[7].options: " + message), done.stderr
