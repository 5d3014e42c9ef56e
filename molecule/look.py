# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a machine: everything the tests of a site want to see of it, as one JSON object.

usage: python3 - TARGET ...   (names or addresses whose published port is to be fetched)
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request

CONTAINERS = ("web", "client")
#: Until then whatever is awaited may come: this machine, or one that it asks, may still be booting.
UNTIL = time.monotonic() + 300


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip()


def read(path):
    try:
        with open(path) as stream:
            return stream.read().strip()
    except OSError:
        return None


def page(target):
    """What the published port of a machine answers; one that has just been started gets some time."""
    host = f"[{target}]" if ":" in target else target
    while True:
        try:
            with urllib.request.urlopen(f"http://{host}:8080/", timeout=20) as stream:
                return stream.read().decode().strip()
        except OSError as error:
            if time.monotonic() > UNTIL:
                return f"{type(error).__name__}: {error}"
            time.sleep(2)


def journal(unit, awaited):
    """The last lines of a unit in this boot; one that has just been started gets some time for one of these words."""
    while True:
        said = run("journalctl", "-b", "-u", unit, "-n", "3", "-o", "cat", "--no-pager")
        if any(word in said for word in awaited) or time.monotonic() > UNTIL:
            return said.splitlines()
        time.sleep(2)


def container(name):
    unit = f"barekernel-{name}.service"
    fields = run("systemctl", "show", unit, "-p", "MainPID,ActiveState,UnitFileState,NRestarts").splitlines()
    shown = dict(line.split("=", 1) for line in fields)
    pid = int(shown["MainPID"])
    seen = {"pid": pid, "active": shown["ActiveState"], "enabled": shown["UnitFileState"]}
    if not pid:
        return seen
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    own = [kind for kind in kinds if os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")]
    lines = read(f"/proc/{pid}/cgroup").splitlines()
    path = next(line.split("::", 1)[1] for line in lines if "::" in line)
    root = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"
    files = ("memory.max", "cpu.max", "pids.max", "io.max")
    addresses = json.loads(run("ip", "-j", "-n", f"bk-{name}", "address", "show", "dev", "eth0"))
    return {
        **seen,
        "own_namespaces": own,
        "cgroup": path,
        "limits": {file: read(f"{root}{path}/{file}") for file in files},
        "addresses": [f"{a['local']}/{a['prefixlen']}" for a in addresses[0]["addr_info"] if a["scope"] == "global"],
        "journal": journal(unit, ("Hello", "Welcome") if name == "client" else ("",)),
    }


def pulls():
    """[who, what] for each blob that was got from a registry in this machine since an image was last pushed to it."""
    start = run("systemctl", "show", "docker-registry", "-p", "InvocationID", "--value")
    log = run("journalctl", f"_SYSTEMD_INVOCATION_ID={start}", "-o", "cat", "--no-pager")
    asked = re.findall(r'^(\S+) - - .*"(GET|PUT) /v2/\S*/(blobs|manifests)/(\S*) HTTP', log, re.MULTILINE)
    pushed = [n for n, (_who, method, kind, _what) in enumerate(asked) if (method, kind) == ("PUT", "manifests")]
    since = asked[max(pushed, default=-1) + 1 :]
    return [(who, what) for who, method, kind, what in since if (method, kind) == ("GET", "blobs")]


def images():
    """The digests of the images that this machine has."""
    index = read("/var/lib/barekernel/images/index.json")
    return [manifest["digest"] for manifest in json.loads(index)["manifests"]] if index else []


run("systemctl", "is-system-running", "--wait")  # after a boot: until its last job is done
print(
    json.dumps(
        {
            "boot_id": read("/proc/sys/kernel/random/boot_id"),
            "containers": {name: container(name) for name in CONTAINERS},
            "pages": {target: page(target) for target in sys.argv[1:]},
            "pulls": pulls(),
            "images": images(),
            "skopeo": shutil.which("skopeo"),
            "temporary": glob.glob("/root/.ansible/tmp/*"),
            "disk": read("/sys/class/block/vda/dev"),
        }
    )
)
