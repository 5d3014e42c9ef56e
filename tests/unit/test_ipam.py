# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address allocation: what was asked for, else what one has, else the lowest free one."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._network.ipam import allocate
from ansible_collections.barekernel.containers.plugins.module_utils._network.records import (
    Network,
    PortRange,
    Published,
    from_json,
    to_json,
)
from hypothesis import given
from hypothesis import strategies as st

LAB = Network("lab0", "lab0", ("10.88.0.1/29", "fd88::1/64"), "02:00:00:00:00:01")

TABLE = [
    ("the lowest free one of each family", [], [], [], ("10.88.0.2/29", "fd88::2/64")),
    ("not one that is taken", ["10.88.0.2/29", "fd88::2"], [], [], ("10.88.0.3/29", "fd88::3/64")),
    ("a gap is filled", ["10.88.0.3"], [], [], ("10.88.0.2/29", "fd88::2/64")),
    ("what it has stays", [], [], ["10.88.0.5/29", "fd88::9/64"], ("10.88.0.5/29", "fd88::9/64")),
    ("unless it is taken", ["10.88.0.5"], [], ["10.88.0.5"], ("10.88.0.2/29", "fd88::2/64")),
    ("or outside", [], [], ["10.99.0.5"], ("10.88.0.2/29", "fd88::2/64")),
    ("or the gateway's", [], [], ["10.88.0.1"], ("10.88.0.2/29", "fd88::2/64")),
    ("what is wanted wins", [], ["10.88.0.6"], ["10.88.0.5", "fd88::7"], ("10.88.0.6/29", "fd88::7/64")),
    ("with a prefix too", [], ["fd88::abcd/64"], [], ("10.88.0.2/29", "fd88::abcd/64")),
]


@pytest.mark.parametrize(("taken", "wanted", "current", "expected"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE])
def test_allocate(taken: list[str], wanted: list[str], current: list[str], expected: tuple[str, ...]) -> None:
    assert allocate(LAB, taken, wanted, current) == expected


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["10.99.0.5"], "outside network lab0"),
        (["10.88.0.1"], "gateway"),
        (["10.88.0.0"], "network or broadcast"),
        (["10.88.0.7"], "network or broadcast"),
        (["10.88.0.5/24"], "another prefix length"),
        (["10.88.0.5", "10.88.0.6"], "second address"),
        (["ten"], "not an IP address"),
    ],
)
def test_what_cannot_be_meant(wanted: list[str], words: str) -> None:
    with pytest.raises(OptionError, match=words) as error:
        allocate(LAB, [], wanted, option="networks[0].addresses")
    assert error.value.option == "networks[0].addresses"


def test_taken_and_full() -> None:
    with pytest.raises(Refused, match="10.88.0.5.*in use"):
        allocate(LAB, ["10.88.0.5/29"], ["10.88.0.5"])
    with pytest.raises(Refused, match="no address is free in 10.88.0.0/29"):
        allocate(LAB, [f"10.88.0.{i}" for i in range(2, 7)])


def test_a_point_to_point_subnet_has_two_addresses() -> None:
    pair = Network("p", "p", ("192.0.2.0/31",), "02:00:00:00:00:01")
    assert allocate(pair, []) == ("192.0.2.1/31",)


@given(
    prefix=st.integers(24, 30),
    gateway=st.integers(1, 2),
    taken=st.sets(st.integers(1, 254)),
)
def test_never_one_that_is_taken_and_always_the_lowest(prefix: int, gateway: int, taken: set[int]) -> None:
    network = Network("n", "n", (f"10.0.0.{gateway}/{prefix}",), "02:00:00:00:00:01")
    subnet = network.subnets[0]
    free = [h for h in subnet.hosts() if int(h) & 255 not in taken and str(h) not in network.gateways]
    others = [f"10.0.0.{n}" for n in sorted(taken)]
    if not free:
        with pytest.raises(Refused):
            allocate(network, others)
        return
    (got,) = allocate(network, others)
    assert got == f"{free[0]}/{prefix}"
    assert allocate(network, others, current=[got]) == (got,)
    assert ipaddress.ip_interface(got).network == subnet


def test_the_record_is_written_and_read_back() -> None:
    ports = (PortRange(8000, 80, 10, "udp", "::1"), PortRange(1, 2))
    network = Network("n", "n", ("10.0.0.1/24",), "02:00:00:00:00:01", published=(Published(("10.0.0.5",), ports),))
    assert from_json(to_json(network)) == network


def test_the_record_of_a_newer_version_keeps_its_fields() -> None:
    """What this version does not know is written again, or ignored where it is below a list; it is no difference."""
    published = (Published(("10.0.0.5",), (PortRange(1, 2),)),)
    network = Network("n", "n", ("10.0.0.1/24",), "02:00:00:00:00:01", published=published)
    plain = {**to_json(network), "vlan": 5}
    plain["published"][0]["ports"][0]["hairpin"] = True
    read = from_json(plain)
    assert read == network and to_json(read)["vlan"] == 5
