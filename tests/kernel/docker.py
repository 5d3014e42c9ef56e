# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's dockerd with everything of its own, started and ended by the tests, and spoken to over its API.

Not with docker(1): newer releases have it in a package that older ones do not know.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests import waiting

RUN = Path("/run/bktest-docker")
CGROUP = "bktest-docker"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
#: Seconds. It starts containerd, and asks for modules that are not there.
STARTING = 180.0


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(f"{RUN}/socket")


class Docker:
    """A dockerd that runs."""

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> bytes:
        connection = _Connection("docker")
        raw = json.dumps(body).encode() if kind == "application/json" and body is not None else body
        connection.request(method, path, raw, {"Content-Type": kind})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status < 400, (method, path, answer.status, content)
        # What goes wrong in the middle of a long answer is told in it.
        assert b'"errorDetail"' not in content, content
        return content

    def load(self, archive: Path) -> None:
        """docker load."""
        self.ask("POST", "/images/load", archive.read_bytes(), "application/x-tar")

    def pull(self, name: str) -> None:
        """docker pull; registries on loopback need no TLS."""
        self.ask("POST", f"/images/create?{urlencode({'fromImage': name})}")

    def save(self, name: str, archive: Path) -> None:
        """docker save."""
        archive.write_bytes(self.ask("GET", f"/images/{quote(name, safe='')}/get"))

    def build(self, name: str, dockerfile: str, **files: bytes) -> None:
        """docker build --network=none."""
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for path, content in {"Dockerfile": dockerfile.encode(), **files}.items():
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
        options = urlencode({"t": name, "networkmode": "none", "cgroupparent": CGROUP})
        self.ask("POST", f"/build?{options}", context.getvalue(), "application/x-tar")

    def inspect(self, name: str) -> dict[str, Any]:
        """docker inspect of an image."""
        return dict(json.loads(self.ask("GET", f"/images/{quote(name, safe='')}/json")))

    def run(self, name: str, *command: str, commit: str = "", changes: str = "") -> str:
        """docker run --rm --network=none: what it wrote. It has to end well, and then it can be committed."""
        host = {"NetworkMode": "none", "CgroupParent": CGROUP, "SecurityOpt": ["apparmor=unconfined"]}
        wanted = {"Image": name, "HostConfig": host, **({"Cmd": list(command)} if command else {})}
        made = json.loads(self.ask("POST", "/containers/create", wanted))["Id"]
        try:
            self.ask("POST", f"/containers/{made}/start")
            ended = json.loads(self.ask("POST", f"/containers/{made}/wait"))
            frames = self.ask("GET", f"/containers/{made}/logs?stdout=1&stderr=1")
            if commit:
                options = urlencode({"container": made, "repo": commit, "changes": changes})
                self.ask("POST", f"/commit?{options}", {})
        finally:
            self.ask("DELETE", f"/containers/{made}?force=1&v=1")
        said = b""
        while frames:  # a header of eight bytes whose last four are the length
            length = 8 + int.from_bytes(frames[4:8], "big")
            said, frames = said + frames[8:length], frames[length:]
        assert ended["StatusCode"] == 0, said
        return said.decode()


@contextlib.contextmanager
def serve(data: Path) -> Iterator[Docker]:
    """dockerd with its images below ``data``, and nothing of it left afterwards."""
    RUN.mkdir()
    command = ["dockerd", "--data-root", data, "--exec-root", RUN / "exec", "-p", RUN / "pid"]
    command += [
        "-H",
        f"unix://{RUN}/socket",
        "--storage-driver=vfs",
        "--iptables=false",
        "--ip6tables=false",
        "--bridge=none",
    ]
    command += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", CGROUP]
    forwarding = FORWARDING.read_text()  # it turns that on, whatever it is told
    # It keeps a key of its own there, whatever else it is told.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/etc/docker"], check=True)
    with open(RUN / "log", "wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        docker = Docker()
        waiting.until("dockerd answers", lambda: _answers(docker, daemon), (RUN / "log").read_text, STARTING)
        yield docker
    finally:
        daemon.terminate()
        daemon.wait()
        ended(str(RUN))
        FORWARDING.write_text(forwarding)
        subprocess.run(["umount", "/etc/docker"], check=True)
        subprocess.run(["umount", "-q", data], check=False)
        for path in (RUN, Path("/run/docker"), Path("/run/containerd")):
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(data)
        remove_cgroups(CGROUP)


def _answers(docker: Docker, daemon: subprocess.Popen[bytes]) -> bool:
    if daemon.poll() is not None:
        raise RuntimeError(f"dockerd ended with {daemon.returncode}: {(RUN / 'log').read_text()[-3000:]}")
    with contextlib.suppress(OSError):
        docker.ask("GET", "/_ping")
        return True
    return False


def ended(word: str) -> None:
    """Wait for the helpers of an engine (shims, monitors), which outlive what they look after: all that say this."""
    waiting.until(f"the end of what runs with {word}", lambda: not _running(word), lambda: _running(word))


def _running(word: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(process.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in found if word in line]


def remove_cgroups(name: str) -> None:
    """Those of that name at the top of every hierarchy; whoever ends in one of them keeps it for a moment."""
    for top in [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]:
        waiting.until(f"nobody is in {top}", lambda: _removed(top))  # noqa: B023


def _removed(top: Path) -> bool:
    for directory, _names, _files in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return not top.exists()
