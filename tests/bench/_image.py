# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image that pulls are measured with: made up, so that every machine pulls the very same bytes."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.layouts import Layout

#: (million bytes, entries) of each layer, unpacked: one large, four smaller ones, as images of applications are.
SHAPE = ((123, 6000), (60, 3500), (50, 2000), (30, 1500), (15, 500))
#: What of a file's bytes looks random (machine code, media), so that gzip leaves two fifths of the whole.
DENSE = 0.13
_PIECE = 1024
_WORDS = 2000


@dataclass(frozen=True)
class Made:
    """A layer: its tar, the same compressed, and the number of its entries."""

    tar: bytes
    packed: bytes
    entries: int

    def __str__(self) -> str:
        return f"{len(self.packed) / 1e6:.0f} MB compressed, {len(self.tar) / 1e6:.0f} MB, {self.entries} entries"


def make_layer(seed: str, size: int, entries: int) -> Made:
    """A layer of about that many bytes: a twelfth directories, a thirtieth symlinks, else files of mixed sizes."""
    chance = random.Random(seed)
    text = _text(chance)
    directories = list(_directories(chance, seed, entries // 12))
    links = entries // 30
    files = entries - len(directories) - links
    weights = [chance.lognormvariate(0, 1.8) for _ in range(files)]
    unit = (size - 1024 * entries) / sum(weights)
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in directories:
            _add(archive, path, tarfile.DIRTYPE, 0o755)
        for number, weight in enumerate(weights):
            path = f"{chance.choice(directories)}/file{number}.dat"
            executable = chance.random() < 0.1
            content = _content(chance, text, int(weight * unit))
            _add(archive, path, tarfile.REGTYPE, 0o755 if executable else 0o644, content)
        for number in range(links):
            _add(archive, f"{chance.choice(directories)}/link{number}", tarfile.SYMTYPE, 0o777, linkname="file0.dat")
    tar = output.getvalue()
    packed = subprocess.run(["gzip", "-6nc"], input=tar, stdout=subprocess.PIPE, check=True).stdout
    return Made(tar, packed, entries)


def make_images(directory: Path) -> dict[str, Layout]:
    """``first``: five layers; ``second``: four of them and another fifth; ``alone``: only that other fifth."""
    layers = [make_layer(f"layer{n}", size * 1_000_000, entries) for n, (size, entries) in enumerate(SHAPE)]
    size, entries = SHAPE[-1]
    other = make_layer("other", size * 1_000_000, entries)
    total = Made(*(b"".join(part) for part in zip(*((m.tar, m.packed) for m in layers))), sum(e for _s, e in SHAPE))
    print(f"image: {len(layers)} layers, {total}; the second image's own layer: {other}", flush=True)
    images = {"first": layers, "second": [*layers[:-1], other], "alone": [other]}
    return {name: _layout(directory / name, made) for name, made in images.items()}


def _layout(path: Path, layers: list[Made]) -> Layout:
    layout = Layout(path, {"Cmd": ["/bin/true"]})
    for made in layers:
        layout.add(made.tar, blob=made.packed)
    layout.write()
    return layout


def _directories(chance: random.Random, seed: str, count: int) -> Iterator[str]:
    """A tree as /usr is: few levels, parents before what is in them."""
    made = ["usr", f"usr/{seed}"]
    yield from made
    while len(made) < count:
        parent = chance.choice(made[1:])
        if parent.count("/") < 6:
            made.append(f"{parent}/d{len(made)}")
            yield made[-1]


def _add(archive: tarfile.TarFile, path: str, kind: bytes, mode: int, content: bytes = b"", linkname: str = "") -> None:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.mtime, info.linkname, info.size = kind, mode, 1_700_000_000, linkname, len(content)
    archive.addfile(info, io.BytesIO(content))


def _text(chance: random.Random) -> bytes:
    """Words as often as in a language, a few of them very often."""
    words = [bytes(chance.choices(b"etaoinshrdlucmfwyp_.(", k=chance.randint(2, 11))) for _ in range(_WORDS)]
    weights = [1 / rank for rank in range(1, _WORDS + 1)]
    return b" ".join(chance.choices(words, weights, k=600_000))


def _content(chance: random.Random, text: bytes, size: int) -> bytes:
    """Pieces of text, and of what cannot be compressed."""
    pieces = []
    for _ in range(size // _PIECE + 1):
        if chance.random() < DENSE:
            pieces.append(chance.randbytes(_PIECE))
        else:
            at = chance.randrange(len(text) - _PIECE)
            pieces.append(text[at : at + _PIECE])
    return b"".join(pieces)[:size]
