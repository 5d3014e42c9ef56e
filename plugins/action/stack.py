# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Translates a Compose file, hands over what the host lacks of its images, and shows what the module is doing."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils._image.errors import ImageError
from ..module_utils._image.store.store import full_name
from ..module_utils._kernel.terminal import shown
from ..plugin_utils.sources import is_handed_over
from .oci_image import ActionModule as ImageAction

#: Options that are read here and are nothing to the host.
COMPOSE = ("compose", "compose_profiles", "compose_unsupported", "compose_directory")


class ActionModule(ImageAction):
    """The action of stack: as that of oci_image, for any number of images in one task."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super(ImageAction, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments, warnings = self._translated(dict(self._task.args))
        handing = self._handing_images(arguments, task_vars)
        if handing is not None:
            # So the module knows that it may answer what it needs.
            arguments = {**arguments, "images": handing.entries, "handed_over": {}}
        answer = self._watched(arguments, task_vars)
        if handing is not None and "needs" in answer:
            arguments["handed_over"] = handing.over(answer["needs"])
            answer = self._watched(arguments, task_vars)
            if "needs" in answer:
                raise AnsibleActionFail("an image was changed by someone else meanwhile; run the task again")
        result.update(answer)
        if warnings:
            result["warnings"] = [*result.get("warnings", ()), *warnings]
        return result

    def _translated(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The arguments with what a Compose file declares, after what is declared beside it."""
        given = {name: arguments.pop(name, None) for name in COMPOSE}
        if given["compose"] is None:
            for name in COMPOSE[1:]:
                if given[name] is not None:
                    raise AnsibleActionFail(f"{name}: {given[name]!r}: goes with compose: give that, or leave it out")
            return arguments, ()
        from ..plugin_utils._compose import ComposeError, translated  # late: most stacks are no Compose file

        source = given["compose"]
        if isinstance(source, str):
            source = self._find_needle("files", os.path.expanduser(source))
        try:
            found = translated(
                source,
                base=self._loader.get_basedir(),
                environment=dict(os.environ),
                profiles=given["compose_profiles"] or (),
                unsupported=given["compose_unsupported"] or "error",
                host_directory=given["compose_directory"],
            )
        except ComposeError as error:
            raise AnsibleActionFail(shown(f"compose: {error}")) from error
        # An image that is declared beside it says where it comes from.
        own = {name_of(entry) for entry in arguments.get("images") or ()}
        images = [entry for entry in found.images if name_of(entry) not in own]
        for name, more in (("images", images), ("networks", found.networks), ("containers", found.containers)):
            arguments[name] = [*(arguments.get(name) or ()), *more]
        return {**arguments, "files": list(found.files)}, found.warnings

    def _handing_images(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        """A HandingOver where there may be something to hand over."""
        images = arguments.get("images")
        if not isinstance(images, list) or arguments.get("state") == "absent":
            return None
        here = self._task.delegate_to or task_vars.get("inventory_hostname")
        if not all(isinstance(each, dict) for each in images):
            return None  # the module says what is wrong with it
        entries = [{**each, "seed": None} if each.get("seed") == here else each for each in images]
        arguments["images"] = entries
        if not any(map(is_handed_over, entries)):
            return None
        if self._task.async_val:
            raise AnsibleActionFail(
                "async: with seed or remote_src: false the controller brings this host what it lacks of the images, "
                "and has to wait for that; leave async out, or let the host read the sources itself"
            )
        from ..plugin_utils.handing import HandingOver  # late: it reads a good part of the collection

        return HandingOver(self, entries, task_vars, self._teller(arguments, task_vars))

    @staticmethod
    def _title(arguments: dict[str, Any], task_vars: dict[str, Any]) -> str:
        return f"{task_vars.get('inventory_hostname', '')}: stack {arguments.get('name') or 'default'}"


def name_of(image: Any) -> str:
    """An image's name in full; what is none is for the module to refuse."""
    try:
        return full_name(str(image["name"]))
    except (ImageError, KeyError, TypeError):
        return ""
