# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways out of a container, or to hold the runtime, while it becomes its program: descriptors, modules, FIFOs.

Each attack is made twice: the second time without what guards against it, where it must succeed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import library
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import (
    defaults,
    seccomp_policy,
)
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import (
    cgroups,
    descriptors,
    isolated,
)

from tests import waiting

from . import seizer
from .nsrun import BUSYBOX, Bundle, Nsrun, bundle, nsrun, program, run

__all__ = ["bundle", "nsrun", "program"]

USERS = pytest.mark.parametrize("user", [False, True], ids=["host-user", "user-namespace"])
GUARDED = pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "guard-removed"])
#: A directory of the host with a program that no container has.
HOST = Path("/run/only-on-the-host")
#: From any directory to it, if that is one of the host's.
OUT = "../" * 12 + str(HOST)[1:]
ESCAPE = ["-c", "echo escaped"]
#: What nsrun opens has numbers from 3 on, and never so many.
NUMBERS = range(3, 21)
LEAVE_OPEN = "from barekernel._runtime.process import descriptors\ndescriptors.close_all_but = lambda kept: None\n"


@pytest.fixture
def altered(nsrun: Nsrun, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """nsrun installed where any user gets through, as on a host, with lines of code that change it."""
    home = Path("/run/nsrun-altered")
    library.install(str(home))
    copy = home / "nsrun"
    monkeypatch.setattr(nsrun, "program", str(copy))
    HOST.mkdir()
    shutil.copy(BUSYBOX, HOST / "sh")

    def alter(code: str) -> None:
        text = copy.read_text()
        assert "import main\n" in text
        copy.write_text(text.replace("import main\n", "import main\n" + code))

    yield alter
    shutil.rmtree(home)
    shutil.rmtree(HOST)


@pytest.fixture
def attacked(altered: Callable[[str], None], bundle: Bundle, guarded: bool, user: bool) -> list[int]:
    """The numbers to try: without the guard that of the library's lock is enough."""
    if not guarded:
        altered(LEAVE_OPEN)
    if user:
        bundle.user_namespace()
    return list(NUMBERS) if guarded else [3]


@USERS
@GUARDED
def test_a_program_through_a_descriptor_of_the_runtime(
    nsrun: Nsrun, bundle: Bundle, attacked: list[int], guarded: bool
) -> None:
    """CVE-2024-21626, by process.args: execve(2) looks the path up while what is close-on-exec is open."""
    for number in attacked:
        bundle.spec["process"]["args"] = [f"/proc/self/fd/{number}/{OUT}/sh", *ESCAPE]
        done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=None)
        assert (done.stdout == "escaped\n") is not guarded, (number, done.stderr)
        assert (done.returncode == 0) is not guarded


@USERS
@GUARDED
def test_a_path_through_a_descriptor_of_the_runtime(
    nsrun: Nsrun, bundle: Bundle, attacked: list[int], guarded: bool
) -> None:
    bundle.spec["process"]["env"] = ["PATH=" + ":".join(f"/proc/self/fd/{n}/{OUT}" for n in attacked)]
    bundle.spec["process"]["args"] = ["sh", *ESCAPE]
    done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=None)
    assert (done.stdout == "escaped\n") is not guarded, done.stderr
    assert not guarded or "no such program in PATH" in done.stderr


@USERS
@GUARDED
def test_exec_through_a_descriptor_of_the_runtime(
    nsrun: Nsrun, bundle: Bundle, attacked: list[int], guarded: bool, user: bool
) -> None:
    """PATH is searched before the process is in a PID namespace of its own: there /proc/self is nothing then."""
    if not user:
        bundle.without("pid")
    nsrun.detach(bundle.sh("exec sleep 1000"))
    path = ":".join(f"/proc/self/fd/{n}/{OUT}" for n in attacked)
    by_path = [["--env", "PATH=" + path, "sh"]] if guarded or not user else []
    for words in (*([f"/proc/self/fd/{n}/{OUT}/sh"] for n in attacked), *by_path):
        *options, name = words
        done = nsrun("exec", *options, bundle.id, name, *ESCAPE, rc=None)
        assert (done.stdout == "escaped\n") is not guarded, (words, done.stderr)
    nsrun("delete", "--force", bundle.id)


@USERS
@GUARDED
def test_a_script_whose_interpreter_is_the_hosts(
    nsrun: Nsrun, bundle: Bundle, attacked: list[int], guarded: bool
) -> None:
    """The kernel looks up what stands after #! as the process that is still the runtime."""
    bundle.spec["process"]["args"] = ["/script"]
    for number in attacked:
        script = bundle.rootfs / "script"
        script.write_text(f"#!/proc/self/fd/{number}/{OUT}/sh\necho escaped\n")
        script.chmod(0o755)
        done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=None)
        assert (done.stdout == "escaped\n") is not guarded, (number, done.stderr)


@pytest.mark.parametrize("user", [False])
@pytest.mark.parametrize("guarded", [False], ids=["guard-removed"])
def test_a_working_directory_has_a_guard_of_its_own(nsrun: Nsrun, bundle: Bundle, attacked: list[int]) -> None:
    """Where a descriptor of the host were open all the same. exec enters it outside of the container's PID namespace,
    so that with one of its own /proc/self is not there at all."""
    cwd = f"/proc/self/fd/{attacked[0]}"
    shared = bundle.spec["linux"]["namespaces"]
    for namespaces, said in (
        ([n for n in shared if n["type"] != "pid"], "is outside the container"),
        (shared, f"process.cwd: '{cwd}': No such file or directory"),
    ):
        bundle.spec["linux"]["namespaces"] = namespaces
        nsrun.detach(bundle.sh("exec sleep 1000"))
        done = nsrun("exec", "--cwd", cwd, bundle.id, "/bin/echo", "ran", rc=126)
        assert done.stdout == "" and said in done.stderr
        nsrun("delete", "--force", bundle.id)
    bundle.spec["process"]["cwd"] = cwd
    done = nsrun("run", "--bundle", bundle.sh("echo ran").write(), bundle.id, rc=1)
    assert done.stdout == "" and "leads out of the root" in done.stderr


@GUARDED
def test_a_build_step_through_a_descriptor(
    bundle: Bundle, altered: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(descriptors, "close_all_but", lambda kept: None)
    leaked = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    argv = [f"/proc/self/fd/{leaked}/{OUT}/sh", *ESCAPE]
    try:
        if guarded:
            with pytest.raises(isolated.create.RuntimeFailure, match="No such file|Not a directory"):
                isolated.run(str(bundle.rootfs), str(tmp_path), argv)
        else:
            assert isolated.run(str(bundle.rootfs), str(tmp_path), argv) == (0, b"escaped\n")
    finally:
        os.close(leaked)


#: The container's init is killed and reaped at that moment of an exec; taken: and a process of the host has its PID.
KILLED_AT = """
import json, os, subprocess, time
from barekernel._kernel import clone, process
from barekernel._runtime.process import cgroups, execute, state
def kill(root, name):
    pid = state.read(root, name).pid
    if os.path.exists(f"/proc/{{pid}}"):
        os.kill(pid, 9)
    while os.path.exists(f"/proc/{{pid}}"):
        time.sleep(0.01)
    other = 0
    while {taken} and other != pid:
        open("/proc/sys/kernel/ns_last_pid", "w").write(str(pid - 1))
        other = subprocess.Popen(["sleep", "5"], stdin=-3, stdout=-3, stderr=-3).pid
called = {at}
def late(*arguments):
    global kill
    kill, now = None, kill
    if now:
        now("{root}", "{name}")
    return called(*arguments)
{at} = late
"""
#: What was found of the namespaces was believed, and none that was missing was missed.
BELIEVE = """
import contextlib
def found(config, entry):
    flags = 0
    for kind, flag in execute.NAMESPACES.items():
        name = execute._FILES.get(kind, kind)
        with contextlib.suppress(OSError):
            if not os.path.samestat(os.stat(f"/proc/{pid}/ns/{name}"), os.stat(f"/proc/self/ns/{name}")):
                flags |= flag
    return flags
execute._kinds = found
process.entry = lambda pid, started: contextlib.nullcontext()
process.has_ended = lambda pidfd: False
setns = clone.setns
clone.setns = lambda fd, kinds=0: setns(fd, kinds) if kinds else None
"""


@pytest.mark.parametrize("taken", [False, True], ids=["gone", "pid-taken"])
@pytest.mark.parametrize(
    ("at", "guarded"),
    [
        ("cgroups.open_directory", True),
        ("execute._kinds", True),
        ("clone.clone3", True),
        ("cgroups.open_directory", False),
    ],
)
def test_exec_never_runs_where_the_container_is_not(
    nsrun: Nsrun, bundle: Bundle, altered: Callable[[str], None], at: str, guarded: bool, taken: bool
) -> None:
    """Its init ends at the worst moments: what has to be joined is known before, and what is missing is an error."""
    pid = nsrun.detach(bundle.sh("exec sleep 1000"))["pid"]
    code = KILLED_AT.format(root=nsrun.root, name=bundle.id, at=at, taken=taken)
    altered(code if guarded else code + BELIEVE.replace("{pid}", str(pid)))
    ask = f"[ -e {HOST} ] && echo on the host || echo in a container"
    done = nsrun("exec", bundle.id, "/bin/sh", "-c", ask, rc=None)
    if guarded:
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert f"container '{bundle.id}' has just ended" in done.stderr
    else:
        assert done.stdout == "on the host\n"
    nsrun("delete", "--force", bundle.id)


def open_in(pid: int) -> set[int]:
    return {int(name) for name in os.listdir(f"/proc/{pid}/fd")}


def sleeps(pid: int) -> int:
    waiting.until_it_is(pid, "sleep", "1000")
    return pid


@USERS
def test_a_running_container_has_nothing_open_but_the_standard_three(
    nsrun: Nsrun, bundle: Bundle, tmp_path: Path, user: bool
) -> None:
    if user:
        bundle.user_namespace()
    pid = nsrun.detach(bundle.sh("exec sleep 1000"))["pid"]
    assert open_in(sleeps(pid)) == {0, 1, 2}
    null = subprocess.DEVNULL
    command = [nsrun.program, "--root", str(nsrun.root), "exec", "--detach", "--pid-file", str(tmp_path / "pid")]
    subprocess.run([*command, bundle.id, "sleep", "1000"], check=True, stdin=null, stdout=null, stderr=null)
    assert open_in(sleeps(int((tmp_path / "pid").read_text()))) == {0, 1, 2}
    nsrun("delete", "--force", bundle.id)


def test_a_terminal_leaves_nothing_else_open(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["process"]["terminal"] = True
    listed = run(nsrun, bundle.sh("/bin/ls /proc/self/fd | /bin/busybox tr '\\n' ' '"))
    assert listed.split() == ["0", "1", "2", "3"]  # 3 is what ls itself opened


@pytest.mark.parametrize("command", ["run", "exec"])
def test_what_the_caller_hands_on_arrives_and_nothing_besides(nsrun: Nsrun, bundle: Bundle, command: str) -> None:
    """Of 3 and 4 the caller has only 4 open, so that 3 is the runtime's own; 5 was not asked for."""
    (bundle.directory / "given").write_text("given")
    script = "/bin/ls /proc/self/fd | /bin/busybox tr '\\n' ' '; /bin/cat <&4"
    words = ["--preserve-fds", "2", bundle.id]
    if command == "exec":
        nsrun.detach(bundle.sh("exec sleep 1000"))
        words += ["/bin/sh", "-c", script]
    else:
        words[:0] = ["--bundle", bundle.sh(script).write()]
    shell = f'exec "$@" 3<&- 4<{bundle.directory}/given 5</'
    argv = ["sh", "-c", shell, "sh", nsrun.program, "--root", str(nsrun.root), command, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert done.stdout.split() == ["0", "1", "2", "3", "4", "given"]  # 3 is what ls itself opened
    nsrun("delete", "--force", bundle.id)


@pytest.mark.parametrize("given", ["x", "-1", "99999999"])
def test_a_number_of_descriptors_that_cannot_be(nsrun: Nsrun, bundle: Bundle, given: str) -> None:
    done = nsrun("run", f"--preserve-fds={given}", "--bundle", bundle.write(), bundle.id, rc=64)
    assert f"--preserve-fds {given}: must be" in done.stderr


def test_a_closed_standard_descriptor_becomes_nothing_of_the_runtimes(nsrun: Nsrun, bundle: Bundle) -> None:
    """Else the first that the runtime opens, its library's directory, would be the container's standard error."""
    bundle.sh("/bin/busybox readlink /proc/self/fd/2")
    argv = ["sh", "-c", 'exec "$@" 2>&-', "sh", nsrun.program, "--root", str(nsrun.root), "run"]
    done = subprocess.run([*argv, "--bundle", bundle.write(), bundle.id], capture_output=True, text=True, check=True)
    assert done.stdout == "/dev/null\n"


def test_from_the_descriptor_of_a_cgroup_nothing_else_is_reached() -> None:
    """The process that is born in it has it for a moment, when a container may already look into that."""
    path = f"{cgroups.mount_point()}/bktest-descriptor"
    cgroup.make(path)
    fd = cgroups.open_directory(path)
    try:
        here, above = os.stat(".", dir_fd=fd), os.stat("../../..", dir_fd=fd)
        assert here.st_ino == os.stat(path).st_ino and os.path.samestat(here, above)
        with pytest.raises(OSError, match="Read-only file system"):
            os.open("cgroup.procs", os.O_WRONLY, dir_fd=fd)
    finally:
        os.close(fd)
        cgroup.remove(path)


@pytest.mark.parametrize("command", ["run", "exec"])
@GUARDED
def test_no_module_is_loaded_from_the_container(
    nsrun: Nsrun, bundle: Bundle, altered: Callable[[str], None], guarded: bool, command: str
) -> None:
    """CVE-2019-14271: what the runtime loads late would be the image's file, run with the runtime's rights."""
    late = "from barekernel._runtime.process import credentials\nenter = credentials.enter_cwd\n"
    late += "def enter_cwd(cwd):\n    enter(cwd)\n    import colorsys\ncredentials.enter_cwd = enter_cwd\n"
    nsrun.detach(bundle.sh("exec sleep 1000"))
    altered(late if guarded else late + "credentials.import_nothing_more = lambda: None\n")
    interpreter = Path(nsrun.program).read_text().split()[0][2:]
    ask = [interpreter, "-ISc", "import colorsys; print(colorsys.__file__)"]
    planted = bundle.rootfs / subprocess.check_output(ask, text=True).strip().lstrip("/")
    planted.parent.mkdir(parents=True)
    planted.write_text("open('/tmp/loaded', 'w').close()\n")
    if command == "exec":
        nsrun("exec", bundle.id, "/bin/true", rc=None)
        nsrun("delete", "--force", bundle.id)
    else:
        nsrun("delete", "--force", bundle.id)
        nsrun("run", "--bundle", bundle.sh("true").write(), bundle.id, rc=None)
    assert (bundle.rootfs / "tmp" / "loaded").exists() is not guarded


def plant(path: Path, kind: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link-to-a-fifo":
        os.mkfifo(path.parent / "fifo")
        path.symlink_to("fifo")
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero has no end
    elif kind == "directory":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 1 << 40)


@pytest.mark.parametrize("kind", ["fifo", "link-to-a-fifo", "device", "directory", "huge"])
def test_a_passwd_that_is_no_file_holds_nobody(nsrun: Nsrun, bundle: Bundle, kind: str) -> None:
    plant(bundle.rootfs / "etc" / "passwd", kind)
    assert run(nsrun, bundle.sh("echo $HOME")) == "/\n"
    nsrun.detach(bundle.sh("exec sleep 1000"))
    assert nsrun("exec", bundle.id, "/bin/sh", "-c", "echo $HOME").stdout == "/\n"
    nsrun("delete", "--force", bundle.id)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_terminal_is_made_by_a_devpts_only(nsrun: Nsrun, bundle: Bundle, kind: str) -> None:
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if not m["destination"].startswith("/dev")]
    (bundle.rootfs / "dev").mkdir()
    plant(bundle.rootfs / "dev" / "pts" / "ptmx", kind)
    bundle.spec["process"]["terminal"] = True
    done = nsrun("run", "--bundle", bundle.sh("echo ran").write(), bundle.id, rc=1)
    assert "ENOTTY" in done.stderr and "needs a devpts mount" in done.stderr


@GUARDED
def test_a_process_that_is_held_on_its_way_in_ends_with_its_runtime(
    nsrun: Nsrun, bundle: Bundle, altered: Callable[[str], None], guarded: bool
) -> None:
    """A file system of the container may never answer, and whoever is tired of waiting kills the runtime."""
    nsrun.detach(bundle.sh("exec sleep 1000"))
    held = "import time\nfrom barekernel._runtime.process import credentials\n"
    held += "credentials.with_home = lambda process: time.sleep(1000)\n"
    leave = "from barekernel._kernel import process\nprocess.end_with = lambda pidfd: None\n"
    altered(held if guarded else held + leave)

    def joined() -> list[int]:
        init = nsrun.state(bundle.id)["pid"]
        return [p for p in json.loads(nsrun("ps", "--format", "json", bundle.id).stdout) if p != init]

    command = [nsrun.program, "--root", str(nsrun.root), "exec", bundle.id, "/bin/true"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as runtime:
        pid = waiting.until("it joins", joined)[0]
        waiting.until("it sleeps", lambda: b"S" in Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2][:3])
        runtime.kill()
    if guarded:
        waiting.until("it ends", lambda: not Path(f"/proc/{pid}").exists())
    else:
        assert Path(f"/proc/{pid}").exists()
        os.kill(pid, signal.SIGKILL)
    nsrun("delete", "--force", bundle.id)


# What a container's root with CAP_SYS_PTRACE and without a user namespace gains by a process that joins it.

#: The process waits, where the container sees it first, until that has done what it wants.
SEEN = """
import os, time
from barekernel._runtime.process import execute
become = execute._become_program
def held(*arguments):
    while not os.path.exists("/tmp/found"):
        time.sleep(0.02)
    become(*arguments)
execute._become_program = held
"""
LATE = "execute._joins_under = lambda policy: False\n"
SOCKETS = """
import socket
from barekernel._runtime.process import lifeline
def pair(flags):
    return tuple(end.detach() for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
class System:
    pipe2 = staticmethod(pair)
    def __getattr__(self, name):
        return getattr(os, name)
lifeline.os = System()
"""
UNLIMITED = "execute.limit = lambda pid, pidfd, wanted: None\n"
CALLERS = "execute._OF_THE_CALLER = tuple(os.environ)\n"


def peers_are_told() -> bool:
    """Whether a socket tells who is at its other end: since Linux 6.5."""
    one, other = socket.socketpair()
    with one, other:
        try:
            os.close(one.getsockopt(socket.SOL_SOCKET, seizer.SO_PEERPIDFD))
        except OSError:
            return False
    return True


def with_the_seizer(nsrun: Nsrun, bundle: Bundle) -> str:
    """The container has CAP_SYS_PTRACE, /seizer.py, and an interpreter for it, whose path this is."""
    for name in ("effective", "permitted", "bounding"):
        bundle.spec["process"]["capabilities"][name].append("CAP_SYS_PTRACE")
    interpreter = os.path.realpath(Path(nsrun.program).read_text().split()[0][2:])
    for name in {"/usr", "/lib", "/lib64", str(Path(interpreter).parents[1])}:
        if Path(name).exists():
            source = os.path.realpath(name)
            bound = {"destination": name, "type": "bind", "source": source, "options": ["rbind", "ro"]}
            bundle.spec["mounts"].append(bound)
    shutil.copy(seizer.__file__, bundle.rootfs / "seizer.py")
    return interpreter


@pytest.mark.parametrize(
    ("removed", "no_new_privileges", "gained"),
    [
        ("", True, set()),
        ("", False, set()),
        (LATE, True, {"Seccomp", "NoNewPrivs"}),
        (LATE, False, {"capabilities", "Seccomp"}),
        (UNLIMITED, True, {"limits"}),
        (CALLERS, True, {"environment"}),
        (SOCKETS, True, {"the host's files"} if peers_are_told() else set()),
    ],
    ids=["guarded", "guarded-privileges", "late", "late-privileges", "unlimited", "environment", "sockets"],
)
def test_a_process_that_joins_has_nothing_that_the_container_has_not(
    nsrun: Nsrun,
    bundle: Bundle,
    altered: Callable[[str], None],
    removed: str,
    no_new_privileges: bool,
    gained: set[str],
) -> None:
    """It is seized from its first moment on, before it is the program."""
    process = bundle.spec["process"]
    process["noNewPrivileges"] = no_new_privileges
    interpreter = with_the_seizer(nsrun, bundle)
    process["oomScoreAdj"] = 500
    process["rlimits"] = [{"type": f"RLIMIT_{name}", "soft": 50, "hard": 60} for name in ("NOFILE", "NPROC")]
    held = process["capabilities"]["bounding"]
    bundle.spec["linux"]["seccomp"] = seccomp_policy.default_policy(held, user_namespace=True)  # it takes descriptors
    nsrun.detach(bundle.sh(f"exec {interpreter} -IS /seizer.py {HOST} 2>/tmp/errors"))
    waiting.until("it watches", (bundle.rootfs / "tmp" / "watches").exists)
    altered(SEEN + removed)
    environment = {**os.environ, "ONLY_ON_THE_HOST": "a secret"}
    done = nsrun("exec", bundle.id, "/bin/cat", "/proc/self/limits", env=environment, rc=None)
    found = bundle.rootfs / "tmp" / "found"
    errors = (bundle.rootfs / "tmp" / "errors").read_text()
    assert bool(re.search(r"^Max processes +50 +60 ", done.stdout, re.M)) is (removed != UNLIMITED), (done, errors)
    assert set(json.loads(found.read_text())) == gained
    nsrun("delete", "--force", bundle.id)


@GUARDED
def test_who_is_at_the_other_end_of_its_output_is_not_taken_over(
    nsrun: Nsrun, bundle: Bundle, altered: Callable[[str], None], tmp_path: Path, guarded: bool
) -> None:
    """As under systemd, where that is a socket of the journal."""
    interpreter = with_the_seizer(nsrun, bundle)
    held = bundle.spec["process"]["capabilities"]["bounding"]
    bundle.spec["linux"]["seccomp"] = seccomp_policy.default_policy(held, user_namespace=not guarded)
    bundle.spec["process"]["args"] = [interpreter, "-IS", "/seizer.py", str(HOST), "output"]
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.write(), bundle.id]
    with socket.socket(socket.AF_UNIX) as journal, socket.socket(socket.AF_UNIX) as output:
        journal.bind(str(tmp_path / "journal"))
        journal.listen()
        output.connect(str(tmp_path / "journal"))
        reader, _address = journal.accept()
        here = os.open("/", os.O_PATH)
        with reader:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, check=True)
            os.close(here)
            assert reader.recv(100) == (b"held" if guarded or not peers_are_told() else b"escaped")


# What the root of a user namespace with CAP_SYS_ADMIN does to the mounts that it was given.

IN_ITS_OWN_NAMESPACE = (
    "from barekernel._runtime.process import mounting\nmounting.begin = lambda spec, root_tree: None\n"
    "from barekernel._kernel import mount\n"
)
#: What it tries, and what the kernel says of it; where nothing guards, the script ends with "escaped".
ATTACKS = {
    "a device of the image": ("", "ermission denied"),
    "a device of the image after a remount": ("mount -o remount,bind,dev / && ", "ermission denied"),
    "a read-only bind": ("mount -o remount,bind,rw /data && : > /data/new && ", "ermission denied"),
    "a read-only root": ("mount -o remount,bind,rw / && : > /new && ", "ermission denied"),
    "a read-only path": ("mount -o remount,bind,rw /fixed && : > /fixed/new && ", "ermission denied"),
    "a masked file": ("umount /proc/interrupts && grep -q . /proc/interrupts && ", "Invalid argument"),
    "a masked directory": ("umount /masked && [ -e /masked/secret ] && ", "Invalid argument"),
    "a mask that is moved away": ("mount --move /masked /tmp && [ -e /masked/secret ] && ", "Invalid argument"),
    "a tmpfs on procfs": ("umount /proc/tty && [ -e /proc/tty/drivers ] && ", "Invalid argument"),
    "the whole procfs": ("umount -l /proc && [ ! -e /proc/self ] && ", "Invalid argument"),
    "a procfs without masks": ("mount -t proc proc /tmp && grep -q . /tmp/interrupts && ", "ermitted|denied"),
    "a bind of what is above a mask": ("mount --bind /proc /tmp && grep -q . /tmp/interrupts && ", "Invalid argument"),
    "a mount namespace of its own": ("unshare -m umount /proc/interrupts && ", "Invalid argument"),
}


def may_mount(bundle: Bundle) -> None:
    """Its root may do what a user namespace allows at most: cap_add SYS_ADMIN and MKNOD."""
    for name in ("effective", "permitted", "bounding"):
        bundle.spec["process"]["capabilities"][name] += ["CAP_SYS_ADMIN", "CAP_MKNOD"]
    held = bundle.spec["process"]["capabilities"]["bounding"]
    bundle.spec["linux"]["seccomp"] = defaults.default_policy(held)


@pytest.fixture
def given(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A container with something of each kind to attack."""
    tmp_path.chmod(0o777)
    may_mount(bundle)
    os.mknod(bundle.rootfs / "node", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    (bundle.rootfs / "masked").mkdir()
    (bundle.rootfs / "masked" / "secret").touch()
    (bundle.rootfs / "fixed").mkdir()
    bundle.user_namespace()
    bundle.spec["linux"]["maskedPaths"].append("/masked")
    bundle.spec["linux"]["readonlyPaths"].append("/fixed")
    bundle.spec["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(tmp_path), "options": ["bind", "ro"]},
        {"destination": "/proc/tty", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
    ]
    bundle.spec["process"]["env"] = ["PATH=/bin"]
    for name in ("grep", "head"):
        (bundle.rootfs / "bin" / name).symlink_to("busybox")
    return bundle


@pytest.mark.parametrize("attack", ATTACKS)
@GUARDED
def test_the_root_of_a_user_namespace_cannot_undo_its_mounts(
    nsrun: Nsrun, given: Bundle, altered: Callable[[str], None], guarded: bool, attack: str
) -> None:
    script, said = ATTACKS[attack]
    if "device" in attack:
        script += "[ $(head -c 3 /node | busybox wc -c) = 3 ] && "
    given.spec["root"]["readonly"] = "root" in attack
    for name in ("dev", "proc", "sys", "data"):
        (given.rootfs / name).mkdir(exist_ok=True)
    if not guarded:
        remounted = "" if "remount" in script else "mount.MOUNT_ATTR_NODEV = 0\n"
        altered(IN_ITS_OWN_NAMESPACE + remounted)
    done = nsrun("run", "--bundle", given.sh(f"{script} echo escaped").write(), given.id, rc=None)
    assert done.stdout.endswith("escaped\n") is not guarded, (done.stdout, done.stderr)
    assert not guarded or re.search(said, done.stderr), done.stderr


# Devices where nothing but the cgroup's program stands between the container and the host.


@pytest.fixture
def minor() -> int:
    """Of a device that opens without doing anything, and that no container has: tun, fuse or loop-control."""
    lines = [line.split() for line in Path("/proc/misc").read_text().splitlines()]
    numbers = {name: int(number) for number, name in lines}
    return next(numbers[name] for name in ("tun", "fuse", "loop-control") if name in numbers)


@GUARDED
def test_a_device_node_that_the_container_makes_does_not_open(
    nsrun: Nsrun, bundle: Bundle, altered: Callable[[str], None], minor: int, guarded: bool
) -> None:
    """CAP_MKNOD without a user namespace: with cgroup v1 the device controller stood there."""
    may_mount(bundle)
    if not guarded:
        altered("from barekernel._kernel import cgroup_devices\ncgroup_devices.restrict = lambda cgroup, code: None\n")
    script = f"/bin/busybox mknod /dev/made c 10 {minor} && : < /dev/made && echo escaped"
    done = nsrun("run", "--bundle", bundle.sh(script).write(), bundle.id, rc=None)
    assert (done.stdout == "escaped\n") is not guarded, done.stderr
    assert not guarded or "/dev/made: Operation not permitted" in done.stderr


def test_a_process_that_joins_is_held_to_the_same_devices(nsrun: Nsrun, bundle: Bundle, minor: int) -> None:
    may_mount(bundle)
    nsrun.detach(bundle.sh("exec sleep 1000"))
    script = f"/bin/busybox mknod /dev/made c 10 {minor} && : < /dev/null && : < /dev/made"
    done = nsrun("exec", bundle.id, "/bin/sh", "-c", script, rc=None)
    assert "/dev/made: Operation not permitted" in done.stderr and "null" not in done.stderr
    nsrun("delete", "--force", bundle.id)


@USERS
def test_devices_that_are_given_open(nsrun: Nsrun, bundle: Bundle, minor: int, user: bool) -> None:
    """By linux.devices, by a bind mount of the node, and by rules; and rules take them away again."""
    source = bundle.directory / "node"
    os.mknod(source, stat.S_IFCHR | 0o666, os.makedev(10, minor))
    source.chmod(0o666)
    if user:
        bundle.user_namespace()
    node = {"path": "/dev/given", "type": "c", "major": 10, "minor": minor}
    bound = {"destination": "/dev/given", "type": "bind", "source": str(source), "options": ["bind"]}
    rule = {"allow": True, "type": "c", "major": 10, "minor": minor, "access": "r"}
    linux, mounts = bundle.spec["linux"], bundle.spec["mounts"]
    for devices, more, rules, opened in (
        ([node], [], [], True),
        ([], [bound], [], True),
        ([node], [], [{"allow": False}], False),
        ([node], [], [{"allow": False}, rule], True),
        ([], [bound], [rule, {**rule, "allow": False}], False),
    ):
        if user and devices:
            continue  # in a user namespace only the host's own of the same path can be given
        linux.update(devices=devices, resources={"devices": rules})
        bundle.spec["mounts"] = [*mounts, *more]
        script = ": < /dev/given && echo opened"
        done = nsrun("run", "--bundle", bundle.sh(script).write(), bundle.id, rc=None)
        assert (done.stdout == "opened\n") is opened, (devices, more, rules, done.stderr)
