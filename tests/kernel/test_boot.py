# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot without a boot: the kernel is emptied of what is declared, as a power cut does, and restore brings it back.

The host looks as if systemd ran it; its systemctl is a script that enables and disables as the real one does. The real
one is seen in the scenario `reboot`, in virtual machines.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import plan as boot
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.resource import CgroupResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files, netlink
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVeth
from ansible_collections.barekernel.containers.plugins.module_utils._network.resource import NetworkResource

from tests import collection
from tests.waiting import PATIENCE, until

RESOURCES: dict[str, Any] = {"netns_veth": NetnsVeth, "cgroup_v2": CgroupResource, "bridge_network": NetworkResource}
STATE = Path("/var/lib/barekernel")
UNITS = Path(boot.UNITS)
SYSTEMCTL = f"""#!/bin/sh
# What systemctl does to files; the last argument is the unit.
echo "$@" >>/run/systemd/asked
for unit; do :; done
wants={UNITS}/multi-user.target.wants
case "$*" in
*disable*) rm -f $wants/$unit ;;
*enable*) mkdir -p $wants; ln -sf {UNITS}/$unit $wants/$unit ;;
*show*Version*) echo 252 ;;
*daemon-reload*) ;;
*) exit 1 ;;
esac
"""
PAIR: dict[str, Any] = {
    "name": "bktest",
    "ends": [
        {"netns": "bktest-a", "interface": "eth0", "addresses": ["10.99.7.2/30"], "mtu": 1400},
        {"interface": "bktest0", "addresses": ["10.99.7.1/30"]},
    ],
    "systemd": True,
}
GROUP: dict[str, Any] = {
    "path": "bktest-boot/db",
    "limits": {"raw": {"cgroup.max.depth": 3}},
    "systemd": True,
}
NETWORK: dict[str, Any] = {"name": "bktest1", "addresses": ["10.88.7.1/24"]}


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host that looks as if systemd ran it; the value is the file of what was asked of systemctl."""
    UNITS.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", UNITS], check=True)
    Path("/run/systemd/system").mkdir(parents=True)
    script = tmp_path / "systemctl"
    script.write_text(SYSTEMCTL)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yield Path("/run/systemd/asked")
    subprocess.run(["umount", UNITS], check=True)
    shutil.rmtree("/run/systemd")


def apply(module: str, given: dict[str, Any], **more: Any) -> list[str]:
    """Check, apply, compare, apply again. The actions."""
    resource = RESOURCES[module]()
    params = collection.full_params(module, {**given, **more})
    promised = predict(resource, resource.desired(params)).plan.actions
    actions = converge(resource, resource.desired(params)).plan.actions
    assert actions == promised
    assert converge(resource, resource.desired(params)).plan.actions == []
    return actions


def restore(service: boot.Service) -> str:
    """Run what the unit runs; what it says."""
    unit = (UNITS / service.unit).read_text()
    program = next(line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart="))
    done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def lose_namespaces() -> None:
    """With all of /run that is ours, and the pair, which goes some time after the last reference to its namespace."""
    netlink.forget_all()  # its sockets are such references
    for name in os.listdir("/run/netns"):
        subprocess.run(["umount", f"/run/netns/{name}"], check=True)
    # A bind mount of the directory on itself, which os.path.ismount() does not know.
    while subprocess.run(["umount", "/run/netns"], capture_output=True, check=False).returncode == 0:
        pass
    shutil.rmtree("/run/netns")
    shutil.rmtree("/run/barekernel")
    until("the pair's end here goes", lambda: "bktest0" not in [name for _index, name in socket.if_nameindex()])


def link(name: str, where: str = "") -> dict[str, Any]:
    command = ["ip", *(["-n", where] if where else []), "-j", "address", "show", "dev", name]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0])


def nothing_left() -> bool:
    return not list(UNITS.rglob("barekernel*")) and not STATE.joinpath("boot").exists()


def test_a_pair_comes_back_by_what_its_module_installed(systemd: Path) -> None:
    actions = apply("netns_veth", PAIR)
    assert [a for a in actions if "barekernel_netns_veth.service" in a]
    assert not (STATE / "lib").exists()
    lose_namespaces()
    said = restore(boot.LINKS)
    assert "netns_veth bktest: " in said and "nothing to do" not in said
    end = link("eth0", "bktest-a")
    assert end["mtu"] == 1400 and end["addr_info"][0]["local"] == "10.99.7.2"
    until("the pair has a carrier", lambda: link("bktest0")["operstate"] == "UP", lambda: link("bktest0"))
    assert restore(boot.LINKS) == "netns_veth bktest: nothing to do\n"
    apply("netns_veth", PAIR)
    apply("netns_veth", PAIR, state="absent")
    assert nothing_left()


def test_a_cgroup_comes_back_with_its_limits(systemd: Path) -> None:
    apply("cgroup_v2", GROUP)
    path = next(Path("/sys/fs/cgroup").rglob("bktest-boot/db"))
    path.rmdir()
    path.parent.rmdir()
    restore(boot.CGROUPS)
    assert (path / "cgroup.max.depth").read_text() == "3\n"
    assert restore(boot.CGROUPS).endswith("nothing to do\n")
    apply("cgroup_v2", GROUP, state="absent")
    assert nothing_left() and not path.parent.exists()


def test_the_unit_goes_with_the_last_of_its_kind(systemd: Path) -> None:
    apply("cgroup_v2", GROUP)
    apply("cgroup_v2", GROUP, path="bktest-boot/web")
    apply("cgroup_v2", GROUP, systemd=False)
    assert (UNITS / boot.CGROUPS.unit).exists() and (UNITS / "multi-user.target.wants" / boot.CGROUPS.unit).is_symlink()
    apply("cgroup_v2", GROUP, path="bktest-boot/web", systemd=False)
    assert nothing_left()
    for name in ("db", "web"):
        apply("cgroup_v2", GROUP, path=f"bktest-boot/{name}", systemd=False, state="absent")


def test_one_that_cannot_come_back_does_not_keep_the_others_away(systemd: Path) -> None:
    apply("cgroup_v2", GROUP)
    apply("cgroup_v2", GROUP, path="bktest-boot/web")
    record = STATE / "boot/cgroup_v2"
    first = sorted(record.iterdir())[0]
    kept = first.read_text()
    first.write_text("{")
    web = next(Path("/sys/fs/cgroup").rglob("bktest-boot/web"))
    web.rmdir()
    done = subprocess.run([f"{boot.CGROUPS.root}/restore"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and str(first) in done.stderr
    assert (web / "cgroup.max.depth").read_text() == "3\n"
    first.write_text(kept)
    for name in ("db", "web"):
        apply("cgroup_v2", GROUP, path=f"bktest-boot/{name}", state="absent")
    assert nothing_left()


def test_networks_come_back(systemd: Path) -> None:
    apply("bridge_network", NETWORK)
    subprocess.run(["ip", "link", "delete", "bktest1"], check=True)
    subprocess.run(["nft", "delete", "table", "inet", "barekernel"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    said = restore(boot.NETWORKS)
    assert "bridge_network bktest1: " in said
    assert link("bktest1")["addr_info"][0]["local"] == "10.88.7.1"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert restore(boot.NETWORKS) == "bridge_network bktest1: nothing to do\n"
    apply("bridge_network", NETWORK)
    apply("bridge_network", NETWORK, state="absent")
    assert nothing_left() and not (STATE / "lib").exists()


def test_restore_says_that_it_is_up_before_it_waits(systemd: Path, tmp_path: Path) -> None:
    """Else a playbook that starts a container, and holds the locks, would wait for restore, and restore for it."""
    apply("cgroup_v2", GROUP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with files.locked(*CgroupResource.lock_names):
            waiting = subprocess.Popen([f"{boot.CGROUPS.root}/restore"], env=environment, stdout=subprocess.DEVNULL)
            assert manager.recv(100) == b"READY=1"
            assert waiting.poll() is None
        assert waiting.wait() == 0
    apply("cgroup_v2", GROUP, state="absent")


def test_without_systemd_it_is_refused() -> None:
    resource = CgroupResource()
    with pytest.raises(OptionError, match="systemd is not this host's service manager"):
        predict(resource, resource.desired(collection.full_params("cgroup_v2", GROUP)))


@pytest.mark.parametrize("end", [{"pid": 1}, {"path": "/proc/1/ns/net"}])
def test_what_no_boot_brings_back_is_refused(end: dict[str, Any]) -> None:
    given = {**PAIR, "ends": [{"interface": "eth0", **end}, PAIR["ends"][1]]}
    with pytest.raises(OptionError, match="does not outlive a boot"):
        NetnsVeth().desired(collection.full_params("netns_veth", given))
