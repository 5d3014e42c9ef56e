# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from a distribution's packages: mmdebstrap(1) or debootstrap(8)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel import files, regular, spawn
from ..errors import ImageError
from ..format.config import LayerBlob
from ..layers.policy import Policy
from ..programs import need_program
from ..store.progress import Progress
from ..store.store import Store
from ..store.workers import Report, run_apart
from ..store.write import Writer
from . import apt_sources, build, one_layer, source
from .source import Seen, Source

#: What maintainer scripts and byte compilers take for now, reproducible-builds.org/specs/source-date-epoch.
_EPOCH = "1577836800"
_GO = {"amd64": "amd64", "arm64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386", "ppc64el": "ppc64le"}
_KEPT_LINES = 15
#: All there is to tell of it is what was asked for.
_CONTENT = "packages"


@dataclass(frozen=True)
class Debootstrap(Source):
    """A Debian or Ubuntu root file system. Unset mirror: the host's own apt sources of that suite."""

    suite: str = ""
    mirror: str = ""
    variant: str = "minbase"
    packages: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    keyring: str = ""
    architecture: str = ""
    tool: str = "auto"
    kind = "debootstrap"

    def describe(self) -> str:
        more = f" with {', '.join(self.packages)}" if self.packages else ""
        return f"{self.suite} packages ({self.variant}){more}"

    def parts(self) -> tuple[str, ...]:
        named = {
            "suite": self.suite,
            "variant": self.variant,
            "mirror": re.sub("//[^/@]*@", "//", self.mirror),
            "keyring": self.keyring,
            "architecture": self.architecture,
            "tool": self.tool.replace("auto", ""),
        }
        several = {"package": self.packages, "component": self.components}
        return (
            *(f"{name} {value}" for name, value in named.items() if value),
            *(f"{name} {value}" for name, values in several.items() for value in sorted(set(values))),
        )

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key is what was asked for: newer packages in the mirror alone do not make another image."""
        fields = (self.suite, self.mirror, self.variant, sorted(set(self.packages)), sorted(self.components))
        if os.path.exists(self.keyring):  # where the image is made already, nobody needs it
            regular.check(self.keyring)
        return Seen(source.key_of(*fields, self.keyring, self.architecture, self.tool), content=_CONTENT)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        tool = self._tool()
        home = writer.path("layer")
        tree = home + "/fs"
        started = build.new_tree(tree)
        command = self._mmdebstrap(writer, tree) if tool == "mmdebstrap" else self._debootstrap(writer, tree)
        what = f"{tool} {self.suite}"
        run_apart(
            what,
            lambda report: _run(command, report, what, tree),
            lambda now: progress.update("building", text=str(now.get("text", ""))),
        )
        self._clean(tree)
        newest = build.settle_times(tree, started)
        progress.update("packing", text=self.suite)
        blob = writer.path("layer.tar")
        written = one_layer.write_tree(writer, tree, blob)
        layer = LayerBlob(written.diff_id, written.size, written.diff_id)
        architecture = _GO.get(self.architecture, self.architecture)
        documents = one_layer.describe_image([layer], self.describe(), newest, architecture=architecture)
        return build.take_tree(writer, home, written, blob, documents, policy)

    def _tool(self) -> str:
        if self.tool != "auto":
            need_program(self.tool, self.tool)
            return self.tool
        for tool in ("mmdebstrap", "debootstrap"):
            if shutil.which(tool):
                return tool
        raise ImageError(
            "neither mmdebstrap nor debootstrap is installed on this host",
            "Install package mmdebstrap (role host does)",
        )

    def _mmdebstrap(self, writer: Writer, tree: str) -> list[str]:
        command = ["mmdebstrap", "--mode=root", "--format=directory", f"--variant={self.variant}"]
        command += ["--skip=output/dev", "--aptopt=Acquire::Languages none"]
        if self.packages:
            command.append("--include=" + ",".join(self.packages))
        if self.components:
            command.append("--components=" + ",".join(self.components))
        if self.architecture:
            command.append("--architectures=" + self.architecture)
        if self.keyring:
            command.append("--keyring=" + self.keyring)
        return [*command, self.suite, tree, self.mirror or self._host_sources(writer)]

    def _host_sources(self, writer: Writer) -> str:
        """A file with what the host's apt knows of the suite; mmdebstrap's own default where it knows nothing."""
        found = apt_sources.for_suite(self.suite)
        if not found:
            return "http://deb.debian.org/debian"
        path = writer.path("host.list")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("".join(f"{entry.one_line()}\n" for entry in found))
        return path

    def _debootstrap(self, _writer: Writer, tree: str) -> list[str]:
        variants = {"debootstrap": "", "-": "", "standard": "", "important": ""}
        variant = variants.get(self.variant, self.variant)
        command = ["debootstrap", *([f"--variant={variant}"] if variant else [])]
        if self.packages:
            command.append("--include=" + ",".join(self.packages))
        if self.components:
            command.append("--components=" + ",".join(self.components))
        if self.architecture:
            command.append("--arch=" + self.architecture)
        if self.keyring:
            command.append("--keyring=" + self.keyring)
        host = [entry.uri for entry in apt_sources.for_suite(self.suite) if entry.suite == self.suite]
        return [*command, self.suite, tree, self.mirror or (host or ["http://deb.debian.org/debian"])[0]]

    @staticmethod
    def _clean(tree: str) -> None:
        """What differs from build to build and nobody needs; device nodes, as a container gets its own /dev."""
        for directory in ("dev", "var/cache/apt", "var/lib/apt/lists", "var/log", "tmp", "run"):
            path = f"{tree}/{directory}"
            for name in os.listdir(path) if os.path.isdir(path) and not os.path.islink(path) else ():
                below = f"{path}/{name}"
                if os.path.isdir(below) and not os.path.islink(below):
                    if directory in ("dev", "tmp", "run"):
                        files.remove_tree(below)
                    continue
                os.unlink(below)
        for name in ("etc/machine-id", "var/cache/ldconfig/aux-cache", "var/cache/debconf/config.dat-old"):
            if os.path.lexists(f"{tree}/{name}"):
                os.unlink(f"{tree}/{name}")
        with open(f"{tree}/etc/machine-id", "x"):
            pass  # empty: systemd and dbus make one at the first start, machine-id(5)


def _run(command: list[str], report: Report, what: str, tree: str) -> Mapping[str, Any]:
    """Run it; its last words are the progress, and the error. Raises ImageError.

    In a child that is kept apart, so that what it mounts (debootstrap does) and starts ends with this process.
    """
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    process = spawn.start(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    last: list[str] = []
    try:
        for raw in process.stdout or ():
            line = raw.decode("utf-8", "replace").rstrip().rpartition("\r")[2]
            if line:
                last = [*last[1 - _KEPT_LINES :], line]
                report({"text": line})
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    if status != 0:
        last += _logged(tree)
        raise ImageError(f"{what} failed with status {status}: " + " | ".join(last))
    return {}


def _logged(tree: str) -> list[str]:
    """The end of the log that debootstrap refers to, in a directory that goes."""
    try:
        with open(f"{tree}/debootstrap/debootstrap.log", encoding="utf-8", errors="replace") as log:
            return [line.rstrip() for line in log if line.strip()][-_KEPT_LINES:]
    except OSError:
        return []
