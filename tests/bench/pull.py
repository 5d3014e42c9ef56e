#!/usr/bin/env python3
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cold pull and unpack of a five-layer image from a registry on loopback, against podman, docker and skopeo + umoci.

    make bench BENCH=pull          (ARGS='--rounds N --only NAME ... --in-place')

Method: an image of about 110 MB compressed, 275 MB, 13,500 entries in five layers, the same bytes on every machine,
pushed to Debian's docker-registry, which serves it on 127.0.0.1. Each round every peer in turn, in another order each
time, pulls it into an empty store and then a second image that shares four of its layers. The first round warms up
(the registry's blobs are in the page cache then) and is not counted. The stores lie side by side on an ext4 of their
own in a file, so that neither other writers on the machine's disk nor files deleted a minute ago disturb (an ext4
without journal searches long for an inode that was not in use lately); with --in-place, or where there is no loop
device, on the disk that has /var/tmp. Time is wall time of the whole command, CPU time user and system time of all its
processes, docker's daemon included. Medians; the last line is the ratio of ours to the best peer. What a peer does not
do (ours keeps the compressed blobs and syncs the disk; docker and podman do not) stays in the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests import conftest  # noqa: E402, F401 - makes the collection importable
from tests.bench._image import make_images  # noqa: E402
from tests.bench._peers import ALL, Failed, Peer  # noqa: E402
from tests.kernel.registry import Registry, serve  # noqa: E402

STATE = Path("/var/lib/barekernel")
#: What is pulled one after the other, and into which store.
COLD, SHARED, ALONE = "first", "second", "alone"


@dataclass(frozen=True)
class Cost:
    """Of one pull."""

    seconds: float
    processor: float
    transported: int


Costs = dict[tuple[str, str], list[Cost]]


def reference(registry: Registry, image: str) -> str:
    return f"{registry.address}/bench/app:{image}"


def received() -> int:
    """Bytes that came over loopback, which here is the registry's alone."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split(":")[1].split()[0]) for line in lines if line.strip().startswith("lo:"))


def cost(peer: Peer, name: str) -> Cost:
    started, used, before = time.monotonic(), peer.processor_seconds(), received()
    peer.pull(name)
    return Cost(time.monotonic() - started, peer.processor_seconds() - used, received() - before)


def settle(peer: Peer) -> None:
    """Nothing of the round before is still on its way to the disk."""
    peer.clear()
    subprocess.run(["sync", "-f", str(STATE)], check=True)


def measure(peers: list[Peer], registry: Registry, rounds: int) -> Costs:
    costs: Costs = {}
    for number in range(rounds + 1):
        for peer in peers[number % len(peers) :] + peers[: number % len(peers)]:
            shown = []
            settle(peer)
            for image in (COLD, SHARED, ALONE):
                if image == ALONE:
                    settle(peer)
                found = cost(peer, reference(registry, image))
                shown.append(f"{found.seconds:.2f} s ({found.processor:.2f} CPU s)")
                if number:  # the first round warms up
                    costs.setdefault((peer.name, image), []).append(found)
            print(f"round {number} {peer.name}: {', '.join(shown)}", flush=True)
            settle(peer)
    return costs


def able(peers: list[Peer], running: contextlib.ExitStack) -> tuple[list[Peer], dict[str, str]]:
    """Those who can take part, made ready, and why the others cannot."""
    found, unable = [], {}
    for peer in peers:
        why = peer.missing()
        if not why:
            peer.work.mkdir()
            try:
                running.enter_context(peer.ready())
            except Failed as error:
                why = str(error)
        if why:
            unable[peer.name] = why
        else:
            found.append(peer)
    return found, unable


@contextlib.contextmanager
def disk(in_place: bool) -> Iterator[None]:
    """An ext4 of its own below /var/lib/barekernel, in a file; the mount goes with this mount namespace."""
    image = STATE / "disk"
    if not in_place:
        with open(image, "wb") as handle:
            handle.truncate(64 << 30)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        done = subprocess.run(["mount", "-o", "loop", image, STATE], check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"no file system of its own, all on the disk of /var/tmp: {done.stderr.strip()}", flush=True)
            in_place = True
    try:
        yield
    finally:
        if not in_place:
            subprocess.run(["umount", STATE], check=True)
        image.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[kind.name for kind in ALL])
    parser.add_argument("--in-place", action="store_true", help="no file system of its own")
    parser.add_argument("--json", help="also write the figures there")
    arguments = parser.parse_args()
    if "BAREKERNEL_ISOLATED" not in os.environ:
        command = [CHECKOUT / "tests/isolated", sys.executable, __file__, *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
    with disk(arguments.in_place), tempfile.TemporaryDirectory(prefix="bench-", dir=STATE) as directory:
        work = Path(directory)
        images = make_images(work / "images")
        with serve(work / "registry") as registry, contextlib.ExitStack() as running:
            for name, layout in images.items():
                registry.push(layout.path, f"bench/app:{name}")
            shutil.rmtree(work / "images")
            chosen = [kind(work / kind.name) for kind in ALL if kind.name in arguments.only]
            peers, unable = able(chosen, running)
            costs = measure(peers, registry, arguments.rounds)
        report(costs, unable)
    if arguments.json:
        plain = {f"{name} {image}": [vars(c) for c in found] for (name, image), found in costs.items()}
        Path(arguments.json).write_text(json.dumps(plain))


def median(costs: Costs, name: str, image: str, field: str = "seconds") -> float:
    return statistics.median(getattr(found, field) for found in costs[name, image])


def report(costs: Costs, unable: dict[str, str]) -> None:
    names = sorted({name for name, _image in costs}, key=lambda name: median(costs, name, COLD))
    print(f"\n{'cold pull':12}{'median s':>10}{'min s':>8}{'max s':>8}{'CPU s':>8}{'ours/peer':>11}")
    for name in names:
        times = [found.seconds for found in costs[name, COLD]]
        ratio = f"{median(costs, 'ours', COLD) / median(costs, name, COLD):.2f}" if "ours" in names else ""
        figures = f"{statistics.median(times):>10.2f}{min(times):>8.2f}{max(times):>8.2f}"
        print(f"{name:12}{figures}{median(costs, name, COLD, 'processor'):>8.2f}{ratio:>11}")
    for name, why in unable.items():
        print(f"{name:12}  {why}")
    columns = f"{'CPU s':>8}{'MB':>8}"
    print(f"\n{'second image':12}{'median s':>10}{columns}   its own layer alone: {'s':>6}{columns}")
    for name in names:
        second, alone = (
            (median(costs, name, image), median(costs, name, image, "processor"), transported(costs, name, image))
            for image in (SHARED, ALONE)
        )
        left, right = f"{second[0]:>10.2f}{second[1]:>8.2f}{second[2]:>8.1f}", f"{alone[0]:>6.2f}{alone[1]:>8.2f}"
        print(f"{name:12}{left}{'':24}{right}{alone[2]:>8.1f}")
    others = [median(costs, name, COLD) for name in names if name != "ours"]
    if others and "ours" in names:
        print(f"\nratio ours/best-peer {median(costs, 'ours', COLD) / min(others):.2f}")


def transported(costs: Costs, name: str, image: str) -> float:
    return median(costs, name, image, "transported") / 1e6


if __name__ == "__main__":
    main()
