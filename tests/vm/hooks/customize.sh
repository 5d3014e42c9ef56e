#!/bin/sh
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mmdebstrap's customize hook: makes a bootable guest of a fresh Debian file tree.
# usage: customize.sh TREE, with LOGIN_KEY (public key), HOST_KEY (path of a private key) and ROOTFS (path of a tar)
# in the environment.
set -eu
tree=$1

echo barekernel-guest >"$tree/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 barekernel-guest\n::1 localhost ip6-localhost\n' >"$tree/etc/hosts"
echo 'nameserver 10.0.2.3' >"$tree/etc/resolv.conf"
: >"$tree/etc/machine-id"
: >"$tree/etc/fstab"
mkdir -p "$tree/var/log/journal"
install -m 644 "$ROOTFS" "$tree/srv/debian.tar"

install -d -m 700 "$tree/root/.ssh"
printf '%s\n' "$LOGIN_KEY" >"$tree/root/.ssh/authorized_keys"
rm -f "$tree"/etc/ssh/ssh_host_*
install -m 600 "$HOST_KEY" "$tree/etc/ssh/ssh_host_ed25519_key"
install -m 644 "$HOST_KEY.pub" "$tree/etc/ssh/ssh_host_ed25519_key.pub"
cat >"$tree/etc/ssh/sshd_config.d/barekernel.conf" <<'EOF'
HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
PermitRootLogin prohibit-password
MaxSessions 50
EOF

cat >"$tree/etc/systemd/network/10-eth0.network" <<'EOF'
[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
LinkLocalAddressing=no
IPv6AcceptRA=no
EOF
cat >"$tree/etc/systemd/network/20-eth1.network" <<'EOF'
[Match]
Name=eth1
[Network]
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
EOF
python=$tree/usr/lib/python3/dist-packages
install -m 644 "$(dirname "$0")/zipimport_cache.py" "$python/zipimport_cache.py"
echo 'import zipimport_cache' >"$python/zipimport_cache.pth"
mkdir -p "$tree/var/cache/zipimport"
# Looking for garbage while modules are imported is a seventh of the time that this takes.
echo 'import gc; gc.set_threshold(100000, 50, 50)' >"$python/seldom_collecting.pth"
# Each reload of systemd runs all generators; but for that of /etc/fstab they have nothing to generate here, and take
# half of a reload's time under emulation.
mkdir -p "$tree/etc/systemd/system-generators"
for generator in "$tree"/usr/lib/systemd/system-generators/*; do
    name=${generator##*/}
    [ "$name" = systemd-fstab-generator ] || ln -s /dev/null "$tree/etc/systemd/system-generators/$name"
done
systemctl --quiet --root="$tree" enable systemd-networkd.service ssh.service
systemctl --quiet --root="$tree" disable docker-registry.service
systemctl --quiet --root="$tree" mask apt-daily.timer apt-daily-upgrade.timer fstrim.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service systemd-timesyncd.service systemd-networkd-wait-online.service \
    getty@tty1.service serial-getty@ttyS0.service
