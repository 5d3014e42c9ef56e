# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module, hands over what the host lacks of its images, and shows what it is doing meanwhile."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.sources import is_handed_over
from .oci_image import ActionModule as ImageAction


class ActionModule(ImageAction):
    """The action of stack: as that of oci_image, for any number of images in one task."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super(ImageAction, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
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
        return result

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
