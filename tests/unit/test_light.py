# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task that has nothing to do loads nothing with which it would do it: Ansible compiles it anew for each task."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.shipped import file_of

pytestmark = pytest.mark.once

BASE = "ansible_collections.barekernel.containers.plugins"
UTILS = f"{BASE}.module_utils"
#: What changes the host, and is loaded by Kernel() when it does.
CHANGES = {"_kernel.inode_flags", "_kernel.process_holders"}
#: What makes an image.
MAKES_IMAGES = {
    *(f"_image.layers.{name}" for name in ("layer", "lower", "stream", "tarstream", "tarwriter")),
    *(f"_image.store.{name}" for name in ("unpack", "verify", "workers", "write")),
    *(f"_image.sources.{name}" for name in ("build", "from_container", "from_debootstrap", "from_steps", "from_tree")),
    *(f"_image.sources.{name}" for name in ("incoming", "one_layer", "pull", "steps")),
    *("_image.changes.change", "_image.changes.export", "_image.registry.transport"),
    *(f"_kernel.{name}" for name in ("mount", "mount_overlay", "namespaces", "netlink", "nft", "overlay_state")),
    *CHANGES,
}
#: What a module has no need of before it changes something, or of which its objects are not made.
NOT_LOADED = {
    "bridge_network": {"_kernel.mount", "_kernel.namespaces", "_kernel.overlay_state", "_image.layers.layer", *CHANGES},
    "cgroup_v2": {"_kernel.mount", "_kernel.namespaces", "_kernel.netlink", "_kernel.nft", *CHANGES},
    "netns_veth": {"_kernel.mount", "_kernel.nft", "_kernel.overlay_state", "_kernel.cgroup", *CHANGES},
    "ns_container": {
        *("_image.format.config", "_image.store.volume"),
        *(f"_image.layers.{name}" for name in ("layer", "stream", "tarwriter")),
        *(f"_kernel.{name}" for name in ("mount", "mount_overlay", "overlay_state", "seccomp")),
        *("_boot.host", "_boot.kept", "_cgroup.resource", "_links.resource"),
        *("_network.plan", "_network.resource"),
        *("_runtime.process.end", "_runtime.process.isolated", "_runtime.supervise.logs"),
        *("_runtime.bundle.seccomp_filter",),
        *CHANGES,
    },
    "overlay_mount": {"_kernel.netlink", "_kernel.netns", "_kernel.nft", *CHANGES},
}
ARCHIVE = {"path": "/srv/app.tar", "format": "auto", "remote_src": True}
NOTHING_TO_DO = """
import json, sys
from {utils}._image.store.store import Store
from {utils}._kernel import locations
from {utils}._core.converge import predict
from {utils}._images import resource as image
import {base}.modules.oci_image
image.half_made = lambda store: False  # what this host is building just now
locations.MODES.clear()  # and what its directories are like
resource = image.ImageResource(Store({root!r}, {root!r} + "/containers"))
desired = resource.desired({{"name": "app", "state": "present", **{options!r}}})
outcome = predict(resource, desired)
print(json.dumps([outcome.plan.actions, sorted(sys.modules)]))
"""


def loaded(program: str) -> tuple[list[str], set[str]]:
    """What the program printed first, and our modules that it had loaded by then, as LAYER.FILE."""
    code = f"import sys; sys.path.insert(0, {str(conftest.COLLECTIONS)!r})\n" + program
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, modules = json.loads(done.stdout)
    return first, {name[len(UTILS) + 1 :] for name in modules if name.startswith(UTILS + ".")}


def store_with_app(root: Path, source: dict[str, object]) -> None:
    """A store with one image of one layer, as Writer leaves it."""
    layer = "sha256:" + hashlib.sha256(b"layer").hexdigest()
    (root / "layers" / layer[7:] / "fs").mkdir(parents=True)
    config = put(root, {"config": {}, "rootfs": {"type": "layers", "diff_ids": [layer]}})
    manifest = put(root, {"config": config, "layers": [{"digest": layer, "size": 5, "mediaType": "tar"}]})
    name = {"org.opencontainers.image.ref.name": "docker.io/library/app:latest"}
    manifest["annotations"] = {**name, "io.barekernel.source": json.dumps(source)}
    (root / "index.json").write_text(json.dumps({"manifests": [manifest]}))


def put(root: Path, document: dict[str, object]) -> dict[str, object]:
    content = json.dumps(document).encode()
    digest = hashlib.sha256(content).hexdigest()
    (root / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (root / "blobs/sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


@pytest.mark.parametrize(
    "source, options",
    [
        ({"kind": "registry", "key": "sha256:0"}, {"pull": "missing"}),
        ({"kind": "archive", "key": "sha256:0"}, {"rebuild": "never", "archive": ARCHIVE}),
    ],
    ids=["registry", "archive"],
)
def test_an_image_that_is_there_is_not_about_to_be_made(
    tmp_path: Path, source: dict[str, object], options: dict[str, object]
) -> None:
    store_with_app(tmp_path, source)
    program = NOTHING_TO_DO.format(utils=UTILS, base=BASE, root=str(tmp_path), options=options)
    actions, modules = loaded(program)
    assert actions == []
    assert "_image.store.store" in modules
    assert not modules & MAKES_IMAGES


@pytest.mark.parametrize("module", sorted(NOT_LOADED))
def test_a_module_loads_what_looks_and_plans(module: str) -> None:
    name = f"{BASE}.modules.{module}"
    _nothing, modules = loaded(f"import json, sys, {name}\nprint(json.dumps([[], sorted(sys.modules)]))")
    assert "_core.converge" in modules
    assert not modules & NOT_LOADED[module]


def test_what_is_not_loaded_exists() -> None:
    """Or the tests above would say nothing of it."""
    assert [name for name in MAKES_IMAGES.union(*NOT_LOADED.values()) if not file_of(name).is_file()] == []
