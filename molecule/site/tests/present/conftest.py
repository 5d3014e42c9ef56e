# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs from the inventory until side_effect.yml changes it (converge.yml)."""

import pytest


@pytest.fixture(name="page_of")
def first_page_of_a_machine():
    return lambda name: "Welcome to beta." if name == "beta" else f"Hello from {name}."


@pytest.fixture(name="web_memory")
def first_memory_of_web():
    return 48 << 20
