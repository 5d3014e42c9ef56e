# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In a guest's Python: keeps what zipimport compiles.

Ansible sends each module as a zip of sources. Compiling them at every task takes half a task's time under emulation.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport
from types import CodeType

PLACE = "/var/cache/zipimport"
compile_anew = vars(zipimport)["_compile_source"]


def compiled(pathname: str, source: bytes) -> CodeType:
    """The code of a source; from the cache where the same source was compiled before."""
    path = f"{PLACE}/{_imp.source_hash(sys.hexversion, bytes(source)).hex()}-{len(source)}"
    try:
        with open(path, "rb") as stream:
            code: CodeType = marshal.loads(stream.read())
    except (OSError, EOFError, ValueError, TypeError):
        code = compile_anew(pathname, source)
        _keep(path, code)
    else:
        vars(_imp)["_fix_co_filename"](code, pathname)
    return code


def _keep(path: str, code: CodeType) -> None:
    try:
        with open(f"{path}.{os.getpid()}", "xb") as stream:
            stream.write(marshal.dumps(code))
        os.rename(stream.name, path)
    except OSError:
        pass  # not root, or an interrupted writer of the same PID: compiled again next time


vars(zipimport)["_compile_source"] = compiled
