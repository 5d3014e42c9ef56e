# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How unit tests run: on a machine that may be busy, a slow example has not failed."""

from __future__ import annotations

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import locations
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: What tools/unit chooses for all Pythons but one.
settings.register_profile("some", settings.get_profile("unhurried"), max_examples=25)
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", type=int, default=1, metavar="N", help="of what is tried by the thousand, one in N")


@pytest.fixture(autouse=True)
def no_directories_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in /var/lib/barekernel here is none of a unit test's business: no plan may set its modes."""
    monkeypatch.setattr(locations, "MODES", {})
