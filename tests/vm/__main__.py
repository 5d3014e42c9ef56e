# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test machines from the command line.

usage: python3 -m tests.vm test        run Molecule's scenarios ($SCENARIO: one of them; KEEP_VM=1 leaves the machines)
                           images      build the images that are not in the cache
                           up NAME...  boot machines of Debian 12 without Ansible
                           list        how to reach those that run
                           ssh NAME    log in to one
                           down        end them
                           clean       remove every image and snapshot from the cache
"""

from __future__ import annotations

import os
import shutil
import signal
import sys

from . import build, instances, prerequisites, record, scenarios, store
from .errors import VmError
from .recipe import RECIPES
from .record import Wanted


def say(text: str) -> None:
    """A line of progress; standard output is for answers."""
    print(text, file=sys.stderr, flush=True)


def images(names: list[str]) -> None:
    """Build these images (all, where none is named) and print where they are."""
    prerequisites.ensure(say)
    for name in names or RECIPES:
        if name not in RECIPES:
            raise VmError(f"no image {name!r}; there are {', '.join(RECIPES)}")
        print(build.ensure(RECIPES[name], say))


def up(names: list[str]) -> None:
    """Boot machines; one named alpha where none is named."""
    wanted = [Wanted(name, number) for number, name in enumerate(names or ["alpha"], 1)]
    instances.present(wanted, say)


def down(names: list[str]) -> None:
    """End these machines, or all of this checkout."""
    instances.absent(say, names)


def clean(_: list[str]) -> None:
    """Remove every image and snapshot; refuses while machines run on them, or something is being made of them."""
    for one in record.living():
        raise VmError(f"machine {one.wanted.name} (pid {one.running.pid}) still runs on these images: end it first")
    busy = store.being_made()
    if busy:
        raise VmError(
            f"an image or a snapshot is being made in {', '.join(busy)}: wait until it is ready, or end that run"
        )
    for part in ("images", "snapshots"):
        shutil.rmtree(os.path.join(store.root(), part), ignore_errors=True)


def show(_: list[str]) -> None:
    """Print how to reach each machine."""
    for name, values in instances.variables().items():
        print(f"{name}\tssh {values['ansible_ssh_common_args']} -p {values['ansible_port']} root@127.0.0.1")


def enter(arguments: list[str]) -> None:
    """Become an ssh into the named machine, with the rest of the arguments as its command."""
    known = instances.variables()
    values = known.get(arguments[0]) if arguments else None
    if values is None:
        raise VmError(f"ssh: name one of the machines that run: {', '.join(known) or 'none does'}")
    options = [*values["ansible_ssh_common_args"].split(), "-p", str(values["ansible_port"])]
    os.execvp("ssh", ["ssh", *options, "root@127.0.0.1", *arguments[1:]])


def test(_: list[str]) -> int:
    """Run the scenarios; the exit status. Whoever asks it to end has no machine left afterwards, as by ^C."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    return scenarios.run(os.environ.get("SCENARIO", ""), bool(os.environ.get("SKIP_VM")), say)


COMMANDS = {"test": test, "images": images, "up": up, "down": down, "clean": clean, "list": show, "ssh": enter}


def main() -> int:
    """Run the command that the arguments name; the exit status."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return COMMANDS[sys.argv[1]](sys.argv[2:]) or 0
    except VmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
