# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runtime says when it cannot do what was asked."""

from __future__ import annotations

from typing import Any

from .._kernel.errors import BareKernelError


class RuntimeFailure(BareKernelError):
    """A sentence for the person: what failed and what to do. ``status`` is the exit status of the command line."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class BundleError(RuntimeFailure):
    """config.json or launch.json asks for something that cannot be meant, or that this runtime does not do.

    ``property`` is the JSON path as the OCI runtime-spec writes it, e.g. ``linux.namespaces[2].path``.
    """

    def __init__(self, prop: str, value: Any, message: str) -> None:
        super().__init__(f"{prop}: {value!r}: {message}")
        self.property = prop
        self.value = value
        self.reason = message


class NoSuchContainer(RuntimeFailure):
    """No container of that id is known to this runtime."""

    def __init__(self, container_id: str, root: str) -> None:
        super().__init__(f"container {container_id!r} does not exist (looked in {root})")
