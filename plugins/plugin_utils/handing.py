# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handing over to a host what it lacks of an image's source."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._core.errors import OptionError
from ..module_utils._image.errors import ImageError
from ..module_utils._image.sources.handed import file_name
from ..module_utils._kernel.errors import KernelError
from ..module_utils._kernel.terminal import shown
from .givers import FromController, FromFile, FromHost, Giver, lacking
from .other_host import OtherHost
from .run_cache import RunCache

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
    except (ImageError, KernelError, OptionError, OSError) as error:
        raise AnsibleActionFail(shown(f"{who}: {error}")) from error


class HandingOver:
    """One task's; ``arguments`` become those for its host."""

    def __init__(
        self, action: Any, arguments: dict[str, Any], task_vars: dict[str, Any], say: Callable[[str], None]
    ) -> None:
        self._action = action
        self._task_vars = task_vars
        self._say = say
        # Ansible makes this directory before its first worker and removes it at its end, also after a failure.
        self._cache = RunCache(f"{C.DEFAULT_LOCAL_TMP}/barekernel")
        with explained("handing over"):
            self._giver = self._file(arguments) or self._seed(arguments)

    def over(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Bring what the host lacks. Returns what the module is told of it. Raises AnsibleActionFail."""
        try:
            with explained(self._giver.name):
                return self._over(wanted)
        finally:
            self._giver.close()

    def _over(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        check_mode = self._action._task.check_mode
        offer = self._giver.offer(wanted, check_mode)
        blobs = lacking(offer, wanted)
        if blobs is None or check_mode:
            return {"digest": offer.digest}
        self._giver.bring(blobs)
        # Ansible removes this directory when the task has ended, however it ended.
        shell = self._action._connection._shell
        directory = path = shell.tmpdir or self._action._make_tmp_path()
        for number, blob in enumerate(blobs, 1):
            if blob.size >= TOLD:
                self._say(f"handing over {number} of {len(blobs)} ({blob.size >> 20} MB)")
            path = shell.join_path(directory, file_name(blob.digest))
            self._action._transfer_file(self._cache.blob(blob.digest), path)
        return {"digest": offer.digest, "path": path if offer.whole else directory}

    def _file(self, arguments: dict[str, Any]) -> Giver | None:
        for kind in ("archive", "rootfs"):
            group = arguments.get(kind)
            if not isinstance(group, dict) or boolean(group.get("remote_src", True)) or not group.get("path"):
                continue
            path = self._action._find_needle("files", os.path.expanduser(group["path"]))
            reference = str(group.get("reference") or "") if kind == "archive" else None
            giver = FromFile(self._cache, path, reference)
            arguments[kind] = {**group, "path": path, **({"format": "oci-archive"} if giver.packed else {})}
            return giver
        return None

    def _seed(self, arguments: dict[str, Any]) -> Giver:
        seed, task, whole = str(arguments.get("seed")), self._action._task._uuid, dict(arguments)
        if isinstance(arguments.get("registry"), dict):
            arguments["registry"] = {n: value for n, value in arguments["registry"].items() if n in NEEDED}
        if seed == CONTROLLER:
            return FromController(self._cache, whole, task, self._say)
        return FromHost(self._cache, whole, task, lambda: OtherHost(self._action, seed, self._task_vars), seed)
