# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two switches of forwarding, and what the kernel overwrites whenever one of them changes.

inet_forward_change() (net/ipv4/devinet.c) and addrconf_forward_change() (net/ipv6/addrconf.c) give the switch's value
to ``default`` and every interface; the former also sets ``all/accept_redirects`` to the opposite.
"""

from __future__ import annotations

from collections.abc import Iterable

IP_FORWARD = "net.ipv4.ip_forward"
IPV6_FORWARDING = "net.ipv6.conf.all.forwarding"
#: Each switch with the directory that has a directory for each interface, ``all`` and ``default``.
CONF = {IP_FORWARD: "net/ipv4/conf", IPV6_FORWARDING: "net/ipv6/conf"}
_ACCEPT_REDIRECTS = "net/ipv4/conf/all/accept_redirects"


def carried_along(switch: str, entries: Iterable[str]) -> tuple[str, ...]:
    """The sysctls that change with that switch; ``entries`` are the names in its directory.

    In the form with slashes, as an interface's name may have a dot.
    """
    interfaces = tuple(f"{CONF[switch]}/{entry}/forwarding" for entry in entries if entry != "all")
    return (_ACCEPT_REDIRECTS, *interfaces) if switch == IP_FORWARD else interfaces


def carried_value(name: str, switched_to: str) -> str:
    """What the kernel writes to one of them when the switch gets that value."""
    if name == _ACCEPT_REDIRECTS:
        return "1" if switched_to == "0" else "0"
    return switched_to
