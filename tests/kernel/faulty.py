# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry whose answers can be spoilt."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.kernel.layouts import Layout


class Faulty:
    """A registry of one layout whose answers can be spoilt: faults maps a part of a path to a function."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.faults: dict[str, Any] = {}
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.answer(self)

            def do_HEAD(self) -> None:
                registry.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Faulty:
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        for part, fault in self.faults.items():
            if part in request.path and fault(request):
                return
        kind = "application/octet-stream"
        if request.path == "/v2/":
            content = b"{}"
        elif "/manifests/" in request.path:
            content, kind = self.layout.manifest, "application/vnd.oci.image.manifest.v1+json"
        elif "/blobs/" not in request.path:
            send(request, 404, b"", {})
            return
        else:
            content = (self.layout.path / "blobs/sha256" / request.path.rpartition(":")[2]).read_bytes()
        send(request, 200, content, {"Content-Type": kind})

    def source(self, **more: Any) -> dict[str, Any]:
        return {"reference": f"{self.address}/app:1", "tls_verify": False, "retries": 0, **more}


def send(request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]) -> bool:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)
    return True


def cut(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.wfile.write(b"half")
    request.close_connection = True
    return True
