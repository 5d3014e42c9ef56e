# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would keep a container from being started, said before one that runs is stopped for it. Pure."""

from __future__ import annotations

from .._core.errors import OptionError
from .._kernel.errors import absent
from .documents_bundle import DOMAIN_SYSCTL
from .observed import ContainerObserved
from .records import Container, Resolved


def check_ever(observed: ContainerObserved) -> None:
    """Raises OptionError for what must not even be prepared."""
    for found in observed.unusable:
        if found.never:
            raise OptionError(found.option, found.value, found.why)


def check_start(container: Container, resolved: Resolved, observed: ContainerObserved) -> None:
    """Raises OptionError. What runs already, and is to stay so, is nobody's business here."""
    # The kernel lets nobody but the host's root write it, whoever owns the UTS namespace.
    if resolved.idmap is not None and DOMAIN_SYSCTL in container.sysctls:
        raise OptionError(
            f"sysctls.{DOMAIN_SYSCTL}",
            container.sysctls[DOMAIN_SYSCTL],
            "cannot be set in a user namespace: set domainname instead",
        )
    for found in observed.unusable[:1]:
        error = OptionError(found.option, found.value, found.why)
        raise absent(error) if found.absent else error
    if resolved.idmap is None:
        _check_mounts(container, observed.host.no_idmap)


def _check_mounts(container: Container, no_idmap: str) -> None:
    for index, mount in enumerate(container.mounts):
        for word in mount.options:
            if word in ("idmap", "ridmap"):
                why = no_idmap if "user" not in container.namespaces and no_idmap else "namespaces.user says so"
                raise OptionError(
                    f"mounts[{index}].options", word, f"the container has no user namespace ({why}): leave it out"
                )
