# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module, hands over what the host needs of the controller or of another host, and shows the progress.

Where a source is to be handed over (``seed``, ``remote_src: false``), the module is run with nothing in hand first.
That is all, unless it answers what it ``needs``; then it gets what the host lacks and is run once more.

The module writes its state into a small file below /run; a thread reads it over the same connection and prints a line
when something has moved. Where the connection is of a kind that is not known to bear two commands at once, or where
Ansible was told to be quiet, the module just runs.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import callback_loader
from ansible.utils.display import Display

from ..module_utils._kernel.terminal import shown_line
from ..plugin_utils.sources import is_handed_over

display = Display()

DIRECTORY = "/run/barekernel/progress"
#: Each command of these is a process of its own on the controller.
CONNECTIONS = ("local", "ansible.builtin.local", "ssh", "ansible.builtin.ssh")
#: Callbacks whose standard output is read by people.
CALLBACKS = ("default", "yaml", "debug", "dense", "unixy", "diy", "community.general.yaml", "community.general.unixy")
EVERY = 1.0
#: Seconds after which a line follows even when nothing but the numbers, or the text, has changed: at the earliest, and
#: at the latest where the numbers have moved by less than so many hundredths since.
AT_LEAST = 5.0
SLOWLY = 30.0
STEP = 10


class ActionModule(ActionBase):
    """The action of oci_image."""

    TRANSFERS_FILES = False
    _supports_async = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
        if arguments.get("state", "present") == "absent":
            result.update(self._module(arguments, task_vars))
            return result
        handing = self._handing(arguments, task_vars)
        if handing is not None and self._task.async_val:
            raise AnsibleActionFail(
                "async: with seed or remote_src: false the controller brings this host what it lacks of the image, and "
                "has to wait for that; leave async out, or let the host read the source itself"
            )
        if handing is not None:
            # So the module knows that it may answer what it needs.
            arguments = {**handing.entries[0], "handed_over": {}}
        answer = self._watched(arguments, task_vars)
        if handing is not None and "needs" in answer:
            arguments["handed_over"] = handing.over(answer["needs"])
            answer = self._watched(arguments, task_vars)
            if "needs" in answer:
                raise AnsibleActionFail("the image was changed by someone else meanwhile; run the task again")
        result.update(answer)
        return result

    def _watched(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The module's result; what it is doing is shown meanwhile."""
        if not self._shown(task_vars):
            return self._module(arguments, task_vars)
        arguments = {"progress_file": f"{DIRECTORY}/{uuid.uuid4().hex}.json", **arguments}
        watcher = Watcher(self._connection, arguments["progress_file"], self._title(arguments, task_vars))
        watcher.start()
        try:
            return self._module(arguments, task_vars)
        finally:
            watcher.stop()

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The result of oci_image on the host; of a task with ``async`` only that it has begun."""
        return dict(self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val))

    def _handing(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        """A HandingOver where there may be something to hand over."""
        if arguments.get("seed") == (self._task.delegate_to or task_vars.get("inventory_hostname")):
            arguments.pop("seed", None)
        if not is_handed_over(arguments):
            return None
        # Late, as most tasks do without, and it reads a good part of the collection.
        from ..plugin_utils.handing import HandingOver

        return HandingOver(self, [arguments], task_vars, self._teller(arguments, task_vars))

    def _teller(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> Callable[[str], None]:
        """Prints a line, where lines are wanted."""
        if not self._shown(task_vars):
            return lambda text: None
        title = self._title(arguments, task_vars)
        return lambda text: tell(title, text)

    def _shown(self, task_vars: dict[str, Any]) -> bool:
        """Whether anyone wants to see it, and the connection can."""
        if (
            self._task.no_log
            or not boolean(task_vars.get("barekernel_progress", True), strict=False)
            or self._task.async_val
        ):
            return False
        if not _ok_hosts_are_shown():
            return False
        transport = getattr(self._connection, "ansible_name", "") or self._connection.transport
        return C.DEFAULT_STDOUT_CALLBACK.removeprefix("ansible.builtin.") in CALLBACKS and transport in CONNECTIONS

    @staticmethod
    def _title(arguments: dict[str, Any], task_vars: dict[str, Any]) -> str:
        return f"{task_vars.get('inventory_hostname', '')}: image {arguments.get('name')}"


def _ok_hosts_are_shown() -> bool:
    """The default callback's display_ok_hosts (ANSIBLE_DISPLAY_OK_HOSTS)."""
    loaded = callback_loader.get("ansible.builtin.default", class_only=True)
    if loaded is None:
        return True
    try:
        shown = C.config.get_config_value("display_ok_hosts", plugin_type="callback", plugin_name=loaded._load_name)
    except AnsibleError:
        return True
    return bool(shown)


class Watcher(threading.Thread):
    """Prints a line when the state has moved."""

    def __init__(self, connection: Any, path: str, title: str) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._command = f"cat {shlex.quote(path)}"
        self._title = title
        self._end = threading.Event()
        self._shown = ""
        self._phase = ""
        self._when = 0.0
        self._hundredths = 0

    def run(self) -> None:
        while not self._end.wait(EVERY):
            try:
                code, output, _errors = self._connection.exec_command(self._command, sudoable=False)
                state = json.loads(output) if code == 0 else None
            except Exception as error:  # whatever it is: a display must not cost anyone an image
                display.vvv(f"oci_image: no progress: {error}")
                return
            if isinstance(state, dict):
                self._show(state)

    def stop(self) -> None:
        self._end.set()
        self.join(timeout=10)

    def _show(self, state: dict[str, Any]) -> None:
        line, now = sentence(state), time.monotonic()
        if line == self._shown or not (state.get("phase") != self._phase or self._due(state, now - self._when)):
            return
        self._shown, self._phase, self._when = line, str(state.get("phase")), now
        self._hundredths = hundredths(state)
        tell(self._title, line)

    def _due(self, state: dict[str, Any], passed: float) -> bool:
        """Many images on many hosts are to leave a log that can be read."""
        far = not state.get("total") or hundredths(state) - self._hundredths >= STEP
        return passed >= (AT_LEAST if far else SLOWLY)


def tell(title: str, text: str) -> None:
    """A line of progress, on the controller's terminal."""
    display.display(f"  [{shown_line(title)}: {shown_line(text)}]", color=C.COLOR_VERBOSE)


def sentence(state: dict[str, Any]) -> str:
    """``unpacking 45% (50 of 110 MB)``"""
    done, total = int(state.get("done") or 0), int(state.get("total") or 0)
    parts = [str(state.get("phase"))]
    if total:
        parts.append(f"{hundredths(state)}% ({done >> 20} of {total >> 20} MB)")
    if text := shown_line(str(state.get("text") or "")):
        parts.append(text[:100])
    return " ".join(parts)


def hundredths(state: dict[str, Any]) -> int:
    done, total = int(state.get("done") or 0), int(state.get("total") or 0)
    return 100 * min(done, total) // total if total else 0
