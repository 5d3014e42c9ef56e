# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the modules that Ansible has packed for its hosts, for the next playbooks of the same run of scenarios."""

from __future__ import annotations

import hashlib
import os

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__

DOCUMENTATION = """
name: packed
type: notification
short_description: Keeps packed modules between playbooks
description:
  - Ansible keeps the archive that it makes of a module and all that this imports until the playbook ends. To make it
    takes a second or two of a CPU, and a run of scenarios has some thirty playbooks with several modules each.
  - The archives are kept beside Molecule's ephemeral directory, under a key made of Ansible's version and of the names,
    sizes and times of the collection's plugins, and go with that directory.
"""

PLUGINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "plugins")


class CallbackModule(CallbackBase):
    """Nothing but a link, made before the first task: Ansible then finds what an earlier playbook has packed."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "packed"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        ephemeral = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY")
        place = os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache")
        if ephemeral and not os.path.lexists(place):
            kept = os.path.join(os.path.dirname(ephemeral), f"packed-{key()}")
            os.makedirs(kept, exist_ok=True)
            os.symlink(kept, place)


def key():
    """Changes with whatever may be packed."""
    digest = hashlib.sha256(__version__.encode())
    for directory, directories, names in os.walk(os.path.realpath(PLUGINS)):
        directories[:] = sorted(name for name in directories if name != "__pycache__")
        for name in sorted(names):
            seen = os.stat(os.path.join(directory, name))
            digest.update(f"{directory}/{name} {seen.st_size} {seen.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
