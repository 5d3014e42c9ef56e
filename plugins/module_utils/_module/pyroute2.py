# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that looks for pyroute2, and finds the interpreter that has it."""

from __future__ import annotations

import importlib.util
import sys
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module

#: Where distributions put their packages' Python.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/bin/python")
PACKAGE = "python3-pyroute2"


def require(module: AnsibleModule) -> None:
    """Return where pyroute2 can be imported; else run the module again under a system interpreter that has it.

    Fails the module, naming the package, where no interpreter has it. Nothing is imported here: that is left to the
    first netlink request.
    """
    if importlib.util.find_spec("pyroute2") is not None:
        return
    interpreter = None if has_respawned() else probe_interpreters_for_module(list(INTERPRETERS), "pyroute2")
    if interpreter is not None:
        respawn_module(interpreter)  # does not return
    _fail(module)


def _fail(module: AnsibleModule) -> NoReturn:
    reason = f"to speak to the kernel's rtnetlink. Install the distribution's package {PACKAGE} " + (
        f"(role barekernel.containers.host does), or pyroute2 for {sys.executable}"
    )
    module.fail_json(msg=missing_required_lib("pyroute2", reason=reason), package=PACKAGE)
    raise AssertionError("fail_json returned")
