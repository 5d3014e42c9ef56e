# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of images share."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Outcome, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._image.changes import prune
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.host import image_kernel
from ansible_collections.barekernel.containers.plugins.module_utils._images.resource import ImageResource
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.image_source import image_internal

from tests import collection


def parameters(**given: Any) -> dict[str, Any]:
    """As Ansible hands them to the module: defaults filled in."""
    internal = {name: given.pop(name) for name in image_internal() if name in given}
    arguments = collection.module_arguments("oci_image")
    result = ArgumentSpecValidator(arguments["argument_spec"]).validate(given)
    assert not result.error_messages, result.error_messages
    return {**result.validated_parameters, **internal}


def apply(**given: Any) -> Outcome:
    resource = ImageResource()
    return converge(resource, resource.desired(parameters(**given)))


def checked(**given: Any) -> Outcome:
    resource = ImageResource()
    return predict(resource, resource.desired(parameters(**given)))


def remove(name: str, force: bool = False) -> Outcome:
    return apply(name=name, state="absent", force=force)


def remove_all() -> None:
    for name in Store().names():
        remove(name, force=True)
    store = Store()
    if prune.unused(store):
        image_kernel(store).images.prune()


def left() -> list[str]:
    """What is still there of the store (layers by name, not their files)."""
    root = Path("/var/lib/barekernel/images")
    return [str(path) for pattern in ("*", "blobs/*/*", "layers/*") for path in root.glob(pattern)]


def listing(root: str) -> dict[str, dict[str, Any]]:
    """Everything about every file below a directory."""
    found: dict[str, dict[str, Any]] = {}
    links: dict[tuple[int, int], str] = {}
    paths = [Path(root), *sorted(Path(root).rglob("*"))]
    for path in paths:
        status = path.lstat()
        name = str(path.relative_to(root))
        facts: dict[str, Any] = {
            "mode": status.st_mode,
            "owner": (status.st_uid, status.st_gid),
            "mtime_ns": status.st_mtime_ns,
            "device": status.st_rdev if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode) else 0,
            "xattrs": {n: os.getxattr(path, n, follow_symlinks=False) for n in _xattrs(path)},
        }
        if stat.S_ISREG(status.st_mode):
            facts["same as"] = links.setdefault((status.st_dev, status.st_ino), name)
            facts["content"] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            facts["target"] = os.readlink(path)
        found[name] = facts
    return found


def _xattrs(path: Path) -> list[str]:
    return sorted(n for n in os.listxattr(path, follow_symlinks=False) if not n.startswith("security.selinux"))
