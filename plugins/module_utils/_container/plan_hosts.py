# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts files of all containers: what each network's members are called. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .._core.files import WriteFile
from .._core.operation import Plan
from .documents import directory
from .plan_identity import Inhabitants, hosts_file


@dataclass(frozen=True)
class HostsObserved:
    """Everybody who is declared, and the text of each one's hosts file; one without such a file is yet to be made."""

    everyone: Inhabitants
    texts: Mapping[str, str | None]


def plan_hosts(observed: HostsObserved) -> Plan:
    """Have those that are there say what they should; in place, as containers that run have them mounted."""
    operations, before, after = [], {}, {}
    for name, text in sorted(observed.texts.items()):
        wanted = hosts_file(name, observed.everyone) if text is not None else None
        if wanted is not None and wanted != text:
            operations.append(WriteFile(f"{directory(name)}/hosts", wanted, 0o644, True))
            before[name], after[name] = (text or "").splitlines(), wanted.splitlines()
    return Plan(tuple(operations), before, after)
