# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what is to start a container is an OCI runtime: asked before anything is stopped."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

from .._kernel import spawn
from .observed import Unusable

#: Where systemd looks for programs too, systemd.exec(5).
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What runtimes say besides their own version is that of the OCI runtime-spec: runc, crun, runsc, kata-runtime.
_SPEC = re.compile(rb"\bspecs?: *[0-9]", re.IGNORECASE)
#: The two versions in the answer to "features", runtime-spec features.md: youki says no more than that.
_FEATURES = b'"ociVersionMax"'
_PATIENCE = 10


def runtime_unusable(name: str, asked: bool) -> Iterator[Unusable]:
    """Why that runtime starts nothing. ``asked``: also run it, where it is not known to have started the container."""
    if name == "nsrun":
        return
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    places = [name] if "/" in name else [f"{directory}/{name}" for directory in path.split(":")]
    place = next((p for p in places if os.path.isfile(p) and os.access(p, os.X_OK)), "")
    if not place:
        why = "is no program on this host" if "/" in name else "is not installed on this host"
        yield Unusable("runtime", name, f"{why}: install it, or use nsrun")
    elif asked and (why := _no_runtime(place)):
        yield Unusable("runtime", name, f"is not an OCI runtime ({why}): use nsrun, crun or runc")


def _no_runtime(program: str) -> str:
    """What it answers, where that is not what a runtime does. It gets no input and nothing to act on."""
    answer = b""
    for question, expected in (("--version", _SPEC.search), ("features", lambda text: _FEATURES in text)):
        try:
            done = spawn.run([program, question], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return f"{program} {question} does not end"
        except OSError as error:
            return f"{program}: {error.strerror}"
        if done.returncode == 0 and expected(done.stdout):
            return ""
        answer = answer or done.stdout + done.stderr
    lines = answer.decode("utf-8", "replace").splitlines() or ["nothing"]
    return f"{program} --version says {lines[0][:80]!r}"
