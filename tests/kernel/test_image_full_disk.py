# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that is full, or a quota used up: told in the same words by every source; the store stays as it was."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store
from ansible_collections.barekernel.containers.plugins.module_utils._images.host import ImageKernel, image_kernel
from ansible_collections.barekernel.containers.plugins.module_utils._images.resource import ImageResource
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError

from tests.kernel import images
from tests.kernel.faulty import Faulty
from tests.kernel.images import apply
from tests.kernel.layouts import Layout, tar
from tests.kernels import Watched

STATE = "/var/lib/barekernel/images"


@pytest.fixture
def small_store() -> Iterator[None]:
    """On a file system of its own, with the store's directory bound to it."""
    os.mkdir(STATE)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=700", "tmpfs", STATE], check=True)
    yield
    assert Store().names() == {} and images.left() == []
    subprocess.run(["umount", STATE], check=True)
    os.rmdir(STATE)


#: How much, below what, on which file system with how much, and what to do.
NEEDED = (
    rf"[nN]eeds (?:about |at least |more than )?([0-9]+) bytes below {STATE}, whose file system has ([0-9]+) free\. "
    "Free some space there, or run oci_image_prune$"
)
#: Where nobody can tell how much.
FULL = NEEDED.replace("(?:about |at least |more than )?([0-9]+) bytes", "more than there is").replace(
    "has (", "had ([0-9]+) bytes free before and has ("
)


def no_room(least: int, **params: Any) -> None:
    with pytest.raises(Exception, match=NEEDED) as caught:
        apply(name="app", **params)
    found = re.search(NEEDED, str(caught.value))
    assert found is not None and int(found[1]) >= least, caught.value


def test_a_full_disk_says_how_much_is_needed(small_store: None, tmp_path: Path) -> None:
    """Whether a small blob becomes large, or is large itself; by every way into the store."""
    layout = Layout(tmp_path / "layout").add(tar(("letters", b"x" * (40 << 20))))
    layout.write()
    no_room(1, archive={"path": str(layout.path)})
    plain = Layout(tmp_path / "plain").add(tar(("letters", b"x" * (40 << 20))), "")
    plain.write()
    with Faulty(plain) as server:
        no_room(40 << 20, registry=server.source())
    archive = f"docker-archive:{tmp_path}/archive.tar:app:1"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{plain.path}:image", archive], check=True)
    no_room(40 << 20, archive={"path": f"{tmp_path}/archive.tar"})


@pytest.mark.parametrize("size", [12, 40])
def test_a_full_disk_while_something_is_made(small_store: None, tmp_path: Path, size: int) -> None:
    """It is full with the layer's blob, or once that is to be unpacked."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/random").write_bytes(os.urandom(size << 20))
    no_room(size << 20, directory={"path": str(tmp_path / "root")})


BUSYBOX = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]


@pytest.mark.parametrize("based", [False, True])
def test_a_full_disk_while_a_build_copies(small_store: None, tmp_path: Path, based: bool) -> None:
    (tmp_path / "big/deep").mkdir(parents=True)
    for path in (tmp_path / "big/one", tmp_path / "big/deep/two"):
        path.write_bytes(os.urandom(12 << 20))
    build: dict[str, Any] = {"copy": [{"src": str(tmp_path / "big"), "dest": "/big"}]}
    if based:
        apply(name="base", build={"copy": BUSYBOX})
        build["base"] = "base"
    there = images.left()
    no_room(48 << 20, build=build)
    with pytest.raises(Interrupted, match=r"1 step on .*: copy to /big/(one|deep/two): No space left on device"):
        apply(name="app", build=build)
    assert images.left() == there
    images.remove_all()


def test_a_full_disk_while_a_command_writes(small_store: None) -> None:
    """What the command says is kept; how much it would have written nobody can tell."""
    apply(name="base", build={"copy": BUSYBOX})
    there = images.left()
    with pytest.raises(Interrupted, match=FULL) as caught:
        apply(name="app", build={"base": "base", "run": ["/bin/busybox dd if=/dev/zero of=/zeros bs=1M count=40"]})
    assert re.search("ended with status 1: .*No space left on device", str(caught.value))
    assert images.left() == there
    images.remove_all()


#: The tool that is asked for, what it does in the directory, and what the error keeps of its words.
TOOLS = {
    "mmdebstrap": ('dd if=/dev/zero of="$4/zeros" bs=1M count=40', "No space left on device"),
    "debootstrap": (
        'mkdir "$3/debootstrap"; dd if=/dev/zero of="$3/zeros" bs=1M count=40 2>/run/log || '
        '{ truncate -s 1M "$3/zeros"; cp /run/log "$3/debootstrap/debootstrap.log"; rm /run/log; '
        'echo "W: See $3/debootstrap/debootstrap.log for details"; exit 1; }',
        "See .* for details | dd: .*No space left on device",
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_full_disk_while_packages_are_unpacked(
    small_store: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    """debootstrap says it in a log alone, which goes with the directory."""
    script, says = TOOLS[tool]
    (tmp_path / tool).write_text(f'#!/bin/sh\nfor d; do [ -d "$d" ] && set -- 1 2 "$d" "$d"; done\n{script}\n')
    (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Interrupted, match=FULL) as caught:
        apply(name="app", debootstrap={"suite": "stable", "tool": tool, "mirror": "http://127.0.0.1:1/"})
    assert re.search(says, str(caught.value))


class Full(Watched):
    """Has no room for anything from the k-th call on; removing is always possible."""

    def __init__(self, kernel: Any, after_call: int, number: int) -> None:
        super().__init__(kernel)
        self.left, self.number = after_call, number

    def before(self, call: str, arguments: tuple[Any, ...]) -> None:
        removing = call.startswith("files.remove") or "/.new-" in str(arguments[1:2])
        if call.startswith("files.") and not removing:
            self.left -= 1
            if self.left < 0:
                raise KernelError(self.number, "write", str(arguments[0]))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_full_at_any_point_leaves_the_store_as_it_was(tmp_path: Path, number: int) -> None:
    layout = Layout(tmp_path / "layout").add(tar(("common", b"c"))).add(tar(("file", b"content")))
    layout.write()
    apply(name="other", build={"copy": BUSYBOX})
    there = sorted(images.left())
    resource = ImageResource()
    params = images.parameters(name="app", archive={"path": str(layout.path)}, config={"labels": {"a": "b"}})

    def with_kernel(watch: Any) -> None:
        converge(resource, resource.desired(params), image_kernel(resource.store, watch))

    points = 0
    try:
        while True:
            with pytest.raises(Interrupted) as caught:
                with_kernel(Full(ImageKernel(), points, number))
            assert "Free some space there" in str(caught.value) or "Raise the quota, free" in str(caught.value)
            assert (number == errno.EDQUOT) == ("but a disk quota allows no more" in str(caught.value))
            assert sorted(images.left()) == there, f"after {points} calls"
            points += 1
    except pytest.fail.Exception:
        assert points > 8  # and then there was room for all
    assert Store().resolve("app") is not None
    images.remove_all()
