# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment of an image's configuration, OCI image-spec config.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def variables_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables by name; the last of two counts. One without ``=`` is empty, an entry without a name is none."""
    pairs = (entry.partition("=")[::2] for entry in config.get("Env") or ())
    return {name: value for name, value in pairs if name}
