# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is desired is made of options alone: on any machine, also on a controller that is not Linux."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store

from tests import collection
from tests.kernel.cases import CASES, Case

#: How anything of a host is asked. Python's own imports do not come this way.
ASKED = {
    os: ("access", "getxattr", "listdir", "lstat", "open", "popen", "readlink", "scandir", "stat", "statvfs", "uname"),
    os.path: ("exists", "isdir", "isfile", "islink", "ismount", "lexists", "realpath"),
    builtins: ("open",),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name or case.module)
def test_options_are_enough(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = collection.module_resource(case.module)
    for params in (case.create, case.change, case.remove):
        given = collection.full_params(case.module, json.loads(json.dumps(params).replace("{tmp}", "/srv")))
        expected = resource.desired(given)  # with this, all is imported that is imported late
        with monkeypatch.context() as patch:
            for module, names in ASKED.items():
                for name in names:
                    patch.setattr(module, name, _refuse)
            desired = resource.desired(given)
        assert desired == expected


def _refuse(*arguments: Any, **_more: Any) -> Any:
    raise AssertionError(f"the host was asked: {arguments}")


def test_a_missing_layer_is_seen_when_the_image_is_read(tmp_path: Path) -> None:
    """Planners compare; what they say must not depend on when they say it."""
    store = Store(str(tmp_path / "images"), str(tmp_path))
    diff_ids = ["sha256:" + 64 * letter for letter in "ab"]
    (Path(store.layer_home(diff_ids[0])) / "fs").mkdir(parents=True)
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest: dict[str, Any] = {"schemaVersion": 2, "config": _blob(store, config), "layers": []}
    for _layer in diff_ids:
        manifest["layers"].append({"mediaType": "x", "digest": diff_ids[0], "size": 1})
    image = store.image(_blob(store, manifest)["digest"])
    (Path(store.layer_home(diff_ids[1])) / "fs").mkdir(parents=True)
    assert image.missing == (store.layer_home(diff_ids[1]) + "/fs",)
    assert store.image(image.digest).missing == ()


def _blob(store: Store, document: Any) -> dict[str, Any]:
    content = json.dumps(document).encode()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    path = Path(store.blob_path(digest))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"mediaType": "x", "digest": digest, "size": len(content)}
