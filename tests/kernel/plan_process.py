# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many sets of options of one module, each predicted as in check mode, in one process that may change nothing.

usage: plan_process.py MODULE   (a JSON list of parameters on standard input; a line of JSON for each: null or what was
wrong)
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any
from unittest import mock

PLUGINS = "ansible_collections.barekernel.containers.plugins"


def wrong(resource: Any, validate: Any, params: dict[str, Any]) -> str | None:
    """Why these options are neither meant nor refused; None where they are."""
    from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import predict
    from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
    from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
    from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
    from ansible_collections.barekernel.containers.plugins.module_utils._module import values

    try:
        given = validate(params)
        values.check(given)
        predict(resource, resource.desired(given))
    except (OptionError, Refused, KernelError, ImageError) as error:
        return str(error) if "tried to change the host" in str(error) else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
    from module_process import refuse_changes

    module = importlib.import_module(f"{PLUGINS}.modules.{sys.argv[1]}")
    with mock.patch.object(module, "run") as run:
        module.main()
    (resource,), arguments = run.call_args
    validator = ArgumentSpecValidator(arguments["argument_spec"])
    requests = json.load(sys.stdin)
    sys.addaudithook(refuse_changes)
    for params in requests:
        found = wrong(resource, lambda given: validator.validate(given).validated_parameters, params)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
