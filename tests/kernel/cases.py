# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table behind test_every_module.py: one case (or more) for each module that changes hosts.

``{tmp}`` in a string becomes the test's own directory. A module without a case fails the suite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .module_process import run_module

Params = dict[str, Any]


@contextlib.contextmanager
def nothing(_tmp: Path) -> Iterator[None]:
    """No set-up."""
    yield


@contextlib.contextmanager
def layers(tmp: Path) -> Iterator[None]:
    """Three directories with a file each: a, b, c."""
    for name in ("a", "b", "c"):
        (tmp / name).mkdir()
        (tmp / name / f"from-{name}").write_text(name)
    yield


@contextlib.contextmanager
def image_and_network(_tmp: Path) -> Iterator[None]:
    """An image bktest of a busybox, and a network bktest0."""
    build = {
        "directories": [{"path": "/etc"}],
        "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
        "run": ["/bin/busybox --install -s /bin"],
    }
    made = (
        ("oci_image", {"name": "bktest", "build": build}),
        ("bridge_network", {"name": "bktest0", "addresses": ["10.88.7.1/24", "fd88:7::1/64"]}),
    )
    for module, params in made:
        assert not run_module(module, params).get("failed")
    yield
    for module, params in reversed(made):
        assert not run_module(module, {"name": params["name"], "state": "absent"}).get("failed")


@dataclass(frozen=True)
class Case:
    """A module's life: created, changed, removed."""

    module: str
    #: From nothing to something.
    create: Params
    #: The same object with other values, and the options that the module must name as changed.
    change: Params
    changed: dict[str, str]
    #: Back to nothing.
    remove: Params
    #: What has to exist around it.
    around: Callable[[Path], AbstractContextManager[None]] = nothing
    name: str = ""
    #: Parameters of its _info module.
    info: Params = field(default_factory=dict)


CASES: tuple[Case, ...] = (
    Case(
        "bridge_network",
        create={"name": "bktest0", "addresses": ["10.88.7.1/24", "fd88:7::1/64"]},
        change={
            "name": "bktest0",
            "addresses": ["10.88.7.1/24", "10.88.8.1/24"],
            "mtu": 1400,
            "nat": False,
            "published": [{"addresses": ["10.88.7.9"], "ports": ["8080:80"]}],
        },
        changed={"addresses": "live", "mtu": "live", "nat": "live", "published": "live", "sysctls": "live"},
        remove={"name": "bktest0", "state": "absent"},
        info={"name": "bktest0"},
    ),
    Case(
        "overlay_mount",
        create={
            "path": "{tmp}/new/view",
            "lowerdirs": ["{tmp}/a", "{tmp}/b"],
            "upperdir": "{tmp}/rw/upper",
            "workdir": "{tmp}/rw/work",
            "redirect_dir": "off",
            "propagation": "slave",
        },
        change={
            "path": "{tmp}/new/view",
            "lowerdirs": ["{tmp}/c", "{tmp}/b"],
            "upperdir": "{tmp}/rw/upper",
            "workdir": "{tmp}/rw/work",
            "redirect_dir": "on",
            "index": True,
            "flags": ["nosuid", "noatime"],
            "propagation": "shared",
        },
        changed={
            "lowerdirs": "recreate",
            "redirect_dir": "recreate",
            "index": "recreate",
            "flags": "live",
            "propagation": "live",
        },
        remove={"path": "{tmp}/new/view", "state": "absent"},
        around=layers,
        info={"path": "{tmp}"},
    ),
    Case(
        "overlay_mount",
        name="overlay_mount, read-only and live",
        create={"path": "{tmp}/view", "lowerdirs": ["{tmp}/a"]},
        change={"path": "{tmp}/view", "lowerdirs": ["{tmp}/a"], "flags": ["nodev"]},
        changed={"flags": "live"},
        remove={"path": "{tmp}/view", "state": "absent"},
        around=layers,
    ),
    Case(
        "cgroup_v2",
        create={"path": "bktest-case/db", "limits": {"hugetlb": {"2M": "4M"}, "raw": {"cgroup.max.depth": 3}}},
        change={"path": "bktest-case/db", "limits": {"hugetlb": {"2M": "9M"}}, "freeze": True},
        changed={"limits.hugetlb.2MB.max": "live", "freeze": "live"},
        remove={"path": "bktest-case/db", "state": "absent"},
        info={"paths": ["bktest-case"]},
    ),
    Case(
        "netns_veth",
        create={
            "name": "bktest",
            "ends": [
                {
                    "netns": "bktest-a",
                    "interface": "eth0",
                    "addresses": ["10.99.0.2/24", "fd99::2/64"],
                    "routes": [{"to": "default", "via": "10.99.0.1"}, {"to": "default", "via": "fd99::1"}],
                },
                {"interface": "bktest0", "addresses": ["10.99.0.1/24"]},
            ],
        },
        change={
            "name": "bktest",
            "ends": [
                {
                    "netns": "bktest-b",
                    "interface": "lan0",
                    "mac": "02:00:00:00:00:99",
                    "mtu": 1400,
                    "addresses": ["10.99.1.2/24"],
                    "routes": [{"to": "default", "via": "10.99.1.1", "metric": 50}],
                    "sysctls": {"net.ipv4.ip_forward": True},
                    "impairment": {"rate": "10mbit"},
                },
                {"interface": "bktest0", "addresses": ["10.99.1.1/24"], "up": False},
            ],
        },
        changed={
            **{f"ends[0].{o}": "live" for o in ("addresses", "impairment", "interface", "mac", "mtu", "netns")},
            **{f"ends[0].{o}": "live" for o in ("routes", "sysctls")},
            **{f"ends[1].{o}": "live" for o in ("addresses", "up")},
        },
        remove={"name": "bktest", "state": "absent", "namespaces": [{"name": "bktest-a"}]},
        info={"name": "bktest"},
    ),
    Case(
        "oci_image",
        create={"name": "bktest:1", "build": {"copy": [{"src": "{tmp}/a", "dest": "/data"}]}},
        change={
            "name": "bktest:1",
            "build": {"copy": [{"src": "{tmp}/b", "dest": "/data"}], "directories": [{"path": "/d", "mode": "1777"}]},
            "config": {"cmd": ["/data/run"]},
        },
        changed={"content": "recreate", "parts": "recreate", "config": "recreate"},
        remove={"name": "bktest:1", "state": "absent"},
        around=layers,
        info={"name": "bktest:1"},
    ),
    Case(
        "oci_image",
        name="oci_image, its configuration",
        create={"name": "bktest:2", "directory": {"path": "{tmp}/a"}},
        change={"name": "bktest:2", "directory": {"path": "{tmp}/a"}, "config": {"env": {"A": "b"}}},
        changed={"config": "recreate"},
        remove={"name": "bktest:2", "state": "absent"},
        around=layers,
    ),
    Case(
        "ns_container",
        create={
            "name": "bktest-case",
            "image": "bktest",
            "command": ["sleep", "1000"],
            "networks": [{"name": "bktest0", "ports": ["8080:80"]}],
            "mounts": [{"type": "volume", "source": "bktest-data", "target": "/data"}],
            "stop_timeout": 0,
        },
        change={
            "name": "bktest-case",
            "image": "bktest",
            "command": ["sleep", "1001"],
            "env": {"COLOUR": "red"},
            "networks": [{"name": "bktest0", "addresses": ["10.88.7.9"], "ports": ["8081:80"]}],
            "mounts": [{"type": "volume", "source": "bktest-data", "target": "/data"}],
            "stop_timeout": 0,
            "domainname": "lab.example",
            "group_add": ["7"],
            "oom_score_adj": 500,
            "shm_size": "1M",
        },
        changed={
            "command": "restart",
            "domainname": "restart",
            "env.COLOUR": "restart",
            "groups": "restart",
            "hosts": "live",
            "networks.bktest0": "live",
            "oom_score_adj": "restart",
            "ports": "live",
            "shm_size": "live",
        },
        remove={"name": "bktest-case", "state": "absent", "purge_volumes": True},
        around=image_and_network,
        info={"name": "bktest-case"},
    ),
)

#: Modules that keep no state but do something, with the file that tests them.
EVENTS = {
    "stack": "tests/kernel/test_stack.py",
    "oci_image_prune": "tests/kernel/test_image_pull.py",
    "oci_image_push": "tests/kernel/test_image_pull.py",
    "oci_image_save": "tests/kernel/test_image_pull.py",
    "ns_container_exec": "tests/kernel/test_container.py",
}
