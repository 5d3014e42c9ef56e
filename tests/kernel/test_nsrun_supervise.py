# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared containers without systemd: supervisor, logs, restarts, stopping, and what a killed supervisor leaves."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup, process
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import find_hierarchy
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import clock
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import (
    control,
    launch,
    logs,
    record,
)

from tests import waiting

from .nsrun import HOST_ID, Bundle, forget_compiled, program

__all__ = ["program"]

NAME = "web"


class Declared:
    """A container as ns_container leaves it on disk."""

    def __init__(self, directory: Path, cgroup_path: str) -> None:
        self.directory = directory
        self.bundle = Bundle(directory / "bundle")
        self.lower = directory / "layer"
        shutil.move(self.bundle.rootfs, self.lower)
        for name in ("bundle/rootfs", "upper", "work", "log"):
            (directory / name).mkdir()
        self.bundle.spec["linux"]["cgroupsPath"] = None
        self.document: dict[str, Any] = {
            "version": 1,
            "id": NAME,
            "bundle": str(directory / "bundle"),
            "runtime": "nsrun",
            "rootfs": {
                "lowerdirs": [str(self.lower)],
                "upperdir": str(directory / "upper"),
                "workdir": str(directory / "work"),
                "idmap": None,
                "options": {},
            },
            "cgroup": cgroup_path,
            "files": {"cgroup.max.depth": "3"},
            "restart": {"policy": "no", "max_retries": 0, "delay_ms": 20, "max_delay_ms": 200},
            "stop": {"signal": "SIGTERM", "timeout": 60},
            "log": {"path": str(directory / "log" / "container.log"), "max_size": 100000, "max_files": 3},
        }

    @property
    def log(self) -> list[logs.Line]:
        return logs.tail(self.document["log"]["path"], 1000)

    def user_namespace(self) -> None:
        self.bundle.namespace("user")
        maps = [{"containerID": 0, "hostID": HOST_ID, "size": 65536}]
        self.bundle.spec["linux"]["uidMappings"] = self.bundle.spec["linux"]["gidMappings"] = maps
        self.document["rootfs"]["idmap"] = {"host_id": HOST_ID, "size": 65536}

    def write(self, script: str | None = None) -> None:
        if script is not None:
            self.bundle.sh(script)
        self.bundle.write()
        (self.directory / "launch.json").write_text(json.dumps(self.document))

    def start(self, script: str | None = None) -> control.Supervised:
        self.write(script)
        control.start(NAME)
        return control.observe(NAME)


@pytest.fixture
def declared(program: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declared]:
    monkeypatch.setattr(control, "NSRUN", program)
    directory = Path(launch.path_of(NAME)).parent
    directory.mkdir(parents=True)
    container = Declared(directory, f"{find_hierarchy().mount}/bktest-nsrun-{os.getpid()}/{NAME}")
    yield container
    container.write()
    control.clear(NAME)
    shutil.rmtree(directory.parent)
    forget_compiled()


def status_is(*wanted: str) -> control.Supervised:
    def look() -> control.Supervised | None:
        seen = control.observe(NAME)
        return seen if seen.status in wanted and (seen.supervisor is None or seen.running) else None

    seen = waiting.until(f"status {wanted}", look)
    assert seen is not None
    return seen


def leftovers(declared: Declared) -> list[str]:
    """Everything of a container's life that is not its record or its log."""
    found = [p for p in (declared.document["cgroup"], f"{record.RUNTIME_ROOT}/{NAME}") if os.path.exists(p)]
    mounts = Path("/proc/self/mountinfo").read_text()
    return found + ([line for line in mounts.splitlines() if str(declared.directory) in line])


def foreign(declared: Declared) -> None:
    """Have runc as its runtime."""
    declared.document["runtime"] = shutil.which("runc")
    del declared.document["files"]["cgroup.max.depth"]
    declared.bundle.spec["ociVersion"] = "1.0.2"
    # One level only: runc leaves the parents that it made, on hybrid hosts in every hierarchy.
    declared.document["cgroup"] = f"{find_hierarchy().mount}/bktest-nsrun-{os.getpid()}-{NAME}"
    declared.bundle.spec["linux"]["cgroupsPath"] = f"/bktest-nsrun-{os.getpid()}-{NAME}"


@pytest.mark.parametrize("user", [False, True], ids=["host-user", "user-namespace"])
def test_its_whole_life(declared: Declared, user: bool) -> None:
    if user:
        declared.user_namespace()
    # The launcher has set the limits before anything runs; they are not written once more.
    declared.bundle.spec["linux"]["resources"] = {"unified": {"cgroup.max.depth": "5"}}
    seen = declared.start("echo out; echo err >&2; echo > /new; echo again > /dev/stdout; exec /bin/sleep 1000")
    assert (seen.status, seen.running, seen.error, seen.restarts) == ("running", True, "", 0)
    assert seen.pid and seen.start_time == process.start_time(seen.pid)
    assert seen.supervisor and seen.started_at and seen.finished_at is None
    assert cgroup.read(declared.document["cgroup"], "cgroup.max.depth") == "3"
    assert cgroup.processes(declared.document["cgroup"]) == (seen.pid,)
    waiting.until("three lines", lambda: len(declared.log) == 3)
    assert sorted((line.stream, line.log) for line in declared.log) == [
        ("stderr", "err\n"),
        ("stdout", "again\n"),
        ("stdout", "out\n"),
    ]
    assert (declared.directory / "upper" / "new").stat().st_uid == 0
    # sleep as PID 1 ignores SIGTERM: only the time limit ends it.
    control.stop(NAME, timeout=0.1)
    seen = control.observe(NAME)
    assert (seen.status, seen.exit_code, seen.signal, seen.pid) == ("stopped", 137, "SIGKILL", None)
    assert seen.finished_at and seen.supervisor is None
    assert leftovers(declared) == []


@pytest.mark.parametrize("mapped", [False, True], ids=["host-user", "user-namespace"])
@pytest.mark.parametrize("uid", [0, 1000])
def test_its_user_may_open_its_output_again(declared: Declared, mapped: bool, uid: int) -> None:
    """Images make their logs links to /dev/stdout and run as a user."""
    if mapped:
        declared.user_namespace()
    declared.bundle.spec["process"]["user"] = {"uid": uid, "gid": uid}
    script = "echo out > /dev/stdout; echo err > /dev/stderr"
    declared.start(f"({script}) 2>&1; exec /bin/sleep 1000")
    waiting.until("both lines", lambda: [line.log for line in declared.log] == ["out\n", "err\n"])
    for who in {0, 1000}:
        wanted = {"args": ["/bin/sh", "-c", f"{script}; cat < /dev/stdin"], "env": ["PATH=/bin"], "cwd": "/"}
        done = control.exec_(NAME, {**wanted, "user": {"uid": who, "gid": who}}, b"in\n")
        assert (done.rc, done.stdout, done.stderr) == (0, b"out\nin\n", b"err\n")
    control.stop(NAME, timeout=0)


def test_an_error_of_the_start_is_the_callers(declared: Declared) -> None:
    declared.bundle.spec["process"]["args"] = ["/no/such"]
    with pytest.raises(RuntimeFailure, match="process.args: '/no/such': No such file or directory"):
        declared.start()
    assert control.observe(NAME).status == "exited"
    assert "/no/such" in control.observe(NAME).error
    assert leftovers(declared) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version: 2: this nsrun reads version 1"),
        ({"restart": {"policy": "maybe"}}, "restart.policy: 'maybe'"),
        ({"stop": {"signal": 15}}, "stop.signal: 15: must be a str"),
        ({"rootfs": {"lowerdirs": []}}, "rootfs.lowerdirs"),
        ({"bundle": "relative"}, "bundle: 'relative': must be an absolute path"),
        ({"runtime": "/no/such/runtime"}, "runtime: '/no/such/runtime': No such file or directory"),
        ({"rootfs": {"lowerdirs": ["/no/such"]}}, "/no/such"),
        ({"files": {"no.such": "1"}}, "no"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_bad_declarations_start_nothing(declared: Declared, change: dict[str, Any], message: str) -> None:
    good = dict(declared.document)
    declared.document.update(change)
    with pytest.raises(RuntimeFailure) as caught:
        declared.start("true")
    assert message in str(caught.value)
    assert leftovers(declared) == []
    declared.document = good


def test_one_supervisor_at_a_time(declared: Declared) -> None:
    first = declared.start("exec /bin/sleep 1000")
    with pytest.raises(RuntimeFailure, match=f"is running already, under its supervisor .PID {first.supervisor}"):
        control.start(NAME)
    assert control.observe(NAME).pid == first.pid
    control.stop(NAME, timeout=0)


@pytest.mark.parametrize(
    ("policy", "code", "runs"), [("no", 1, 1), ("on-failure", 0, 1), ("on-failure", 7, 4), ("always", 0, 4)]
)
def test_restart_policies(declared: Declared, policy: str, code: int, runs: int) -> None:
    declared.document["restart"].update(policy=policy, max_retries=3)
    declared.start(f"echo run >> /runs; exit {code}")
    seen = status_is("exited")
    assert (seen.exit_code, seen.restarts) == (code, runs - 1)
    assert (declared.directory / "upper" / "runs").read_text().count("run") == runs
    assert leftovers(declared) == []


def test_a_crash_is_restarted_and_counted(declared: Declared) -> None:
    declared.document["restart"].update(policy="unless-stopped")
    first = declared.start("echo $$; exec /bin/sleep 1000")
    assert first.pid
    os.kill(first.pid, signal.SIGKILL)
    waiting.until("another process", lambda: (s := control.observe(NAME)).running and s.pid != first.pid)
    again = control.observe(NAME)
    assert (again.restarts, again.supervisor) == (1, first.supervisor)
    control.stop(NAME, timeout=0)
    assert control.observe(NAME).status == "stopped"


def test_stopping_while_it_waits_to_start_again(declared: Declared) -> None:
    declared.document["restart"].update(policy="always", delay_ms=60000, max_delay_ms=60000)
    declared.start("exit 1")
    waiting.until("waiting", lambda: control.observe(NAME).status == "restarting")
    control.stop(NAME)
    assert control.observe(NAME).status == "stopped"
    assert leftovers(declared) == []


def test_the_stop_signal_is_its_own(declared: Declared) -> None:
    declared.document["stop"] = {"signal": "SIGUSR2", "timeout": 60}
    declared.start("trap 'echo bye; exit 4' USR2; echo ready; while :; do sleep 0.02; done")
    waiting.until("the trap", lambda: declared.log)
    control.stop(NAME)
    assert control.observe(NAME).exit_code == 4
    assert [line.log for line in declared.log] == ["ready\n", "bye\n"]


def test_a_frozen_container_is_stopped(declared: Declared) -> None:
    declared.start("trap 'exit 4' TERM; echo ready; while :; do sleep 0.02; done")
    waiting.until("the trap", lambda: declared.log)
    cgroup.freeze(declared.document["cgroup"], True)
    control.stop(NAME)
    assert control.observe(NAME).exit_code == 4


def test_what_the_policy_is_now_counts(declared: Declared) -> None:
    """restart and log limits are changed live: launch.json is read again when they matter."""
    seen = declared.start("exec /bin/sleep 1000")
    declared.document["restart"].update(policy="always")
    declared.write()
    assert seen.pid
    os.kill(seen.pid, signal.SIGKILL)
    waiting.until("a restart", lambda: control.observe(NAME).restarts == 1 and control.observe(NAME).running)
    control.stop(NAME, timeout=0)


@pytest.mark.parametrize("policy", ["no", "always"])
def test_a_killed_supervisor_takes_its_container_along(declared: Declared, policy: str) -> None:
    declared.document["restart"].update(policy=policy)
    seen = declared.start("/bin/sleep 1000 & echo started; wait")
    waiting.until("both processes", lambda: declared.log)
    pids = cgroup.processes(declared.document["cgroup"])
    assert seen.supervisor and seen.pid in pids and len(pids) == 2
    pidfds = [os.pidfd_open(pid) for pid in pids]
    os.kill(seen.supervisor, signal.SIGKILL)
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], waiting.PATIENCE)[0]
        os.close(pidfd)
    waiting.until("seen as exited", lambda: control.observe(NAME).status == "exited")
    assert control.observe(NAME).error == "its supervisor was killed, and the container with it"
    # The next start clears what was left in /run and in the cgroup hierarchy.
    again = declared.start()
    assert again.running and again.pid != seen.pid
    control.stop(NAME, timeout=0)
    assert leftovers(declared) == []


@pytest.fixture(params=["nsrun", "runc"])
def unwatched(declared: Declared, request: pytest.FixtureRequest) -> Iterator[control.Supervised]:
    """A killed supervisor's container that lives on: its init has changed its user, or another runtime started it.

    prctl(2): the kernel forgets the signal of a parent's death then.
    """
    user = "echo u:x:1000:1000::/:/bin/sh > /etc/passwd; exec /bin/su u -c '/bin/sleep 1000 & wait'"
    (declared.lower / "etc").mkdir()
    (declared.lower / "bin" / "su").symlink_to("busybox")
    if request.param == "runc":
        if shutil.which("runc") is None:
            pytest.skip("runc is not installed")
        foreign(declared)
        user = "exec /bin/sleep 1000"
    seen = declared.start(f"echo started; {user}")
    assert seen.supervisor and seen.pid
    waiting.until("its user's program", lambda: b"echo" not in Path(f"/proc/{seen.pid}/cmdline").read_bytes())
    pidfd = os.pidfd_open(seen.supervisor)
    os.kill(seen.supervisor, signal.SIGKILL)
    assert process.wait_ended(pidfd, waiting.PATIENCE)
    os.close(pidfd)
    assert process.alive(seen.pid, seen.start_time)
    yield seen
    control.clear(NAME)
    assert not process.alive(seen.pid, seen.start_time)
    assert leftovers(declared) == []


def test_what_runs_unwatched_is_told_as_exited(unwatched: control.Supervised) -> None:
    seen = control.observe(NAME)
    assert (seen.status, seen.pid, seen.supervisor, seen.unwatched) == ("exited", None, None, True)
    assert seen.error == "its supervisor was killed"


def test_what_runs_unwatched_is_ended_by_the_next_start(unwatched: control.Supervised) -> None:
    control.start(NAME)
    assert unwatched.pid and not process.alive(unwatched.pid, unwatched.start_time)
    again = control.observe(NAME)
    assert again.running and again.supervisor and not again.unwatched
    control.stop(NAME, timeout=0)


def test_what_runs_unwatched_is_ended_by_a_stop(unwatched: control.Supervised) -> None:
    control.stop(NAME)
    assert unwatched.pid and not process.alive(unwatched.pid, unwatched.start_time)
    assert control.observe(NAME).status == "stopped" and not control.observe(NAME).unwatched


def test_clearing_after_a_killed_supervisor(declared: Declared) -> None:
    seen = declared.start("exec /bin/sleep 1000")
    assert seen.supervisor
    os.kill(seen.supervisor, signal.SIGKILL)
    control.clear(NAME)
    assert leftovers(declared) == []
    assert control.observe(NAME) == control.Supervised(NAME, "stopped")


def test_the_supervisor_keeps_nothing_of_its_caller(declared: Declared) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    declared.write("exec /bin/sleep 1000")
    subprocess.run([control.NSRUN, "supervise", launch.path_of(NAME)], check=True, pass_fds=(writer,), cwd="/tmp")
    os.close(writer)
    assert os.read(reader, 1) == b""  # nobody holds the other end
    os.close(reader)
    supervisor = control.observe(NAME).supervisor
    assert supervisor
    assert os.readlink(f"/proc/{supervisor}/cwd") == "/"
    assert {os.readlink(f"/proc/{supervisor}/fd/{n}") for n in (0, 1, 2)} == {"/dev/null"}
    assert os.getsid(supervisor) != os.getsid(0)
    control.stop(NAME, timeout=0)


def test_logs_rotate_and_nothing_is_lost_over_restarts(declared: Declared) -> None:
    declared.document["log"].update(max_size=4000, max_files=50)
    declared.document["restart"].update(policy="on-failure", max_retries=2)
    declared.start("i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; printf tail; exit 1")
    status_is("exited")
    texts = [line.log for line in declared.log]
    once = [f"line {i}\n" for i in range(100)] + ["tail"]
    assert texts == once * 3
    files = logs.files_of(declared.document["log"]["path"])
    assert len(files) > 3 and all(os.path.getsize(f) <= 4000 for f in files)


def test_logs_are_bounded(declared: Declared) -> None:
    declared.document["log"].update(max_size=2000, max_files=2)
    declared.start("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done")
    status_is("exited")
    assert len(list((declared.directory / "log").iterdir())) == 2
    assert sum(f.stat().st_size for f in (declared.directory / "log").iterdir()) <= 4000
    assert declared.log[-1].log == "line 499\n"
    assert [line.log for line in logs.tail(declared.document["log"]["path"], 3)] == [
        f"line {i}\n" for i in (497, 498, 499)
    ]


def test_exec_in_a_declared_container(declared: Declared) -> None:
    declared.user_namespace()
    declared.start("exec /bin/sleep 1000")
    wanted = {"args": ["/bin/sh", "-c", "cat; echo $A; id -u >&2; exit 3"], "env": ["A=b"], "cwd": "/"}
    done = control.exec_(NAME, wanted, b"in\n")
    assert (done.rc, done.stdout, done.stderr) == (3, b"in\nb\n", b"0\n")
    with pytest.raises(RuntimeFailure, match="process.args: '/no/such'"):
        control.exec_(NAME, {**wanted, "args": ["/no/such"]})
    with pytest.raises(RuntimeFailure, match="process.cwd"):
        control.exec_(NAME, {**wanted, "cwd": "relative"})
    control.kill(NAME, "SIGKILL")
    status_is("exited")
    with pytest.raises(RuntimeFailure, match="does not exist"):
        control.exec_(NAME, wanted)


def script(text: str) -> dict[str, Any]:
    """A process that the container runs besides its own."""
    return {"args": ["/bin/sh", "-c", text], "env": ["PATH=/bin"], "cwd": "/"}


def test_exec_ends_with_its_command(declared: Declared) -> None:
    """And not with what that left in the background, which holds its output."""
    declared.start("exec /bin/sleep 1000")
    began = time.monotonic()
    done = control.exec_(
        NAME, script("/bin/sleep 1000 & (sleep 0.2; echo later) & echo at once"), timeout=waiting.PATIENCE
    )
    assert (done.rc, done.stdout) == (0, b"at once\nlater\n")
    assert time.monotonic() - began < waiting.PATIENCE / 2
    commands = [process.command(pid) for pid in cgroup.processes(declared.document["cgroup"])]
    assert commands.count("sleep") == 2  # it goes on
    control.stop(NAME, timeout=0)


def test_a_time_out_of_exec_ends_all_that_the_command_started(declared: Declared) -> None:
    """Also in sessions of their own."""
    (declared.lower / "bin" / "setsid").symlink_to("busybox")
    seen = declared.start("exec /bin/sleep 1000")
    started = (
        "setsid sh -c '/bin/sleep 1000 & setsid /bin/sleep 1000 & wait' & echo started > /started; /bin/sleep 1000"
    )
    with pytest.raises(RuntimeFailure, match="did not end within 1 seconds"):
        control.exec_(NAME, script(started), timeout=1)
    assert (declared.directory / "upper" / "started").exists()
    waiting.until("only init", lambda: cgroup.processes(declared.document["cgroup"]) == (seen.pid,))
    control.stop(NAME, timeout=0)


def test_a_recycled_pid_is_not_believed(declared: Declared) -> None:
    declared.start("exit 0")
    status_is("exited")
    state = record.read(NAME)
    assert state is not None
    record.write(NAME, state._replace(status="running", pid=os.getpid(), start_time=1, supervisor=os.getpid()))
    assert control.observe(NAME).status != "running"
    control.stop(NAME)
    assert control.observe(NAME).status == "stopped"


# systemd's way, with a parent that plays systemd (the VM tests ask systemd itself).


class Systemd:
    """Hears what a unit's processes tell, as systemd does; what each message brought along stays open."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        listener.settimeout(60)

    def heard(self) -> tuple[dict[str, str], list[int]]:
        """The next message, and the descriptors that came with it."""
        text, fds, _flags, _address = socket.recv_fds(self.listener, 1000, 4)
        return dict(line.split("=") for line in text.decode().split("\n")), fds

    def asked(self) -> int:
        """What is to be closed when all that was told before has had its effect."""
        told, fds = self.heard()
        assert told == {"BARRIER": "1"} and len(fds) == 1
        return fds[0]

    def acted(self) -> None:
        os.close(self.asked())


@pytest.fixture
def systemd(declared: Declared, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """In whose unit the container is launched."""
    declared.document["cgroup"] = f"{os.path.dirname(declared.document['cgroup'])}/unit/container"
    above = os.path.dirname(declared.document["cgroup"])
    os.makedirs(above)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("/run/notify-test")
        monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify-test")
        yield Systemd(listener)
    os.unlink("/run/notify-test")
    assert leftovers(declared) == []
    for path in (above, os.path.dirname(above)):  # systemd removes the unit's own
        os.rmdir(path)


@contextlib.contextmanager
def launching() -> Iterator[subprocess.Popen[str]]:
    """ExecStart of the unit; nothing of it stays when the test fails."""
    command = [control.NSRUN, "launch", launch.path_of(NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as launcher:
        try:
            yield launcher
        finally:
            launcher.kill()


def settled(result: str, how: str, what: str) -> control.Supervised:
    told = {**os.environ, "SERVICE_RESULT": result, "EXIT_CODE": how, "EXIT_STATUS": what}
    subprocess.run([control.NSRUN, "settle", launch.path_of(NAME)], env=told, check=True)
    return control.observe(NAME)


def test_launch_hands_init_to_its_own_parent_and_says_so(declared: Declared, systemd: Systemd) -> None:
    """ExecStart of the unit: the parent of the launcher becomes the parent of init, and hears MAINPID."""
    declared.write("trap 'exit 6' TERM; /bin/sleep 1000 & echo to the journal; wait")
    with launching() as launcher:
        said, _fds = systemd.heard()
        systemd.acted()
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "to the journal\n"
        assert launcher.wait() == 0
        pid = int(said["MAINPID"])
        assert said["READY"] == "1"
        assert int(process.stat_fields(pid)[1]) == os.getpid()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert set(cgroup.processes(declared.document["cgroup"], recursive=True)) == {pid, *map(int, children)}
        assert len(children) == 1
        seen = control.observe(NAME)
        assert (seen.status, seen.pid) == ("running", pid)
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    seen = settled("exit-code", "exited", "6")
    assert (seen.status, seen.exit_code, seen.signal) == ("exited", 6, None)


def test_a_program_that_ends_at_once_runs_when_systemd_knows_it(declared: Declared, systemd: Systemd) -> None:
    """Else systemd finds a zombie, refuses it as main process, and takes the launcher's status for the container's."""
    declared.write("echo ran >/ran; exit 3")
    ran = declared.directory / "upper" / "ran"
    with launching() as launcher:
        pid = int(systemd.heard()[0]["MAINPID"])
        assert not select.select([launcher.stderr], [], [], 0.5)[0]
        seen = control.observe(NAME)
        assert (seen.status, seen.pid) == ("created", pid) and not ran.exists()
        systemd.acted()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        assert launcher.wait() == 0 and ran.exists()
    seen = settled("exit-code", "exited", "3")
    assert (seen.status, seen.exit_code, seen.error) == ("exited", 3, "")


@pytest.mark.parametrize("lives", [True, False])
def test_why_a_program_cannot_run_outlives_the_launcher(declared: Declared, systemd: Systemd, lives: bool) -> None:
    """systemd ends the rest of a unit with its main process; the launcher may not have spoken by then."""
    (declared.lower / "bin" / "broken").write_text("#!/missing\n")
    (declared.lower / "bin" / "broken").chmod(0o755)
    declared.bundle.spec["process"]["args"] = ["/bin/broken"]
    declared.write()
    with launching() as launcher:
        pid = int(systemd.heard()[0]["MAINPID"])
        if lives:
            systemd.acted()
            assert launcher.wait() == 1
        else:
            fd = systemd.asked()
            launcher.send_signal(signal.SIGSTOP)
            os.close(fd)
            (fifo,) = Path(f"{record.RUNTIME_ROOT}/{NAME}").glob("exec.fifo")
            fifo.write_bytes(b"\0")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 127
        launcher.kill()
    seen = settled("exit-code", "exited", "127")
    assert (seen.status, seen.exit_code) == ("exited", 127)
    assert "/bin/broken" in seen.error


@pytest.mark.parametrize(
    ("told", "status", "code", "name"),
    [
        (("success", "exited", "0"), "exited", 0, None),
        (("exit-code", "exited", "3"), "exited", 3, None),
        (("success", "killed", "TERM"), "stopped", 143, "SIGTERM"),
        (("signal", "killed", "KILL"), "exited", 137, "SIGKILL"),
        (("core-dump", "dumped", "SEGV"), "exited", 139, "SIGSEGV"),
    ],
)
def test_settle_understands_what_systemd_tells(
    declared: Declared, told: tuple[str, str, str], status: str, code: int, name: str | None
) -> None:
    declared.write()
    record.write(NAME, record.State("running", pid=2**22, start_time=1, started_at=clock.now()))
    environment = {**os.environ, **dict(zip(("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"), told))}
    subprocess.run([control.NSRUN, "settle", launch.path_of(NAME)], env=environment, check=True)
    seen = control.observe(NAME)
    assert (seen.status, seen.exit_code, seen.signal) == (status, code, name)


# Another runtime behind the same launch.json.


@pytest.mark.skipif(shutil.which("runc") is None, reason="runc is not installed")
def test_runc_as_the_runtime(declared: Declared) -> None:
    """The same supervision around another runtime's container."""
    foreign(declared)
    declared.document["restart"].update(policy="on-failure", max_retries=1)
    seen = declared.start("echo > /new; echo hello; exec /bin/sleep 1000")
    assert seen.running and seen.pid
    waiting.until("the log", lambda: [line.log for line in declared.log] == ["hello\n"])
    os.kill(seen.pid, signal.SIGKILL)
    waiting.until("a restart", lambda: control.observe(NAME).running and control.observe(NAME).restarts == 1)
    done = control.exec_(NAME, {"args": ["/bin/ls", "/new"], "cwd": "/"}, runtime=declared.document["runtime"])
    assert (done.rc, done.stdout) == (0, b"/new\n")
    control.stop(NAME, timeout=0)
    assert control.observe(NAME).status == "stopped"
    assert leftovers(declared) == []
