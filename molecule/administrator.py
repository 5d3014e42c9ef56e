# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a machine: what an administrator does with the unit of the container web, and what comes of it, as JSON.

usage: python3 - VERB   (what systemctl does last, e.g. stop, for the next playbook run to see)
"""

import json
import os
import subprocess
import sys
import time
import urllib.request

UNIT = "barekernel-web.service"


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return {"rc": done.returncode, "said": done.stdout}


def shown(*properties):
    lines = run("systemctl", "show", UNIT, "-p", ",".join(properties))["said"].splitlines()
    return dict(line.split("=", 1) for line in lines)


def read(path):
    with open(path) as stream:
        return stream.read()


def page(awaited):
    """What the published port answers, None where nobody does; a server that was just started gets time to listen."""
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=60) as stream:
                return stream.read().decode().strip()
        except OSError:
            if not awaited or time.monotonic() > until:
                return None
            time.sleep(1)


def state():
    """The unit as it is; of its main process what tells that it is the container's init and nothing of ours."""
    seen = shown("MainPID", "ActiveState", "SubState", "Result", "NRestarts")
    pid = seen["MainPID"]
    if pid != "0":
        status = read(f"/proc/{pid}/status").splitlines()
        fields = dict(line.split(":", 1) for line in status if ":" in line)
        seen["inside"] = fields["NSpid"].split()[-1]
        seen["parent"] = fields["PPid"].strip()
        seen["command"] = read(f"/proc/{pid}/cmdline").split("\0")[0]
        path = "/sys/fs/cgroup" + read(f"/proc/{pid}/cgroup").strip().rpartition("::")[2]
        seen["processes"] = read(f"{path}/cgroup.procs").split()
        seen["others"] = [
            other
            for base, _, _ in os.walk(os.path.dirname(path))
            for other in read(f"{base}/cgroup.procs").split()
            if base != path
        ]
    return seen


def after(verb):
    return {"systemctl": run("systemctl", verb, UNIT), "state": state(), "page": page(verb != "stop"), **status()}


def status():
    return {"status": run("systemctl", "status", "--no-pager", UNIT)}


print(
    json.dumps(
        {
            "began": {"state": state(), **status()},
            "stopped": after("stop"),
            "started": after("start"),
            "restarted": after("restart"),
            "ended": run("systemctl", sys.argv[1], UNIT)["rc"],
        }
    )
)
