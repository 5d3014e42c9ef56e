# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same bundle under nsrun, runc and crun: what the container's process sees must be the same."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import defaults

from .nsrun import Bundle, Nsrun, bundle, nsrun, program, run

__all__ = ["bundle", "nsrun", "program"]

#: crun refuses hybrid cgroups, so there it is shown a host without cgroup2.
HIDE = 'if mountpoint -q /sys/fs/cgroup/unified; then mount -t tmpfs t /sys/fs/cgroup/unified; fi; exec "$@"'
SHOW = """
export PATH=/bin
busybox id; busybox hostname; busybox pwd; busybox env | busybox sort
busybox grep -E '^(Cap|NoNewPrivs|Seccomp:|SigIgn|SigBlk|Umask|Groups)' /proc/self/status
busybox awk '{print $5, $6}' /proc/self/mountinfo | busybox sed 's/,relatime//' | busybox sort
busybox awk '{for (i=7; i<=NF; i++) if ($i == "-") print $5, $(i+1)}' /proc/self/mountinfo | busybox sort
busybox find /dev ! -name 'pts' | busybox sort
busybox ls -ln /dev | busybox awk '{print $1, $3, $4, $NF}'
ulimit -n; busybox cat /proc/self/oom_score_adj /proc/sys/kernel/shmmni
busybox ls /proc/self/fd | busybox wc -l
exit 7
"""


@pytest.fixture
def flat(bundle: Bundle) -> Iterator[Bundle]:
    """A bundle that all three know; afterwards the cgroups that runc and crun left in cgroup v1 are removed."""
    name = f"bktest-nsrun-{os.getpid()}"
    bundle.spec["ociVersion"] = "1.0.2"
    bundle.spec["linux"]["cgroupsPath"] = f"/{name}"
    bundle.spec["linux"]["sysctl"] = {"kernel.shmmni": "99"}
    # runc and crun mount cgroup v1 on hybrid hosts, which is theirs to do: left out of the comparison.
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] != "/sys/fs/cgroup"]
    (bundle.rootfs / "etc").mkdir()
    (bundle.rootfs / "etc" / "passwd").write_text("a:x:7:7::/seven:/bin/sh\nroot:x:0:0::/home/of/root:/bin/sh\n")
    yield bundle
    for path in glob.glob(f"/sys/fs/cgroup/*/{name}"):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def under(runtime: str, bundle: Bundle) -> list[str]:
    """What SHOW prints under another runtime, in a mount namespace of its own.

    It hands on the signals that it was started to ignore; nsrun starts the container with none ignored.
    """
    command = [
        "env",
        "--default-signal",
        runtime,
        "--root",
        f"/run/{runtime}-test",
        "run",
        "--bundle",
        bundle.write(),
        bundle.id,
    ]
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", HIDE, "sh", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 7, done.stderr
    finally:
        shutil.rmtree(f"/run/{runtime}-test", ignore_errors=True)
    return done.stdout.splitlines()


#: The others make /dev/core, a symlink to what is masked.
KCORE = ("/dev/core", "/proc/kcore")
#: Their bits in SigIgn.
LIBC_SIGNALS = 1 << 31 | 1 << 32


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_it_sees_the_same(nsrun: Nsrun, flat: Bundle, runtime: str) -> None:
    if shutil.which(runtime) is None:
        pytest.fail(f"{runtime} is needed for this comparison: install the package {runtime}")
    flat.sh(SHOW)
    ours = run(nsrun, flat, rc=7).splitlines()
    theirs = under(runtime, flat)

    assert normal(ours) - normal(theirs) == set()
    assert normal(theirs) - normal(ours) == set()


def normal(lines: list[str]) -> set[str]:
    """What must agree: what masks a path is each runtime's choice, and we make it stricter than they do.

    The others leave signals 32 and 33, which C libraries use and hide (signal(7)), ignored as they found them; nsrun
    does not (test_nsrun_process.py).
    """
    found = set()
    for line in lines:
        path, _space, flags = line.partition(" ")
        if path in defaults.MASKED_PATHS:
            found.add(path)
        elif path in defaults.READONLY_PATHS:
            found.add(f"{path} {'ro' if 'ro' in flags.split(',') else flags}")
        elif path.startswith("SigIgn:"):
            found.add(f"SigIgn {int(line.split()[1], 16) & ~LIBC_SIGNALS:x}")
        elif not line.endswith(KCORE):
            found.add(line)
    return found


def test_its_state_document_is_runcs(nsrun: Nsrun, flat: Bundle) -> None:
    nsrun.detach(flat.sh("exec sleep 100"))
    state = nsrun.state(flat.id)
    nsrun("delete", "--force", flat.id)
    command = ["runc", "--root", "/run/runc-test"]
    null = subprocess.DEVNULL
    detached = [*command, "run", "--detach", "--bundle", flat.write(), flat.id]
    subprocess.run(detached, check=True, stdin=null, stdout=null, stderr=null)
    theirs = json.loads(subprocess.check_output([*command, "state", flat.id]))
    subprocess.run([*command, "delete", "--force", flat.id], check=True)
    shutil.rmtree("/run/runc-test", ignore_errors=True)
    # runc leaves annotations out when there are none, and adds what the specification does not know.
    assert set(state) - {"annotations"} <= set(theirs)
    assert (state["status"], state["id"], state["bundle"]) == (theirs["status"], theirs["id"], theirs["bundle"])
