# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things of ours live on a host, and how they are marked as ours."""

from __future__ import annotations

#: What every object of ours carries: mount sources, link aliases, nftables comments, extended attributes.
MARK = "barekernel"
#: What our routes and addresses bear (RTA_PROTOCOL, IFA_PROTO): a number that iproute2's rt_protos gives to nobody.
PROTOCOL = 107
#: Extended attribute on directories and cgroups that we made (trusted.*: only the host's root can set it).
MARK_XATTR = "trusted.barekernel"

#: How the names of what is being written or removed begin meanwhile: nothing that is whole is called so.
HALF_MADE = ".new-"

STATE = "/var/lib/barekernel"
RUN = "/run/barekernel"

IMAGES = STATE + "/images"
CONTAINERS = STATE + "/containers"
VOLUMES = STATE + "/volumes"
NETWORKS = STATE + "/networks"
STACKS = STATE + "/stacks"
SECRETS = STATE + "/secrets"
#: Options of what has no record of its own and is to come back at boot, one directory a module.
BOOT = STATE + "/boot"
#: The collection's own code on the host (nsrun and what restores things at boot), one directory a version.
LIBRARY = STATE + "/lib"
#: What brings back what has no part in that library, one directory a module.
RESTORE = STATE + "/restore"
LOCKS = RUN + "/locks"
#: What can be made again at any time (compiled seccomp policies).
CACHE = RUN + "/cache"
NETNS_MARKS = RUN + "/netns"
#: The user namespaces that own network namespaces, kept by bind mounts of their nsfs files.
USERNS = RUN + "/userns"
#: Directories for all names of network namespaces: they go with the last one.
NETNS_DIRECTORIES = (NETNS_MARKS, USERNS)
#: How far long tasks have come, for the controller to show.
PROGRESS = RUN + "/progress"
CONTAINERS_RUN = RUN + "/containers"
#: Where nsrun keeps the state of what runs, unless told otherwise.
NSRUN = RUN + "/nsrun"
#: Where iproute2 and everything else looks for named network namespaces, ip-netns(8).
NETNS = "/run/netns"
#: How the name of a container's network namespace begins, and of the user namespace that owns it.
CONTAINER_NETNS = "bk-"

#: Directories that several objects share, and the mode of each: nothing in there is for other users of the host. What
#: images and containers leave keeps its owners and bits (a setuid program, a device node), so nobody may get to it.
#: The controller asks for a task's progress as the user it logged in as, by a name that nobody can guess: hence 0711.
MODES = {
    **dict.fromkeys((STATE, IMAGES, CONTAINERS, VOLUMES, NETWORKS, STACKS, SECRETS, BOOT, LIBRARY, RESTORE), 0o700),
    **dict.fromkeys((LOCKS, CACHE, NETNS_MARKS, USERNS, CONTAINERS_RUN, NSRUN), 0o700),
    **dict.fromkeys((RUN, PROGRESS), 0o711),
}


def mode_of_directory(path: str) -> int:
    """The mode of a directory that is made on the way to something: 0700 below those of ours, else 0755."""
    ours = path.startswith((STATE + "/", RUN + "/"))
    return MODES.get(path, 0o700 if ours else 0o755)
