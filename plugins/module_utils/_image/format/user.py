# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``user`` of an image's configuration: names looked up in its own files."""

from __future__ import annotations

from ..._kernel.passwd import LookUp, NoSuchUser, parse_group, parse_user

__all__ = ["LookUp", "NoSuchUser", "parse_group", "parse_user"]
