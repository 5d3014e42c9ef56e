# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/etc/hosts and /etc/resolv.conf of a container."""

from __future__ import annotations

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.documents_identity import (
    Neighbour,
    hosts,
    resolv_conf,
)

WEB = Neighbour("web", {"lab0": ["10.1.0.2", "fd01::2"]}, {"lab0": ("web", "www")})
DB = Neighbour("db", {"lab0": ["10.1.0.3"], "back": ["10.2.0.3"]}, {"lab0": ("db",), "back": ("db",)})
ALONE = Neighbour("alone", {"back": ["10.2.0.9"]}, {"back": ("alone",)})


def test_hosts_names_those_on_shared_networks_only() -> None:
    text = hosts(WEB, [DB, WEB, ALONE], {"gate": "10.9.0.1"})
    assert text.splitlines()[2:] == ["10.9.0.1 gate", "10.1.0.2 web www", "fd01::2 web www", "10.1.0.3 db"]


HOSTS = [
    # The host's resolv.conf, the container's IP versions, what is left of it, and what is left out.
    ("nameserver 192.0.2.1\n", (4,), ("192.0.2.1",), ()),
    ("nameserver 127.0.0.53\nsearch a b\n", (4, 6), (), ("127.0.0.53",)),
    ("# nameserver 192.0.2.9\n\nnameserver ::1\nnameserver fe80::1%eth0\n", (4, 6), (), ("::1", "fe80::1%eth0")),
    ("nameserver ::ffff:127.0.0.53\nnameserver 0.0.0.0\nnameserver fe80::1\n", (4, 6), (), None),
    ("nameserver ::ffff:192.0.2.1\nnameserver 2001:db8::1\n", (4,), ("::ffff:192.0.2.1",), ("2001:db8::1",)),
    ("nameserver 169.254.169.254\nnameserver 169.254.1.1\n", (4, 6), ("169.254.169.254", "169.254.1.1"), ()),
    ("nameserver 2001:db8::1\n", (6,), ("2001:db8::1",), ()),
    ("nameserver nonsense\nnameserver\n", (4, 6), (), ("nonsense",)),
    # In the host's own network all of them can be reached.
    ("nameserver 127.0.0.53\nnameserver fe80::1%eth0\n", None, ("127.0.0.53", "fe80::1%eth0"), ()),
    ("", (4, 6), (), ()),
]


@pytest.mark.parametrize(("host", "versions", "servers", "left_out"), HOSTS)
def test_the_hosts_servers_as_far_as_they_can_be_reached(
    host: str, versions: tuple[int, ...] | None, servers: tuple[str, ...], left_out: tuple[str, ...] | None
) -> None:
    found = resolv_conf(host, None, (), (), None if versions is None else frozenset(versions))
    assert found.servers == servers
    assert found.left_out == (left_out if left_out is not None else tuple(host.split()[1::2]))
    assert [line.split()[1] for line in found.text.splitlines() if line.startswith("nameserver")] == list(servers)


@pytest.mark.parametrize("servers", [("198.51.100.1",), ()])
def test_declared_servers_are_taken_as_they_are(servers: tuple[str, ...]) -> None:
    assert resolv_conf("nameserver 192.0.2.1\n", servers, (), ()).servers == servers


def test_resolv_conf_with_everything_declared() -> None:
    found = resolv_conf("search old\n", ("198.51.100.1",), ("new",), ("ndots:2",))
    assert found.text == "nameserver 198.51.100.1\nsearch new\noptions ndots:2\n"
