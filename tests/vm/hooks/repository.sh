#!/bin/sh
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mmdebstrap's customize hook: puts a signed package repository into the guest at /srv/debian and makes it the guest's
# only source. It holds what is installed (so that a root file system can be made from it) and what a host may need.
# usage: repository.sh TREE, with SUITE and PACKAGES in the environment.
set -eu
tree=$1
home=$tree/srv/debian
pool=$home/pool
# What runs in the guest's tree finds no TMPDIR of ours there.
inside() { env -u TMPDIR chroot "$tree" "$@"; }

mkdir -p "$pool/partial"
# shellcheck disable=SC2086
inside apt-get -qq -o Dir::Cache::archives=/srv/debian/pool install --yes --download-only $PACKAGES
installed=$(inside dpkg-query -W -f '${Package}=${Version} ')
for package in $installed; do
    case $package in linux-image-*) continue ;; esac
    wanted="${wanted-} $package"
done
# shellcheck disable=SC2086
inside sh -c 'cd /srv/debian/pool && apt-get -qq -o APT::Sandbox::User=root download "$@"' sh $wanted
rm -rf "$pool/partial" "$pool/lock"

dists=$home/dists/$SUITE
mkdir -p "$dists/main/binary-amd64"
cd "$home"
apt-ftparchive packages pool >"$dists/main/binary-amd64/Packages"
gzip -9kn "$dists/main/binary-amd64/Packages"
apt-ftparchive -o "APT::FTPArchive::Release::Suite=$SUITE" -o "APT::FTPArchive::Release::Codename=$SUITE" \
    -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures=amd64 \
    -o APT::FTPArchive::Release::Origin=Debian release "$dists" >"$home/Release"
mv "$home/Release" "$dists/Release"

GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
gpg --batch --quiet --passphrase '' --quick-generate-key 'barekernel test repository' rsa3072 sign never
gpg --batch --quiet --yes --clearsign --digest-algo SHA512 -o "$dists/InRelease" "$dists/Release"
gpg --batch --quiet --yes --armor --detach-sign --digest-algo SHA512 -o "$dists/Release.gpg" "$dists/Release"
gpg --batch --quiet --export >"$tree/etc/apt/trusted.gpg.d/barekernel-test.gpg"
# debootstrap and mmdebstrap look here, whatever apt trusts.
for keyring in "$tree"/usr/share/keyrings/debian-archive-keyring.*; do
    [ ! -f "$keyring" ] || [ -L "$keyring" ] || gpg --batch --quiet --export >>"$keyring"
done

rm -f "$tree/etc/apt/sources.list"
rm -rf "$tree/etc/apt/sources.list.d" "$tree/var/lib/apt/lists"
mkdir -p "$tree/etc/apt/sources.list.d" "$tree/var/lib/apt/lists/partial"
echo "deb copy:/srv/debian $SUITE main" >"$tree/etc/apt/sources.list"
inside apt-get -qq update
