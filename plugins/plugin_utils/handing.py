# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handing over to a host what it lacks of images' sources."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail

from ..module_utils._image.format import reference as references
from ..module_utils._image.sources.handed import file_name
from ..module_utils._kernel.errors import BareKernelError
from ..module_utils._kernel.terminal import shown
from .givers import FromController, FromFile, FromHost, Giver, lacking
from .other_host import OtherHost
from .run_cache import RunCache
from .sources import is_copied

#: As ``seed``, and no host of the inventory.
CONTROLLER = "controller"
#: Bytes from which on a blob is worth a line.
TOLD = 1 << 20
#: What a host that does not pull needs to know of ``registry``: credentials are a matter of who pulls.
NEEDED = ("reference", "platform")


@contextlib.contextmanager
def explained(who: str) -> Iterator[None]:
    """Our errors as Ansible's."""
    try:
        yield
    except (BareKernelError, OSError) as error:
        raise AnsibleActionFail(shown(f"{who}: {error}")) from error


class HandingOver:
    """What one task hands over to its host: the sources of any number of images."""

    def __init__(
        self,
        action: Any,
        entries: Sequence[Mapping[str, Any]],
        task_vars: dict[str, Any],
        say: Callable[[str], None],
    ) -> None:
        """``entries`` are options of oci_image as given; ``self.entries`` are then those for the host."""
        self._action = action
        self._task_vars = task_vars
        self._say = say
        # Ansible makes this directory before its first worker and removes it at its end, also after a failure.
        self._cache = RunCache(f"{C.DEFAULT_LOCAL_TMP}/barekernel")
        self._hosts: dict[str, OtherHost] = {}
        self._brought: set[str] = set()
        self._givers: list[Giver | None] = []
        self.entries: list[dict[str, Any]] = [dict(entry) for entry in entries]
        with explained("handing over"):
            for entry in self.entries:
                self._givers.append(self._file(entry) or self._seed(entry))

    def over(self, needs: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        """Bring what the host lacks. Returns what the module is told of it (``handed_over``), by image.

        Raises AnsibleActionFail.
        """
        handed = {}
        try:
            for entry, giver in zip(self.entries, self._givers):
                name = str(references.parse(str(entry["name"])))
                if giver is not None and name in needs["images"]:
                    with explained(giver.name):
                        handed[name] = self._over(giver, needs, needs["images"][name])
        finally:
            for host in self._hosts.values():
                host.close()
        return handed

    def _over(self, giver: Giver, needs: Mapping[str, Any], need: Mapping[str, Any]) -> dict[str, str]:
        check_mode = self._action._task.check_mode
        offer = giver.offer(needs, check_mode)
        blobs = lacking(offer, needs, need)
        if blobs is None or check_mode:
            return {"digest": offer.digest}
        giver.bring(blobs)
        # Ansible removes this directory when the task has ended, however it ended.
        shell = self._action._connection._shell
        directory = path = shell.tmpdir or self._action._make_tmp_path()
        for number, blob in enumerate(blobs, 1):
            path = shell.join_path(directory, file_name(blob.digest))
            if blob.digest in self._brought:  # another image of this task has it, too
                continue
            if blob.size >= TOLD:
                self._say(f"handing over {number} of {len(blobs)} ({blob.size >> 20} MB)")
            self._action._transfer_file(self._cache.blob(blob.digest), path)
            self._brought.add(blob.digest)
        return {"digest": offer.digest, "path": path if offer.whole else directory}

    def _file(self, entry: dict[str, Any]) -> Giver | None:
        for kind in ("archive", "rootfs"):
            group = entry.get(kind)
            if not is_copied(group) or not group.get("path"):
                continue
            path = self._action._find_needle("files", os.path.expanduser(group["path"]))
            reference = str(group.get("reference") or "") if kind == "archive" else None
            giver = FromFile(self._cache, path, reference)
            entry[kind] = {**group, "path": path, **({"format": "oci-archive"} if giver.packed else {})}
            return giver
        return None

    def _seed(self, entry: dict[str, Any]) -> Giver | None:
        if not entry.get("seed"):
            return None
        seed, task, whole = str(entry["seed"]), self._action._task._uuid, dict(entry)
        if isinstance(entry.get("registry"), dict):
            entry["registry"] = {n: value for n, value in entry["registry"].items() if n in NEEDED}
        if seed == CONTROLLER:
            return FromController(self._cache, whole, task, self._say)
        return FromHost(self._cache, whole, task, lambda: self._reach(seed), seed)

    def _reach(self, host: str) -> OtherHost:
        """A connection to it, one for all images."""
        if host not in self._hosts:
            self._hosts[host] = OtherHost(self._action, host, self._task_vars)
        return self._hosts[host]
