# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Included by the Makefile: the collection in real machines.
.PHONY: molecule vm-images vm-clean

molecule: root $(DEV)/.requirements $(LINK) ## the collection in real VMs (SCENARIO='default site' runs those; SKIP_VM=1 where there is no QEMU)
	@$(in-dev) SCENARIO='$(SCENARIO)' python -m tests.vm test

vm-images: root $(DEV)/.requirements $(LINK) ## build the VM images and snapshots that are not in the cache
	@$(in-dev) ANSIBLE_ACTION_PLUGINS=molecule/plugins/action ansible-playbook -i molecule/inventory molecule/images.yml

vm-clean: root ## end this checkout's VMs and remove all VM images
	@python3 -m tests.vm down
	@python3 -m tests.vm clean
