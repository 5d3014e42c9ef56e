# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts with the same site: what runs, what it can use, and who reaches it."""

from declared import (  # noqa: F401
    test_addresses_are_as_declared,
    test_both_containers_run_and_start_at_boot,
    test_every_published_port_is_reached_from_every_host,
    test_limits_are_in_the_kernel_unless_it_has_none,
    test_namespaces_are_its_own,
    test_the_client_finds_web_by_name,
)


def test_check_mode_said_what_was_then_done(actions):
    predicted, done = actions("check"), actions("apply")
    keys = ("task", "item", "actions")
    assert [[entry[key] for key in keys] for entry in predicted] == [[entry[key] for key in keys] for entry in done]
    assert sum(len(entry["actions"]) for entry in done) > 10


def test_each_host_pulled_its_image_from_the_registry_in_their_network(seen, name, siblings):
    """Not from this machine, to whose networks they have no way; the registry on alpha wrote down who asked."""
    assert len(seen["pullers"]) == (len(siblings) if name == "alpha" else 0)
