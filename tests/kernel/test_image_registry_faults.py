# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registries that misbehave: each a clear error, and the store is unharmed."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused

from tests.kernel import images, registry
from tests.kernel.faulty import Faulty, cut, send
from tests.kernel.hostile import GOOD, outside
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, tar

__all__ = ["outside"]


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    ("kind", "crafted"),
    [
        (INDEX, {"manifests": [1]}),
        (INDEX, {"manifests": 5}),
        (INDEX, {"manifests": [{"platform": 7}]}),
        (MANIFEST, {"layers": ["x"]}),
        (MANIFEST, {"layers": [None]}),
        (MANIFEST, {"layers": [{"mediaType": 7}]}),
        (MANIFEST, {"config": {"size": -5}}),
        (MANIFEST, {"mediaType": ["x"]}),
    ],
)
def test_a_document_of_another_shape_from_a_registry(tmp_path: Path, kind: str, crafted: dict[str, Any]) -> None:
    layout = Layout(tmp_path / "layout").add(GOOD)
    layout.write()
    base = json.loads(layout.manifest) if kind == MANIFEST else {"schemaVersion": 2, "mediaType": kind}
    content = json.dumps({**base, **crafted}).encode()
    with Faulty(layout) as registry:
        registry.faults["/manifests/"] = lambda request: send(request, 200, content, {"Content-Type": kind})
        with pytest.raises(Refused, match=registry.address):
            apply(name="app", registry=registry.source())


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    layout = Layout(tmp_path / "layout").add(tar(("base", b"b"))).add(GOOD)
    layout.write()
    with Faulty(layout) as registry:
        yield registry


@pytest.mark.parametrize(
    ("part", "fault", "says"),
    [
        ("/manifests/", lambda request: send(request, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', {}), "Check"),
        ("/v2/", lambda request: send(request, 500, b"", {}), "500.*trouble of its own"),
        ("/manifests/", lambda request: send(request, 200, b"not json", {}), "manifest|MIME|JSON"),
        ("/manifests/", lambda request: send(request, 200, b'{"schemaVersion": 1}', {}), "no image|schema"),
        ("/blobs/", cut, "EOF|cut|read|closed"),
        ("/blobs/", lambda request: send(request, 200, b"other bytes", {}), "[dD]igest|invalid"),
        ("/blobs/", lambda request: send(request, 404, b"", {}), "404|Check|unknown"),
    ],
)
def test_a_registry_that_misbehaves(faulty: Faulty, part: str, fault: Any, says: str) -> None:
    faulty.faults[part] = fault
    with pytest.raises(Exception, match=says) as caught:
        apply(name="app", registry=faulty.source())
    assert faulty.address in str(caught.value) and images.left() == []
    faulty.faults.clear()
    assert apply(name="app", registry=faulty.source()).facts["image"]["digest"] == faulty.layout.digest


@pytest.mark.parametrize("config", ["comes", "does not come"])
def test_a_layer_that_does_not_stop(faulty: Faulty, config: str) -> None:
    """It is not taken for long, neither while the configuration is waited for nor after that."""
    ended, sent = threading.Event(), []

    def endless(request: BaseHTTPRequestHandler) -> bool:
        """At 200 MB a second, up to 2 GB."""
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.close_connection = True
        with contextlib.suppress(OSError):
            for _number in range(2000):
                request.wfile.write(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
                sent.append(1_000_000)
                ended.wait(0.005)
        return True

    if config == "does not come":
        faulty.faults[faulty.layout.config_digest] = lambda _request: ended.wait(30)
    faulty.faults[faulty.layout.layers[1]["digest"]] = endless
    try:
        with pytest.raises(Exception, match="bytes have come, .* sends something else") as caught:
            apply(name="app", registry=faulty.source(retries=2))
    finally:
        ended.set()
    assert faulty.address in str(caught.value) and images.left() == []
    assert sum(sent) < 1 << 30


def test_too_many_requests_are_waited_for(faulty: Faulty) -> None:
    """429 with Retry-After: asked again after that time, and then it works."""
    answered: list[str] = []

    def limit(request: BaseHTTPRequestHandler) -> bool:
        answered.append(request.path)
        return len(answered) == 1 and send(request, 429, b"", {"Retry-After": "1"})

    faulty.faults["/manifests/"] = limit
    assert apply(name="app", registry=faulty.source()).facts["image"]["digest"] == faulty.layout.digest


def test_a_cut_blob_is_tried_again(faulty: Faulty) -> None:
    cuts: list[str] = []

    def once(request: BaseHTTPRequestHandler) -> bool:
        cuts.append(request.path)
        return len(cuts) == 1 and cut(request)

    faulty.faults[faulty.layout.layers[1]["digest"]] = once
    assert apply(name="app", registry=faulty.source(retries=2)).facts["image"]["digest"] == faulty.layout.digest


def test_newer_asks_for_the_manifest_alone(faulty: Faulty) -> None:
    apply(name="app", registry=faulty.source())
    faulty.asked.clear()
    assert apply(name="app", registry=faulty.source(), pull="newer").plan.actions == []
    assert [path for path in faulty.asked if not re.fullmatch(r"/v2/(app/manifests/1)?", path)] == []


def test_layers_that_are_there_are_not_asked_for(faulty: Faulty, tmp_path: Path) -> None:
    apply(name="app", registry=faulty.source())
    more = Layout(tmp_path / "more").add(tar(("base", b"b"))).add(GOOD).add(tar(("own", b"o")))
    more.write()
    with Faulty(more) as second:
        apply(name="more", registry=second.source())
        blobs = {path.rpartition("/")[2] for path in second.asked if "/blobs/" in path}
        assert more.layers[2]["digest"] in blobs
        assert not blobs & {more.layers[0]["digest"], more.layers[1]["digest"]}


def test_requests_that_stay_too_many(faulty: Faulty) -> None:
    """However often it is told to come back, it ends, and says what to do."""
    faulty.faults["/manifests/"] = lambda request: send(request, 429, b"", {"Retry-After": "0"})
    with pytest.raises(Exception, match="limits requests: log in, use a mirror, or wait") as caught:
        apply(name="app", registry=faulty.source())
    assert faulty.address in str(caught.value) and images.left() == []


@pytest.mark.parametrize("of", ["another authority", "another host"])
def test_a_wrong_certificate(tmp_path: Path, of: str) -> None:
    registry.certificate(tmp_path / "trusted")
    with registry.serve(tmp_path / "registry", tls=True) as server:
        host, cert_dir = server.address, str(tmp_path / "trusted")
        if of == "another host":
            host, cert_dir = server.address.replace("127.0.0.1", "localhost"), server.cert_dir
        trust = tmp_path / "trust"
        trust.mkdir()
        shutil.copy(f"{cert_dir}/ca.crt", trust)
        access = {"reference": f"{host}/app:1", "cert_dir": str(trust), "retries": 0}
        with pytest.raises(Exception, match="x509.*Give the certificate authority in cert_dir") as caught:
            apply(name="app", registry=access)
        assert host in str(caught.value) and images.left() == []
