# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The isolated host in detail, to show that check mode changed nothing: what leaks.py counts, with its content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE

from .leaks import KEPT, RUN, STATE, SYSCTLS, below

#: Stands for what is on one side only, where None may be a value.
NOTHING = "(nothing)"


def take(*trees: Path) -> dict[str, Any]:
    """Mounts, links with addresses and routes in every named namespace, nftables, cgroups of ours, files."""
    names = sorted(p.name for p in Path("/run/netns").iterdir()) if Path("/run/netns").is_dir() else []
    return {
        "mounts": sorted(b" ".join(line.split(b" ")[3:]) for line in read("/proc/self/mountinfo").split(b"\n")),
        "nftables": _nft(),
        "cgroups": _cgroups(),
        "sysctls": {name: read(f"/proc/sys/{name}") for name in SYSCTLS},
        **{f"files below {tree}": _files(tree) for tree in (STATE, RUN, *trees)},
        **{f"network {name or '(host)'}": _network(name) for name in ["", *names]},
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What changed, in words, down to the smallest part that did."""
    return _differences("", before, after)


def _differences(where: str, before: Any, after: Any) -> list[str]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(key, before.get(key, NOTHING), after.get(key, NOTHING)) for key in sorted({*before, *after})]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = list(zip(range(len(before)), before, after))
    elif isinstance(before, list) and isinstance(after, list):
        came, went = [one for one in after if one not in before], [one for one in before if one not in after]
        return [f"{where}: came {came!r}, went {went!r}"]
    else:
        return [f"{where}: {before!r} became {after!r}"]
    return [line for key, old, new in pairs for line in _differences(f"{where}/{key}".lstrip("/"), old, new)]


def read(path: str | Path) -> bytes:
    """A file's content; what cannot be read is content too."""
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError as error:
        return str(error).encode()


def _files(root: Path) -> dict[str, Any]:
    found = {}
    for path in map(Path, below(root)):
        if str(path).startswith(KEPT) or _is_empty_home(path):
            continue
        try:
            status = path.lstat()
        except FileNotFoundError:  # it went since the directory was read
            continue
        kind = oct(status.st_mode), status.st_uid, status.st_gid
        regular = path.is_file() and not path.is_symlink() and not str(path).startswith("/run/netns/")
        content = hashlib.sha256(read(path)).hexdigest() if regular else ""
        target = os.readlink(path) if path.is_symlink() else ""
        found[str(path)] = (*kind, status.st_mtime_ns, content, target)
    return found


def _is_empty_home(path: Path) -> bool:
    """The directory of what runs goes, when it is empty, with somebody's last lock: until then it holds nothing."""
    with contextlib.suppress(FileNotFoundError):
        return str(path) == "/run/barekernel" and not os.listdir(path)
    return True


def _network(namespace: str) -> list[Any]:
    where = ["-n", namespace] if namespace else []
    # Duplicate address detection of a link-local address ends by itself, and adds routes when it does; without a
    # carrier, which may need a moment to appear, it does not begin.
    started = time.monotonic()
    while tentative := list(filter(None, _json("ip", *where, "-j", "addr", "show", "tentative") or ())):
        begun = any("LOWER_UP" in link.get("flags", ()) for link in tentative)
        if time.monotonic() > started + (PATIENCE if begun else 5):
            break
        time.sleep(0.05)
    while _lack_routes(where) and time.monotonic() < started + PATIENCE:
        time.sleep(0.05)
    asked = (["addr"], ["route", "show", "table", "all"], ["-6", "route", "show", "table", "all"])
    return [_json("ip", *where, "-j", *question) for question in asked]


def _lack_routes(where: list[str]) -> bool:
    """True while an address that is tentative no more has no route yet: the kernel adds it a moment later."""
    links = [one for one in _json("ip", *where, "-6", "-j", "addr") or () if "UP" in one.get("flags", ())]
    steady = [(link["ifname"], one) for link in links for one in link["addr_info"]]
    wanted = {(dev, one["local"]) for dev, one in steady if not {"tentative", "dadfailed"} & set(one)}
    routes = _json("ip", *where, "-6", "-j", "route", "show", "table", "local") or ()
    return not wanted <= {(one["dev"], one["dst"]) for one in routes}


def _nft() -> Any:
    return _json("nft", "-j", "list", "ruleset")


def _json(*command: str) -> Any:
    answer = subprocess.run(command, capture_output=True, check=False)
    return _settled(json.loads(answer.stdout)) if answer.returncode == 0 and answer.stdout.strip() else None


def _settled(value: Any) -> Any:
    """Without what changes by itself: lifetimes and packet counters."""
    if isinstance(value, dict):
        passing = ("packets", "bytes", "expires", "metainfo", "valid_life_time", "preferred_life_time")
        return {k: _settled(v) for k, v in value.items() if k not in passing}
    return [_settled(item) for item in value] if isinstance(value, list) else value


def _cgroups() -> dict[str, dict[str, bytes]]:
    """The settings (not the meters) of each cgroup of the cases; processes count as a setting."""
    root = next(
        line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2"
    )
    ours = [Path(d) for d, _subs, _files in os.walk(root) if "bktest-case" in d]
    return {str(d): {f.name: read(f) for f in sorted(d.iterdir()) if _is_setting(f)} for d in ours}


def _is_setting(file: Path) -> bool:
    writable = file.is_file() and file.stat().st_mode & 0o200
    return bool(writable) and "pressure" not in file.name and not file.name.endswith("peak")
