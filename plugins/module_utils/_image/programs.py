# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of the distribution that images are made or transported with."""

from __future__ import annotations

import shutil

from .errors import ImageError


def need_program(name: str, package: str) -> None:
    """Raises ImageError that names the package."""
    if shutil.which(name) is None:
        raise ImageError(f"{name} is not installed on this host", f"Install package {package} (role host does)")
