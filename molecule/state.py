# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a machine: what is to be as before once all that was declared is gone, whatever it is called.

usage: state.py keep      write it down, before anything is declared; where a container is, it has been written down
       state.py compare   print as JSON what differs from that, {kind: {"new": [...], "gone": [...]}}, and what is in
                          the collection's own directories
"""

import glob
import json
import os
import subprocess
import sys

KEPT = "/root/state-before.json"
#: The unit of each container that is declared.
DECLARED = "/etc/systemd/system/barekernel-*.service"
#: The collection's own directories.
OURS = ("/var/lib/barekernel", "/run/barekernel")
#: Whole trees: what is in them, and where their links lead.
TREES = {
    "units": ("/etc/systemd", "/run/systemd/system"),
    "files": (*OURS, "/etc/sysctl.d", "/etc/modules-load.d", "/srv"),
}
#: Of the machine itself and of each interface that it has.
SYSCTLS = ("forwarding", "accept_ra", "route_localnet", "accept_dad", "disable_ipv6", "proxy_arp", "rp_filter")
#: Distributions' units come and go by themselves, and logins do.
SHIPPED = ("/usr/lib/systemd/system", "/lib/systemd/system")
#: What systemd mounts for as long as a service or a login lasts, or when it is first looked at.
PASSING = ("/run/credentials/", "/run/user/", "/proc/sys/fs/binfmt_misc ", "/sys/kernel/")


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout


def read(path):
    try:
        with open(path) as stream:
            return stream.read().strip()
    except OSError:
        return None


def listed(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def tree(path):
    """The directory, where there is one, and everything below it; a link with where it leads."""
    below = [os.path.join(base, name) for base, names, others in os.walk(path) for name in names + others]
    there = [path] if os.path.isdir(path) else []
    return [f"{one} -> {os.readlink(one)}" if os.path.islink(one) else one for one in there + below]


def shipped(unit):
    """True for a unit that a package brought, or that systemd made for the instances of one (system-X.slice)."""
    stem, _, kind = unit.rpartition(".")
    names = [unit, f"{stem.partition('@')[0]}@.{kind}"] if kind else []
    if kind == "slice" and stem.startswith("system-"):
        names.append(stem[len("system-") :].replace("\\x2d", "-") + "@.service")
    return any(os.path.exists(os.path.join(place, name)) for place in SHIPPED for name in names)


def passes(cgroup):
    """True for a control group that says nothing: it is a login's, or that of a distribution's unit."""
    parts = cgroup.split("/")
    return "user.slice" in parts or "init.scope" in parts or any(shipped(part) for part in parts)


def cgroups():
    """In every hierarchy that is mounted."""
    root = "/sys/fs/cgroup"
    return [path for path in (base[len(root) :] for base, _, _ in os.walk(root)) if not passes(path)]


def mounts():
    lines = [line.split() for line in read("/proc/self/mountinfo").splitlines()]
    shown = [f"{fields[4]} {' '.join(fields[fields.index('-') + 1 :][:2])}" for fields in lines]
    return [line for line in shown if not line.startswith(PASSING)]


def processes():
    """Those that nobody waits for but init, with their control group: what a login or a service left behind."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat, cgroup = read(f"/proc/{pid}/stat"), read(f"/proc/{pid}/cgroup")
        if not stat or not cgroup or not read(f"/proc/{pid}/cmdline"):
            continue  # gone, a zombie or the kernel's
        name, _, fields = stat.partition("(")[2].rpartition(")")
        path = cgroup.rpartition("::")[2]
        if fields.split()[1] == "1" and (path.endswith("/ssh.service") or not passes(path)):
            found.append(f"{name} in {path}")
    return found


def sysctls():
    found = ["net/ipv4/ip_forward = " + str(read("/proc/sys/net/ipv4/ip_forward"))]
    for family in ("ipv4", "ipv6"):
        for interface in listed(f"/proc/sys/net/{family}/conf"):
            names = [f"net/{family}/conf/{interface}/{name}" for name in SYSCTLS]
            found += [
                f"{name} = {read(f'/proc/sys/{name}')}" for name in names if read(f"/proc/sys/{name}") is not None
            ]
    return found


def state():
    nft = [path for path in ("/usr/sbin/nft", "/sbin/nft") if os.path.exists(path)]
    return {
        **{kind: [one for path in paths for one in tree(path)] for kind, paths in TREES.items()},
        "cgroups": cgroups(),
        "mounts": mounts(),
        "links": [link["ifname"] for link in json.loads(run("ip", "-j", "link"))],
        "routes": [f"{route['dst']} {route.get('dev')}" for route in json.loads(run("ip", "-j", "route") or "[]")],
        "netns": listed("/run/netns"),
        "nft": run(nft[0], "list", "ruleset").splitlines() if nft else [],
        "processes": processes(),
        "sysctls": sysctls(),
    }


def differences(before, now):
    """A thing that there are two of now, and was one of before, is new."""
    found = {}
    for kind in before:
        new, gone = list(now[kind]), []
        for one in before[kind]:
            if one in new:
                new.remove(one)
            else:
                gone.append(one)
        if new or gone:
            found[kind] = {"new": new, "gone": gone}
    return found


def main():
    if sys.argv[1:] == ["keep"]:
        if glob.glob(DECLARED):
            return
        with open(KEPT, "w") as stream:
            json.dump(state(), stream)
            os.fsync(stream.fileno())
    else:
        with open(KEPT) as stream:
            before = json.load(stream)
        ours = [one for path in OURS for one in tree(path)]
        print(json.dumps({"differences": differences(before, state()), "ours": ours}))


if __name__ == "__main__":
    main()
