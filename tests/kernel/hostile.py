# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What crafted images are judged by: a clear error, nothing outside touched, the store unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store

from tests.kernel import images
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, tar

#: A layer that is as it should be.
GOOD = tar(("file", b"content"))

#: Outside of every layer: what an escape would reach.
OUTSIDE = Path("/var/lib/barekernel/outside")


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    """A directory that crafted layers aim at, and a store that is empty again."""
    OUTSIDE.mkdir()
    (OUTSIDE / "file").write_text("precious")
    before = images.listing(str(OUTSIDE))
    yield
    assert images.listing(str(OUTSIDE)) == before
    for path in (OUTSIDE / "file", OUTSIDE):
        path.rmdir() if path.is_dir() else path.unlink()
    images.remove_all()
    assert images.left() == []


def load(layout: Layout, **more: Any) -> dict[str, Any]:
    layout.write()
    image: dict[str, Any] = apply(name="app", archive={"path": str(layout.path)}, **more).facts["image"]
    return image


def refused(layout: Layout, says: str, **more: Any) -> None:
    """The error says so, and there is no trace of the image."""
    with pytest.raises(Exception, match=says) as caught:
        load(layout, **more)
    assert not isinstance(caught.value, AssertionError)
    assert images.left() == [] and Store().names() == {}
