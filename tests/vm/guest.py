# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who a guest is. All come from one image, some from one snapshot: each is told apart here, right after it answers.

A cloned machine-id gives two machines the same bridge and VXLAN addresses, a cloned random pool the same MACs, a
resumed clock certificates from the past; a snapshot's eth1 still has the address of the machine that was frozen.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
import uuid
from collections.abc import Mapping

from . import ssh, store

INTRODUCE = r"""
date -u -s "@$now" >/dev/null
printf %s "$seed" >/dev/urandom
python3 -I -S -c 'import fcntl; fcntl.ioctl(open("/dev/random", "wb"), 0x5207)'  # RNDRESEEDCRNG
hostname "$name"
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n%s' "$name" "$neighbours" >/etc/hosts
cat >/etc/systemd/network/20-eth1.network <<EOF
[Match]
Name=eth1
[Link]
MACAddress=$mac
[Network]
Address=$address4
Address=$address6
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
EOF
printf '%s\n' "$host_key" >/etc/ssh/ssh_host_ed25519_key
printf '%s\n' "$host_key_public" >/etc/ssh/ssh_host_ed25519_key.pub
if [ "$resumed" = 1 ]; then
    echo "$machine_id" >/etc/machine-id
    systemctl daemon-reexec
    systemctl restart systemd-journald.service
    ip link set dev eth1 down
    ip link set dev eth1 address "$mac"
fi
networkctl reload
networkctl reconfigure eth1
ip link set dev eth1 up
systemctl reload ssh.service
# networkd works on by itself, and an IPv6 address can be used only after duplicate address detection.
for address in "$address4" "$address6"; do
    until ip -o address show dev eth1 -tentative | grep -qF " $address "; do sleep 0.1; done
done
sync
"""


@dataclasses.dataclass(frozen=True)
class Identity:
    """What tells one guest from its siblings."""

    name: str
    number: int  #: 1-250, unique in the run

    @property
    def mac(self) -> str:
        return f"52:54:00:aa:00:{self.number:02x}"

    @property
    def address4(self) -> str:
        """On the segment that joins the run's machines."""
        return f"192.168.77.{self.number}"

    @property
    def address6(self) -> str:
        return f"fd77::{self.number:x}"


def introduce(
    identity: Identity, siblings: Mapping[str, str], port: int, image: str, directory: str, resumed: bool
) -> None:
    """Give a guest that has just answered its name, addresses, keys, clock and randomness. Raises VmError.

    The first contact checks the image's host key; from then on the guest has its own, noted in ``known_hosts``.
    """
    host_key = os.path.join(directory, "host_key")
    if not os.path.exists(host_key):
        store.new_key(host_key, identity.name)
    first = os.path.join(directory, "known_hosts.first")
    note(first, "image", os.path.join(image, "host_key.pub"))
    values = {
        "name": identity.name,
        "mac": identity.mac,
        "address4": f"{identity.address4}/24",
        "address6": f"{identity.address6}/64",
        "neighbours": "".join(f"{address} {name}\n" for name, address in sorted(siblings.items())),
        "host_key": store.read(host_key).decode().rstrip("\n"),
        "host_key_public": store.read(host_key + ".pub").decode().rstrip("\n"),
        "machine_id": uuid.uuid4().hex,
        "seed": os.urandom(64).hex(),
        "resumed": "1" if resumed else "0",
        "now": f"{time.time():.3f}",
    }
    script = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()) + INTRODUCE
    ssh.run(port, ssh.options(first, "image"), script, timeout=300.0)
    note(os.path.join(directory, "known_hosts"), identity.name, host_key + ".pub")


def note(known_hosts: str, alias: str, public_key: str) -> None:
    """Write the file ``known_hosts`` with one entry: the key in the file ``public_key`` under the name ``alias``."""
    kind, key = store.read(public_key).decode().split()[:2]
    with open(known_hosts, "w", encoding="ascii") as stream:
        stream.write(f"{alias} {kind} {key}\n")
