# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's docker-registry on loopback, plain or with TLS and passwords; started and ended by the tests."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import waiting

#: Below those that the kernel gives to whoever asks for any (ip_local_port_range): none of these is taken in passing,
#: and none can a connection to it be answered by itself from, which a client that tries again and again gets some day.
_PORTS = itertools.count(20000)
USER, PASSWORD = "reader", "s3cret\"'$ü"


@dataclass(frozen=True)
class Registry:
    """A registry that runs; ``cert_dir`` holds the CA of one with TLS."""

    address: str
    cert_dir: str = ""
    auth: bool = False
    log: Path = Path()

    def requests(self) -> list[str]:
        """What it was asked since it runs, each as ``GET /v2/team/app/manifests/1``; its own monitoring left out.

        An answer that fits its buffer (2 KiB) is logged before it is sent, so what the asker has is in here; of a
        larger one the asker may have all, and the log nothing yet.
        """
        found = re.findall(r'"((?:GET|HEAD|PUT|POST|PATCH) /v2/[^ ]+) HTTP', self.log.read_text())
        return [str(request) for request in found]

    def push(self, layout: Path | str, name: str, reference: str = "image") -> None:
        options = ["--dest-tls-verify=false"]
        if self.auth:
            options.append(f"--dest-creds={USER}:{PASSWORD}")
        target = f"docker://{self.address}/{name}"
        subprocess.run(["skopeo", "copy", "-q", *options, f"oci:{layout}:{reference}", target], check=True)

    def put_manifest(self, name: str, content: bytes, media_type: str) -> None:
        url = f"http://{self.address}/v2/{name.replace(':', '/manifests/')}"
        request = urllib.request.Request(url, content, {"Content-Type": media_type}, method="PUT")
        with urllib.request.urlopen(request):
            pass


@contextlib.contextmanager
def serve(directory: Path, tls: bool = False, auth: bool = False) -> Iterator[Registry]:
    """A registry with its data below ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}"}
    cert_dir = ""
    if tls:
        cert_dir = str(directory / "certs")
        certificate(Path(cert_dir))
        http["tls"] = {"certificate": f"{cert_dir}/server.pem", "key": f"{cert_dir}/server-key.pem"}
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": http,
    }
    if auth:
        (directory / "htpasswd").write_text(f"{USER}:{bcrypt(PASSWORD)}\n")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
    (directory / "config.yml").write_text(json.dumps(config))
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", directory / "config.yml"], stdout=log, stderr=log, env={"OTEL": "0"}
        )
    try:
        waiting.until("the registry listens", lambda: _answers(port, process), (directory / "log").read_text)
        yield Registry(f"127.0.0.1:{port}", cert_dir, auth, directory / "log")
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """One on which nobody listens, and which nobody else gets."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: there is always a next number")


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"docker-registry ended with {process.returncode}")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def bcrypt(password: str) -> str:
    """By the C library's crypt(3)."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return str(crypt(password.encode(), b"$2b$05$" + b"abcdefghijklmnopqrstuu").decode())


def certificate(directory: Path) -> None:
    """A CA (ca.crt) and a certificate for 127.0.0.1 that it signed."""
    directory.mkdir(parents=True, exist_ok=True)
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    ca = ["-subj", "/CN=test CA", "-keyout", "ca-key.pem", "-out", "ca.crt"]
    server = [
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=CA:FALSE",
    ]
    signed = ["-CA", "ca.crt", "-CAkey", "ca-key.pem", "-keyout", "server-key.pem", "-out", "server.pem"]
    for arguments in ([*new, *ca], [*new, *server, *signed]):
        subprocess.run(arguments, cwd=directory, check=True, capture_output=True)
    os.rename(directory / "ca-key.pem", directory.parent / "ca-key.pem")
