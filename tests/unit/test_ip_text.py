# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses with a zone: whatever is behind the '%' would become lines in files, and words in commands, of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.options import container_from
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._links import options as netns_options
from ansible_collections.barekernel.containers.plugins.module_utils._network import options as network_options
from ansible_collections.barekernel.containers.plugins.module_utils._network.ipam import allocate
from ansible_collections.barekernel.containers.plugins.module_utils._network.publish import parse_ports
from ansible_collections.barekernel.containers.plugins.module_utils._network.records import Network

LAB = Network("lab0", "lab0", ("10.88.0.1/24", "fd88::1/64"), "02:00:00:00:00:01")


def container(**options: Any) -> None:
    container_from({"name": "web", "state": "started", "image": "app", **options})


def network(**options: Any) -> None:
    network_options.desired_from({"name": "lab0", "state": "present", "addresses": ["fd88::1/64"], **options})


OPTIONS: dict[str, Callable[[str], Any]] = {
    "dns": lambda text: container(dns=[text]),
    "extra_hosts": lambda text: container(extra_hosts={"db": text}),
    "networks.addresses": lambda text: container(networks=[{"name": "lab0", "addresses": [text]}]),
    "networks.addresses with prefix": lambda text: container(networks=[{"name": "lab0", "addresses": [text + "/64"]}]),
    "networks.ports": lambda text: container(networks=[{"name": "lab0", "ports": [f"[{text}]:80:80"]}]),
    "addresses": lambda text: network(addresses=[f"{text}/64"]),
    "published.addresses": lambda text: network(published=[{"addresses": [text], "ports": ["80:80"]}]),
    "published.ports": lambda text: parse_ports("ports", [f"[{text}]:80:80"]),
    "allocated": lambda text: allocate(LAB, (), [text]),
    "ends.addresses": lambda text: netns_options.parse_addresses("ends[0].addresses", [f"{text}/64"]),
    "ends.routes.to": lambda text: netns_options.parse_routes("ends[0].routes", [{"to": f"{text}/128"}], False),
    "ends.routes.via": lambda text: netns_options.parse_routes(
        "ends[0].routes", [{"to": "fd99::/64", "via": text}], False
    ),
    "ends.routes.source": lambda text: netns_options.parse_routes(
        "ends[0].routes", [{"to": "fd99::/64", "source": text}], False
    ),
}


@pytest.mark.parametrize("option", list(OPTIONS))
@pytest.mark.parametrize("zone", ["%eth0", "%\nnameserver 192.0.2.66", "%a b"])
def test_a_zone_is_refused(option: str, zone: str) -> None:
    OPTIONS[option]("fd88::5")
    with pytest.raises(OptionError) as refused:
        OPTIONS[option]("fd88::5" + zone)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [10, None, True, ["10.0.0.1"]])
def test_a_number_is_no_address(given: Any) -> None:
    with pytest.raises(OptionError):
        OPTIONS["extra_hosts"](given)
