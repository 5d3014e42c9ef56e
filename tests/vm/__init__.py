# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real machines for the tests: images from Debian's packages, QEMU processes, snapshots. Standard library only.

The files, from what is pure to what acts: recipe (what an image is made of), key (its name in the cache), command_line
(QEMU's arguments), qmp (QEMU's control socket), process (is this pid still ours?), ports, store (the cache), ssh,
accelerator, initrd, build, snapshot, guest (who a booted guest is), instances (a run's machines).
"""
