# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a registry is reached: what skopeo(1) is told of it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from ..._kernel import regular
from ..._kernel.errors import KernelError
from ..errors import ImageError


@dataclass(frozen=True)
class Access:
    """How to reach a registry. ``group`` begins the names of the options that say so, such as ``registry.``."""

    auth_file: str = ""
    username: str = ""
    password: str = ""
    tls_verify: bool = True
    cert_dir: str = ""
    retries: int = 2
    policy: str = ""
    group: str = ""

    def __repr__(self) -> str:
        return f"Access({self.username!r}, tls_verify={self.tls_verify})"

    def global_options(self) -> list[str]:
        return ["--policy", self.policy] if self.policy else []

    def _check_files(self) -> None:
        """Raises ImageError for what skopeo cannot read, or would wait for."""
        named = [("auth_file", self.auth_file), ("signature_policy", self.policy)]
        if self.cert_dir and os.path.isdir(self.cert_dir):
            named += [("cert_dir", f"{self.cert_dir}/{name}") for name in sorted(os.listdir(self.cert_dir))]
        for option, path in named:
            try:
                if path and not (option == "cert_dir" and os.path.isdir(path)):
                    regular.check(path)
            except KernelError as error:
                raise ImageError(f"{self.group}{option}: {path!r}: {error.strerror}", error.hint) from error

    @contextlib.contextmanager
    def options(self, side: str, registry: str) -> Iterator[tuple[list[str], tuple[int, ...]]]:
        """The options for one side (``src-``, ``dest-`` or none) and the descriptors they need.

        A password is handed over in an unnamed file: a command line can be read by everyone on the host.
        """
        self._check_files()
        options = [f"--retry-times={self.retries}"]
        if not self.tls_verify:
            options.append(f"--{side}tls-verify=false")
        if self.cert_dir:
            options.append(f"--{side}cert-dir={self.cert_dir}")
        if self.auth_file:
            options.append(f"--{'' if side == '' else side}authfile={self.auth_file}")
        if not self.username:
            yield options, ()
            return
        import base64

        token = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        fd = os.memfd_create("auth")
        try:
            os.write(fd, json.dumps({"auths": {registry: {"auth": token}}}).encode())
            options.append(f"--{side}authfile=/proc/self/fd/{fd}")
            yield options, (fd,)
        finally:
            os.close(fd)
