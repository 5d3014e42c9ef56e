# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No container loses a layer that it runs on: whatever is damaged, repaired, removed or done at the same time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import replaced
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import LOCK, Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.store import ImageInfo, ImagePrune
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files

from tests.kernel import images, test_container
from tests.kernel.images import apply, checked, remove
from tests.kernel.layouts import Layout, tar
from tests.kernels import Watched

NAME = "bktest-user"
CONTAINER: dict[str, Any] = {"name": NAME, "image": "app", "stop_timeout": 0}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    test_container.apply("ns_container", name=NAME, state="absent")
    images.remove_all()
    assert images.left() == []


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    busybox = ("busybox", Path("/bin/busybox").read_bytes(), {"mode": 0o755})
    layout = Layout(tmp_path / "layout", {"Cmd": ["/busybox", "sleep", "1000"]})
    layout.add(tar(busybox)).add(tar(("data", b"content")))
    layout.write()
    apply(**params(layout))
    return layout


@pytest.fixture
def running(layout: Layout) -> Layout:
    test_container.apply("ns_container", **CONTAINER)
    return layout


def params(layout: Layout, **more: Any) -> dict[str, Any]:
    return {"name": "app", "archive": {"path": str(layout.path)}, **more}


def another_image() -> None:
    apply(name="other", build={"directories": [{"path": "/x"}]})
    remove("other")


def data() -> str:
    """What the container sees, also of what it has not looked at before."""
    answer = test_container.run(NAME, "/busybox", "cat", "/data")
    return str(answer["stdout"] or answer["stderr"])


def old_layers() -> list[str]:
    return [name for name in os.listdir(f"{Store().root}/layers") if replaced.is_old(name)]


@pytest.mark.parametrize("blob", ["config", "manifest"])
@pytest.mark.parametrize("how", ["rotten", "missing"])
def test_an_image_in_use_that_cannot_be_read_keeps_everything(running: Layout, blob: str, how: str) -> None:
    path = Path(Store().blob_path(running.config_digest if blob == "config" else running.digest))
    path.write_bytes(b"rotten") if how == "rotten" else path.unlink()
    [found] = ImageInfo().gather({})["images"]
    assert "damaged" in found["damage"] or "missing" in found["damage"]
    assert (found["reference"], found["digest"]) == ("app:latest", running.digest)
    assert found["used_by"] == [NAME] and ImageInfo().gather({"name": "app"})["images"] == [found]
    pruned = predict(ImagePrune(), None)
    assert pruned.plan.actions == [] and pruned.facts["freed_bytes"] == 0
    assert any("image app:latest" in warning for warning in pruned.plan.warnings)
    with pytest.raises(Refused, match=f"used by container {NAME}"):
        checked(name="app", state="absent")
    another_image()
    assert data() == "content"
    # By force the name goes, and what the container needs stays.
    remove("app", force=True)
    assert data() == "content" and any(NAME in w for w in predict(ImagePrune(), None).plan.warnings)
    # Made anew it is whole again.
    assert apply(**params(running)).plan.actions != [] and apply(**params(running)).plan.actions == []
    assert "damage" not in ImageInfo().gather({})["images"][0]
    assert predict(ImagePrune(), None).plan.warnings == ()


@pytest.mark.parametrize("ends", ["restarted", "stopped"])
def test_a_layer_is_replaced_and_kept_for_who_runs_on_it(
    running: Layout, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaced, "_SECONDS_TO_LAUNCH", 0)
    layer = Store().resolve("app").layers[0]  # type: ignore[union-attr]
    os.chmod(layer + "/data", 0o600)
    predicted, outcome = checked(**params(running, verify=True)), apply(**params(running, verify=True))
    assert outcome.plan.actions == predicted.plan.actions != []
    assert outcome.plan.warnings == (f"container {NAME} runs on a damaged layer until it is restarted",)
    assert outcome.plan.warnings == predicted.plan.warnings
    assert os.stat(layer + "/data").st_mode & 0o777 == 0o644
    # It runs on as before, and nothing clears what it runs on.
    assert data() == "content" and len(old_layers()) == 1
    assert test_container.apply("ns_container", **CONTAINER).plan.actions == []
    another_image()
    again = apply(**params(running, verify=True))
    assert again.plan.actions == [] and again.plan.warnings == outcome.plan.warnings
    assert data() == "content" and len(old_layers()) == 1
    test_container.apply("ns_container", **CONTAINER, state=ends)
    assert apply(**params(running)).plan.actions != [] and old_layers() == []
    assert apply(**params(running)).plan.actions == [] and apply(**params(running)).plan.warnings == ()
    test_container.apply("ns_container", **CONTAINER)
    assert data() == "content"


def test_a_layer_of_a_container_that_does_not_run_is_just_replaced(running: Layout) -> None:
    test_container.apply("ns_container", **CONTAINER, state="stopped")
    os.chmod(Store().resolve("app").layers[0] + "/data", 0o600)  # type: ignore[union-attr]
    assert apply(**params(running, verify=True)).plan.warnings == () and old_layers() == []


def test_a_replaced_layer_of_an_earlier_boot_is_cleared(layout: Layout) -> None:
    os.mkdir(f"{Store().root}/layers/.old-{'0' * 64}-{'0' * 32}-99999999999")
    assert apply(**params(layout)).plan.actions != [] and old_layers() == []
    assert apply(**params(layout)).plan.actions == []


def test_an_image_is_removed_while_a_container_is_made_from_it(layout: Layout) -> None:
    """Whoever is first wins; the other one says so, and nothing is half there."""
    reader, writer = os.pipe()
    child = os.fork()  # before any lock is taken, as it would inherit that
    if child == 0:
        status = 1
        try:
            os.read(reader, 1)
            remove("app")
        except Exception as error:
            status = 2 if NAME in str(error) else 1
        finally:
            os._exit(status)

    class Meanwhile(Watched):
        begun = False

        def before(self, call: str, arguments: tuple[Any, ...]) -> None:
            if not self.begun:
                self.begun = True
                os.write(writer, b"x")
                time.sleep(2)  # it removes the image now, if it can

    resource = ContainerResource()
    desired = resource.desired(test_container.parameters("ns_container", CONTAINER))
    converge(resource, desired, Meanwhile(resource.kernel()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert "docker.io/library/app:latest" in Store().names() and data() == "content"


def test_a_container_task_does_not_wait_for_a_pull(running: Layout) -> None:
    with files.locked(LOCK):
        assert test_container.apply("ns_container", **CONTAINER).plan.actions == []


def test_prune_returns_numbers(layout: Layout) -> None:
    Path(Store().root, "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    (Path(Store().root) / "layers/.new-half").mkdir()
    promised = predict(ImagePrune(), None)
    done = converge(ImagePrune(), None)
    numbers = {key: promised.facts[key] for key in ("freed_bytes", "removed_blobs", "removed_layers")}
    assert numbers["freed_bytes"] > Path("/bin/busybox").stat().st_size
    assert (numbers["removed_blobs"], numbers["removed_layers"]) == (4, 2)
    assert done.facts == numbers
    assert converge(ImagePrune(), None).facts == {"freed_bytes": 0, "removed_blobs": 0, "removed_layers": 0}
