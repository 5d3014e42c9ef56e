# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container's process may and may not: capabilities, seccomp, limits, IDs, descriptors, environment."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import capabilities, idmap, libc, process
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import defaults, spec
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import execute, seal

from .nsrun import HOST_ID, Bundle, Nsrun, bundle, nsrun, program, run

__all__ = ["bundle", "nsrun", "program"]


def status(output: str) -> dict[str, str]:
    """/proc/self/status as a dictionary."""
    return {k: v.strip() for k, _colon, v in (line.partition(":") for line in output.splitlines())}


def test_root_has_the_declared_capabilities_and_no_more(nsrun: Nsrun, bundle: Bundle) -> None:
    seen = status(run(nsrun, bundle.sh("/bin/cat /proc/self/status")))
    wanted = capabilities.mask(defaults.CAPABILITIES)
    assert [int(seen[k], 16) for k in ("CapPrm", "CapEff", "CapBnd")] == [wanted] * 3
    assert [int(seen[k], 16) for k in ("CapInh", "CapAmb")] == [0, 0]
    assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")


def test_without_capabilities_nothing_is_kept(nsrun: Nsrun, bundle: Bundle) -> None:
    del bundle.spec["process"]["capabilities"]
    seen = status(run(nsrun, bundle.sh("/bin/cat /proc/self/status")))
    assert {seen[k] for k in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {"0000000000000000"}


def test_ambient_capabilities_reach_a_user(nsrun: Nsrun, bundle: Bundle) -> None:
    only = ["CAP_NET_BIND_SERVICE"]
    bundle.spec["process"]["capabilities"] = dict.fromkeys(capabilities.SETS, only)
    bundle.spec["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 1002], "umask": 0o027}
    seen = status(run(nsrun, bundle.sh("/bin/cat /proc/self/status")))
    assert {int(seen[k], 16) for k in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {capabilities.mask(only)}
    assert (seen["Uid"].split(), seen["Gid"].split()) == (["1000"] * 4, ["1001"] * 4)
    assert (seen["Groups"], seen["Umask"]) == ("5 1002", "0027")


def test_a_user_loses_them_by_exec(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    seen = status(run(nsrun, bundle.sh("/bin/cat /proc/self/status")))
    assert int(seen["CapEff"], 16) == 0


@pytest.mark.parametrize("user", [False, True], ids=["host-user", "user-namespace"])
def test_seccomp_denies_what_the_policy_does_not_allow(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    """The same calls work where the policy is taken away: it is seccomp that denies them."""
    script = "/bin/unshare -U /bin/true && echo made; /bin/mount -t tmpfs t /tmp && echo mounted"
    bundle.sh(f"{script}; true")
    if user:
        bundle.user_namespace()
    for name in ("effective", "permitted", "bounding"):
        bundle.spec["process"]["capabilities"][name].append("CAP_SYS_ADMIN")
    policy = bundle.spec["linux"].pop("seccomp")
    assert run(nsrun, bundle).split() == ["made", "mounted"]
    bundle.spec["linux"]["seccomp"] = policy  # made for a process without CAP_SYS_ADMIN
    done = nsrun("run", "--bundle", bundle.write(), bundle.id)
    assert done.stdout == ""
    assert "Operation not permitted" in done.stderr or "Function not implemented" in done.stderr


def test_seccomp_actions_and_arguments(nsrun: Nsrun, bundle: Bundle) -> None:
    """errnoRet, a comparison of an argument, and the killing of a process."""
    args = [{"index": 0, "value": 0o77, "op": "SCMP_CMP_EQ"}]
    bundle.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS", "args": args},
            {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        ],
    }
    bundle.sh("/bin/hostname x; umask 022; echo alive; (umask 077; echo never); echo $?")
    done = nsrun("run", "--bundle", bundle.write(), bundle.id)
    assert "No space left on device" in done.stderr
    assert done.stdout.split() == ["alive", "159"]  # 128 + SIGSYS


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_a_process_joins_under_a_policy_that_forbids_to_make_one(
    nsrun: Nsrun, bundle: Bundle, no_new_privileges: bool
) -> None:
    """It is loaded later then."""
    denied = {"names": ["clone", "clone3", "fork", "vfork"], "action": "SCMP_ACT_KILL_PROCESS"}
    bundle.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denied]}
    bundle.spec["process"]["noNewPrivileges"] = no_new_privileges
    nsrun.detach(bundle.sh("exec sleep 1000"))
    seen = status(nsrun("exec", bundle.id, "/bin/cat", "/proc/self/status").stdout)
    assert int(seen["CapPrm"], 16) == capabilities.mask(defaults.CAPABILITIES)
    assert (seen["NoNewPrivs"], seen["Seccomp"]) == (str(int(no_new_privileges)), "2")
    nsrun("exec", bundle.id, "/bin/sh", "-c", "(:); :", rc=159)  # 128 + SIGSYS
    nsrun("delete", "--force", bundle.id)


def test_a_process_joins_under_the_least_policy_that_lets_it(nsrun: Nsrun, bundle: Bundle) -> None:
    """What is done while the policy holds already is all in the list; whatever is not would end the process."""
    busybox = "arch_prctl set_tid_address rseq prlimit64 readlinkat readlink getrandom getuid fstat newfstatat wait4"
    names = ["clone", *execute._UNDER_THE_POLICY, *busybox.split(), "nanosleep", "clock_nanosleep"]
    rules = [{"names": names, "action": "SCMP_ACT_ALLOW"}]
    bundle.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules}
    bundle.spec["process"].update(args=["/bin/sleep", "1000"], noNewPrivileges=True)
    nsrun.detach(bundle)
    assert nsrun("exec", bundle.id, "/bin/echo", "ran").stdout == "ran\n"
    missing = nsrun("exec", bundle.id, "/bin/none", rc=127)
    assert "process.args: '/bin/none': No such file" in missing.stderr
    nsrun("delete", "--force", bundle.id)


def test_the_default_policy_has_an_opinion_on_every_call(nsrun: Nsrun, bundle: Bundle) -> None:
    """Ordinary work goes on under it: files, processes, pipes, sockets."""
    work = "echo a > /tmp/x; busybox cp /tmp/x /tmp/y; busybox chown 1:1 /tmp/y; busybox cat /tmp/y | busybox wc -l"
    ask = "until echo hi | busybox nc 127.0.0.1 7 2>/tmp/refused; do sleep 0.1; done"
    net = f"busybox nc -l -p 7 127.0.0.1 & {ask}; wait"
    assert run(nsrun, bundle.sh(f"export PATH=/bin; {work}; {net}")).split() == ["1", "hi"]


_BASE, _HEADERS = 0x400000, 120
#: socket(2) with a type that does not exist: whoever reaches the kernel is told EINVAL, whatever the family.
_NO_TYPE = 0x100000


def calling(calls: Sequence[tuple[int, ...]], int80: bool = False) -> bytes:
    """A program (x86_64 ELF, elf(5)) that makes these calls and writes a byte for each: its errno, 0 for success.

    int80: by the entry of 32-bit programs; each call's last three arguments then lie in memory, and their address is
    its second one, as for socketcall(2).
    """
    code = b""
    after = bytes.fromhex("85c07904f7d8eb0231c0 50 4889e6 ba01000000 bf01000000 b801000000 0f05 58")
    size = (5 * 3 + 2 if int80 else 10 * 4 + 2) + len(after)
    data = _BASE + _HEADERS + size * len(calls) + 9
    for index, (number, *arguments) in enumerate(calls):
        if int80:
            code += b"\xb8" + struct.pack("<I", number) + b"\xbb" + struct.pack("<I", arguments[0])
            code += b"\xb9" + struct.pack("<I", data + 12 * index) + b"\xcd\x80"
        else:
            registers = zip((b"\x48\xb8", b"\x48\xbf", b"\x48\xbe", b"\x48\xba"), (number, *arguments))
            code += b"".join(move + struct.pack("<Q", value) for move, value in registers) + b"\x0f\x05"
        code += after
    code += bytes.fromhex("b83c000000 31ff 0f05")
    code += b"".join(struct.pack("<III", *call[2:]) for call in calls) if int80 else b""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    whole = _HEADERS + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, whole, whole, 4096) + code


def errors(nsrun: Nsrun, bundle: Bundle, program: bytes) -> list[int]:
    (bundle.rootfs / "bin" / "calls").write_bytes(program)
    (bundle.rootfs / "bin" / "calls").chmod(0o755)
    bundle.spec["process"]["args"] = ["/bin/calls"]
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.write(), bundle.id]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(done.stdout)


on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program is x86_64 machine code")


@on_x86_64
@pytest.mark.parametrize("cut_off", [0, 1 << 32], ids=["plain", "with-bits-that-the-kernel-cuts-off"])
def test_families_of_sockets(nsrun: Nsrun, bundle: Bundle, cut_off: int) -> None:
    """AF_ALG (38) and AF_VSOCK (40) among those denied; a filter sees 64 bits of the family, the kernel 32."""
    told = errors(nsrun, bundle, calling([(41, family | cut_off, _NO_TYPE, 0) for family in range(60)]))
    denied = range(60) if cut_off else (12, 19, 20, 23, 25, 34, 37, 38, 40, *range(46, 60))
    assert [family for family, error in enumerate(told) if error != errno.EINVAL] == list(denied)
    assert {told[family] for family in denied} == {errno.EAFNOSUPPORT}


@on_x86_64
def test_the_audit_netlink_is_denied_however_it_is_spelled(nsrun: Nsrun, bundle: Bundle) -> None:
    raw, audit = 3, 9
    calls = [(41, 16, raw, protocol) for protocol in (0, audit, audit | 1 << 32)] + [(41, 16 | 1 << 32, raw, audit)]
    assert errors(nsrun, bundle, calling(calls)) == [0, errno.EINVAL, errno.ENOSYS, errno.EAFNOSUPPORT]


@on_x86_64
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "guard-removed"])
def test_no_socket_by_the_way_of_32_bit_programs(nsrun: Nsrun, bundle: Bundle, guarded: bool) -> None:
    """socketcall(2): what family it is about lies in memory, where no filter looks. Their socket(2) is filtered."""
    if not guarded:
        rules = bundle.spec["linux"]["seccomp"]["syscalls"]
        allowing = [r for r in rules if "socket" not in r["names"][0] or r["action"] == "SCMP_ACT_ALLOW"]
        bundle.spec["linux"]["seccomp"]["syscalls"] = allowing
    calls = [(102, 1, family, _NO_TYPE, 0) for family in (2, 38, 40)]
    expected = errno.EPERM if guarded else errno.EINVAL
    assert errors(nsrun, bundle, calling(calls, int80=True)) == [expected] * 3
    direct = errors(nsrun, bundle, calling([(359, 38, 0, 0, 0)], int80=True))
    assert direct == [errno.EAFNOSUPPORT if guarded else errno.ENOSYS]


def test_rlimits(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["process"]["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]
    assert run(nsrun, bundle.sh("ulimit -n; ulimit -Hn; ulimit -c")).split() == ["123", "456", "0"]


def test_a_limit_that_the_host_does_not_allow_is_told_with_what_it_allows(nsrun: Nsrun, bundle: Bundle) -> None:
    """By a runtime without CAP_SYS_RESOURCE, below a hard limit."""
    bundle.spec["process"]["rlimits"] = [{"type": "RLIMIT_MEMLOCK", "soft": 1 << 20, "hard": (1 << 64) - 1}]
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.write(), bundle.id]
    shell = ["sh", "-c", 'ulimit -l 64; exec capsh --drop=cap_sys_resource -- -c \'exec "$@"\' sh "$@"', "sh"]
    done = subprocess.run([*shell, *command], capture_output=True, text=True, check=False)
    assert done.stderr == (
        "nsrun: process.rlimits: RLIMIT_MEMLOCK 1048576:unlimited: Operation not permitted; the hard limit here is "
        "65536, and only CAP_SYS_RESOURCE may raise it\n"
    )


@pytest.mark.parametrize("command", ["run", "exec"])
def test_a_capability_that_the_host_does_not_have_is_named(nsrun: Nsrun, bundle: Bundle, command: str) -> None:
    for name in ("effective", "permitted", "bounding"):
        bundle.spec["process"]["capabilities"][name].append("CAP_WAKE_ALARM")
    words = ["run", "--bundle", bundle.sh("echo ran").write(), bundle.id]
    if command == "exec":
        nsrun.detach(bundle.sh("exec sleep 1000"))
        words = ["exec", bundle.id, "/bin/echo", "ran"]
    drop = ["capsh", "--drop=cap_wake_alarm", "--", "-c", 'exec "$@"', "sh"]
    program = [*drop, nsrun.program, "--root", str(nsrun.root), *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.stdout == "" and "capset CAP_WAKE_ALARM: Operation not permitted (EPERM). The process" in done.stderr
    nsrun("delete", "--force", bundle.id, rc=None)


def test_oom_score(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["process"]["oomScoreAdj"] = 321
    assert run(nsrun, bundle.sh("/bin/cat /proc/self/oom_score_adj")).strip() == "321"


def test_only_the_declared_environment_arrives(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["process"]["env"] = ["PATH=/bin", "A=b=c", "EMPTY="]
    bundle.spec["process"]["args"] = ["/bin/busybox", "env"]
    done = nsrun("run", "--bundle", bundle.write(), bundle.id, env={**os.environ, "SECRET": "host"})
    assert sorted(done.stdout.split()) == ["A=b=c", "EMPTY=", "HOME=/", "PATH=/bin"]


def test_no_descriptor_of_the_host_arrives(nsrun: Nsrun, bundle: Bundle) -> None:
    """Neither the runtime's own nor one that its caller leaked."""
    bundle.sh("/bin/ls /proc/self/fd | /bin/busybox tr '\\n' ' '")
    leaked = os.open("/", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.write(), bundle.id]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, close_fds=False)
    finally:
        os.close(leaked)
    assert done.stdout.split() == ["0", "1", "2", "3"]  # 3 is what ls itself opened


def test_a_cwd_through_a_leaked_descriptor_leads_nowhere(nsrun: Nsrun, bundle: Bundle) -> None:
    """CVE-2024-21626: /proc/self/fd/N of the runtime as working directory."""
    for number in range(3, 20):
        bundle.spec["process"]["cwd"] = f"/proc/self/fd/{number}"
        bundle.sh("/bin/ls ../../../.. ; echo escaped")
        done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=None)
        assert done.returncode != 0 and "escaped" not in done.stdout, f"descriptor {number}"


@contextlib.contextmanager
def ignoring(number: int) -> Iterator[None]:
    """Ignore a signal as the kernel sees it: glibc lets nobody set 32 and 33."""
    ignore = ctypes.create_string_buffer((1).to_bytes(8, "little"), 64)  # SIG_IGN in the kernel's struct sigaction
    before = ctypes.create_string_buffer(64)
    rt_sigaction = libc.number("rt_sigaction")
    libc.syscall("rt_sigaction", rt_sigaction, number, ignore, before, 8)
    try:
        yield
    finally:
        libc.syscall("rt_sigaction", rt_sigaction, number, before, None, 8)


@pytest.mark.parametrize("number", [signal.SIGHUP, 32, 64], ids=int)
def test_signals_have_their_default_actions(nsrun: Nsrun, bundle: Bundle, number: int) -> None:
    """Whatever was ignored before: exec would hand that on."""
    bundle.spec["process"]["args"] = ["/bin/cat", "/proc/self/status"]  # a shell would ignore some for itself
    with ignoring(number):
        seen = status(run(nsrun, bundle))
    assert (int(seen["SigIgn"], 16), int(seen["SigBlk"], 16)) == (0, 0)


def test_a_caller_that_ignores_the_end_of_children_does_not_hand_that_on(nsrun: Nsrun, bundle: Bundle) -> None:
    """The kernel would reap them at once, and their PIDs would be anybody's."""
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.sh("exit 3").write(), bundle.id]
    ignoring_it = [
        "python3",
        "-c",
        "import os, signal, sys; signal.signal(17, signal.SIG_IGN); os.execv(*sys.argv[1:2], sys.argv[1:])",
    ]
    assert subprocess.run([*ignoring_it, *command], check=False).returncode == 3


def test_the_session_keyring_is_not_the_hosts(nsrun: Nsrun, bundle: Bundle) -> None:
    """Asked with the host's own Python, as busybox knows no keys."""
    ask = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"  # KEYCTL_GET_KEYRING_ID of the session
    for name in ("usr", "lib", "lib64"):
        entry = {"destination": f"/{name}", "type": "bind", "source": f"/{name}", "options": ["rbind", "ro"]}
        bundle.spec["mounts"].append(entry)
    bundle.spec["process"]["args"] = ["/usr/bin/python3", "-c", ask]
    mine = subprocess.run(["/usr/bin/python3", "-c", ask], capture_output=True, text=True, check=True).stdout
    del bundle.spec["linux"]["seccomp"]  # it would refuse keyctl
    theirs = run(nsrun, bundle)
    assert int(mine) > 0 and int(theirs) > 0 and mine != theirs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"capabilities": {"bounding": ["CAP_FLY"]}}, "process.capabilities.bounding: 'CAP_FLY': is not a capability"),
        ({"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, "process.rlimits[0].type: 'RLIMIT_X': "),
        ({"rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}, "process.rlimits[0].soft: 2: is above"),
        ({"oomScoreAdj": 2000}, "process.oomScoreAdj: 2000: must be between -1000 and 1000"),
        ({"cwd": "relative"}, "process.cwd: 'relative': must be an absolute path"),
        ({"args": []}, "process.args: []: must name a program"),
        ({"args": ["/no/such"]}, "process.args: '/no/such': "),
        ({"args": ["x" * 70000]}, "process.args: 'xxx"),
        ({"args": ["nothing"]}, "process.args: 'nothing': no such program in PATH"),
        ({"args": ["/tmp"]}, "process.args: '/tmp': Permission denied"),
        ({"apparmorProfile": "x"}, "process.apparmorProfile: 'x': is not supported"),
        ({"selinuxLabel": "x"}, "process.selinuxLabel: 'x': is not supported"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_what_cannot_be_is_said_and_nothing_is_left(
    nsrun: Nsrun, bundle: Bundle, change: dict[str, Any], message: str
) -> None:
    bundle.spec["process"].update(change)
    done = nsrun("run", "--bundle", bundle.write(), bundle.id, rc=None)
    assert done.returncode in (1, 126, 127)
    assert done.stderr.startswith("nsrun: " + message)
    assert not nsrun.root.exists()


@pytest.mark.parametrize("mapped", [False, True], ids=["host-user", "user-namespace"])
def test_a_pipe_may_be_opened_again_by_the_containers_user(nsrun: Nsrun, bundle: Bundle, mapped: bool) -> None:
    if mapped:
        bundle.user_namespace()
    bundle.spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    bundle.sh("echo again > /dev/stdout; /bin/id -u")
    assert run(nsrun, bundle).split() == ["again", "1000"]


def test_what_is_no_pipe_stays_the_callers(nsrun: Nsrun, bundle: Bundle, tmp_path: Path) -> None:
    """A file, and a FIFO that has a name, as standard input, output and error."""
    bundle.spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    bundle.sh("echo said; echo failed >&2")
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("in", "out"):
        (tmp_path / name).write_text("")
    fds = [os.open(tmp_path / name, os.O_RDWR) for name in ("in", "out", "fifo")]
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.write(), bundle.id]
    try:
        subprocess.run(command, stdin=fds[0], stdout=fds[1], stderr=fds[2], check=True)
        assert [os.fstat(fd).st_uid for fd in fds] == [0, 0, 0]
        assert os.read(fds[2], 100) == b"failed\n"
    finally:
        for fd in fds:
            os.close(fd)
    assert (tmp_path / "out").read_text() == "said\n"


ATTACK = """
import os
fd = os.open("/proc/self/exe", os.O_PATH)
os.set_inheritable(fd, True)
os.execv("/bin/sh", ["sh", "-c", f'''
    while ! said=$( (echo overwritten > /proc/self/fd/{fd}) 2>&1 ); do
        case $said in *busy*) sleep 0.05 ;; *) break ;; esac
    done
    echo "done $said" > /tmp/said
'''])
"""


@pytest.mark.parametrize(
    ("guarded", "mapped"), [(True, False), (False, False), (True, True)], ids=["guarded", "guard-removed", "maps-root"]
)
def test_the_hosts_interpreter_cannot_be_overwritten(
    nsrun: Nsrun, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool, mapped: bool
) -> None:
    """CVE-2019-5736: an image whose program is /proc/self/exe, on an interpreter that is only a copy for this test.

    A user namespace that maps the host's root is no guard by itself.
    """
    if mapped:
        bundle.namespace("user")
        maps = [{"containerID": 0, "hostID": 0, "size": 65536}]
        bundle.spec["linux"]["uidMappings"] = bundle.spec["linux"]["gidMappings"] = maps
    interpreter = tmp_path / "python3"
    shutil.copy("/usr/bin/python3", interpreter)
    original = interpreter.read_bytes()
    text = Path(nsrun.program).read_text()
    guard = "" if guarded else "from barekernel._runtime.process import seal\nseal.ensure = lambda environment: None\n"
    lines = text.replace("import main\n", "import main\n" + guard).split("\n", 1)
    program_copy = tmp_path / "nsrun"
    program_copy.write_text(f"#!{interpreter} -IS\n{lines[1]}")
    program_copy.chmod(0o755)
    monkeypatch.setattr(nsrun, "program", str(program_copy))
    for name in ("usr", "lib", "lib64"):
        entry = {"destination": f"/{name}", "type": "bind", "source": f"/{name}", "options": ["rbind", "ro"]}
        bundle.spec["mounts"].append(entry)
    bundle.spec["process"]["args"] = ["/proc/self/exe", "-c", ATTACK]
    null = subprocess.DEVNULL
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--detach", "--bundle", bundle.write(), bundle.id]
    subprocess.run(command, stdin=null, stdout=null, stderr=null, check=True)
    said = bundle.rootfs / "tmp" / "said"
    deadline = time.monotonic() + 120
    while not (said.exists() and said.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    overwritten = interpreter.read_bytes() != original
    interpreter.unlink()
    interpreter.write_bytes(original)
    interpreter.chmod(0o755)
    nsrun("delete", "--force", bundle.id)
    assert overwritten is not guarded, said.read_text()
    assert ("Read-only file system" in said.read_text()) is guarded


def ids_of(bundle: Bundle) -> seal.Ids | None:
    return seal.ids_of(spec.load(bundle.write()))


def test_whose_user_namespace_is_a_guard(nsrun: Nsrun, bundle: Bundle) -> None:
    """One that maps neither the host's root nor the owner of the interpreter, whoever made it."""
    assert seal.needed(ids_of(bundle))
    far, near = idmap.user_namespace(HOST_ID, 65536), idmap.user_namespace(0, 65536)
    try:
        for fd, needed in ((far, False), (near, True)):
            assert seal.needed(ids_of(bundle.namespace("user", f"/proc/{os.getpid()}/fd/{fd}"))) is needed
        assert seal.needed(ids_of(bundle.namespace("user", "/run/no-namespace")))
        assert seal.needed(seal.Ids(((HOST_ID, 65536),), ((0, 1),)))  # its group
        assert not seal.needed(ids_of(bundle.user_namespace()))
        made = nsrun.detach(bundle.sh("exec sleep 1000"))["pid"]
        assert not seal.needed(seal.ids_of_process(made, process.start_time(made)))
        assert seal.needed(seal.ids_of_process(made, 1))
    finally:
        os.close(far)
        os.close(near)
        nsrun("delete", "--force", bundle.id, rc=None)


@pytest.mark.parametrize("way", ["_through_overlay", "_in_memory"])
def test_both_copies_of_the_interpreter_run_and_refuse_writing(way: str) -> None:
    path = os.path.realpath("/usr/bin/python3")
    fd = getattr(seal, way)(path)
    try:
        with pytest.raises(OSError, match="Read-only file system|Operation not permitted"):
            write_to(fd)
        command = [path, "-IS", "-c", "import json; print(json.dumps(1))"]
        done = subprocess.run(
            command, executable=f"/proc/self/fd/{fd}", pass_fds=(fd,), capture_output=True, check=True
        )
        assert done.stdout == b"1\n"
    finally:
        os.close(fd)


def write_to(fd: int) -> None:
    writable = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    try:
        os.write(writable, b"x")
    finally:
        os.close(writable)
