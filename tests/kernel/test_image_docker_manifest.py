# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image with Docker's manifest (v2, schema 2), and what is made of it, gets out of the store in every form."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Image, Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.store import ImageExport

from tests import collection
from tests.kernel import images, registry
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, digest, tar

CONTAINERS = Path("/var/lib/barekernel/containers")
#: OCI has no word for it: a configuration that skopeo translates loses it, and is another one.
CONFIG = {"Cmd": ["/a"], "Healthcheck": {"Test": ["CMD", "/a"]}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[registry.Registry]:
    with registry.serve(tmp_path / "registry") as running:
        yield running


@pytest.fixture(params=["as pulled", "with another configuration", "built upon", "committed upon"])
def image(request: pytest.FixtureRequest, server: registry.Registry, tmp_path: Path) -> Iterator[Image]:
    layout = Layout(tmp_path / "layout", CONFIG).add(tar(("a", b"a"))).add(tar(("b", b"b")))
    target = f"docker://{server.address}/app:1"
    copy = ["skopeo", "copy", "-q", "--format=v2s2", "--dest-tls-verify=false", f"oci:{layout.write()}:image", target]
    subprocess.run(copy, check=True)
    source = {"reference": f"{server.address}/app:1", "tls_verify": False, "retries": 0}
    base = apply(name="app" if request.param == "as pulled" else "base", registry=source).facts["image"]
    if request.param == "with another configuration":
        apply(name="app", image="base", config={"cmd": ["/b"]})
    elif request.param == "built upon":
        apply(name="app", build={"base": "base", "directories": [{"path": "/c"}]})
    elif request.param == "committed upon":
        (CONTAINERS / "c1/upper/c").mkdir(parents=True)
        (CONTAINERS / "c1/container.json").write_text(json.dumps({"image_digest": base["digest"]}))
        apply(name="app", container="c1")
        shutil.rmtree(CONTAINERS)
    found = Store().resolve("app")
    assert found is not None
    yield found
    images.remove_all()
    assert images.left() == []


def export(module: str, **given: Any) -> list[str]:
    resource = ImageExport(module)
    arguments = collection.module_arguments(module)["argument_spec"]
    desired = resource.desired(ArgumentSpecValidator(arguments).validate(given).validated_parameters)
    actions: list[str] = converge(resource, desired).plan.actions
    return actions


def read(what: str, *options: str) -> bytes:
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", *options, what]
    return subprocess.run(command, check=True, capture_output=True).stdout


def copied(what: str, path: Path) -> None:
    """skopeo, and so podman, can make a Docker archive of it, which asks for every layer."""
    command = ["skopeo", "copy", "-q", "--src-tls-verify=false", what, f"docker-archive:{path}:copy:1"]
    subprocess.run(command, check=True)


def test_it_is_pushed(image: Image, server: registry.Registry, tmp_path: Path) -> None:
    params = {"name": "app", "destination": f"{server.address}/again:1", "tls_verify": False, "retries": 0}
    assert export("oci_image_push", **params) != [] and export("oci_image_push", **params) == []
    target = f"docker://{params['destination']}"
    assert digest(read(target, "--config")) == image.manifest["config"]["digest"]
    if "docker" in image.manifest["mediaType"]:
        assert digest(read(target)) == image.digest
    copied(target, tmp_path / "copy")


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive", "oci"])
def test_it_is_saved(image: Image, tmp_path: Path, form: str) -> None:
    params = {"name": "app", "path": str(tmp_path / "saved"), "format": form}
    assert export("oci_image_save", **params) != [] and export("oci_image_save", **params) == []
    target = f"{form}:{params['path']}"
    assert digest(read(target, "--config")) == image.manifest["config"]["digest"]
    copied(target, tmp_path / "copy")
    again = apply(name="again", archive={"path": params["path"]}).facts["image"]
    assert [layer["diff_id"] for layer in again["layers"]] == list(image.diff_ids)
    assert again["config"] == image.config
