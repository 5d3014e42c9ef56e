# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/etc/hosts and /etc/resolv.conf of a container."""

from __future__ import annotations

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._plan.identity_files import (
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


@pytest.mark.parametrize(
    ("host", "servers", "expected", "any_server"),
    [
        ("nameserver 192.0.2.1\n", None, "nameserver 192.0.2.1\n", True),
        ("nameserver 127.0.0.53\nsearch a b\n", None, "search a b\n", False),
        (
            "# nameserver 192.0.2.9\n\nnameserver ::1\nnameserver fe80::1%eth0\n",
            None,
            "nameserver fe80::1%eth0\n",
            True,
        ),
        ("nameserver 192.0.2.1\n", ("198.51.100.1",), "nameserver 198.51.100.1\n", True),
        ("nameserver 192.0.2.1\n", (), "", False),
        ("", None, "", False),
    ],
)
def test_resolv_conf(host: str, servers: tuple[str, ...] | None, expected: str, any_server: bool) -> None:
    assert resolv_conf(host, servers, (), ()) == (expected, any_server)


def test_resolv_conf_with_everything_declared() -> None:
    text, _any = resolv_conf("search old\n", ("198.51.100.1",), ("new",), ("ndots:2",))
    assert text == "nameserver 198.51.100.1\nsearch new\noptions ndots:2\n"
