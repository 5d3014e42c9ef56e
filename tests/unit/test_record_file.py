# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records: damaged, of a newer version, with a field more. Those of modules: tests/kernel/test_every_module.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import container_records, record_file
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import NoSuchContainer
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import state

NEWER = r"has version 2, .* reads versions up to 1: use the version that wrote it"


def written(path: Path, document: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"version": 2}, NEWER),
        ([], "damaged"),
        ({"version": "1"}, "damaged"),
        ({"version": True}, "damaged"),
        ({"version": 0}, "damaged"),
    ],
)
def test_what_cannot_be_read(document: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=words):
        record_file.read(written(tmp_path / "a.json", document))


def test_what_can(tmp_path: Path) -> None:
    assert record_file.read(str(tmp_path / "none")) is None
    assert record_file.read(written(tmp_path / "a", {"x": 1})) == {"x": 1}
    assert record_file.read(written(tmp_path / "a", {"version": 2}), newest=2) == {"version": 2}
    assert record_file.others({"version": 1, "x": 1, "y": 2}, ("x",)) == {"y": 2}


def test_containers_by_their_records(tmp_path: Path) -> None:
    written(tmp_path / "b" / "container.json", {"version": 1})
    written(tmp_path / "a" / "container.json", {})
    (tmp_path / ".new-c").mkdir()
    (tmp_path / "half").mkdir()
    assert container_records.names(str(tmp_path)) == ["a", "b", "half"]
    assert dict(container_records.declared(str(tmp_path), without="a")) == {"b": {"version": 1}}
    written(tmp_path / "a" / "container.json", {"version": 2})
    with pytest.raises(KernelError, match=NEWER):
        Store(str(tmp_path / "images"), str(tmp_path)).users("sha256:0")


def test_the_runtimes_own_record(tmp_path: Path) -> None:
    fields = {"pid": 1, "start_time": 2, "bundle": "/b", "version": "1.9.0", "created": "", "cgroup": None}
    document = {"id": "a", **fields, "annotations": {}, "hooks": False, "of_tomorrow": 1}
    path = tmp_path / "a" / "state.json"
    written(path, document)
    assert state.read(str(tmp_path), "a").version == "1.9.0"
    written(path, {**document, "format": 2})
    with pytest.raises(KernelError, match=NEWER):
        state.read(str(tmp_path), "a")
    with pytest.raises(NoSuchContainer):
        state.read(str(tmp_path), "b")


def test_an_image_store_of_another_layout(tmp_path: Path) -> None:
    store = Store(str(tmp_path), str(tmp_path / "containers"))
    written(tmp_path / "index.json", {"schemaVersion": 2, "manifests": []})
    written(tmp_path / "oci-layout", {"imageLayoutVersion": "1.1.0"})
    assert store.descriptors() == ()
    written(tmp_path / "oci-layout", {"imageLayoutVersion": "2.0.0"})
    with pytest.raises(ImageError, match=r"version 2\.0\.0"):
        store.descriptors()
