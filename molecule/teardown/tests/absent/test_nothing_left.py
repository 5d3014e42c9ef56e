# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After the teardown the host is as it was before anything was declared."""

import pytest

KINDS = ("units", "files", "cgroups", "mounts", "links", "routes", "netns", "nft", "processes", "sysctls")
#: What nobody but a playbook takes away; of the others some go by themselves.
STEADY = ("units", "links", "routes", "netns", "nft", "sysctls")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_kind_is_left(left, kind):
    assert left["differences"].get(kind, {}).get("new", []) == []


@pytest.mark.parametrize("kind", STEADY)
def test_nothing_of_a_kind_is_missing(left, kind):
    assert left["differences"].get(kind, {}).get("gone", []) == []


def test_no_directory_of_the_collection_is_left(left):
    """Even if it was there before, from another scenario."""
    assert left["ours"] == []
