# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runc command line: create, start, state, kill, delete, exec, pause, list, hooks, terminals."""

from __future__ import annotations

import array
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import capabilities, cgroup
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import find_hierarchy
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import defaults
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.command import cli, commands, usage

from tests import waiting

from .nsrun import Bundle, Nsrun, bundle, nsrun, program, run

__all__ = ["bundle", "nsrun", "program"]

USERS = pytest.mark.parametrize("user", [False, True], ids=["host-user", "user-namespace"])


@pytest.fixture
def sleeping(nsrun: Nsrun, bundle: Bundle) -> Iterator[str]:
    """A running container that leaves quietly on SIGTERM (a PID 1 without the trap would not notice it); its id."""
    nsrun.detach(bundle.sh("trap 'exit 3' TERM; echo > /tmp/trap; while :; do sleep 0.05; done"))
    waiting.until("the trap", (bundle.rootfs / "tmp" / "trap").exists)
    yield bundle.id
    nsrun("delete", "--force", bundle.id)


def ended(pid: int) -> None:
    """Wait for a process that is not our child (PID 1 of the isolated host reaps it)."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([pidfd], [], [], waiting.PATIENCE)[0], f"{pid} did not end"
    finally:
        os.close(pidfd)


@USERS
def test_create_then_start(nsrun: Nsrun, bundle: Bundle, tmp_path: Path, user: bool) -> None:
    pid_file = tmp_path / "pid"
    if user:
        bundle.user_namespace()
    bundle.sh("echo ran > /tmp/proof; exec sleep 100")
    null = subprocess.DEVNULL
    command = [
        nsrun.program,
        "--root",
        str(nsrun.root),
        "create",
        "--bundle",
        bundle.write(),
        "--pid-file",
        str(pid_file),
    ]
    subprocess.run([*command, bundle.id], check=True, stdin=null, stdout=null, stderr=null)
    state = nsrun.state(bundle.id)
    assert {k: state[k] for k in ("ociVersion", "id", "status", "bundle")} == {
        "ociVersion": "1.2.0",
        "id": bundle.id,
        "status": "created",
        "bundle": str(bundle.directory),
    }
    assert pid_file.read_text() == str(state["pid"])
    assert not (bundle.rootfs / "tmp" / "proof").exists()
    nsrun("start", bundle.id)
    assert nsrun.state(bundle.id)["status"] == "running"
    assert nsrun("start", bundle.id, rc=1).stderr == f"nsrun: container '{bundle.id}' is running, not created\n"
    assert "running" in nsrun("delete", bundle.id, rc=1).stderr
    proof = bundle.rootfs / "tmp" / "proof"
    assert waiting.until("its output", lambda: proof.exists() and proof.read_text()) == "ran\n"
    nsrun("kill", bundle.id, "KILL")
    ended(state["pid"])
    assert nsrun.state(bundle.id)["status"] == "stopped" and "pid" not in nsrun.state(bundle.id)
    assert nsrun("kill", bundle.id, rc=1).stderr == f"nsrun: container '{bundle.id}' is not running\n"
    nsrun("delete", bundle.id)


def test_one_that_was_never_started_is_deleted(nsrun: Nsrun, bundle: Bundle) -> None:
    null = subprocess.DEVNULL
    command = [nsrun.program, "--root", str(nsrun.root), "create", "--bundle", bundle.write(), bundle.id]
    subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null)
    nsrun("delete", bundle.id)
    assert "does not exist" in nsrun("state", bundle.id, rc=1).stderr


def test_a_program_that_cannot_be_run_fails_start(nsrun: Nsrun, bundle: Bundle) -> None:
    (bundle.rootfs / "bad").write_bytes(b"\0not a program")
    (bundle.rootfs / "bad").chmod(0o755)
    bundle.spec["process"]["args"] = ["/bad"]
    null = subprocess.DEVNULL
    command = [nsrun.program, "--root", str(nsrun.root), "create", "--bundle", bundle.write(), bundle.id]
    subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null)
    assert "it is not a program for this machine" in nsrun("start", bundle.id, rc=1).stderr
    nsrun("delete", bundle.id)


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)])
def test_the_exit_status_is_the_programs(nsrun: Nsrun, bundle: Bundle, script: str, status: int) -> None:
    """In a child shell: init itself cannot be killed from inside its PID namespace."""
    run(nsrun, bundle.sh(f"/bin/sh -c '{script}'; exit $?"), rc=status)


def test_signals_are_handed_on(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.sh("trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    command = [nsrun.program, "--root", str(nsrun.root), "run", "--bundle", bundle.write(), bundle.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.read() == "got\n"
    assert process.returncode == 9


def test_kill_by_name_and_number_and_all(nsrun: Nsrun, sleeping: str) -> None:
    pid = nsrun.state(sleeping)["pid"]
    assert "is not a signal" in nsrun("kill", sleeping, "SIGNO", rc=1).stderr
    nsrun("kill", sleeping, "15")
    ended(pid)


def test_kill_all(nsrun: Nsrun, sleeping: str) -> None:
    pid = nsrun.state(sleeping)["pid"]
    nsrun("kill", "--all", sleeping, "SIGKILL")
    ended(pid)


def test_an_id_is_taken_once(nsrun: Nsrun, bundle: Bundle, sleeping: str) -> None:
    again = nsrun("run", "--bundle", str(bundle.directory), sleeping, rc=1)
    assert "already exists" in again.stderr
    assert nsrun.state(sleeping)["status"] == "running"


@pytest.fixture
def somebody(bundle: Bundle) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A cgroup of somebody else where the bundle's container would be, and a process in it."""
    path = f"{find_hierarchy().mount}{bundle.spec['linux']['cgroupsPath']}"
    os.makedirs(path)
    with subprocess.Popen(["sleep", "1000"]) as process:
        cgroup.attach(path, process.pid)
        yield path, process
        process.kill()
    cgroup.remove(path)
    cgroup.remove(os.path.dirname(path))


def test_a_cgroup_in_use_is_refused_and_left_alone(
    nsrun: Nsrun, bundle: Bundle, somebody: tuple[str, subprocess.Popen[bytes]]
) -> None:
    path, process = somebody
    done = nsrun("create", "--bundle", bundle.write(), bundle.id, rc=1)
    assert done.stderr == f"nsrun: cgroup {path} is in use by {process.pid} sleep\n"
    assert process.poll() is None and cgroup.processes(path) == (process.pid,)
    assert not nsrun.root.exists()


def test_the_same_id_under_another_root_leaves_the_first_container_alone(nsrun: Nsrun, bundle: Bundle) -> None:
    del bundle.spec["linux"]["cgroupsPath"]
    first = nsrun.detach(bundle.sh("exec sleep 1000"))
    other = Nsrun(nsrun.program, Path(f"{nsrun.root}-other"))
    assert "is in use by" in other("run", "--bundle", str(bundle.directory), bundle.id, rc=1).stderr
    assert nsrun.state(bundle.id) == first
    assert not other.root.exists()
    nsrun("delete", "--force", bundle.id)


@pytest.mark.parametrize("there", [False, True], ids=["made", "found"])
def test_a_create_that_fails_removes_the_cgroup_only_if_it_made_it(nsrun: Nsrun, bundle: Bundle, there: bool) -> None:
    path = f"{find_hierarchy().mount}{bundle.spec['linux']['cgroupsPath']}"
    if there:
        os.makedirs(path)
    bundle.spec["mounts"].append({"destination": "/x", "type": "nofs"})
    assert "nofs" in nsrun("create", "--bundle", bundle.write(), bundle.id, rc=1).stderr
    assert os.path.isdir(path) is there and os.path.isdir(os.path.dirname(path)) is there
    if there:
        cgroup.remove(os.path.dirname(path), recursive=True)


def test_maps_that_the_kernel_refuses_end_the_create(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.user_namespace()
    overlapping = [{"containerID": first, "hostID": 100000 + first * 2, "size": 10} for first in (0, 5)]
    bundle.spec["linux"]["uidMappings"] = overlapping
    done = nsrun("create", "--bundle", bundle.write(), bundle.id, rc=1)
    assert done.stderr.startswith("nsrun: linux.uidMappings: ") and "the kernel refused it" in done.stderr
    assert not nsrun.root.exists()
    assert not os.path.exists(f"{find_hierarchy().mount}{bundle.spec['linux']['cgroupsPath']}")


def test_limits_that_cannot_be_set_leave_no_cgroup(nsrun: Nsrun, bundle: Bundle) -> None:
    path = f"{find_hierarchy().mount}{bundle.spec['linux']['cgroupsPath']}"
    bundle.spec["linux"]["resources"] = {"unified": {"cgroup.max.depth": "many"}}
    assert "cgroup.max.depth" in nsrun("create", "--bundle", bundle.write(), bundle.id, rc=1).stderr
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("there", [False, True], ids=["made", "found"])
def test_what_a_killed_create_left_is_deleted_by_force(
    nsrun: Nsrun, bundle: Bundle, tmp_path: Path, there: bool
) -> None:
    """Killed in its hook, when everything but state.json is there."""
    path = f"{find_hierarchy().mount}{bundle.spec['linux']['cgroupsPath']}"
    if there:
        os.makedirs(path)
    reached = tmp_path / "reached"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo $PPID > {reached}; exec sleep 1000"]}
    bundle.spec["hooks"] = {"createRuntime": [hook]}
    command = [nsrun.program, "--root", str(nsrun.root), "create", "--bundle", bundle.write(), bundle.id]
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True) as process:
        waiting.until("the hook", lambda: reached.exists() and reached.read_text())
        os.killpg(process.pid, signal.SIGKILL)
    nsrun("delete", "--force", bundle.id)
    assert os.path.isdir(path) is there and not nsrun.root.exists()
    if there:
        waiting.until("its init ends", lambda: not cgroup.processes(path))
        cgroup.remove(os.path.dirname(path), recursive=True)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "ä"])
def test_bad_ids(nsrun: Nsrun, bundle: Bundle, name: str) -> None:
    assert "id: " in nsrun("run", "--bundle", bundle.write(), name, rc=1).stderr


def test_pause_and_resume(nsrun: Nsrun, sleeping: str) -> None:
    nsrun("pause", sleeping)
    assert nsrun.state(sleeping)["status"] == "paused"
    assert "paused" in nsrun("exec", sleeping, "/bin/true", rc=1).stderr
    nsrun("resume", sleeping)
    assert nsrun.state(sleeping)["status"] == "running"


def test_list_and_ps(nsrun: Nsrun, sleeping: str) -> None:
    listed = json.loads(nsrun("list", "--format", "json").stdout)
    assert [(c["id"], c["status"]) for c in listed] == [(sleeping, "running")]
    assert nsrun("list", "-q").stdout.split() == [sleeping]
    assert nsrun.state(sleeping)["pid"] in json.loads(nsrun("ps", "--format", "json", sleeping).stdout)


def test_state_does_not_believe_a_pid_that_is_used_again(nsrun: Nsrun, sleeping: str) -> None:
    path = nsrun.root / sleeping / "state.json"
    record = json.loads(path.read_text())
    try:
        path.write_text(json.dumps({**record, "pid": os.getpid()}))
        assert nsrun.state(sleeping)["status"] == "stopped"
        assert "is not running" in nsrun("kill", sleeping, "KILL", rc=1).stderr
    finally:
        path.write_text(json.dumps(record))


# exec


@USERS
def test_exec_joins_everything(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    if user:
        bundle.user_namespace()
    nsrun.detach(bundle.namespace("time").sh("exec sleep 100"))
    show = "for n in pid net ipc uts mnt cgroup user time; do /bin/busybox readlink /proc/$P/ns/$n; done"
    script = f"P=1; {show}; P=self; {show}; /bin/cat /proc/self/cgroup /proc/self/status"
    output = nsrun("exec", bundle.id, "/bin/sh", "-c", script).stdout
    links = [line for line in output.splitlines() if ":[" in line]
    assert len(links) == 16 and links[:8] == links[8:]
    assert "0::/\n" in output
    fields = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == capabilities.mask(defaults.CAPABILITIES)
    nsrun("delete", "--force", bundle.id)


def test_exec_status_output_and_input(nsrun: Nsrun, sleeping: str) -> None:
    done = nsrun("exec", sleeping, "/bin/sh", "-c", "cat; echo err >&2; exit 5", stdin=b"in", rc=5)
    assert (done.stdout, done.stderr) == ("in", "err\n")
    assert nsrun("exec", sleeping, "/bin/sh", "-c", "kill -9 $$", rc=137)
    assert nsrun("exec", sleeping, "/no/such", rc=127).stderr.startswith("nsrun: process.args: '/no/such'")
    assert nsrun("exec", sleeping, "missing", rc=127)
    assert nsrun("exec", "--cwd", "/none", sleeping, "/bin/true", rc=126)


def test_exec_options(nsrun: Nsrun, sleeping: str) -> None:
    words = ["--user", "7:8", "--additional-gids", "9", "--env", "A=1", "-e", "B=2", "--cwd", "/tmp"]
    script = "/bin/busybox id -u; /bin/busybox id -G; echo $A$B; /bin/busybox pwd"
    done = nsrun("exec", *words, sleeping, "/bin/sh", "-c", script)
    assert done.stdout.splitlines() == ["7", "8 9", "12", "/tmp"]


def test_exec_by_a_process_file(nsrun: Nsrun, sleeping: str, tmp_path: Path) -> None:
    wanted = {"args": ["/bin/sh", "-c", "echo $X; ulimit -n"], "env": ["X=y"], "cwd": "/"}
    wanted["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 77}]  # type: ignore[assignment]
    (tmp_path / "p.json").write_text(json.dumps(wanted))
    assert nsrun("exec", "--process", str(tmp_path / "p.json"), sleeping).stdout.split() == ["y", "77"]


def test_exec_detached_with_a_pid_file(nsrun: Nsrun, sleeping: str, tmp_path: Path) -> None:
    null = subprocess.DEVNULL
    command = [nsrun.program, "--root", str(nsrun.root), "exec", "--detach", "--pid-file", str(tmp_path / "pid")]
    subprocess.run([*command, sleeping, "/bin/sleep", "100"], check=True, stdin=null, stdout=null, stderr=null)
    pid = int((tmp_path / "pid").read_text())
    waiting.until_it_is(pid, "/bin/sleep", "100")
    os.kill(pid, signal.SIGKILL)
    ended(pid)


def test_while_it_joins_nobody_inside_may_look_into_it(nsrun: Nsrun, bundle: Bundle) -> None:
    """CVE-2016-9962: a container with CAP_SYS_PTRACE watches for processes that appear and opens what they hold."""
    for name in ("effective", "permitted", "bounding"):
        bundle.spec["process"]["capabilities"][name].append("CAP_SYS_PTRACE")
    bundle.user_namespace()
    watch = "while :; do for p in /proc/[0-9]*; do /bin/busybox readlink $p/exe; done; echo > /tmp/watches; done"
    nsrun.detach(bundle.sh(f"({watch}) 2>/dev/null | /bin/busybox grep -m1 python > /tmp/found"))
    waiting.until("a first look", (bundle.rootfs / "tmp" / "watches").exists)
    for _turn in range(20):
        nsrun("exec", bundle.id, "/bin/true")
    nsrun("delete", "--force", bundle.id)
    assert (bundle.rootfs / "tmp" / "found").read_text() == ""


# hooks


@USERS
def test_hooks_run_in_order_with_the_state(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    log = bundle.directory / "log"
    log.touch()
    log.chmod(0o666)
    status = '/usr/bin/busybox sed \'s/.*"status": "\\([a-z]*\\)".*/\\1/\''
    script = f"echo $1 $({status}) >> {log}"

    def hook(kind: str) -> list[dict[str, object]]:
        return [{"path": "/bin/sh", "args": ["sh", "-c", script, "sh", kind], "timeout": 10}]

    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    bundle.spec["hooks"] = {kind: hook(kind) for kind in kinds}
    inside = [{"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer > /tmp/hook"]}]
    bundle.spec["hooks"]["startContainer"] = inside
    if user:
        bundle.user_namespace()
    run(nsrun, bundle.sh("/bin/cat /tmp/hook"))
    assert [line.split() for line in log.read_text().splitlines()] == [
        ["prestart", "creating"],
        ["createRuntime", "creating"],
        ["createContainer", "creating"],
        ["poststart", "running"],
        ["poststop", "stopped"],
    ]
    assert (bundle.rootfs / "tmp" / "hook").read_text() == "startContainer\n"


@USERS
@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
def test_a_hook_that_fails_stops_the_creation(nsrun: Nsrun, bundle: Bundle, kind: str, user: bool) -> None:
    failing = {"path": "/bin/sh", "args": ["sh", "-c", "echo no good >&2; exit 4"]}
    bundle.spec["hooks"] = {kind: [failing]}
    if user:
        bundle.user_namespace()
    done = nsrun("run", "--bundle", bundle.sh("echo ran").write(), bundle.id, rc=1)
    assert (done.stdout, done.stderr) == ("", f"nsrun: hooks.{kind}: /bin/sh: exited with 4: no good\n")


@USERS
def test_a_create_container_hook_is_in_the_namespaces_of_the_container(
    nsrun: Nsrun, bundle: Bundle, user: bool
) -> None:
    """config.md: executed in the container namespace, its path found in the runtime's, before pivot_root."""
    told = bundle.directory / "told"
    told.touch()
    told.chmod(0o666)
    kinds = "pid net ipc uts cgroup user"
    show = f"for n in {kinds}; do /usr/bin/busybox readlink /proc/self/ns/$n; done"
    mounted = f"/usr/bin/busybox grep -c {bundle.rootfs}/proc /proc/self/mountinfo"
    script = f"({show}; /usr/bin/busybox id -u; {mounted}) > {told}"
    bundle.spec["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    if user:
        bundle.user_namespace()
    inside = run(nsrun, bundle.sh(show.replace("/usr", ""))).split()
    assert told.read_text().split() == [*inside, "0", "1"]


# the command line


def test_every_command_has_help_that_names_its_options(nsrun: Nsrun, bundle: Bundle) -> None:
    """And takes what it names; help for another is not meant."""
    assert set(usage.TEXTS) == set(cli.COMMANDS)
    for name in cli.COMMANDS:
        said = nsrun(name, "--help").stdout
        assert said.startswith(f"usage: nsrun {name}"), said
        for short, option, value in re.findall(r"^ *(-\w)?,? *--([\w-]+)( [A-Z]+)?", said, re.MULTILINE):
            for word in filter(None, (short, f"--{option}")):
                given = nsrun(name, word, *(["0"] if value else []), *["a"] * 9, rc=None)
                assert "is not known" not in given.stderr and "needs a value" not in given.stderr, (name, word)
    assert nsrun("state", "x", "--help").stdout.startswith("usage: nsrun state")
    for table, name in ((commands._CREATE, "create"), (commands._RUN, "run"), (commands._EXEC, "exec")):
        assert all(f"--{option} " in usage.of_command(name) for option in table)
    nsrun.detach(bundle.sh("exec sleep 1000"))
    assert nsrun("exec", bundle.id, "/bin/echo", "--help", "-h").stdout == "--help -h\n"
    nsrun("delete", "--force", bundle.id)


def test_exec_needs_a_command(nsrun: Nsrun, bundle: Bundle) -> None:
    """Without one a second copy of the service would run."""
    nsrun.detach(bundle.sh("echo ran >> /tmp/ran; exec sleep 1000"))
    ran = bundle.rootfs / "tmp" / "ran"
    waiting.until("it ran", lambda: ran.exists() and ran.read_text())
    assert "exec needs a command after the container's id" in nsrun("exec", bundle.id, rc=64).stderr
    assert ran.read_text() == "ran\n"
    nsrun("delete", "--force", bundle.id)


def test_short_flags_in_one_word(nsrun: Nsrun, sleeping: str) -> None:
    say = ["/bin/sh", "-c", "[ -t 0 ]; echo $? $(id -u)"]
    assert nsrun("exec", "-it", sleeping, *say, stdin=b"").stdout == "0 0\r\n"
    assert nsrun("exec", "-itu", "7:8", sleeping, *say, stdin=b"").stdout == "0 7\r\n"
    for wrong in ("-ix", "-ui", "-"):
        assert nsrun("exec", wrong, sleeping, *say, rc=None).returncode != 0


PASSWD = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n"
GROUPS = "root:x:0:\nwww:x:44:\nmore:x:50:web,other\n"


@USERS
def test_exec_as_a_user_of_the_containers_own_files(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    etc = bundle.rootfs / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUPS)
    if user:
        bundle.user_namespace()
    bundle.spec["process"]["user"] = {"uid": 33, "gid": 33}
    for name in ("effective", "permitted"):
        bundle.spec["process"]["capabilities"][name] = []
    nsrun.detach(bundle.sh("exec sleep 1000"))
    who = ["/bin/sh", "-c", "echo $(id -u) $(id -G) $(/bin/busybox grep CapEff /proc/self/status)"]
    bounding = capabilities.mask(defaults.CAPABILITIES)
    for given, expected, held in (
        ("nobody", "65534 65533", 0),
        ("web", "33 33 50", 0),
        ("web:www", "33 44", 0),
        ("33", "33 0", 0),
        ("root", "0 0", bounding),
    ):
        assert nsrun("exec", "--user", given, bundle.id, *who).stdout == f"{expected} CapEff: {held:016x}\n", given
    wrong = {"nobdy": "user nobdy is not in", "web:x": "group x is not in", "9" * 20 + ":a": "is no ID"}
    for given, says in wrong.items():
        assert says in nsrun("exec", "--user", given, bundle.id, *who, rc=64).stderr
    (etc / "passwd").unlink()
    os.mkfifo(etc / "passwd")
    assert "user nobody is not in" in nsrun("exec", "--user", "nobody", bundle.id, *who, rc=64).stderr
    nsrun("delete", "--force", bundle.id)


# terminals


def test_a_terminal_over_the_console_socket(nsrun: Nsrun, bundle: Bundle, tmp_path: Path) -> None:
    bundle.spec["process"].update(terminal=True, consoleSize={"height": 33, "width": 99})
    bundle.sh("/bin/busybox tty; /bin/busybox stty size; echo x > /dev/console; exec sleep 100")
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        nsrun("run", "--detach", "--bundle", bundle.write(), "--console-socket", path, bundle.id)
        connection, _address = listener.accept()
    with connection:
        _data, ancillary, _flags, _peer = connection.recvmsg(100, socket.CMSG_SPACE(4))
    master = array.array("i", ancillary[0][2])[0]
    seen = b""
    while seen.count(b"\n") < 3:
        seen += os.read(master, 1000)
    os.close(master)
    nsrun("delete", "--force", bundle.id)
    assert seen.replace(b"\r", b"").split(b"\n")[:3] == [b"/dev/pts/0", b"33 99", b"x"]


def test_a_terminal_in_the_foreground(nsrun: Nsrun, bundle: Bundle) -> None:
    bundle.spec["process"]["terminal"] = True
    assert run(nsrun, bundle.sh("/bin/busybox tty; exit 6"), rc=6) == "/dev/pts/0\r\n"


def test_exec_with_a_terminal(nsrun: Nsrun, sleeping: str) -> None:
    assert nsrun("exec", "--tty", sleeping, "/bin/busybox", "tty").stdout == "/dev/pts/0\r\n"


# the rest of the command line


def test_errors_go_to_the_log_too(nsrun: Nsrun, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [nsrun.program, "--root", str(nsrun.root), "--log", str(log), "--log-format", "json", "state", "none"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    entry = json.loads(log.read_text())
    assert entry["level"] == "error" and "'none' does not exist" in entry["msg"]


@pytest.mark.parametrize("words", [["fly"], ["state"], ["run", "--bundle"], ["run", "--what", "x"], ["exec"]])
def test_wrong_usage(nsrun: Nsrun, words: list[str]) -> None:
    assert nsrun(*words, rc=64).stderr.startswith("nsrun: ")


def test_a_runtime_killed_while_it_creates_leaves_what_delete_clears(nsrun: Nsrun, bundle: Bundle) -> None:
    (nsrun.root / bundle.id).mkdir(parents=True)
    (nsrun.root / bundle.id / "config.json").write_text("{")
    assert "does not exist" in nsrun("state", bundle.id, rc=1).stderr
    nsrun("delete", "--force", bundle.id)
    run(nsrun, bundle.sh("true"))


class Typist:
    """A terminal of the test's own, which nsrun has as standard input, output and error, and what is typed into it."""

    def __init__(self, nsrun: Nsrun, *words: str) -> None:
        self.master, self.terminal = pty.openpty()
        self.device = os.fstat(self.terminal).st_rdev
        command = [nsrun.program, "--root", str(nsrun.root), *words]
        fds = dict.fromkeys(("stdin", "stdout", "stderr"), self.terminal)
        self.running = subprocess.Popen(command, start_new_session=True, **fds)  # type: ignore[call-overload]
        self.said = b""

    def until(self, what: bytes) -> None:
        while what not in self.said:
            assert select.select([self.master], [], [], 60)[0], self.said
            self.said += os.read(self.master, 1000)

    def ends(self) -> int:
        """Its exit status; a terminal that is full would hold it, so what it says is read meanwhile."""
        while self.running.poll() is None:
            if select.select([self.master], [], [], 0.05)[0]:
                self.said += os.read(self.master, 1000)
        while select.select([self.master], [], [], 0)[0]:
            self.said += os.read(self.master, 1000)
        os.close(self.master)
        os.close(self.terminal)
        return self.running.returncode


def terminals_of(pid: int) -> list[int]:
    """What a process has open of character devices but /dev/null."""
    found = [os.stat(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    return [each.st_rdev for each in found if each.st_rdev not in (0, os.makedev(1, 3))]


@pytest.mark.parametrize("user", [False, True], ids=["root", "user"])
def test_what_stays_behind_has_not_the_callers_terminal(nsrun: Nsrun, bundle: Bundle, user: bool) -> None:
    """It could read what is typed there later. What is typed meanwhile, and what it says, comes through."""
    init = nsrun.detach(bundle.sh("exec sleep 1000"))["pid"]
    script = "sleep 1000 & read line; echo again >/dev/stdout; echo got $line; echo bad >&2; exit 3"
    typist = Typist(nsrun, "exec", *(["--user", "1000:1000"] if user else []), bundle.id, "/bin/sh", "-c", script)
    os.write(typist.master, b"hello\n")
    assert typist.ends() == 3
    assert b"got hello" in typist.said and b"bad" in typist.said and b"again" in typist.said
    [left] = [pid for pid in json.loads(nsrun("ps", "--format", "json", bundle.id).stdout) if pid != init]
    assert terminals_of(left) == []
    nsrun("delete", "--force", bundle.id)


def test_input_ends_with_the_terminals_and_signals_arrive(nsrun: Nsrun, sleeping: str) -> None:
    typist = Typist(
        nsrun, "exec", sleeping, "/bin/sh", "-c", "trap 'exit 7' INT; cat; echo end; while :; do sleep 0.05; done"
    )
    os.write(typist.master, b"line\n\x04")  # ^D
    typist.until(b"end")
    typist.running.send_signal(signal.SIGINT)
    assert typist.ends() == 7
    assert typist.said.count(b"line") == 2  # the terminal's echo, and cat's


@pytest.mark.parametrize("command", ["exec", "run", "create"])
def test_what_is_detached_has_not_the_callers_terminal(nsrun: Nsrun, bundle: Bundle, command: str) -> None:
    if command == "exec":
        nsrun.detach(bundle.sh("exec sleep 1000"))
        words = ["exec", "--detach", "--pid-file", f"{bundle.directory}/pid", bundle.id, "sleep", "1000"]
    else:
        detach = ["--detach"] if command == "run" else []
        bundle.sh("exec sleep 1000")
        words = [command, *detach, "--pid-file", f"{bundle.directory}/pid", "--bundle", bundle.write(), bundle.id]
    assert Typist(nsrun, *words).ends() == 0
    assert terminals_of(int((bundle.directory / "pid").read_text())) == []
    nsrun("delete", "--force", bundle.id)
