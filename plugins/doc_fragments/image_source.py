# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents module_utils/_module/arguments/image_source.py."""

from __future__ import annotations


class ModuleDocFragment:
    """Where an image comes from. A fragment's options cannot be split, so all sources stand here."""

    DOCUMENTATION = r"""
options:
  registry:
    description:
      - Pulls the image from a registry, through C(skopeo), with the mirrors, credentials and signature policy of the
        host. The default, from where O(name) says, where no source is given.
      - The digest is the registry's. Layers that the store has are not transported, and each layer is unpacked while
        others still come.
    type: dict
    suboptions:
      reference:
        description: Name, tag or digest to pull. Unset, O(name).
        type: str
      platform:
        description:
          - The platform to choose from an index, as C(OS/ARCHITECTURE) with an optional C(/VARIANT), which is then
            taken exactly. Unset, the host's, in the highest variant that it runs.
          - An image for another platform is refused, also where there is no index. One for another architecture than
            the host's is taken where it is named here; its programs run only with C(qemu-user-static).
        type: str
      auth_file:
        description:
          - File with credentials, containers-auth.json(5), on the host. Unset, where skopeo looks for them itself.
        type: path
      username:
        description: User name for the registry. Unset, what O(registry.auth_file) holds.
        type: str
      password:
        description:
          - Password for the registry. It is never passed on a command line, nor stored.
          - It is secret. Results and logs of Ansible show asterisks wherever it would appear.
        type: str
      tls_verify:
        description: V(false) also takes plain HTTP and certificates that nobody vouches for.
        type: bool
        default: true
      cert_dir:
        description: Directory of C(crt), C(cert) and C(key) files, containers-certs.d(5). Unset, the host's.
        type: path
      retries:
        description: How often a failed transport is tried again.
        type: int
        default: 2
      signature_policy:
        description: Signature policy, containers-policy.json(5). Unset, the host's.
        type: path
  archive:
    description:
      - Loads the image from what C(docker save), C(podman save), C(skopeo copy) or C(buildah push) wrote. One for
        another architecture than the host's is taken with a warning.
      - Looked at as O(rootfs) is.
    type: dict
    suboptions:
      path:
        description:
          - The archive or directory, on the host, or on the controller with O(archive.remote_src=false). An archive may
            be compressed.
        type: path
        required: true
      remote_src:
        description:
          - V(false) takes an archive or OCI layout of the controller, found as M(ansible.builtin.copy) finds its files.
          - It is copied only to a host whose image was not made from the same content, and removed there afterwards.
        type: bool
        default: true
      format:
        description: V(auto) finds it out, but for an archive that is compressed with zstd.
        type: str
        choices: [auto, oci, oci-archive, docker-archive, dir]
        default: auto
      reference:
        description: Which of several images in it. Unset, the only one.
        type: str
      signature_policy:
        description: Signature policy, containers-policy.json(5). Unset, the host's.
        type: path
  image:
    description: Another image of the host, of which O(name) becomes a further name. Follows it when it changes.
    type: str
  container:
    description:
      - Commits a container of the host. What it has written becomes one layer on top of its image's, deletions become
        whiteouts, and O(config) may change the configuration.
      - The same files give the same digest. A container that runs is paused while its files are read, in check mode
        too, so that they are those of one moment. What is in volumes and other mounts is not part of it.
    type: str
  pull:
    description:
      - When an image that is there is asked for at its registry. V(missing) does not ask, unless the image was made
        from something else than is declared now, which is another kind of source, O(registry.reference) or
        O(registry.platform). V(newer) and V(always) ask for the manifest, a few kB, and pull where its digest differs;
        with V(newer) an image that is there stays, with a warning, where the registry cannot be asked. V(never) takes
        what is there, whatever it was made from, and fails where nothing is.
      - Check mode asks too.
      - A registry that takes a connection and then sends nothing is given up after six minutes.
    type: str
    choices: [missing, newer, always, never]
    default: missing
  directory:
    description:
      - Makes the image from a directory of the host. Owners, modes, links, extended attributes and times to the
        nanosecond are kept, and the same directory always gives the same digest.
      - Whether it has changed is seen from the inodes (size, times, owner, mode). Only where one differs is the
        directory read, and only where the content differs is the image made anew.
      - The directory may be in use. Files that are removed before they are read are left out, and the next run compares
        with what the image holds.
    type: dict
    suboptions:
      path:
        description: The directory.
        type: path
        required: true
      exclude:
        description:
          - Paths below the directory that are left out, with all they hold, and not even looked at. Unset, nothing is
            left out.
        type: list
        elements: str
      one_file_system:
        description:
          - Whether to leave out what is mounted below the directory (C(/proc), a tmpfs, a bind mount). The image then
            has an empty directory or file in its place. A change of it re-creates the image.
        type: bool
        default: true
  rootfs:
    description:
      - Makes the image from the tar of a root file system, plain or compressed by gzip, zstd, xz or bzip2. The archive
        itself becomes the layer (plain, where it is compressed by xz or bzip2).
      - Read again only where the file's inode shows a change, and made anew only where its content differs.
    type: dict
    suboptions:
      path:
        description: The archive, on the host, or on the controller with O(rootfs.remote_src=false).
        type: path
        required: true
      remote_src:
        description: V(false) takes a file of the controller, as O(archive.remote_src) does.
        type: bool
        default: true
  debootstrap:
    description:
      - Makes the image from the packages of a Debian or Ubuntu release, with C(mmdebstrap) or C(debootstrap).
      - Made anew where one of these options changes. Newer packages in the mirror are taken with O(rebuild=always).
      - The same packages give the same digest. Files written while building get the time of the newest packaged one.
    type: dict
    suboptions:
      suite:
        description: Name of the release, e.g. V(bookworm).
        type: str
        required: true
      mirror:
        description:
          - URL of the archive, e.g. V(http://deb.debian.org/debian). With C(mmdebstrap) also a line of
            sources.list(5) that begins with C(deb).
          - Unset, what the host's own apt sources name for the suite, its updates and its security fixes. Where they
            name nothing, V(http://deb.debian.org/debian).
        type: str
      variant:
        description:
          - The set of packages to begin with, as the tool names it, e.g. V(minbase), V(buildd), V(important) or
            V(standard), with C(mmdebstrap) also V(essential), V(required), V(apt), V(custom) or V(extract).
        type: str
        default: minbase
      packages:
        description: Further packages. Unset, none.
        type: list
        elements: str
      components:
        description: Components of the archive. Unset, C(main).
        type: list
        elements: str
      keyring:
        description: File or directory of keys that the archive must be signed with. Unset, the host's.
        type: path
      architecture:
        description: Debian's name of the architecture. Unset, the host's. Another needs C(qemu-user-static).
        type: str
      tool:
        description: V(auto) takes C(mmdebstrap) where it is installed, else C(debootstrap).
        type: str
        choices: [auto, mmdebstrap, debootstrap]
        default: auto
  build:
    description:
      - Makes a small image by steps, in the order O(build.directories), O(build.copy), O(build.links), O(build.run).
      - Made anew where a step, the content or mode of a copied file, or the base's digest changes.
      - Files made by the steps get a time that depends on nothing but the base, so the same steps give the same digest.
    type: dict
    suboptions:
      base:
        description: Name of an image on the host to build upon; one layer is added. Unset, upon nothing.
        type: str
      directories:
        description: Directories to make. Unset, none but the parents of what is copied, V(0755) and owned by root.
        type: list
        elements: dict
        suboptions:
          path:
            description: Path in the image.
            type: str
            required: true
          mode:
            description:
              - Permissions, as M(ansible.builtin.file) takes them, such as V('0750') or V(u=rwx,g=rx,o=).
                Symbols change V(0755).
            type: raw
            default: "0755"
          uid:
            description: Owner.
            type: int
            default: 0
          gid:
            description: Group.
            type: int
            default: 0
      copy:
        description: Files and directories of the host to copy. Unset, none.
        type: list
        elements: dict
        suboptions:
          src:
            description:
              - Path on the host. A directory may hold files, directories and symbolic links, which are copied as such.
              - What is mounted below it is left out, and the image has an empty directory or file in its place.
            type: path
            required: true
          dest:
            description:
              - Path in the image of the file (or directory) itself.
              - A directory that the image already has, there or below, keeps its permissions and owner. One that is
                made gets the permissions of the source.
            type: str
            required: true
          mode:
            description:
              - Permissions of files, as M(ansible.builtin.copy) takes them, such as V('0640') or V(go-w).
                Symbols change those of the source. Unset, those of the source.
            type: raw
          uid:
            description: Owner.
            type: int
            default: 0
          gid:
            description: Group.
            type: int
            default: 0
      links:
        description: Symbolic links to make. Unset, none.
        type: list
        elements: dict
        suboptions:
          path:
            description: Path in the image.
            type: str
            required: true
          target:
            description: What the link says.
            type: str
            required: true
      run:
        description:
          - Commands to run in the image, each split into words as a shell does, but without a shell. Unset, none.
          - Each runs as root of the image in a container of its own, in a user namespace where the kernel can show the
            image with shifted IDs, with a container's capabilities, seccomp policy and masks, and without new
            privileges. F(/proc) and a small F(/dev) are there. What it leaves running is ended.
          - Shifted IDs need Linux 5.19 and a file system below F(/var/lib/barekernel/images) that takes them, such as
            ext4, xfs and btrfs (tmpfs from Linux 6.3). Elsewhere the command runs without the user namespace, and with
            all else. With O(build.base) the file system must be able to hold an overlay's upper layer, which overlayfs
            itself, NFS and vfat are not.
        type: list
        elements: str
      network:
        description: The network of O(build.run), none at all or the host's.
        type: str
        choices: [none, host]
        default: none
  rebuild:
    description:
      - When an image that is there is made anew. V(changed) looks at the source, V(never) does not, V(always) makes it.
      - A container made from it is made anew in turn.
    type: str
    choices: [changed, always, never]
    default: changed
  policy:
    description:
      - What is accepted of an image. One that breaks it is refused as a whole.
      - O(policy.devices) and O(policy.setuid) hold for every layer, those of an image that is there already and of one
        that is built on included. The limits hold for layers when they are unpacked.
    type: dict
    suboptions:
      devices:
        description: Device nodes. Containers get their own F(/dev) and mount layers so that nodes there are dead.
        type: str
        choices: [allow, refuse]
        default: allow
      setuid:
        description: Files with the set-user-ID or set-group-ID bit.
        type: str
        choices: [allow, refuse]
        default: allow
      max_size:
        description:
          - Bytes that one layer may unpack to, with K, M, G or T for powers of 1024. Holes of sparse files count as
            what they read as.
        type: str
        default: 64G
      max_entries:
        description: Files and directories that one layer may have, with those that its paths only imply.
        type: int
        default: 4000000
  seed:
    description:
      - Who pulls O(registry) for this host and hands it the blobs that it lacks, so that many hosts cost the registry
        one pull. They go through the controller, over Ansible's own connections, and are checked on arrival. Unset,
        the host pulls for itself. Images from elsewhere are made on each host as ever.
      - A name of the inventory is a host that has the image already, by an earlier task without O(seed), as role
        P(barekernel.containers.image#role) does it. With O(pull=newer) and O(pull=always) its digest is compared, not
        the registry's. That host's own task does not mind the option.
      - V(controller) pulls on the controller, as the user that runs Ansible, into a directory that Ansible removes at
        the end of the run; C(skopeo) has to be installed there. Files that O(registry) names are then the controller's.
      - Credentials, trust and signature policy are a matter of who pulls. The hosts need no C(skopeo).
    type: str
"""
