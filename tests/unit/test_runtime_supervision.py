# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restart decisions, the systemd unit, log files, the command line's options."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import string
import tempfile
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import systemd
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle.signals import signal_number
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.command import options, supervision
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import BundleError, RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import (
    control,
    engine,
    launch,
    logs,
    record,
    restart,
    supervisor,
    unit,
)
from hypothesis import example, given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("policy", "code", "tries", "delay"),
    [
        ("no", 1, 0, None),
        ("on-failure", 0, 0, None),
        ("on-failure", 1, 0, 0.1),
        ("on-failure", 137, 1, 0.2),
        ("always", 0, 3, 0.8),
        ("unless-stopped", 0, 30, 60.0),
        ("always", 0, 10**6, 60.0),
    ],
)
def test_delays(policy: str, code: int, tries: int, delay: float | None) -> None:
    assert restart.next_delay(launch.Restart(policy), code, tries) == delay


def test_retries_are_counted_and_forgiven() -> None:
    limited = launch.Restart("on-failure", max_retries=2)
    assert [restart.next_delay(limited, 1, tries) for tries in range(4)] == [0.1, 0.2, None, None]
    assert restart.tries_after(2, restart.STABLE - 0.1) == 2
    assert restart.tries_after(2, restart.STABLE) == 0


def test_a_maximum_below_the_delay_does_not_shorten_it() -> None:
    assert restart.next_delay(launch.Restart("always", delay_ms=5000, max_delay_ms=10), 0, 3) == 5.0


def unit_lines(**changes: object) -> list[str]:
    wanted = launch.Launch("web", "/b", "/sys/fs/cgroup/x", **changes)  # type: ignore[arg-type]
    return unit.unit_text(wanted, after=("barekernel-network.service",)).splitlines()


def test_the_unit() -> None:
    lines = unit_lines(restart=launch.Restart("on-failure", 3, 1500), stop=launch.Stop("SIGQUIT", 2.5))
    assert {"Type=notify", "NotifyAccess=all", "Delegate=yes", "KillMode=mixed", "Slice=barekernel.slice"} <= set(lines)
    assert {"KillSignal=SIGQUIT", "TimeoutStopSec=2.5", "Restart=on-failure", "RestartSec=1500ms"} <= set(lines)
    assert {"StartLimitIntervalSec=infinity", "StartLimitBurst=4"} <= set(lines)
    assert "ExecStart=/var/lib/barekernel/lib/nsrun launch /var/lib/barekernel/containers/web/launch.json" in lines
    assert "After=barekernel-network.service" in lines
    # Limits are files of a child cgroup, which systemd does not write to.
    assert not [line for line in lines if line.startswith(("Memory", "CPU", "IO"))]


def test_what_a_unit_needs_is_mounted_first() -> None:
    paths = ["/data", "/data/sub dir", '/odd/a"b\\c%d', "/srv/caf\udce9/x", "/srv/new\nline", "/", "/a/../b/./c//"]
    wanted = launch.Launch("web", "/b", "/c")
    lines = unit.unit_text(wanted, mounts=paths).splitlines()
    assert [line for line in lines if line.startswith("RequiresMountsFor=")] == [
        'RequiresMountsFor="/b/c"',
        'RequiresMountsFor="/data/sub dir"',
        'RequiresMountsFor="/odd/a\\"b\\\\c%%d"',
        'RequiresMountsFor="/srv"',
    ]
    assert lines.index('RequiresMountsFor="/srv"') < lines.index("[Service]")


@pytest.mark.parametrize("policy", launch.RESTART_POLICIES)
def test_every_policy_has_a_word_of_systemds(policy: str) -> None:
    words = {"no": "no", "on-failure": "on-failure", "always": "always", "unless-stopped": "always"}
    assert f"Restart={words[policy]}" in unit_lines(restart=launch.Restart(policy))


@pytest.mark.parametrize(
    ("stop", "clean"),
    [
        (launch.Stop("SIGTERM", 10), ["SuccessExitStatus=143"]),
        (launch.Stop("SIGRTMIN+3", 10), ["SuccessExitStatus=SIGRTMIN+3", "SuccessExitStatus=165"]),
        (launch.Stop("SIGTERM", 0), []),  # it is killed together with what it started
    ],
)
def test_what_a_reaper_says_of_the_stop_signal_is_no_failure(stop: launch.Stop, clean: list[str]) -> None:
    lines = unit.unit_text(launch.Launch("web", "/b", "/c", stop=stop), reaper=True).splitlines()
    assert [line for line in lines if line.startswith("SuccessExitStatus=")] == clean
    assert set(clean) <= set(lines[lines.index("[Service]") : lines.index("[Install]")])


def test_growing_delays_only_where_systemd_knows_them() -> None:
    wanted = launch.Launch("web", "/b", "/c", restart=launch.Restart("always", 0, 100, 60000))
    assert "RestartMaxDelaySec=60000ms" in unit.unit_text(wanted, systemd_version=254)
    assert "RestartSteps" not in unit.unit_text(wanted, systemd_version=252)


def test_no_time_to_stop_is_no_endless_wait() -> None:
    lines = unit_lines(stop=launch.Stop("SIGTERM", 0))
    assert "KillSignal=SIGKILL" in lines
    assert not [line for line in lines if line.startswith("TimeoutStopSec")]


def test_a_crash_loop_where_delays_cannot_grow_has_a_pause() -> None:
    assert "RestartSec=1000ms" in unit_lines(restart=launch.Restart("always"))
    assert "RestartSec=300ms" in unit_lines(restart=launch.Restart("always", max_delay_ms=300))
    assert "RestartSec=5000ms" in unit_lines(restart=launch.Restart("always", delay_ms=5000))


@pytest.mark.parametrize(
    ("signal", "policy", "lines"),
    [
        ("SIGTERM", "always", []),
        ("SIGQUIT", "no", ["SuccessExitStatus=SIGQUIT"]),
        ("SIGKILL", "no", []),
        ("SIGKILL", "always", ["SuccessExitStatus=SIGKILL"]),
        ("SIGKILL", "on-failure", ["SuccessExitStatus=SIGKILL", "RestartForceExitStatus=SIGKILL"]),
    ],
)
def test_a_stopped_container_has_not_failed(signal: str, policy: str, lines: list[str]) -> None:
    found = unit_lines(restart=launch.Restart(policy), stop=launch.Stop(signal))
    assert [line for line in found if "ExitStatus" in line] == lines


def test_how_often_systemd_started_it_again_is_asked_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later its number also counts the try that StartLimitBurst= refused; and while it runs nobody asks."""
    states: list[record.State | None] = []
    monkeypatch.setattr(record, "read", lambda _name: states[-1])
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(systemd, "properties", lambda *_given: {"ActiveState": "failed", "NRestarts": "3"})
    monkeypatch.setattr(control, "by_systemd", lambda _name: True)
    wanted = launch.Launch("web", "/b", "/c")
    for before, restarts in ((None, 0), (record.State("stopped", restarts=2), 0), (record.State("exited"), 3)):
        states.append(before)
        assert supervision._restarts(wanted) == restarts
    for state in (record.State("exited", exit_code=3, restarts=2), record.State("running", os.getpid(), restarts=2)):
        states.append(state)
        assert control.observe("web").restarts == 2


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "-x", "a%n", "a@b"])
def test_names_that_a_unit_cannot_have(name: str) -> None:
    with pytest.raises(BundleError):
        unit.unit_name(name)


# logs


@example([b"\xc2", b"\x85"], 300, 1)
@given(st.lists(st.binary(max_size=200)), st.integers(300, 2000), st.integers(1, 4))
def test_whatever_arrives_is_logged_in_whole_lines(chunks: list[bytes], max_size: int, max_files: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        writer = logs.Writer(path, max_size, max_files)
        for chunk in chunks:
            writer.feed(logs.STDOUT, chunk)
        writer.close()
        files = sorted(Path(directory).iterdir())
        assert len(files) <= max_files and writer.lost == 0
        entries = [json.loads(line) for f in files for line in f.read_bytes().splitlines()]
        assert all(set(e) == {"log", "stream", "time"} and e["stream"] == "stdout" for e in entries)
        everything = b"".join(chunks).decode("utf-8", "replace")
        kept = "".join(line.log for line in logs.tail(path, 10**6))
        # Lines are decoded one by one, so only whole sequences of bytes can differ: compare what is ASCII.
        ascii_only = str.maketrans("", "", "".join(set(everything + kept) - set(string.printable)))
        assert everything.translate(ascii_only).endswith(kept.translate(ascii_only))


def test_long_lines_are_cut_and_found_again(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    writer = logs.Writer(path, 10**6, 1)
    writer.feed(logs.STDERR, b"x" * 40000 + b"\nnext\npart")
    writer.close()
    lines = logs.tail(path, 100)
    assert [len(line.log) for line in lines] == [16384, 16384, 7233, 5, 4]
    assert "".join(line.log for line in lines) == "x" * 40000 + "\nnext\npart"


def test_the_streams_do_not_mix(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    writer = logs.Writer(path, 10**6, 1)
    writer.feed(logs.STDOUT, b"out")
    writer.feed(logs.STDERR, b"err\n")
    writer.feed(logs.STDOUT, b"put\n")
    writer.close()
    assert [(line.stream, line.log) for line in logs.tail(path, 9)] == [("stderr", "err\n"), ("stdout", "output\n")]
    assert [line.log for line in logs.tail(path, 9, streams=("stdout",))] == ["output\n"]
    assert logs.tail(path, 1)[0].log == "output\n"
    assert logs.tail(path, 0) == []


def test_a_damaged_line_and_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert logs.tail(str(path), 5) == []
    path.write_text('{"log": "a\\n", "stream": "stdout", "time": "t"}\n{"log": "half\nnull\n')
    assert [line.log for line in logs.tail(str(path), 5)] == ["a\n"]


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    writer = logs.Writer("/dev/full", 10**6, 1)
    writer.feed(logs.STDOUT, b"a\nb\n")
    assert writer.lost == 2
    writer.close()


def test_a_log_that_cannot_be_rotated_goes_on_and_stays_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "log")
    writer = logs.Writer(path, 1000, 3)
    really = os.open

    def full(name: str, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        return really(name, flags, *more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        for number in range(100):
            writer.feed(logs.STDOUT, b"line %d\n" % number)
    kept = len(logs.tail(path, 1000))
    assert 1000 < os.path.getsize(path) <= 2000 and kept + writer.lost == 100
    assert [entry.name for entry in tmp_path.iterdir()] == ["log"]
    writer.feed(logs.STDOUT, b"there is room again\n")
    writer.close()
    assert Path(path).read_text().count("\n") == 1 and len(logs.tail(path, 1000)) == kept + 1


def test_half_a_line_on_a_full_disk_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "log")
    writer = logs.Writer(path, 10**6, 1)
    really = os.write
    writer.feed(logs.STDOUT, b"before\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, raw: really(fd, raw[:10]))
        writer.feed(logs.STDOUT, b"lost\n")
    writer.feed(logs.STDOUT, b"after\n")
    writer.close()
    assert [line.log for line in logs.tail(path, 9)] == ["before\n", "after\n"] and writer.lost == 1


def test_fewer_files_of_log_than_before(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    writer = logs.Writer(path, 300, 6)
    for _line in range(40):
        writer.feed(logs.STDOUT, b"line\n")
    assert len(logs.files_of(path)) == 6
    writer.max_files = 4
    for _line in range(5):
        writer.feed(logs.STDOUT, b"line\n")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "log.1", "log.2", "log.3"]
    writer.close()
    logs.Writer(path, 300, 2).close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "log.1"]


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("character", ["ä", "€", "😀"])
def test_no_character_is_cut(tmp_path: Path, character: str, end: bytes) -> None:
    path = str(tmp_path / "log")
    writer = logs.Writer(path, 10**6, 1)
    writer.feed(logs.STDOUT, b"x" + character.encode() * 20000 + end)
    writer.close()
    lines = [line.log for line in logs.tail(path, 100)]
    assert "".join(lines) == "x" + character * 20000 + end.decode()
    assert all(16380 < len(line.encode()) <= 16384 for line in lines[:-1])


# options and signals


def test_copying_output_is_paid_from_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a CPU, two seconds ahead, whatever was not used for hours."""
    now = {"time": 1000.0, "cpu": 0.0}
    monkeypatch.setattr(logs.time, "monotonic", lambda: now["time"])
    monkeypatch.setattr(logs.time, "thread_time", lambda: now["cpu"])
    budget = logs.Budget(share=0.25, ahead=2.0)

    def work(seconds: float) -> float:
        with budget.spent():
            now["cpu"] += seconds
        return budget.pause()

    assert (work(1.5), work(0.5)) == (0.0, 0.0)
    assert work(0.25) == 1.0  # what was spent too much takes four times as long to earn
    now["time"] += 0.5
    assert budget.pause() == 0.5
    now["time"] += 10000
    assert (budget.pause(), work(2.0), work(1.0)) == (0.0, 0.0, 4.0)


def test_while_the_budget_is_used_up_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe fills and its writer waits; signals are heard, and nothing is lost."""
    supervised = supervisor.Supervisor("launch.json", launch.Launch("web", "/bundle", "/cgroup"))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    supervised.streams = {reader: logs.STDOUT}
    heard: list[bytes] = []
    monkeypatch.setattr(supervised, "_signals", heard.append)
    monkeypatch.setattr(supervised.budget, "pause", lambda: 0.05)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += os.write(writer, b"x" * 4096)
            supervised._poll(None)
    os.write(supervised._wake_write, b"!")
    supervised._poll(None)
    assert heard == [b"!"] and supervised.streams == {reader: logs.STDOUT}
    monkeypatch.setattr(supervised.budget, "pause", lambda: 0.0)
    supervised._poll(0)
    assert os.write(writer, b"x") == 1
    os.close(writer)
    while supervised.streams:  # its end is read, too
        supervised._poll(1)
    assert sent >= 4096


def test_forms_of_options() -> None:
    known = {"bundle": options.VALUE, "force": options.FLAG, "env": options.LIST}
    got = options.parse(
        ["-b", "x", "-bundle=y", "--force", "--env", "A=1", "--env=B=2", "id", "--", "-z"], known, {"b": "bundle"}
    )
    assert (got.value("bundle"), got.flag("force"), got.list("env")) == ("y", True, ["A=1", "B=2"])
    assert got.arguments == ["id", "-z"]
    assert not options.parse(["--force=false"], known, {}).flag("force")
    assert options.parse(["id", "-l"], known, {}, stop_at_first=True).arguments == ["id", "-l"]


@pytest.mark.parametrize("words", [["--what"], ["--bundle"], ["-x"]])
def test_wrong_options(words: list[str]) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        options.parse(words, {"bundle": options.VALUE}, {})
    assert caught.value.status == 64


@pytest.mark.parametrize(
    ("name", "number"), [("15", 15), ("TERM", 15), ("sigkill", 9), ("SIGRTMIN+3", 37), ("SIGUSR1", 10)]
)
def test_signals(name: str, number: int) -> None:
    assert signal_number(name) == number


@pytest.mark.parametrize("name", ["", "0", "99", "SIG", "NOPE", "SIG_DFL", "SIGRTMIN+x"])
def test_not_signals(name: str) -> None:
    with pytest.raises(RuntimeFailure):
        signal_number(name)


def test_another_runtime_does_not_wait_for_what_only_we_tell_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """runc and crun take the socket as the container's, and their `start` ends when that has spoken."""
    runtime = tmp_path / "runtime"
    runtime.write_text(f'#!/bin/sh\necho "$HOME:${{NOTIFY_SOCKET-none}} $5" >>{tmp_path}/calls\n')
    runtime.chmod(0o755)
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("HOME", "/somewhere")
    engine._foreign(launch.Launch("web", str(tmp_path), "/cg", runtime=str(runtime)), "start", "web")
    assert (tmp_path / "calls").read_text() == "/somewhere:none start\n"


def test_a_killed_nsrun_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nsrun"
    program.write_text("#!/bin/sh\nkill -KILL $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(control, "NSRUN", str(program))
    with pytest.raises(RuntimeFailure, match="^nsrun was killed by SIGKILL$"):
        control.kill("web")
