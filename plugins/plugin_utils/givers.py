# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has what a host lacks, and how it gets onto the controller: files of its own, its own pull, another host.

Nothing here needs Ansible's controller code, so the unit tests run on every Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils._image.errors import ImageError
from ..module_utils._image.format import digest as digests
from ..module_utils._image.sources import pull, source
from ..module_utils._image.sources.from_registry import Registry
from ..module_utils._images.options import registry_source
from ..module_utils._module.arguments.image_source import image_source
from .run_cache import RunCache

#: Seconds between two lines on how far a pull has come.
EVERY = 5.0


@dataclass(frozen=True)
class Blob:
    """A file to hand over, by its digest."""

    digest: str
    size: int


@dataclass(frozen=True)
class Offer:
    """``digest`` is the manifest's or archive's; ``key`` is what an image made from it is recorded with. ``whole`` is
    one archive, and no set of blobs."""

    digest: str
    key: str
    blobs: tuple[Blob, ...] = ()
    whole: bool = False


def lacking(offer: Offer, needs: Mapping[str, Any], need: Mapping[str, Any]) -> tuple[Blob, ...] | None:
    """What has to be brought for an image, each blob once; None where the one there is made from this very content.

    ``needs`` is what the host said of itself, and ``need`` of that image (_image/sources/handed.py).
    """
    if need["key"] == offer.key:
        return None
    has = set() if offer.whole else set(needs["blobs"]) - set(need["damaged"])
    return tuple(blob for blob in dict.fromkeys(offer.blobs) if blob.digest not in has)


class Giver:
    """Something that can be handed over. ``name`` is what errors begin with."""

    name = ""

    def offer(self, needs: Mapping[str, Any], check_mode: bool) -> Offer:
        """What there is for a host that says this of itself. Raises ImageError, KernelError, OSError."""
        raise NotImplementedError

    def bring(self, blobs: Collection[Blob]) -> None:
        """See to it that these are in the run's cache. Raises ImageError, KernelError, OSError."""
        raise NotImplementedError


class FromFile(Giver):
    """An archive on the controller; a directory (an OCI layout) travels as one."""

    def __init__(self, cache: RunCache, path: str, reference: str | None) -> None:
        """``reference`` is None for a root file system, of which there is one."""
        self._cache, self._path, self._reference = cache, path, reference
        self.name = f"{path} of the controller"
        self.packed = os.path.isdir(path)
        if self.packed and not os.path.exists(f"{path}/oci-layout"):
            raise ImageError(f"{path} is a directory and no OCI layout, so it cannot be copied to hosts")

    def offer(self, needs: Mapping[str, Any], check_mode: bool) -> Offer:
        stamp = os.stat(self._path)
        name = f"file {self._path} {stamp.st_ino} {stamp.st_size} {stamp.st_mtime_ns}"
        digest, size = self._cache.once(name, self._measure)
        key = digest if self._reference is None else source.key_of(digest, self._reference)
        return Offer(digest, key, (Blob(digest, size),), whole=True)

    def bring(self, blobs: Collection[Blob]) -> None:
        for blob in blobs:
            with self._cache.locked(blob.digest):
                if self._cache.has(blob.digest):
                    continue
                target = self._cache.blob(blob.digest)
                if not self.packed:
                    os.symlink(os.path.abspath(self._path), target)
                    continue
                with open(target + ".new", "wb") as out:
                    pack(self._path, out)
                os.rename(target + ".new", target)

    def _measure(self) -> tuple[str, int]:
        measure = Measure()
        if self.packed:
            pack(self._path, measure)
        else:
            with open(self._path, "rb") as archive:
                shutil.copyfileobj(archive, measure, 1 << 20)
        return "sha256:" + measure.hasher.hexdigest(), measure.size


class Measure:
    """A file that only counts and hashes what is written to it."""

    def __init__(self) -> None:
        self.hasher = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        self.hasher.update(content)
        self.size += len(content)
        return len(content)


def pack(directory: str, out: Any) -> None:
    """An OCI layout as an oci-archive: the same content gives the same bytes."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for base, directories, names in os.walk(directory):
            directories.sort()
            for name in sorted(names):
                path = f"{base}/{name}"
                info = tarfile.TarInfo(os.path.relpath(path, directory))
                info.size = os.stat(path).st_size
                with open(path, "rb") as content:
                    archive.addfile(info, content)


class FromController(Giver):
    """The controller pulls, as the user that runs Ansible."""

    name = "seed controller"

    def __init__(self, cache: RunCache, arguments: Mapping[str, Any], task: str, say: Callable[[str], None]) -> None:
        self._cache, self._task, self._say = cache, task, say
        self._registry = registry_of(arguments)
        self._offer = Offer("", "")

    def offer(self, needs: Mapping[str, Any], check_mode: bool) -> Offer:
        if shutil.which("skopeo") is None:
            raise ImageError("it pulls with skopeo, which is not installed there", "Install it, or name a host as seed")
        asked, runs = self._registry, tuple(needs["runs"])
        self._registry = Registry(asked.reference, asked.platform, asked.access, runs=runs)
        what = f"{asked.reference} {asked.platform} {' '.join(runs)}"
        digest = self._cache.once(f"manifest {self._task} {what}", self._ask)
        self._offer = self._of(digest)
        return self._offer

    def _ask(self) -> str:
        manifest = self._registry.manifest()
        digest = digests.of_bytes(manifest)
        with open(self._cache.blob(digest), "wb") as out:
            out.write(manifest)
        return digest

    def _of(self, digest: str) -> Offer:
        with open(self._cache.blob(digest), "rb") as stream:
            content = stream.read()
        document = json.loads(content)
        try:
            blobs = [
                Blob(digests.check(e["digest"]), int(e["size"])) for e in (document["config"], *document["layers"])
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(f"the manifest of {self._registry.reference} is damaged") from error
        return Offer(digest, digest, (Blob(digest, len(content)), *blobs))

    def bring(self, blobs: Collection[Blob]) -> None:
        with self._cache.locked(f"pull {self._offer.digest}"):
            if not all(self._cache.has(blob.digest) for blob in blobs):
                self._pull()

    def _pull(self) -> None:
        """All of the image, as skopeo copies nothing less; it checks each digest."""
        layout = f"{self._cache.root}/pull-{os.getpid()}"
        os.makedirs(f"{layout}/blobs/sha256")
        try:
            total = sum(blob.size for blob in self._offer.blobs)
            shown = time.monotonic()
            blobs = f"{layout}/blobs"
            with pull.copying(self._registry, self._offer.digest, blobs, f"{layout}/layout", total) as copying:
                while copying.going():
                    time.sleep(0.1)
                    if time.monotonic() - shown >= EVERY:
                        shown = time.monotonic()
                        self._say(amount("pulling", copying.arrived, total))
            for blob in self._offer.blobs:
                path = f"{layout}/blobs/{blob.digest.replace(':', '/')}"
                if os.path.exists(path):
                    os.rename(path, self._cache.blob(blob.digest))
        finally:
            shutil.rmtree(layout, ignore_errors=True)


class FromHost(Giver):
    """A host of the inventory that has the image."""

    def __init__(
        self, cache: RunCache, arguments: Mapping[str, Any], task: str, reach: Callable[[], Any], host: str
    ) -> None:
        """``reach`` connects to it (an OtherHost), which is done late; it is closed by whoever gave it."""
        self._cache, self._arguments, self._task, self._reach, self._name = cache, arguments, task, reach, host
        self.name = f"seed {host}"
        self._host: Any = None

    @property
    def host(self) -> Any:
        self._host = self._host or self._reach()
        return self._host

    def offer(self, needs: Mapping[str, Any], check_mode: bool) -> Offer:
        """What it has or, in check mode, would have."""
        name = f"{'prediction' if check_mode else 'offer'} {self._task} {self._name} {self._arguments.get('name')}"
        if check_mode:
            digest = self._cache.once(name, self._predicted)
            return Offer(digest, digest)
        answer = self._cache.once(name, self._asked)
        explicit = (self._arguments.get("registry") or {}).get("platform")
        if not explicit and answer["platform"].split("/")[:2] != needs["platform"].split("/")[:2]:
            raise ImageError(
                f"it has the image for {answer['platform']}, and this host is {needs['platform']}",
                "Name a seed like it, or controller, or registry.platform",
            )
        blobs = tuple(Blob(blob["digest"], int(blob["size"])) for blob in answer["blobs"])
        return Offer(answer["digest"], answer["digest"], blobs)

    def _predicted(self) -> str:
        arguments = {name: value for name, value in self._arguments.items() if name in ("name", "registry", "pull")}
        result = self.host.module("oci_image", arguments, check_mode=True)
        return str(result["source_key"])

    def _asked(self) -> dict[str, Any]:
        result = self.host.module("oci_image", {"name": self._arguments["name"], "hand_out": {}})
        return {name: result[name] for name in ("digest", "blobs", "platform")}

    def bring(self, blobs: Collection[Blob]) -> None:
        with self._cache.locked(f"fetch from {self._name}"):
            missing = [blob for blob in blobs if not self._cache.has(blob.digest)]
            if not missing:
                return
            directory = self.host.directory()
            wanted = {"blobs": [blob.digest for blob in missing], "path": directory}
            self.host.module("oci_image", {"name": self._arguments["name"], "hand_out": wanted})
            for blob in missing:
                self._fetch(blob, directory)

    def _fetch(self, blob: Blob, directory: str) -> None:
        target = self._cache.blob(blob.digest)
        self.host.fetch(os.path.join(directory, os.path.basename(target)), target + ".new")
        if digests.of_file(target + ".new") != blob.digest:
            os.unlink(target + ".new")
            raise ImageError(f"blob {blob.digest} was damaged on its way to the controller")
        os.rename(target + ".new", target)


def registry_of(arguments: Mapping[str, Any]) -> Registry:
    """The source as the module would read it. Raises ImageError, OptionError."""
    spec = {"name": {"type": "str", "required": True}, **{n: image_source()[n] for n in ("registry", "pull")}}
    given = {name: arguments[name] for name in spec if name in arguments}
    result = ArgumentSpecValidator(spec).validate(given)
    if result.error_messages:
        raise ImageError("; ".join(result.error_messages))
    return registry_source(result.validated_parameters)


def amount(what: str, done: int, total: int) -> str:
    """``pulling 45% (50 of 110 MB)``"""
    return f"{what} {100 * min(done, total) // max(total, 1)}% ({done >> 20} of {total >> 20} MB)"
