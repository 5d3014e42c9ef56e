# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which directories go with an overlay: those that we made, when nothing of anyone's is in them."""

from __future__ import annotations

from .._core.files import RemoveDirectory, RemoveTree
from .._core.operation import Operation
from .._core.paths import ancestors
from .._kernel.overlay_state import Layers
from .records import Desired, Observed

#: What overlayfs itself makes in a workdir.
_SCRATCH = {b"work", b"index"}


def removals(desired: Desired, observed: Observed, layers: Layers) -> list[Operation]:
    """Directories to remove, in order; those above them too, where they were made for them and become empty.

    An upperdir with files in it stays, with its workdir, unless purge was asked for.
    """
    upper, work = layers.upperdir, layers.workdir
    named = [path for path in (upper, work, observed.path) if path is not None]
    removal = _Removal(observed, {path for path in named if not observed.directory(path).exists})
    upper_goes = False
    if upper is not None:
        state = observed.directory(upper)
        upper_goes = not state.exists or (state.marked and (desired.purge or not state.entries))
        if state.exists and upper_goes:
            removal.add(upper, tree=bool(state.entries))
    if work is not None and observed.directory(work).marked:
        names = observed.directory(work).entries
        only_scratch = names <= _SCRATCH
        foreign_upper = upper is not None and observed.directory(upper).exists and not observed.directory(upper).marked
        if upper_goes or (foreign_upper and only_scratch):
            removal.add(work, tree=bool(names))
    state = observed.directory(observed.path)
    if state.marked and not state.entries:
        removal.add(observed.path, tree=False)
    return removal.with_empty_parents()


class _Removal:
    """Collects removals and follows what becomes empty by them."""

    def __init__(self, observed: Observed, gone: set[bytes]) -> None:
        """``gone``: what an earlier run, ended half-way, has removed already."""
        self.observed = observed
        self.operations: list[Operation] = []
        self.gone = gone

    def add(self, path: bytes, tree: bool) -> None:
        self.operations.append(RemoveTree(path) if tree else RemoveDirectory(path))
        self.gone.add(path)

    def with_empty_parents(self) -> list[Operation]:
        for path in sorted(self.gone, key=lambda path: (-len(path), path)):
            for parent in ancestors(path):
                state = self.observed.directory(parent)
                prefix = parent.rstrip(b"/") + b"/"
                if parent in self.gone:
                    continue
                if not state.marked or any(prefix + name not in self.gone for name in state.entries):
                    break
                self.add(parent, tree=False)
        return self.operations
