# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parameters that only this collection's own action plugins and roles give a module, and no playbook.

They are not in the module's argument spec, so nobody finds them in its documentation, in its invocation or among the
options that an error lists. Each has a spec of its own, by which it is judged just as strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

#: What the controller has brought this host. Given, also empty, by an action plugin that reads the result ``needs`` and
#: then runs the module once more.
HANDED_OVER = "handed_over"


def taken(params: dict[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``params`` that the spec knows, which they are taken out of. Raises ValueError."""
    given = {name: params.pop(name) for name in spec if name in params}
    if not given:
        return {}
    result = ArgumentSpecValidator(dict(spec)).validate(given)
    if result.error_messages:
        raise ValueError("; ".join(result.error_messages))
    return {name: value for name, value in result.validated_parameters.items() if name in given}
