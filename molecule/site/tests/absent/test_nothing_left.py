# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After the teardown the host is as it was before the site."""

import pytest


@pytest.fixture(name="pages", scope="module")
def whether_pages_are_fetched():
    return False


@pytest.mark.parametrize("kind", ["netns", "tables", "mounts", "units", "cgroups", "files", "processes"])
def test_nothing_of_a_kind_is_left(seen, kind):
    assert seen["left"][kind] == []


def test_links_are_those_of_the_machine(seen):
    assert seen["left"]["links"] == ["lo", "eth0", "eth1"]


def test_forwarding_is_as_it_was(seen):
    assert seen["left"]["forwarding"] == ["0", "0"]
