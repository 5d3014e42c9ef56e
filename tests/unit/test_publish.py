# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports: their notation, their elements, their clashes; and our nftables table around them."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.nft import (
    Chain,
    Element,
    Rule,
    Table,
    parse_table,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.sockets import (
    Listener,
    decode_address,
    parse,
)
from ansible_collections.barekernel.containers.plugins.module_utils._network import nft_table
from ansible_collections.barekernel.containers.plugins.module_utils._network.nft_table import (
    ChangeTable,
    as_template,
    plan_elements,
    script,
)
from ansible_collections.barekernel.containers.plugins.module_utils._network.publish import (
    check_clashes,
    check_published,
    parse_ports,
    plan_publish,
    publish_elements,
)
from ansible_collections.barekernel.containers.plugins.module_utils._network.records import PortRange, Published
from hypothesis import given
from hypothesis import strategies as st

WEB = "container/web"
BOTH = ("10.88.0.2", "fd88::2")


def ports(*texts: str, to: tuple[str, ...] = BOTH) -> tuple[Published, ...]:
    return (Published(to, parse_ports("ports", texts)),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080:80", PortRange(8080, 80)),
        ("8080:80/udp", PortRange(8080, 80, 1, "udp")),
        ("127.0.0.1:8080:80", PortRange(8080, 80, 1, "tcp", "127.0.0.1")),
        ("[fd00::9]:8000-8009:80-89", PortRange(8000, 80, 10, "tcp", "fd00::9")),
        ("[FD00:0::1]:1:65535", PortRange(1, 65535, 1, "tcp", "fd00::1")),
    ],
)
def test_notation(text: str, expected: PortRange) -> None:
    assert parse_ports("ports", [text]) == (expected,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("80", "write"),
        ("", "write"),
        ("a:b", "write"),
        ("8080:80/sctp", "protocol"),
        ("8080:80/", "protocol"),
        ("0:80", "1 to 65535"),
        ("80:65536", "1 to 65535"),
        ("90-80:1-11", "after the first"),
        ("8000-8001:80", "2 ports of the host for 1"),
        ("1.2.3:80:80", "not an IP address"),
        ("[1.2.3.4]:80:80", "not an IP address"),
        ("::1:80:80", "write"),
        ("[fe80::1%eth0]:80:80", "without a zone|not an IP"),
        ("224.0.0.1:80:80", "host itself"),
        ("[::1]:80:80", "127.0.0.1"),
        ("[::ffff:192.0.2.1]:80:80", "write 192.0.2.1"),
    ],
)
def test_notation_that_cannot_be_meant(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as error:
        parse_ports("ports", [text])
    assert error.value.value == text


def can_be_published_on(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    return not address.is_multicast and str(address) != "::1" and not mapped


@st.composite
def port_ranges(draw: st.DrawFn) -> PortRange:
    count = draw(st.integers(1, 300))
    first, target = (draw(st.integers(1, 65535 - count + 1)) for _ in range(2))
    address = draw(st.one_of(st.none(), st.ip_addresses().filter(can_be_published_on).map(str)))
    return PortRange(first, target, count, draw(st.sampled_from(["tcp", "udp"])), address)


@given(port_ranges())
def test_a_range_is_read_as_it_is_shown(range_: PortRange) -> None:
    assert parse_ports("ports", [str(range_)]) == (range_,)


@given(port_ranges())
def test_a_range_is_as_many_elements_as_it_has_ports(range_: PortRange) -> None:
    elements = publish_elements(WEB, (Published(BOTH, (range_,)),))
    assert len(elements) == range_.count * (2 if range_.address is None else 1)
    assert len({(e.set_name, e.key) for e in elements}) == len(elements)
    offsets = {int(e.key[-1]) - range_.host_port: int(e.value[-1]) - range_.target_port for e in elements}
    assert all(host == target for host, target in offsets.items())


def test_elements() -> None:
    assert publish_elements(WEB, ports("8080:80", "127.0.0.1:53:5353/udp", "[fd00::9]:1:2", "0.0.0.0:3:4")) == (
        Element("published4", ("tcp", "8080"), ("10.88.0.2", "80"), WEB),
        Element("published6", ("tcp", "8080"), ("fd88::2", "80"), WEB),
        Element("published_on4", ("127.0.0.1", "udp", "53"), ("10.88.0.2", "5353"), WEB),
        Element("published_on6", ("fd00::9", "tcp", "1"), ("fd88::2", "2"), WEB),
        Element("published4", ("tcp", "3"), ("10.88.0.2", "4"), WEB),
    )


@pytest.mark.parametrize(
    "texts",
    [("80:1", "80:2"), ("80-90:80-90", "85:1"), ("80:1", "127.0.0.1:80:2"), ("0.0.0.0:80:1", "127.0.0.1:80:2")],
)
def test_a_port_published_twice(texts: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match="a second time"):
        check_published("ports", WEB, ports(*texts))


def test_ports_that_do_not_meet() -> None:
    texts = ("80:1", "80:1/udp", "81:1", "127.0.0.1:82:1", "127.0.0.2:82:1", "[fd00::9]:82:1")
    check_published("ports", WEB, ports(*texts))
    with pytest.raises(OptionError, match="no address of that family"):
        check_published("ports", WEB, ports("[fd00::9]:80:80", to=("10.0.0.2",)))


def live(*elements: Element) -> Table:
    """A table as the kernel would list it after our template."""
    chains = tuple(
        Chain("inet", "barekernel", c.name, c.type, c.hook, c.priority, "accept" if c.hook else None)
        for c in nft_table.CHAINS
    )
    rules = tuple(Rule(c.name, nft_table._rule_mark(r)) for c in nft_table.CHAINS for r in c.rules)
    return Table("inet", "barekernel", chains, nft_table.SETS, rules, elements)


FOREIGN = publish_elements("container/other", ports("8080:80", to=("10.88.0.9",)))
CLASHES = [
    ("the same port", ["8080:1"], "container/other"),
    ("one address of it", ["127.0.0.1:8080:1"], "container/other"),
    ("a range over it", ["8000-8100:1-101"], "container/other"),
    ("a listener on any address", ["5353:1/udp"], "812 avahi-daemon"),
    ("a listener on any address, one asked for", ["127.0.0.1:5353:1/udp"], "812 avahi-daemon"),
    ("a listener on one address, any asked for", ["631:1"], "a process"),
    ("a dual-stack listener", ["0.0.0.0:22:1"], "1 systemd"),
]
LISTENERS = (
    Listener("udp", "0.0.0.0", 5353, 1),
    Listener("tcp", "127.0.0.1", 631, 2),
    Listener("tcp", "::", 22, 3),
    Listener("tcp", "::1", 25, 4),
    Listener("tcp", "::ffff:192.0.2.1", 26, 5),
)
HOLDERS = {1: "812 avahi-daemon", 3: "1 systemd"}


@pytest.mark.parametrize(("texts", "holder"), [c[1:] for c in CLASHES], ids=[c[0] for c in CLASHES])
def test_clashes_name_option_value_and_holder(texts: list[str], holder: str) -> None:
    with pytest.raises(Refused, match=holder) as error:
        check_clashes("ports", WEB, ports(*texts), live(*FOREIGN), LISTENERS, HOLDERS)
    assert str(error.value).startswith(f"ports: '{ports(*texts)[0].ports[0]}'")


@pytest.mark.parametrize("text", ["8080:1/udp", "631:1/udp", "127.0.0.2:631:1", "127.0.0.1:25:1", "192.0.2.2:26:1"])
def test_no_clash(text: str) -> None:
    check_clashes("ports", WEB, ports(text), live(*FOREIGN), LISTENERS, HOLDERS)


def test_a_port_of_ours_is_not_checked_for_listeners_again() -> None:
    mine = ports("5353:1/udp")
    check_clashes("ports", WEB, mine, live(*publish_elements(WEB, mine)), LISTENERS, HOLDERS)


def test_a_new_table_is_created_and_the_last_owner_deletes_it() -> None:
    (create,) = plan_publish(WEB, ports("8080:80"), None)
    assert create.rebuild == "create" and create.add == publish_elements(WEB, ports("8080:80"))
    assert plan_publish(WEB, (), None) == ()
    assert plan_publish(WEB, (), live(*create.add)) == (ChangeTable(WEB, delete=True),)
    assert plan_publish(WEB, ports("8080:80"), live(*create.add)) == ()


def test_a_change_touches_the_owners_elements_only() -> None:
    table = live(*FOREIGN, *publish_elements(WEB, ports("1:1", "2:2")))
    (change,) = plan_publish(WEB, ports("2:9", "3:3", to=("10.88.0.2",)), table)
    assert not change.rebuild and not change.delete
    assert {(e.set_name, e.key[-1], e.value[-1]) for e in change.remove} == {
        ("published4", "1", "1"),
        ("published4", "2", "2"),
        ("published6", "1", "1"),
        ("published6", "2", "2"),
    }
    assert {(e.key[-1], e.value[-1]) for e in change.add} == {("2", "9"), ("3", "3")}
    assert "container/other" not in script(change)


class Flows:
    """In place of the kernel: keeps what of its flows is to be forgotten."""

    def __init__(self, error: OSError | None = None) -> None:
        self.nft = self.netlink_conntrack = self
        self.error, self.asked = error, []

    def run(self, _script: str) -> None:
        pass

    def forget_flows(self, version: int, protocol: str, targets: dict[object, object]) -> None:
        self.asked.append((version, protocol, targets))
        if self.error is not None:
            raise self.error


DNS = ports("5300:53/udp", "192.0.2.1:123:123/udp", "8443:443")
UDP4, UDP6 = {(None, 5300): ("10.88.0.2", 53), ("192.0.2.1", 123): ("10.88.0.2", 123)}, {(None, 5300): ("fd88::2", 53)}
NOWHERE4, NOWHERE6 = dict.fromkeys(UDP4), dict.fromkeys(UDP6)


@pytest.mark.parametrize(
    ("wanted", "there", "asked"),
    [
        (DNS, None, [(4, "udp", UDP4), (6, "udp", UDP6)]),
        (DNS, live(*FOREIGN), [(4, "udp", UDP4), (6, "udp", UDP6)]),
        ((), live(*publish_elements(WEB, DNS)), [(4, "udp", NOWHERE4), (6, "udp", NOWHERE6)]),
        ((), live(*FOREIGN, *publish_elements(WEB, DNS)), [(4, "udp", NOWHERE4), (6, "udp", NOWHERE6)]),
        (
            ports("5300:54/udp", "192.0.2.1:123:123/udp", to=("10.88.0.2",)),
            live(*publish_elements(WEB, DNS)),
            [(4, "udp", {(None, 5300): ("10.88.0.2", 54)}), (6, "udp", NOWHERE6)],
        ),
        (
            ports("8080:81"),
            dataclasses.replace(live(*publish_elements(WEB, ports("8080:81")), *publish_elements("x", DNS)), rules=()),
            [(4, "udp", UDP4), (6, "udp", UDP6)],
        ),
        (
            ports("5300:53/udp", "192.0.2.1:123:123/udp", "8443:444", "80:80"),
            live(*publish_elements(WEB, DNS)),
            [],
        ),
    ],
    ids=["the first", "added", "the last", "removed", "changed", "rebuilt for another one", "only TCP changed"],
)
def test_udp_flows_are_forgotten_where_their_port_changes(
    wanted: tuple[Published, ...], there: Table | None, asked: list[object]
) -> None:
    (change,) = plan_publish(WEB, wanted, there)
    kernel = Flows()
    assert change.execute(kernel) is None
    assert kernel.asked == asked
    assert ("UDP flows" in change.describe()) == bool(asked)


def test_a_kernel_that_cannot_forget_flows_is_a_warning() -> None:
    (change,) = plan_publish(WEB, DNS, None)
    refused = KernelError(errno.EINVAL, "IPCTNL_MSG_CT_GET", "udp over IPv4")
    caveat = change.execute(Flows(refused))
    assert caveat is not None and str(refused) in caveat.warning and "nf_conntrack_netlink" in caveat.warning


@pytest.mark.parametrize(
    "damage",
    [
        {"rules": ()},
        {"chains": ()},
        {"sets": nft_table.SETS[1:]},
        {"rules": (*live().rules, Rule("isolation"))},
        {"rules": (Rule("isolation"), *live().rules)},
        {"rules": tuple(reversed(live().rules))},
        {"rules": (dataclasses.replace(live().rules[0], comment="barekernel:other"), *live().rules[1:])},
        {"chains": (dataclasses.replace(live().chains[0], policy="drop"), *live().chains[1:])},
    ],
)
def test_a_damaged_table_is_rebuilt_with_everyones_elements(damage: dict[str, object]) -> None:
    mine = publish_elements(WEB, ports("1:1"))
    table = dataclasses.replace(live(*FOREIGN, *mine), **damage)
    assert not as_template(table)
    (change,) = plan_publish(WEB, ports("1:1"), table)
    assert change.rebuild == "rebuild" and change.kept == FOREIGN and set(change.add) == set(mine)


def test_an_element_without_owner_is_removed_and_a_foreign_one_refused() -> None:
    stray = Element("bridges", ("eth0",))
    (change,) = plan_publish(WEB, ports("1:1"), live(stray, *publish_elements(WEB, ports("1:1"))))
    assert change.remove == (stray,) and change.add == ()
    with pytest.raises(Refused, match="belongs to container/other"):
        plan_elements(WEB, FOREIGN, live(*FOREIGN))


def test_listing_is_read_whatever_version_wrote_it() -> None:
    key = {"elem": {"val": {"concat": [6, 8080]}, "comment": WEB}}
    header = {
        "name": "published4",
        "type": ["inet_proto", "inet_service"],
        "elem": [[key, {"concat": ["10.0.0.2", 80]}]],
    }
    for data in ("ipv4_addr . inet_service", ["ipv4_addr", "inet_service"]):
        table = parse_table("inet", "t", [{"map": {**header, "map": data}}])
        assert table.elements == (Element("published4", ("tcp", "8080"), ("10.0.0.2", "80"), WEB),)
        assert table.sets[0].data == ("ipv4_addr", "inet_service")


PROC_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
"""


def test_listeners_are_read_from_proc() -> None:
    assert parse("tcp", PROC_TCP) == [Listener("tcp", "127.0.0.1", 8080, 4711)]
    assert decode_address("B80D01200000000000000000010000" + "00", "little") == "2001:db8::1"
    assert decode_address("20010DB8000000000000000000000001", "big") == "2001:db8::1"
