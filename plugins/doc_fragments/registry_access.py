# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents module_utils/_module/arguments/registry_access.py."""

from __future__ import annotations


class ModuleDocFragment:
    """How to reach a registry."""

    DOCUMENTATION = r"""
options:
  auth_file:
    description:
      - File with credentials, containers-auth.json(5), on the host. Unset, where skopeo looks for them itself.
    type: path
  username:
    description: User name for the registry. Unset, what O(auth_file) holds.
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
"""
