# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is handed over to which host, and what the workers of a run share."""

from __future__ import annotations

import multiprocessing
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.sources.handed import Handed, Seeded, Wanted
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.observe_needs import needs_of
from ansible_collections.barekernel.containers.plugins.module_utils._images.resource import ImageResource
from ansible_collections.barekernel.containers.plugins.plugin_utils.givers import (
    Blob,
    FromFile,
    FromHost,
    Offer,
    lacking,
    pack,
)
from ansible_collections.barekernel.containers.plugins.plugin_utils.run_cache import RunCache


def digest(letter: str) -> str:
    return "sha256:" + 64 * letter


MANIFEST, CONFIG, LAYER, TWICE = (Blob(digest(letter), size) for letter, size in zip("abcd", (10, 20, 30, 40)))
OFFER = Offer(MANIFEST.digest, MANIFEST.digest, (MANIFEST, CONFIG, LAYER, TWICE, TWICE))
HERE = "linux/amd64"


def wants(key: str = "", *blobs: Blob, damaged: Sequence[Blob] = ()) -> dict[str, Any]:
    """What a host says of itself, and of one image."""
    image = {"key": key, "damaged": [blob.digest for blob in damaged]}
    return {"images": {"app": image}, "blobs": [blob.digest for blob in blobs], "platform": HERE, "runs": [HERE]}


@pytest.mark.parametrize(
    ("offer", "needs", "brought"),
    [
        (OFFER, wants(), (MANIFEST, CONFIG, LAYER, TWICE)),
        (OFFER, wants("", LAYER, CONFIG), (MANIFEST, TWICE)),
        (OFFER, wants(digest("e"), MANIFEST, CONFIG, LAYER, TWICE), ()),
        (OFFER, wants("", LAYER, CONFIG, damaged=[CONFIG]), (MANIFEST, CONFIG, TWICE)),
        (OFFER, wants(MANIFEST.digest), None),
        # An archive that is also the blob of a layer there is brought all the same.
        (Offer(LAYER.digest, LAYER.digest, (LAYER,), whole=True), wants("", LAYER), (LAYER,)),
        (Offer(LAYER.digest, digest("f"), (LAYER,), whole=True), wants(digest("f")), None),
    ],
)
def test_what_is_lacking(offer: Offer, needs: dict[str, Any], brought: tuple[Blob, ...] | None) -> None:
    assert lacking(offer, needs, needs["images"]["app"]) == brought


def test_a_source_that_is_not_in_hand_is_wanted(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "images"))
    with pytest.raises(Wanted, match="app"):
        Seeded("app", "alpha").look(store, {})
    assert Seeded("app", "alpha", Handed(digest("a"))).look(store, {}).key == digest("a")


def entry(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "state": "present", "pull": "newer", "rebuild": "changed", **options}


def test_what_a_task_about_many_images_needs(tmp_path: Path) -> None:
    """Those whose source is not in hand, by their references, and once what is known of the host."""
    resource = ImageResource(Store(str(tmp_path / "images"), str(tmp_path / "containers")))
    copied = {"archive": {"path": "/x.tar", "format": "oci-archive", "remote_src": False}}
    entries = [entry("app", seed="alpha"), entry("quay.example/b:2", **copied), entry("gone", state="absent")]
    needs = needs_of(entries, resource)
    nothing = {"key": "", "damaged": []}
    assert needs["images"] == {"docker.io/library/app:latest": nothing, "quay.example/b:2": nothing}
    assert needs["blobs"] == [] and all(runs.startswith(needs["platform"]) for runs in needs["runs"])
    handed = {name: {"digest": digest("a")} for name in needs["images"]}
    assert needs_of([{**each, "handed_over": handed} for each in entries], resource) == {}


def _ask(root: str, said: Any) -> None:
    answer = RunCache(root).once("question", lambda: os.getpid())
    said.put((os.getpid(), answer))


def test_one_of_many_workers_asks(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    said: Any = fork.Queue()
    workers = [fork.Process(target=_ask, args=(str(tmp_path), said)) for _number in range(4)]
    for worker in workers:
        worker.start()
    answers = [said.get() for _worker in workers]
    for worker in workers:
        worker.join()
    assert len({pid for pid, _answer in answers}) == 4
    assert len({answer for _pid, answer in answers}) == 1


def test_an_error_is_asked_for_again(tmp_path: Path) -> None:
    cache = RunCache(str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        cache.once("question", lambda: 1 // 0)
    assert cache.once("question", lambda: 2) == cache.once("question", lambda: 3) == 2


class There:
    """A host that answers."""

    def __init__(self, platform: str = HERE) -> None:
        self.platform = platform
        self.asked: list[tuple[str, bool]] = []

    def module(self, name: str, arguments: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
        self.asked.append((name, check_mode))
        if check_mode:
            return {"source_key": MANIFEST.digest}
        blobs = [vars(blob) for blob in (MANIFEST, CONFIG, LAYER)]
        return {"digest": MANIFEST.digest, "blobs": blobs, "platform": self.platform, "changed": False}


def from_host(cache: RunCache, there: Any, **arguments: Any) -> FromHost:
    return FromHost(cache, {"name": "app", **arguments}, "task", lambda: there, "alpha")


def test_a_host_is_asked_once_a_task(tmp_path: Path) -> None:
    there, cache = There(), RunCache(str(tmp_path))
    for _host in range(3):
        assert from_host(cache, there).offer(wants(), False).blobs == (MANIFEST, CONFIG, LAYER)
    assert there.asked == [("oci_image", False)]
    assert from_host(cache, there).offer(wants(), True) == Offer(MANIFEST.digest, MANIFEST.digest)
    assert there.asked[1:] == [("oci_image", True)]


def test_an_image_for_another_platform_is_not_offered(tmp_path: Path) -> None:
    there = There("linux/arm64/v8")
    with pytest.raises(ImageError, match="linux/arm64/v8, and this host is linux/amd64"):
        from_host(RunCache(str(tmp_path)), there).offer(wants(), False)
    asked_for = from_host(RunCache(str(tmp_path)), there, registry={"platform": "linux/arm64"})
    assert asked_for.offer(wants(), False).digest == MANIFEST.digest


def layout(directory: Path) -> Path:
    (directory / "blobs/sha256").mkdir(parents=True)
    (directory / "oci-layout").write_text("{}")
    (directory / "blobs/sha256/a").write_text("a")
    return directory


def test_a_layout_travels_as_an_archive_that_is_always_the_same(tmp_path: Path) -> None:
    for name, when in (("one", 1), ("two", 2)):
        os.utime(layout(tmp_path / name) / "oci-layout", (when, when))
        with open(tmp_path / f"{name}.tar", "wb") as out:
            pack(str(tmp_path / name), out)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        assert archive.getnames() == ["oci-layout", "blobs/sha256/a"]
    giver = FromFile(RunCache(str(tmp_path / "cache")), str(tmp_path / "one"), "")
    offer = giver.offer(wants(), False)
    giver.bring(offer.blobs)
    brought = Path(RunCache(str(tmp_path / "cache")).blob(offer.digest))
    assert (
        brought.read_bytes() == (tmp_path / "one.tar").read_bytes() and offer.blobs[0].size == os.stat(brought).st_size
    )


def test_a_directory_that_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no OCI layout"):
        FromFile(RunCache(str(tmp_path / "cache")), str(tmp_path), "")
