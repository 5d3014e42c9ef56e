# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in registries and archives, through skopeo(1): authentication, mirrors, policy as its users know them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

from ..._kernel import process, spawn
from ..errors import Unreachable
from ..programs import need_program
from .access import Access

#: The registry API's own words for a tag or repository that it does not have (distribution-spec, error codes).
_MISSING = ("manifest unknown", "name unknown", "repository name not known", "not found")
#: An answer's status as skopeo's releases put it.
_TOO_MANY = ("toomanyrequests", "too many requests", "statuscode: 429", "from registry 429", "http status: 429")
_TROUBLE = ("statuscode: 5", "from registry 5", "http status: 5")
_CUT_OFF = (
    "The registry cannot be reached: is its name right, and can this host get there (DNS, proxy, firewall)? Otherwise "
    "set seed to a host that can, or bring the image with archive"
)
_HINTS = (
    (("unauthorized", "authentication required", "denied"), "Give username and password, or an auth_file"),
    (_MISSING, "Check the repository and the tag"),
    (("no image found in",), "Name a platform that it has, or use another image"),
    (_TOO_MANY, "The registry limits requests: log in, use a mirror, or wait"),
    (("x509", "certificate"), "Give the certificate authority in cert_dir, or set tls_verify to false"),
    (("server gave http response to https",), "The registry speaks plain HTTP: set tls_verify to false"),
    (("connection refused", "no such host", "i/o timeout", "unreachable"), _CUT_OFF),
    (_TROUBLE, "The registry has trouble of its own: try again later"),
    (("policy", "signature"), "The signature policy refuses the image, containers-policy.json(5)"),
)


#: What skopeo puts before what it was told, and is no help: that text stands before it already.
_PARSING = re.compile(r'Error parsing image name "[^"]*": ')
#: Seconds in which a registry says nothing, and no byte comes, after which it is not waited for any longer: what it may
#: ask a client to wait because of too many requests is less.
SILENCE = 360.0
#: Seconds between two looks at something else.
_MEANWHILE = 0.2


def silent(what: str, how: str) -> Unreachable:
    hint = (
        "See whether it, or a proxy or firewall before it, is overloaded or loses connections, and run the task again"
    )
    return Unreachable(f"{what}: {how} for {SILENCE:.0f} seconds, although the registry took the connection", hint)


class Skopeo:
    """One skopeo process, which ends with this one. Its last error line is the error."""

    def __init__(self, arguments: list[str], what: str, fds: tuple[int, ...] = (), temporary: str = "") -> None:
        """Whatever copies gives it a directory for ``temporary`` files, of which it unpacks and packs whole archives:
        it would leave them in /var/tmp, where nobody removes them, if it is killed."""
        need_program("skopeo", "skopeo")
        place = [f"--tmpdir={temporary}"] if temporary else []
        self._what = what
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        ours = process.pidfd_open(os.getpid())
        try:
            self._process: Any = spawn.start(
                ["skopeo", *place, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=fds,
                preexec_fn=lambda: process.end_with(ours),  # noqa: PLW1509 - this process has one thread
            )
        finally:
            os.close(ours)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def output(self, meanwhile: Callable[[], object] = lambda: None) -> bytes:
        """Wait for its end, and see to something else now and then. Raises Unreachable, and what that raises."""
        end = time.monotonic() + SILENCE
        while True:
            try:
                output, _nothing = self._process.communicate(timeout=_MEANWHILE)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() >= end:
                    raise silent(self._what, "no answer") from None
            meanwhile()
        self.check()
        return bytes(output)

    def check(self) -> None:
        """Raises Unreachable where it has failed."""
        if self._process.wait() == 0:
            return
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines() or ["no message"]
        message = _message(lines[-1])
        hint = next((hint for words, hint in _HINTS if any(word in message.lower() for word in words)), "")
        missing = any(word in message.lower() for word in _MISSING)
        raise Unreachable(f"{self._what}: {message}", hint, missing)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def _message(line: str) -> str:
    """The text of a logrus line: time="…" level=fatal msg="…"."""
    _before, found, text = line.partition(' msg="')
    text = text[:-1].replace('\\"', '"') if found and text.endswith('"') else line
    return _PARSING.sub("", text)


def inspect(
    name: str, access: Access, registry: str, config: bool = False, meanwhile: Callable[[], object] = lambda: None
) -> bytes:
    """A raw manifest or, with ``config``, image configuration. Raises as Skopeo.output() does."""
    with access.options("", registry) as (options, fds):
        kind = ["--config", "--raw"] if config else ["--raw"]
        process = Skopeo([*access.global_options(), "inspect", *kind, *options, name], name, fds)
        try:
            return process.output(meanwhile)
        finally:
            process.close()
