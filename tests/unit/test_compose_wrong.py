# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Compose file cannot mean: all of it is told at once, each with its line; nothing ends in a traceback."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose import ComposeError, translated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import fuzz

from . import test_compose as meant

ALL_AT_ONCE = """
    include: [other.yml]
    services:
      web:
        image: nginx
        network_mode: host
        ports: ["80:80"]
        devices: [/dev/fuse]
        privileged: true
        imgae: typo
      app:
        image: Upper/Case
        restart: sometimes
        cap_add: [NET_ADMIN, NO_SUCH, NOR_THIS]
        ports:
          - 3000
          - "8000-8001:80"
          - "70000:80"
          - "80:80/sctp"
          - "localhost:80:80"
          - {target: 80}
        volumes:
          - ./data:/data
          - ~/x:/y
          - undeclared:/z
          - /srv:relative
          - {type: npipe, source: a, target: /b}
          - {type: bind, source: /a, target: /b, bind: {create_host_path: true}}
          - /one:/two:wrong
        environment:
          VERSION: 1.10
          MODE: 0755
        ulimits: {nofile: {soft: 5}, unheard: 1}
        sysctls: {vm.swappiness: 1, net.core.somaxconn: "1\\n2"}
        depends_on: {web: {condition: service_well}, nobody: {condition: service_started}}
        healthcheck: {test: [CMD], interval: soon}
        stop_grace_period: 10
        mem_limit: much
        cpus: -1
        dns: [one.one.one.one]
        networks: {front: {ipv4_address: 10.9.9.9}, gone: }
        secrets: [unknown, token]
        logging: {driver: syslog}
        extra_hosts: ["a:b"]
        user: {}
        container_name: Web
    networks:
      front:
        driver: overlay
        ipam: {config: [{subnet: 10.1.0.0/24, ip_range: 10.1.0.0/25}, {gateway: 10.1.0.1}]}
    secrets:
      token: {external: true}
"""
TOLD = """
    1: include: is not supported: write the services
    6: services.web.ports: cannot be together with network_mode: host
    7: services.web.devices: is not supported: devices
    8: services.web.privileged: is not supported: name what
    9: services.web.imgae: is no key of a service in the Compose Specification; is image meant?
    11: services.app.image: 'Upper/Case': the repository 'Case' must be lower case
    12: services.app.restart: 'sometimes': must be no, on-failure
    13: services.app.cap_add[1]: 'NO_SUCH': is not a capability
    13: services.app.cap_add[2]: 'NOR_THIS': is not a capability
    15: services.app.ports[0]: '3000': names no port of the host
    16: services.app.ports[1]: '8000-8001:80': is a range
    17: services.app.ports[2]: 70000: a port is a number from 1 to 65535
    18: services.app.ports[3]: 'sctp': the protocol is tcp or udp
    19: services.app.ports[4]: 'localhost': is not an address of the host
    20: services.app.ports[5]: has no published
    22: services.app.volumes[0]: './data': is relative to the Compose file
    23: services.app.volumes[1]: '~/x': is below a home directory
    24: services.app.volumes[2]: 'undeclared': is not declared in volumes
    25: services.app.volumes[3]: 'relative': must be an absolute path
    26: services.app.volumes[4].type: is not supported: 'npipe'
    27: services.app.volumes[5].bind.create_host_path: is not supported: directories of the host
    28: services.app.volumes[6]: 'wrong': is no word for a mount
    30: services.app.environment.VERSION: is a number that YAML rewrites; put it in quotes
    31: services.app.environment.MODE: is a number that YAML rewrites; put it in quotes
    32: services.app.ulimits.nofile: has no hard
    32: services.app.ulimits.unheard: 'unheard': must be one of as, core
    33: services.app.sysctls.net.core.somaxconn: '1\\n2': is one line
    33: services.app.sysctls.vm.swappiness: 'vm.swappiness': belongs to the host
    34: services.app.depends_on.web.condition: 'service_well': must be one of service_started
    34: services.app.depends_on.nobody: 'nobody': there is no such service
    35: services.app.healthcheck.test: ['CMD']: write [CMD, PROGRAM
    35: services.app.healthcheck.interval: 'soon': write a time
    36: services.app.stop_grace_period: '10': write a time
    37: services.app.mem_limit: 'much': write bytes
    38: services.app.cpus: '-1': write a number of CPUs
    39: services.app.dns[0]: 'one.one.one.one': is not an IPv4
    40: services.app.networks.front.ipv4_address: '10.9.9.9': is outside network
    40: services.app.networks.gone: 'gone': is not declared in networks; there are default, front
    41: services.app.secrets[0]: 'unknown': is not declared in secrets
    42: services.app.logging.driver: is not supported: 'syslog'
    43: services.app.extra_hosts[0]: 'b': is not an address
    44: services.app.user: is a mapping; write a text
    45: services.app.container_name: 'Web': use 1 to 48 lower-case letters
    48: networks.front.driver: is not supported: the driver 'overlay'
    49: networks.front.ipam.config[0].ip_range: is not supported: containers get
    49: networks.front.ipam.config[1]: has no subnet
    51: secrets.token: needs one of file, environment
    51: secrets.token.external: is not supported: there is no store of secrets
"""


def told(tmp_path: Path, text: str, **options: Any) -> list[str]:
    """Every message, without the name of the file."""
    path = tmp_path / "compose.yml"
    path.write_text(textwrap.dedent(text).strip("\n"))
    with pytest.raises(ComposeError) as caught:
        translated(str(path), environment={"SECRET": "do not show"}, **options)
    for message in caught.value.messages:
        assert "do not show" not in message
    return [message.removeprefix(f"{path}:") for message in caught.value.messages]


def test_everything_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = told(tmp_path, ALL_AT_ONCE)
    expected = textwrap.dedent(TOLD).strip().split("\n")
    assert [message[: len(line)] for message, line in zip(sorted(found), sorted(expected))] == sorted(expected)
    assert len(found) == len(expected)
    lines = [int(message.partition(":")[0]) for message in found]
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("services:\n", "1: has no services"),
        ("x-a: 1\n", "1: has no services"),
        ("services: [a]\n", "1: services: is a list; write a mapping"),
        ("services:\n  a: text\n", "2: services.a: is text; write a mapping"),
        ("services:\n  a: {}\n", "2: services.a: has no image"),
        ("services:\n  a: {build: .}\n", "2: services.a: has no image"),
        (
            "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n"
            "  c:\n    image: x\n    depends_on: [a]\n",
            "6: services.c.depends_on[0]: services wait for each other in a circle: a -> b -> c -> a",
        ),
        (
            "services:\n  a: {image: x, network_mode: 'service:b', depends_on: {b: {condition: service_healthy}}}\n"
            "  b:\n    image: x\n    links: [a]\n",
            "5: services.b.links[0]: services wait for each other in a circle: a -> b -> a",
        ),
        (
            "services:\n  a: {extends: b}\n  b: {extends: {service: a}}\n",
            "3: services.b.extends.service: services extend each other in a circle: a -> b -> a",
        ),
        ("services:\n  a: {extends: gone}\n", "2: services.a.extends: 'gone': there is no such service"),
        (
            "services:\n  a: {extends: {service: b, file: c.yml}, image: x}\n",
            "2: services.a.extends.file: is not supported",
        ),
        (
            "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [debug]}\n",
            "2: services.a.depends_on[0]: 'b': is not chosen by the profiles",
        ),
        (
            "services:\n  a: {image: x, container_name: c}\n  b: {image: x, container_name: c}\n",
            "3: services.b.container_name: 'c': has the container name of",
        ),
        (
            "services:\n  a: {image: x, scale: 2, ports: ['80:80']}\n",
            "2: services.a.ports[0]: a port of the host leads to one container",
        ),
        (
            "services:\n  a: {image: x, scale: 2, container_name: c}\n",
            "2: services.a.container_name: 'c': is the name of one container, and there are 2",
        ),
        (
            "services:\n  a: {image: x, cpus: 1, deploy: {resources: {limits: {cpus: 2}}}}\n",
            "2: services.a.deploy.resources.limits.cpus: '2': is given twice; the other value is 1",
        ),
        ("services:\n  a: {image: x, memswap_limit: 1g}\n", "2: services.a.memswap_limit: '1g': is memory and swap"),
        (
            "services:\n  a: {image: x, entrypoint: ''}\n",
            "2: services.a.entrypoint: is empty, which takes the image's entrypoint away",
        ),
        ('services:\n  a: {image: x, command: "a \'b"}\n', '2: services.a.command: "a \'b": cannot be split'),
        ("services:\n  a: {image: x, env_file: gone.env}\n", "2: services.a.env_file: 'gone.env': cannot be read"),
        (
            "services:\n  a:\n    image: x\n    environment: ['A=${B:?b is needed}']\n",
            "4: services.a.environment[0]: the variable B is not set: b is needed",
        ),
        (
            "services:\n  a:\n    image: x\n    environment:\n      A: ['${SECRET}']\n",
            "5: services.a.environment.A: is a list; write a text",
        ),
        (
            "services:\n  a:\n    image: x\n    environment:\n      - '=${SECRET}'\n",
            "5: services.a.environment[0]: has no name",
        ),
        ("services:\n  a:\n    image: x\n    environment:\n      'A=B': '${SECRET}'\n", "5: services.a.environment"),
        (
            "services:\n  a: {image: x, volumes: ['/a:/c', '/b:/c']}\n",
            "2: services.a.volumes[1]: '/c': mounts[0] is there already",
        ),
        (
            "services:\n  a: {image: x, healthcheck: {interval: 5s}}\n",
            "2: services.a.healthcheck: is not supported: a check without test",
        ),
        (
            "services:\n  a: {image: x, extra_hosts: ['g:host-gateway'], network_mode: none}\n",
            "2: services.a.extra_hosts[0]: 'host-gateway': is not known",
        ),
        (
            "services:\n  a: {image: x, platform: linux/arm64}\n  b: {image: 'x:latest'}\n",
            "3: services.b.image: '': another service asks for this image for linux/arm64",
        ),
        ("name: p\nservices:\n  DB: {image: x}\n", "3: services.DB: 'p-DB-1': use 1 to 48 lower-case letters"),
        ("services:\n  x-db: {image: ''}\n", "2: services.x-db.image: '': is empty"),
        ("name: Bad Name\nservices: {a: {image: x}}\n", "1: name: 'Bad Name': use lower-case letters"),
        (
            "services: {a: {image: x}}\nnetworks: {default: {enable_ipv4: false}}\n",
            "2: networks.default: has no addresses",
        ),
    ],
)
def test_one_fault(tmp_path: Path, text: str, expected: str) -> None:
    found = told(tmp_path, text)
    assert any(message.startswith(expected) for message in found), found


def test_of_a_dictionary_the_keys_are_told(tmp_path: Path) -> None:
    services = {"a": {"image": "x", "restart": True, "environment": {"A": object()}, "ports": [80], 5: None}}
    with pytest.raises(ComposeError) as caught:
        translated({"name": "p", "services": services}, environment={})
    found = caught.value.messages
    assert (
        "compose: services.a.ports[0]: '80': names no port of the host, and none is chosen; write HOST:CONTAINER"
        in found
    )
    assert "compose: services.a.5: is no key of a service in the Compose Specification" in found
    assert any(message.startswith("compose: services.a.environment.A: is object") for message in found)
    endless: dict[str, Any] = {"services": {}}
    endless["services"]["a"] = endless
    with pytest.raises(ComposeError, match="nested more than 40 levels deep"):
        translated(endless, environment={})
    with pytest.raises(ComposeError, match="compose_unsupported: 'maybe': must be error or warn"):
        translated({}, environment={}, unsupported="maybe")
    with pytest.raises(ComposeError, match="is relative, and the Compose file has no directory"):
        translated({"name": "p", "services": {"a": {"image": "x", "env_file": "e"}}}, environment={})


# What follows puts any value at any place.

TREES = [yaml.safe_load(textwrap.dedent(text)) for text in (meant.PROXIED, meant.GITEA, meant.MONITORING, meant.CLOUD)]
ODD: tuple[Any, ...] = (
    *(text for text in fuzz.TEXTS if len(text) < 300),
    *(
        "$",
        "${",
        "${A",
        "${A:?}",
        "$$",
        "0x1",
        "1_0",
        "~",
        "<<",
        "*a",
        "&a",
        "!x",
        "0o7",
        "service:web",
        "container:",
        "a:b:c:d",
    ),
    *(value for value in fuzz.OTHERS if len(str(value)[:400]) < 300),
    *([], {}, [[]], [{}], {"external": True}, {"condition": "service_healthy"}, ["a=b"], {"a": {"b": None}}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a tree."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(tree)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def means_or_is_told(source: Any, base: str) -> str:
    """Whatever it is, it becomes options that the modules take, or is told line by line; anything else raises."""
    environment = {"A": "a", "DB_PASSWD": "p", "DB_KEY": "k"}
    options: dict[str, Any] = {"host_directory": "/srv", "profiles": ["*"], "unsupported": "warn"}
    try:
        found = translated(source, base=base, environment=environment, **options)
    except ComposeError as error:
        assert error.messages
        for message in error.messages:
            assert message.isprintable() and len(message) < 5000
            where = message.partition(": ")[0]
            assert (
                where == "compose" or ".env" in where or where.rpartition(":")[2].isdigit() or " cannot" in message
            ), message
        return "told"
    meant.held(found)
    return "meant"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("site")
    for name, content in meant.FILES.items():
        (directory / name).write_text(content)
    return directory


def test_any_value_at_each_place(site: Path) -> None:
    """One at a time: each place gets some of the odd values, each odd value some of the places."""
    seen, count = set(), 0
    for tree in TREES:
        assert means_or_is_told(tree, str(site)) == "meant"
        for path in places(tree):
            for step in range(2):
                value = ODD[(count * 2 + step) % len(ODD)]
                if path or isinstance(value, dict):
                    seen.add(means_or_is_told(put(tree, path, value), str(site)))
            count += 1
    assert seen == {"meant", "told"} and count > 200


@settings(derandomize=True, max_examples=60, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_values_in_a_file(site: Path, data: st.DataObject) -> None:
    """As YAML, so that what is told has a line."""
    tree = data.draw(st.sampled_from(TREES))
    for _count in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(tree))[1:]))
        tree = put(tree, path, data.draw(fuzz.anything() | st.sampled_from(ODD)))
    text = yaml.dump(tree, allow_unicode=True, default_flow_style=data.draw(st.booleans()))
    file = site / "compose.yml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    means_or_is_told(str(file), str(site))


@settings(derandomize=True, max_examples=60, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_text(site: Path, data: st.DataObject) -> None:
    """Bits of YAML in any order, below what makes a file of them."""
    bits = st.sampled_from(
        [
            "a",
            ": ",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "&a ",
            "*a",
            "<<",
            "|\n",
            "'",
            '"',
            "$",
            "!!int ",
            "? ",
            "#",
        ]
    )
    text = "".join(data.draw(st.lists(bits | st.text(max_size=3), max_size=30)))
    file = site / "compose.yml"
    file.write_bytes(("services:\n  a:\n    image: x\n    " + text).encode("utf-8", "surrogatepass"))
    means_or_is_told(str(file), str(site))
