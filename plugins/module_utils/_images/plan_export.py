# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about what nothing uses, and about images that are to be elsewhere too: pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._core.errors import Refused
from .._core.operation import Operation, Plan
from .._image.changes.export import Blob
from .._image.changes.prune import Garbage
from .._image.format.reference import familiar
from .._image.registry.access import Access
from .._image.store.store import Image
from .._kernel.errors import absent
from .plan import kept_for


@dataclass(frozen=True)
class PruneStore(Operation):
    """Remove blobs and layers that no name and no container uses."""

    garbage: Garbage

    def describe(self) -> str:
        blobs, layers = len(self.garbage.blobs), len(self.garbage.layers)
        more = ", and what an interrupted run left" if self.garbage.half_made else ""
        return f"remove {blobs} blobs and {layers} layers that nothing uses{more} ({self.garbage.size} bytes)"

    def execute(self, kernel: Any) -> Garbage:
        """What was removed."""
        removed: Garbage = kernel.images.prune()
        return removed


def plan_prune(garbage: Garbage) -> Plan:
    """Remove what nothing uses; the change is what goes, with its size in bytes."""
    warnings = kept_for(garbage.unknown)
    if not garbage:
        return Plan(warnings=warnings)
    before = {"blobs": list(garbage.blobs), "layers": list(garbage.layers), "bytes": garbage.size}
    if garbage.half_made:
        before["half-made"] = True
    return Plan((PruneStore(garbage),), before, {}, warnings=warnings)


@dataclass(frozen=True)
class Export:
    """An image of the store that is to be at ``destination``: a reference (``form`` docker), or a path."""

    name: str
    destination: str
    form: str
    access: Access = field(default_factory=Access)


@dataclass(frozen=True)
class Exported:
    """The image, whether the destination has it, what is there that must not be replaced, and the path of what an
    interrupted run left beside it."""

    image: Image | None
    there: bool = False
    obstacle: str = ""
    half_made: str = ""


@dataclass(frozen=True)
class ExportImage(Operation):
    """Bring an image of the store to a registry or into an archive."""

    export: Export
    digest: str

    def describe(self) -> str:
        verb = "push" if self.export.form == "docker" else "save"
        return f"{verb} image {self.export.name} to {self.export.destination}"

    def execute(self, kernel: Any) -> None:
        kernel.images.export(self.export.name, self.export.destination, self.export.form, self.export.access)


@dataclass(frozen=True)
class ClearHalfSaved(Operation):
    """Remove what an interrupted run left; an export that is to be done does so itself."""

    path: str

    def describe(self) -> str:
        return f"clear what an interrupted run left at {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_tree(self.path)


def plan_export(desired: Export, observed: Exported) -> Plan:
    """Raises Refused."""
    if observed.image is None:
        raise absent(Refused(f"there is no image {familiar(desired.name)} on this host: make or pull it first"))
    digest = observed.image.digest
    after = {"destination": desired.destination, "image": digest}
    if observed.obstacle:
        raise Refused(
            f"path: '{desired.destination}': {observed.obstacle}; remove it first, or choose another path or format"
        )
    if observed.there:
        return Plan((ClearHalfSaved(observed.half_made),) if observed.half_made else (), after, after)
    before = {"destination": desired.destination, "image": None}
    return Plan((ExportImage(desired, digest),), before, after)


@dataclass(frozen=True)
class HandOut(Operation):
    """Lay blobs of an image into a directory; what is desired, and what is done where they do not lie there."""

    name: str
    blobs: tuple[str, ...] = ()
    path: str = ""

    def describe(self) -> str:
        return f"hand out {len(self.blobs)} blobs of image {familiar(self.name)} into {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.images.hand_out(self.blobs, self.path)


@dataclass(frozen=True)
class HeldBlobs:
    """The image, its blobs with the manifest first, and which of those asked for lie in the directory already."""

    image: Image | None
    blobs: tuple[Blob, ...] = ()
    there: tuple[str, ...] = ()


def plan_hand_out(desired: HandOut, observed: HeldBlobs) -> Plan:
    """Raises Refused."""
    if observed.image is None:
        raise absent(
            Refused(
                f"there is no image {familiar(desired.name)} on this host: make it here first, "
                "by an earlier task of this host or delegated to it"
            )
        )
    if observed.image.source.get("kind") != "registry":
        raise Refused(f"image {familiar(desired.name)} on this host was not pulled from a registry")
    unknown = set(desired.blobs) - {blob.digest for blob in observed.blobs}
    if unknown:
        raise Refused(f"image {familiar(desired.name)} on this host has no blob {min(unknown)}: run the task again")
    todo = tuple(digest for digest in desired.blobs if digest not in observed.there)
    if not todo:
        return Plan()
    return Plan((HandOut(desired.name, todo, desired.path),), {"blobs": []}, {"blobs": list(todo)})
