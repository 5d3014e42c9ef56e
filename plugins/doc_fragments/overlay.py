# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of an overlay mount."""

from __future__ import annotations


class ModuleDocFragment:
    """The argument spec is module_utils/_module/arguments/overlay.py."""

    DOCUMENTATION = r"""
options:
  path:
    description:
      - Where the overlay is mounted. An absolute path; symbolic links in it are followed.
      - Paths here are taken literally, without expansion of C(~) or C($). A path whose bytes are not UTF-8, which no
        text can hold, is written as a URI with percent escapes, for instance V(file:///srv/caf%E9). Results show it
        the same way.
    type: str
    required: true
  state:
    description:
      - V(present) mounts the overlay and keeps it as declared.
      - V(absent) unmounts every overlay of ours at O(path), also stacked ones, and removes what this module made for
        it. Directories in which there are files of yours stay, see O(purge).
    type: str
    choices: [present, absent]
    default: present
  lowerdirs:
    description:
      - The lower layers, topmost first, 1 to 500 existing directories. Write them as a YAML list, because a string is
        split at its commas.
      - Required with O(state=present). Compared as real paths, so a layer named by a symbolic link that now leads
        elsewhere is a change. Changed by mounting anew.
    type: list
    elements: str
  upperdir:
    description:
      - The directory that takes what is written. When unset the overlay is read-only. Changed by mounting anew.
      - No two mounts may share it. That is checked by what is mounted in any mount namespace, not by name.
    type: str
  workdir:
    description:
      - Overlayfs's own directory, in the same mount as O(upperdir) and needed with it. Changed by mounting anew.
    type: str
  idmap:
    description:
      - Shows the files of all layers with other owners, and stores what is written with the owners shifted back, as
        user namespaces need it. Needs Linux 5.19, and file systems that can be ID-mapped (tmpfs from Linux 6.3).
      - When unset owners are shown as stored. Changed by mounting anew.
      - A warning says where C(/etc/subuid) or C(/etc/subgid) gives some of these IDs to a user.
    type: dict
    suboptions:
      host_id:
        description: What user and group 0 of the layers become.
        type: int
        required: true
      size:
        description: How many IDs, from 0 on, are mapped.
        type: int
        default: 65536
  metacopy:
    description:
      - Copy only metadata up when only metadata changes. When unset the kernel's default holds and is not compared.
        Changed by mounting anew.
    type: bool
  redirect_dir:
    description:
      - How renamed directories are handled; V(off) means V(follow) or V(nofollow), as the overlay kernel module is
        set. When unset the kernel's default holds and is not compared. Changed by mounting anew.
    type: str
    choices: ['on', follow, nofollow, 'off']
  index:
    description:
      - Keep hard links together when they are copied up. When unset the kernel's default holds and is not compared.
        Changed by mounting anew.
    type: bool
  xino:
    description:
      - Compose inode numbers that are unique over layers of several file systems. When unset the kernel's default
        holds and is not compared. Neither is it where all layers are in one file system, where it makes no difference
        (a single layer without O(upperdir) is joined by an empty one in another). Changed by mounting anew.
      - The kernel turns it off where the file systems of the layers cannot do it. That is no error and no change.
    type: str
    choices: ['on', auto, 'off']
  volatile:
    description:
      - Never sync the upper layer; after a crash of the host it may be incomplete. When unset the kernel's default
        holds and is not compared. Changed by mounting anew.
      - When this module unmounts such an overlay, other than with O(lazy), it syncs the upper layer and clears the
        kernel's mark.
    type: bool
  userxattr:
    description:
      - Keep overlayfs's attributes in the user namespace of extended attributes. When unset the kernel's default holds
        and is not compared. Changed by mounting anew.
    type: bool
  nfs_export:
    description:
      - Allow export by NFS; needs O(index), or O(redirect_dir=nofollow) where O(upperdir) is unset. When unset the
        kernel's default holds and is not compared. Changed by mounting anew.
    type: bool
  flags:
    description:
      - The mount's flags, exactly these. When unset a new mount has none, and those of a running one are left as they
        are, also where it is mounted anew. Applied live.
    type: list
    elements: str
    choices: [ro, nosuid, nodev, noexec, noatime]
  propagation:
    description:
      - How mounts below it spread, see mount_namespaces(7). A V(slave) of no other mount is private. When unset a new
        mount is shared where the mount above it is, and a running one is left as it is, also where it is mounted anew
        (as a slave it then has no other mount). Applied live.
    type: str
    choices: [private, shared, slave, unbindable]
  create:
    description:
      - Create O(path), O(upperdir), O(workdir) and the directories above them where they are missing. They are marked
        as made by this module (C(trusted.barekernel)), and removed again by O(state=absent) when nothing is in them.
      - Lower layers are never created.
    type: bool
    default: true
  owner:
    description:
      - Name or number of the user who owns O(path), O(upperdir) and O(workdir) where they are created. Existing ones
        are left as they are, and directories above them are created as root's.
    type: str
    default: '0'
  group:
    description: Name or number of the group that owns what O(owner) owns.
    type: str
    default: '0'
  mode:
    description:
      - Mode of what O(owner) owns, as M(ansible.builtin.file) takes it, such as V('0750') or V(u=rwx,g=rx,o=).
        Symbols change V(0755). Directories above are created with V(0755).
    type: raw
    default: '0755'
  cover:
    description:
      - Mount over what something else has mounted at O(path). Without it that is refused.
    type: bool
    default: false
  volatile_recover:
    description:
      - Accept an O(upperdir) that a volatile overlay left marked because the host went down under it. Without it that
        is refused, since files may be incomplete.
    type: bool
    default: false
  systemd:
    description:
      - Write a mount unit to C(/etc/systemd/system) and enable it, so that the overlay is mounted at the next boot too.
        When V(false) such a unit of ours is removed. Applied live.
      - A unit cannot express ID-mapped layers, a single lower layer without an upper one, more than 4095 bytes of
        options, and paths that hold double quotes, control characters or bytes that are not UTF-8. Each is refused.
    type: bool
    default: false
  lazy:
    description:
      - Detach a busy mount at once and let the kernel free it when its last user is gone (C(MNT_DETACH)). Without it a
        busy mount is an error that names the processes that hold it.
      - Not heeded where a new mount is to have the same O(upperdir) or O(workdir), as two mounts must not share them.
    type: bool
    default: false
  purge:
    description:
      - With O(state=absent), also remove O(upperdir) with all files in it, and O(workdir). Only where this module made
        them.
    type: bool
    default: false
"""
