# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of the host that are run: the one place from which they are.

``AnsibleModule.run_command``, which ansible-test asks modules for, is not to be had below ``_module``: the same code
runs at boot and in nsrun, without Ansible.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any


def run(argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, subprocess.run(); ``how`` are its keywords.

    Raises OSError where it cannot be started, and what subprocess.run() raises; a status other than 0 is the caller's.
    """
    return subprocess.run(argv, check=False, **how)  # pylint: disable=ansible-bad-function


def start(argv: Sequence[str], **how: Any) -> subprocess.Popen[Any]:
    """Start a program, subprocess.Popen(); ``how`` are its keywords. Raises OSError."""
    return subprocess.Popen(argv, **how)  # pylint: disable=ansible-bad-function
