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


def test_one_host_pulled_from_the_registry_in_their_network_for_both(seen, name):
    """Not from this machine, to whose networks they have no way; the registry on alpha wrote down who asked."""
    got = seen["pulls"]
    assert len({who for who, _what in got}) == (name == "alpha")
    # The layer; the configuration is also looked at before it is copied, and by check mode.
    blobs = sorted([what for _who, what in got].count(what) for what in {what for _who, what in got})
    assert (len(blobs), blobs[:1]) == ((2, [1]) if name == "alpha" else (0, []))


def test_the_other_has_what_was_pulled_and_nothing_to_pull_with(everyone, name):
    assert len(everyone["beta"]["images"]) == 1
    assert set(everyone["beta"]["images"]) < set(everyone["alpha"]["images"])
    assert bool(everyone[name]["skopeo"]) == (name == "alpha")


def test_no_blob_is_left_in_temporary_directories(seen):
    assert seen["temporary"] == []
