# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the images are made of."""

from __future__ import annotations

import dataclasses

#: In every guest from the start: what a minimal server installation has, what Ansible needs on a host, and the registry
#: of the scenarios that want one, which does not run until then. To install a package takes up to a minute there.
BASE = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "openssh-server",
    "python3",
    "python3-apt",
    "iproute2",
    "iputils-ping",
    "procps",
    "linux-image-cloud-amd64",
    "e2fsprogs",
    "ca-certificates",
    "gnupg",
    "docker-registry",
)

#: To install it costs half a minute, most of it for compiling. On Debian 13 role `host` does that.
PYROUTE2 = "python3-pyroute2"

#: In the guest's package repository, with everything they depend on: what role `host` may install, and what images
#: are made from.
REPOSITORY = (
    "attr",
    "busybox-static",
    "catatonit",
    "crun",
    "curl",
    "debootstrap",
    "dnsutils",
    "ethtool",
    "iptables",
    "libcap2-bin",
    "libseccomp2",
    "mmdebstrap",
    "mount",
    "netcat-openbsd",
    "nftables",
    PYROUTE2,
    "runc",
    "skopeo",
    "tar",
    "tcpdump",
    "umoci",
    "uidmap",
    "util-linux",
    "wget",
    "xz-utils",
    "zstd",
)

#: Beside the minimal set, in the root file system at /srv/debian.tar from which containers in the guest are made:
#: debootstrap works in a guest too, from its own repository, but takes many minutes under emulation.
ROOTFS = ("wget",)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One image: a Debian suite, what is installed in it and what it holds for hosts and containers beside that."""

    name: str
    suite: str
    base: tuple[str, ...] = BASE
    repository: tuple[str, ...] = REPOSITORY
    rootfs: tuple[str, ...] = ROOTFS
    components: str = "main"
    mirror: str = "http://deb.debian.org/debian"
    size: str = "4G"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("debian12", "bookworm", (*BASE, PYROUTE2)),
        Recipe("debian13", "trixie"),
    )
}
