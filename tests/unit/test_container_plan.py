# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container's planner: what is planned for each difference, in which order, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.bundle_options import (
    in_words_of_options,
    option_names,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.documents import documents
from ansible_collections.barekernel.containers.plugins.module_utils._container.observed import (
    ContainerObserved,
    Host,
    Neighbour,
    SharedMemory,
    Unusable,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.operations import (
    InterruptContainer,
    ResizeSharedMemory,
    StartContainer,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.options import container_from
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan import plan_container
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_declared import dropped, meant
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_hosts import (
    HostsObserved,
    plan_hosts,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_identity import Inhabitants
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_network import (
    ContainerNetwork,
    host_end,
    veth_desired,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_resolve import resolve
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_volumes import MakeVolume
from ansible_collections.barekernel.containers.plugins.module_utils._container.records import Container
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.files import ReplaceFile, SetAside, WriteFile
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import NOT_YET, Image
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import CgroupState, Hierarchy
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.host_resources import HostResources
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import NamespaceId
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_links import Link
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netns import NamedNetns
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.subids import Granted
from ansible_collections.barekernel.containers.plugins.module_utils._links.netns import NetnsObserved
from ansible_collections.barekernel.containers.plugins.module_utils._links.plan import wanted_states
from ansible_collections.barekernel.containers.plugins.module_utils._links.records import PlaceObserved, VethObserved
from ansible_collections.barekernel.containers.plugins.module_utils._network.records import Network
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise.control import Supervised

HOME = "/var/lib/barekernel/containers/web"
LAB0 = Network("lab0", "lab0", ("10.88.0.1/24", "fd88::1/64"), "02:00:00:00:00:01")
IMAGE = Image(
    "busybox:latest",
    "sha256:" + "1" * 64,
    {},
    {"config": {"Cmd": ["sh"]}, "rootfs": {"diff_ids": []}},
    ("/",),
    {},
    ("/",),
)
BRIDGE = Link(7, "lab0", "bridge", "02:00:00:00:00:01", 1500, True, True)
HOST = Host(
    resolv_conf="nameserver 192.0.2.1\n",
    no_idmap="",
    systemd=False,
    systemd_version=0,
    resources=HostResources(1 << 33, 0, 4096, frozenset({0, 1}), frozenset({0})),
    identity="host",
    networks={"lab0": LAB0},
)
CGROUP = CgroupState(
    "/sys/fs/cgroup/barekernel/web",
    False,
    Hierarchy("/sys/fs/cgroup", "unified", ("cpu", "memory", "pids")),
)
SPEC: dict[str, Any] = {
    "name": "web",
    "state": "started",
    "image": "busybox",
    "networks": [{"name": "lab0", "ports": ["8080:80"]}],
    "limits": {"memory": "64M"},
    "env": {"A": "1"},
}


def container(**changes: Any) -> Container:
    return container_from({**SPEC, **changes})


def nothing(host: Host = HOST) -> ContainerObserved:
    """A host on which the container was never made."""
    veth = VethObserved(places=(PlaceObserved(exists=False), PlaceObserved(is_host=True, bridge=BRIDGE)))
    return ContainerObserved(
        host=host,
        record=None,
        supervised=Supervised("web", "stopped"),
        image=IMAGE,
        user=(0, 0, ()),
        root=(0o755, 0, 0),
        files={},
        documents={},
        directories=frozenset(),
        cgroup=CGROUP,
        network=ContainerNetwork(NetnsObserved(), {"lab0": veth}),
    )


def running(which: Container, host: Host = HOST, reapers: tuple[str, ...] = ()) -> ContainerObserved:
    """The same host when the container runs exactly as declared."""
    bare = replace(nothing(host), reapers=reapers)
    resolved = resolve(which, bare)
    docs = documents(which, resolved, bare)
    desired = veth_desired(which, 0, LAB0, resolved.addresses[0], host.identity)
    places = (PlaceObserved(), PlaceObserved(is_host=True, bridge=BRIDGE))
    veth = VethObserved(wanted_states(desired, VethObserved(places=places)), True, places)
    netns = NetnsObserved(NamedNetns("bk-web", NamespaceId(4, 99), True, resolved.idmap), True)
    own = tuple(address.partition("/")[0] for address in resolved.addresses[0])
    network = ContainerNetwork(
        netns,
        {"lab0": veth},
        ends=(host_end("web", "lab0"),),
        inside={"lab0": dict.fromkeys(LAB0.gateways, LAB0.mac)},
        outside={"lab0": dict.fromkeys(own, veth.ends[0].mac)},  # type: ignore[union-attr]
        earlier={"lab0": own},
    )
    content = {document.path: document.content for document in docs.files}
    table = _table_of(which, bare)
    return replace(
        bare,
        host=replace(host, table=table),
        recorded=which,
        record={
            "params": which.params,
            "idmap": resolved.idmap,
            "addresses": {"lab0": list(resolved.addresses[0])},
            "reaper": resolved.reaper,
        },
        supervised=Supervised("web", "running", pid=42, start_time=1),
        files=content,
        documents={"config": docs.config, "launch": docs.launch},
        directories=frozenset(HOME + name for name in ("", "/bundle", "/bundle/rootfs", "/log", "/upper", "/work")),
        cgroup=replace(
            CGROUP, exists=True, files={"memory.max": "67108864", "pids.max": "4096"}, controllers=("memory", "pids")
        ),
        network=network,
        leftovers=True,
        shared_memory=SharedMemory(which.shm_size),
    )


def _table_of(which: Container, bare: ContainerObserved) -> Any:
    from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_network import (
        owner,
        published_of,
    )
    from ansible_collections.barekernel.containers.plugins.module_utils._kernel.nft import Chain, Rule, Table
    from ansible_collections.barekernel.containers.plugins.module_utils._network import nft_table
    from ansible_collections.barekernel.containers.plugins.module_utils._network.publish import publish_elements

    chains = tuple(
        Chain(nft_table.FAMILY, nft_table.NAME, c.name, c.type, c.hook, c.priority, "accept" if c.hook else None)
        for c in nft_table.CHAINS
    )
    rules = tuple(Rule(c.name, nft_table._rule_mark(rule)) for c in nft_table.CHAINS for rule in c.rules)
    elements = publish_elements(owner(which.name), published_of(which, resolve(which, bare)))
    return Table(
        nft_table.FAMILY,
        nft_table.NAME,
        chains=chains,
        rules=rules,
        sets=tuple(nft_table.SETS),
        elements=tuple(elements),
    )


def test_a_new_container_is_made_wired_and_started_in_that_order() -> None:
    actions = plan_container(container(), nothing()).actions
    order = [
        "create directory /var/lib/barekernel/containers/web",
        "write /var/lib/barekernel/containers/web/container.json",
        "write /var/lib/barekernel/containers/web/bundle/config.json",
        "create netns bk-web",
        "create veth pair container/web/lab0",
        "create the nftables table",
        "start container web",
    ]
    places = [next(i for i, action in enumerate(actions) if action.startswith(begin)) for begin in order]
    assert places == sorted(places)


def test_check_mode_predicts_on_a_systemd_host_with_an_image_that_is_not_made_yet() -> None:
    """The unit is planned too, from a launch document whose image has no layers to name."""
    host = replace(HOST, systemd=True, systemd_version=252)
    image = replace(IMAGE, digest=NOT_YET, layers=(), lowerdirs=())
    predicted = plan_container(container(), replace(nothing(host), image=image)).actions
    assert predicted == plan_container(container(), nothing(host)).actions


def test_what_runs_as_declared_needs_nothing() -> None:
    plan = plan_container(container(), running(container()))
    assert plan.actions == []
    assert plan.before == plan.after
    assert plan.changes == ()


CASES = {
    "a limit live": ({"limits": {"memory": "128M"}}, {"limits.memory.max": "live"}, ()),
    "a limit back to its default live": ({"limits": {}}, {"limits.memory.max": "live"}, ()),
    "an address live": (
        {"networks": [{"name": "lab0", "addresses": ["10.88.0.9"], "ports": ["8080:80"]}]},
        {"networks.lab0": "live", "hosts": "live", "ports": "live"},
        (),
    ),
    "a port live": ({"networks": [{"name": "lab0", "ports": ["8081:80"]}]}, {"ports": "live"}, ()),
    "a name server live": ({"dns": ["198.51.100.1"]}, {"resolv.conf": "live"}, ()),
    "a variable by restart": ({"env": {"A": "2"}}, {"env.A": "restart"}, ("stop", "start")),
    "arguments by restart": ({"args": ["-c", "x"]}, {"command": "restart"}, ("stop", "start")),
    "labels live": ({"labels": {"a": "b"}}, {"labels": "live"}, ()),
    "a restart policy live": ({"restart_policy": "always"}, {"restart_policy": "live"}, ()),
    "how it is stopped live": (
        {"stop_signal": "SIGINT", "stop_timeout": 3},
        {"stop_signal": "live", "stop_timeout": "live"},
        (),
    ),
    "log limits live": (
        {"log_max_size": 4096, "log_max_files": 1},
        {"log_max_size": "live", "log_max_files": "live"},
        (),
    ),
    "a host name by restart": (
        {"hostname": "other"},
        {"hostname": "restart", "env.HOSTNAME": "restart", "hosts": "live"},
        ("stop", "start"),
    ),
    "a domain name by restart": (
        {"domainname": "lab.example"},
        {"domainname": "restart", "hosts": "live"},
        ("stop", "start"),
    ),
    "a score by restart": ({"oom_score_adj": 500}, {"oom_score_adj": "restart"}, ("stop", "start")),
    "shared memory live": ({"shm_size": "1M"}, {"shm_size": "live"}, ()),
    "namespaces by recreation": (
        {"namespaces": {"ipc": "host"}},
        {"namespaces": "recreate"},
        ("stop", "start", "remove"),
    ),
}


@pytest.mark.parametrize(("changes", "how", "steps"), CASES.values(), ids=list(CASES))
def test_one_changed_value_is_applied_as_the_diff_says(
    changes: dict[str, Any], how: dict[str, str], steps: tuple[str, ...]
) -> None:
    plan = plan_container(container(**changes), running(container()))
    assert {change.option: change.how for change in plan.changes} == how
    verbs = [action.split()[0] for action in plan.actions]
    assert tuple(v for v in dict.fromkeys(verbs) if v in ("stop", "start", "remove")) == steps
    assert plan.before != plan.after


def test_shared_memory_is_resized_where_it_is_and_by_restart_where_it_holds_more() -> None:
    there = running(container())
    smaller = container(shm_size="1M")
    resized = ResizeSharedMemory("web", 42, 1, "/dev/shm", "shm", 1 << 20)
    assert resized in plan_container(smaller, there).operations
    full = replace(there, shared_memory=SharedMemory(64 << 20, used=(1 << 20) + 1))
    for observed in (full, replace(there, shared_memory=None)):
        plan = plan_container(smaller, observed)
        assert [(c.option, c.after, c.how) for c in plan.changes] == [("shm_size", 1 << 20, "restart")]
        assert {type(operation).__name__ for operation in plan.operations} >= {"InterruptContainer", "StartContainer"}
        assert resized not in plan.operations
    # What somebody else made of it is put right, and that alone.
    drifted = plan_container(container(), replace(there, shared_memory=SharedMemory(4096)))
    assert drifted.operations == (replace(resized, size=64 << 20),)
    assert [(c.before, c.after, c.how) for c in drifted.changes] == [(4096, 64 << 20, "live")]
    stopped = replace(there, supervised=Supervised("web", "stopped"), shared_memory=None)
    plan = plan_container(container(shm_size="1M", state="stopped"), stopped)
    assert plan.actions == [f"write {HOME}/container.json", f"write {HOME}/bundle/config.json"]


def test_groups_are_those_of_the_user_and_those_that_are_added() -> None:
    wanted = container(user="app", group_add=["video", "7"])
    there = replace(nothing(), user=(1000, 1000, (20,)), groups=(44, 7, 1000))
    assert resolve(wanted, there).user == (1000, 1000, (7, 20, 44))
    plan = plan_container(wanted, replace(running(container()), user=(0, 0, ()), groups=(44, 7)))
    assert [(c.option, c.before, c.after, c.how) for c in plan.changes] == [("groups", [], [7, 44], "restart")]
    with pytest.raises(OptionError, match="group_add: 70000: the group ID 70000 is not one of the container's user"):
        plan_container(wanted, replace(there, groups=(70000,)))


def test_another_runtime_gets_the_domain_as_a_parameter_where_it_may_write_that() -> None:
    def bundle(**changes: Any) -> Any:
        wanted = container(domainname="lab.example", **changes)
        return documents(wanted, resolve(wanted, nothing()), nothing()).config

    own, shared = bundle(runtime="/usr/bin/runc"), bundle(runtime="/usr/bin/runc", namespaces={"user": "host"})
    assert own["domainname"] == "lab.example" and own["linux"]["sysctl"] == {}
    assert "domainname" not in shared and shared["linux"]["sysctl"] == {"kernel.domainname": "lab.example"}
    assert bundle(namespaces={"user": "host"})["domainname"] == "lab.example"


def test_a_domain_makes_the_full_name_the_canonical_one() -> None:
    wanted = container(hostname="www", domainname="lab.example")
    found = documents(wanted, resolve(wanted, nothing()), nothing()).files
    [hosts] = [document.content for document in found if document.path.endswith("/hosts")]
    assert "10.88.0.2 www.lab.example www web" in hosts.splitlines()
    alone = container(domainname="lab.example", networks=[])
    found = documents(alone, resolve(alone, nothing()), nothing()).files
    [hosts] = [document.content for document in found if document.path.endswith("/hosts")]
    assert "127.0.1.1 web.lab.example web" in hosts.splitlines()


def test_init_is_changed_by_restart_and_keeps_its_program() -> None:
    two = ("/usr/bin/catatonit", "/usr/bin/tini-static")
    plan = plan_container(container(init="reaper"), running(container(), reapers=two))
    assert [(c.option, c.before, c.after, c.how) for c in plan.changes] == [("init", "none", "reaper", "restart")]
    assert plan.before["command"] == plan.after["command"] == ["sh"]
    wanted = container(init="reaper")
    with_tini = running(wanted, reapers=two[1:])
    assert plan_container(wanted, replace(with_tini, reapers=two)).actions == []
    gone = plan_container(wanted, replace(with_tini, reapers=two[:1]))
    assert [change.how for change in gone.changes] == ["restart"]


def test_without_a_reaper_on_the_host_nothing_is_planned() -> None:
    without = replace(running(container()), no_reaper="none is here: install package catatonit")
    for state in ("present", "started", "stopped", "restarted"):
        with pytest.raises(OptionError, match="init: 'reaper': none is here: install package catatonit"):
            plan_container(container(init="reaper", state=state), without)
    assert plan_container(container(init="reaper", state="absent"), without).actions


def test_systemd_reads_the_unit_again_and_the_process_goes_on() -> None:
    host = replace(HOST, systemd=True, systemd_version=252)
    there = running(container(), host)
    unit = documents(container(), resolve(container(), there), there).unit
    assert unit is not None
    there = replace(there, files={**there.files, unit.path: unit.content}, unit_enabled=True)
    assert plan_container(container(), there).actions == []
    changed = container(restart_policy="always", stop_signal="SIGINT", stop_timeout=3)
    plan = plan_container(changed, there)
    assert plan.actions == [
        f"write {HOME}/container.json",
        f"write {HOME}/launch.json",
        f"write {unit.path}",
        "have systemd read its unit files again",
    ]
    [text] = [o.content for o in plan.operations if getattr(o, "path", "") == unit.path]  # type: ignore[attr-defined]
    assert {"Restart=always", "KillSignal=SIGINT", "TimeoutStopSec=3"} <= set(text.splitlines())


def test_labels_are_rewritten_in_the_bundle_of_a_running_container() -> None:
    plan = plan_container(container(labels={"a": "b"}), running(container()))
    assert plan.actions == [f"write {HOME}/container.json", f"write {HOME}/bundle/config.json"]


def test_what_cannot_be_started_is_refused_only_where_it_would_be() -> None:
    missing = (Unusable("mounts[0].source", "/nope", "is not on this host"),)
    plan = plan_container(container(), replace(running(container()), unusable=missing))
    [warning] = [warning for warning in plan.warnings if "next start will fail" in warning]
    assert plan.actions == [] and "mounts[0].source: '/nope': is not on this host" in warning
    assert plan_container(container(state="present"), replace(nothing(), unusable=missing)).actions
    for observed in (nothing(), running(container(env={"A": "0"}))):
        with pytest.raises(OptionError, match=r"mounts\[0\]\.source: '/nope': is not on this host"):
            plan_container(container(), replace(observed, unusable=missing))


IDMAP = {"mounts": [{"type": "bind", "source": "/srv", "target": "/a", "options": ["idmap"]}]}
HOST_USER = {"namespaces": {"user": "host"}}
DOMAIN = {"sysctls": {"kernel.domainname": "lab"}}
NO_USER_NAMESPACE = {
    "chosen": ({**IDMAP, **HOST_USER}, HOST, "mounts[0].options: 'idmap': the container has no user namespace (names"),
    "old kernel": (IDMAP, replace(HOST, no_idmap="the kernel is old"), "user namespace (the kernel is old): leave it"),
    "domain name": (
        DOMAIN,
        HOST,
        "sysctls.kernel.domainname: 'lab': cannot be set in a user namespace: set domainname",
    ),
}


@pytest.mark.parametrize(("changes", "host", "words"), NO_USER_NAMESPACE.values(), ids=list(NO_USER_NAMESPACE))
def test_what_a_user_namespace_decides_stops_nothing(changes: dict[str, Any], host: Host, words: str) -> None:
    for observed in (nothing(host), running(container(), host)):
        with pytest.raises(OptionError) as refused:
            plan_container(container(**changes), observed)
        assert words in str(refused.value)


def test_what_a_user_namespace_allows() -> None:
    assert plan_container(container(**IDMAP), nothing()).actions
    assert plan_container(container(**DOMAIN, **HOST_USER), nothing()).actions


def test_what_the_runtime_refuses_is_told_of_options() -> None:
    mounts = [
        {"type": "tmpfs", "target": "/z"},
        {"type": "bind", "source": "/srv", "target": "/a"},
    ]
    which = container(mounts=mounts, rlimits={"nofile": "1"})
    config = documents(which, resolve(which, nothing()), nothing()).config
    names = option_names(which, config)
    place = [mount["destination"] for mount in config["mounts"]].index("/a")
    for said, told in {
        f"nsrun: mounts[{place}].source: '/srv': no": "mounts[1].source: '/srv': no",
        f"mounts[{place}] (bind on /a): no": "mounts[1] (bind on /a): no",
        f"mounts[{place}].destination: no": "mounts[1].target: no",
        "nsrun: process.args: 'x': no": "command: 'x': no",
        "process.rlimits[0].soft: no": "rlimits.nofile.soft: no",
        "nsrun: the disk is full": "nsrun: the disk is full",
    }.items():
        assert in_words_of_options(said, names) == told


def test_another_digest_of_the_same_name_is_another_image() -> None:
    moved = replace(running(container()), image=replace(IMAGE, digest="sha256:" + "2" * 64))
    plan = plan_container(container(), moved)
    assert [(change.option, change.how) for change in plan.changes] == [("image", "recreate")]
    assert f"remove {HOME}/upper.before and all it contains" in plan.actions


def test_a_stopped_container_is_started_and_only_that() -> None:
    stopped = replace(running(container()), supervised=Supervised("web", "stopped"))
    assert plan_container(container(), stopped).actions == ["start container web"]


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        ("started", ["start container web"]),
        ("stopped", ["stop container web (as declared)"]),
        ("restarted", ["stop container web (as asked)", "start container web"]),
        ("present", []),
    ],
)
def test_what_runs_unwatched_is_ended(state: str, actions: list[str]) -> None:
    """Its supervisor was killed: it is told as exited, and a process is there all the same."""
    which = container(state=state)
    left = replace(running(which), supervised=Supervised("web", "exited", unwatched=True))
    assert plan_container(which, left).actions == actions


def test_restarted_is_a_restart_in_any_case() -> None:
    there = running(container())
    actions = plan_container(container(state="restarted"), there).actions
    assert actions == ["stop container web (as asked)", "start container web"]


BARE = {"name": "web", "state": "restarted"}


@pytest.mark.parametrize("state", ["present", "started", "stopped", "restarted"])
def test_a_state_by_name_alone_keeps_the_recorded_declaration(state: str) -> None:
    wanted = meant(container_from({**BARE, "state": state}), container(state="present"))
    assert replace(wanted, params={}) == replace(container(state=state), params={})
    assert dropped(container_from({**BARE, "state": state}), None) == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"image": "busybox"}, True),
        ({"image": "docker.io/library/busybox:latest", "limits_required": False}, True),
        ({"image": "busybox", "state": "stopped"}, True),
        ({"image": "busybox", "state": "started"}, False),  # as short as it is, it declares a container
        ({"image": "busybox", "state": "present"}, False),
        ({"image": "other"}, False),
        ({"image": "Not A Name"}, False),
        ({"image": "busybox", "env": {"B": "2"}}, False),
        ({"image": "busybox", "stop_timeout": 3}, False),
    ],
)
def test_what_a_task_with_an_image_means(given: dict[str, Any], kept: bool) -> None:
    task = container_from({**BARE, **given})
    wanted = meant(task, container())
    assert (wanted.env, wanted.state) == ({"A": "1"} if kept else task.env, task.state)
    assert meant(task, None) == task


def test_a_restart_that_declares_less_says_what_goes() -> None:
    task = container_from({**BARE, "image": "busybox", "env": {"B": "2"}})
    [warning] = dropped(task, container())
    assert "container web: limits, networks of its declaration are dropped" in warning
    assert dropped(replace(task, state="started"), container()) == ()  # that is how options are taken out


def test_by_name_alone_of_what_nobody_declared() -> None:
    with pytest.raises(Refused, match="'web': no container of that name is declared on this host"):
        meant(container_from(BARE), None)
    assert meant(container_from({**BARE, "state": "absent"}), None).state == "absent"


def test_what_is_only_spelled_in_another_way_is_no_change() -> None:
    there = running(container(cap_add=["NET_ADMIN"]))
    assert plan_container(container(cap_add=["cap_net_admin"], hostname=None), there).actions == []


def test_what_comes_to_the_same_today_is_declared_all_the_same() -> None:
    plan = plan_container(container(command=["sh"]), running(container()))
    assert plan.actions == [f"write {HOME}/container.json"]
    assert [(c.option, c.before, c.after) for c in plan.changes] == [("command", None, ["sh"])]
    assert (plan.before["declared"], plan.after["declared"]) == ({"command": None}, {"command": ["sh"]})


@pytest.mark.parametrize("policy", ["no", "on-failure"])
def test_what_is_done_is_not_done_again_without_a_word(policy: str) -> None:
    which = container(restart_policy=policy)
    there = replace(running(which), supervised=Supervised("web", "exited", exit_code=0, finished_at="today"))
    plan = plan_container(which, there)
    assert plan.actions == []
    assert plan.before == plan.after and plan.before["state"] == "completed"
    said = f"container web exited with code 0 at today and is not started again (restart_policy {policy}): "
    assert plan.warnings == (said + "state restarted runs it again",)
    assert plan_container(replace(which, just_started=True), there).warnings == ()
    for again in (
        container(restart_policy=policy, state="restarted"),
        container(restart_policy=policy, env={"A": "2"}),
    ):
        assert plan_container(again, there).actions[-1] == "start container web"
    for state in ("stopped", "present"):
        assert plan_container(replace(which, state=state), there).actions == []
    for how in ({"exit_code": 1}, {"exit_code": 143, "signal": "SIGTERM"}, {"exit_code": 0, "error": "killed"}):
        ended = replace(there, supervised=Supervised("web", "exited", **how))
        assert plan_container(which, ended).actions == ["start container web"]


def test_what_is_recreated_can_be_taken_back_until_it_runs() -> None:
    moved = replace(running(container()), image=replace(IMAGE, digest="sha256:" + "2" * 64))
    operations = plan_container(container(), moved).operations
    start = next(number for number, o in enumerate(operations) if isinstance(o, StartContainer))
    assert operations[start].commits
    aside = [o for o in operations[:start] if isinstance(o, SetAside)]
    assert [o.path for o in aside] == [f"{HOME}/upper", f"{HOME}/work"]
    assert [getattr(o, "path", "") for o in operations[start + 1 :]] == [o.aside for o in aside]
    written = [o for o in operations if isinstance(o, WriteFile)]
    assert written and all(isinstance(o, ReplaceFile) and o.previous == moved.files[o.path] for o in written)
    assert isinstance(operations[0], InterruptContainer)
    # Nobody wants back what did not run, nor what is to be stopped; what an ended run set aside goes.
    stopped = replace(moved, supervised=Supervised("web", "stopped"))
    for plan in (plan_container(container(), stopped), plan_container(container(state="stopped"), moved)):
        assert not [o for o in plan.operations if isinstance(o, (SetAside, ReplaceFile, InterruptContainer))]
    left = replace(running(container()), directories=moved.directories | {f"{HOME}/upper.before"})
    assert plan_container(container(), left).actions == [f"remove {HOME}/upper.before and all it contains"]


def test_present_leaves_a_stopped_process_stopped() -> None:
    which = container(state="present")
    stopped = replace(running(which), supervised=Supervised("web", "stopped"))
    assert plan_container(which, stopped).actions == []


@pytest.mark.parametrize(("status", "verbs"), [("running", ["stop", "start"]), ("exited", []), ("stopped", [])])
def test_present_restarts_only_what_runs_and_has_changed(status: str, verbs: list[str]) -> None:
    there = replace(running(container()), supervised=Supervised("web", status))
    actions = plan_container(container(state="present", command=["other"]), there).actions
    assert [action.split()[0] for action in actions if not action.startswith("write")] == verbs


def test_a_drifted_limit_is_put_back_live() -> None:
    there = running(container())
    drifted = replace(there, cgroup=replace(there.cgroup, files={"memory.max": "max", "pids.max": "4096"}))
    plan = plan_container(container(), drifted)
    assert [(c.option, c.before, c.after) for c in plan.changes] == [("limits.memory.max", "max", "67108864")]
    assert len(plan.actions) == 1


@pytest.mark.parametrize("status", ["restarting", "running"])
def test_limits_of_a_container_that_waits_for_its_restart_come_with_that(status: str) -> None:
    """Its cgroup went with its last process, maybe just now: the supervisor makes it anew from launch.json."""
    there = running(container())
    waits = replace(there, supervised=Supervised("web", status), cgroup=CGROUP)
    assert plan_container(container(), waits).actions == []
    plan = plan_container(container(limits={"memory": "32M"}), waits)
    assert [(c.option, c.before, c.after) for c in plan.changes] == [("limits.memory.max", "67108864", "33554432")]
    assert {action.split()[0] for action in plan.actions} == {"write"}


def test_neighbours_learn_its_name_and_forget_it() -> None:
    db = container_from({**SPEC, "name": "db", "networks": [{"name": "lab0"}]})
    everyone = {"db": (db, {"lab0": ["10.88.0.2/24", "fd88::2/64"]})}
    both = Inhabitants({**everyone, "web": (container(), {"lab0": ["10.88.0.3/24"]})}, "host")
    plan = plan_hosts(HostsObserved(both, {"db": "old\n", "web": None}))
    [write] = plan.operations
    assert plan.actions == ["write /var/lib/barekernel/containers/db/hosts"]
    assert "10.88.0.3 web" in write.content  # type: ignore[attr-defined]
    [write] = plan_hosts(HostsObserved(Inhabitants(everyone, "host"), {"db": "10.88.0.3 web\n"})).operations
    assert "web" not in write.content  # type: ignore[attr-defined]
    assert plan_hosts(HostsObserved(Inhabitants(everyone, "host"), {"db": write.content})).actions == []  # type: ignore[attr-defined]


def test_addresses_and_id_ranges_are_kept_and_never_shared() -> None:
    first = resolve(container(), nothing())
    db = container_from({**SPEC, "name": "db"})
    record = {"addresses": {"lab0": list(first.addresses[0])}, "idmap": list(first.idmap or ())}
    host = replace(HOST, neighbours=(Neighbour(db, record),))
    second = resolve(container(), nothing(host))
    assert set(second.addresses[0]).isdisjoint(first.addresses[0])
    assert second.idmap != first.idmap
    again = resolve(container(), replace(nothing(host), record={"addresses": {"lab0": ["10.88.0.77/24"]}}))
    assert again.addresses[0][0] == "10.88.0.77/24"


def test_absent_takes_everything_away() -> None:
    plan = plan_container(container_from({"name": "web", "state": "absent"}), running(container()))
    assert plan.after == {}
    actions = "\n".join(plan.actions)
    for part in (
        "remove the processes",
        "delete the nftables table",
        "delete",
        "delete netns bk-web",
        f"remove {HOME}",
    ):
        assert part in actions
    assert (
        plan_container(container_from({"name": "web", "state": "absent"}), replace(nothing(), network=None)).actions
        == []
    )


def with_volumes(*paths: str) -> Image:
    return replace(IMAGE, document={"config": {"Cmd": ["sh"], "Volumes": dict.fromkeys(paths, {})}})


def test_what_an_image_declares_as_volumes_is_made_once_and_mounted() -> None:
    which = container(mounts=[{"type": "tmpfs", "target": "/b/"}, {"type": "volume", "target": "/c", "source": "data"}])
    bare = replace(nothing(), image=with_volumes("/a/", "/b", "/a/below", "/c"))
    made = [o for o in plan_container(which, bare).operations if isinstance(o, MakeVolume)]
    assert {o.inside for o in made} == {"/a", "/a/below", "/c"}
    own = {o.inside: o.path for o in made if o.path.startswith(f"{HOME}/volumes/")}
    assert set(own) == {"/a", "/a/below"} and len(set(own.values())) == 2
    mounts = documents(which, resolve(which, bare), bare).config["mounts"]
    shown = [(m["destination"], m["source"]) for m in mounts if m["destination"].startswith(("/a", "/b", "/c"))]
    data = "/var/lib/barekernel/volumes/data"
    assert shown == [("/a", own["/a"]), ("/a/below", own["/a/below"]), ("/b", "tmpfs"), ("/c", data)]
    there = replace(bare, directories=frozenset(own.values()), host=replace(HOST, volumes=frozenset({"data"})))
    assert not any(isinstance(o, MakeVolume) for o in plan_container(which, there).operations)


def test_a_volume_stays_when_the_container_is_made_anew() -> None:
    there = replace(running(container()), image=replace(with_volumes("/a"), digest="sha256:" + "2" * 64))
    [volume] = [o for o in plan_container(container(), there).operations if isinstance(o, MakeVolume)]
    kept = replace(there, directories=there.directories | {volume.path})
    actions = plan_container(container(), kept).actions
    assert f"remove {HOME}/upper.before and all it contains" in actions
    assert not any("volume" in action for action in actions)


def test_a_half_made_volume_goes_whoever_it_was_for() -> None:
    named, own = "/var/lib/barekernel/volumes/.new-data", f"{HOME}/volumes/.new-0123"
    half = replace(nothing(), host=replace(HOST, volumes=frozenset({".new-data", "kept"})), network=None)
    half = replace(half, directories=frozenset({HOME, own}))
    actions = plan_container(container(), replace(half, network=nothing().network)).actions
    assert [a for a in actions if ".new-" in a] == [f"remove {path} and all it contains" for path in (own, named)]
    assert not any("volumes/kept" in action for action in actions)
    gone = plan_container(container_from({"name": "web", "state": "absent"}), half).actions
    assert f"remove {named} and all it contains" in gone and not any(own in action for action in gone)


AS_WEB = container_from({**SPEC, "name": "db", "networks": [{"name": "lab0", "aliases": ["web"]}]})
DB = Neighbour(container_from({**SPEC, "name": "db"}), {})
DB_RUNS = replace(DB, record={"idmap": [700000, 65536]}, pid=43)
JOINS_WEB = container_from({**SPEC, "name": "db", "networks": [], "namespaces": {"network": "container:web"}})
SHARED = {"network": "container:db", "pid": "container:db"}
REFUSALS = {
    "a volume over /proc": ({}, {"image": with_volumes("/proc/sys")}, "image: 'busybox': it declares a volume"),
    "a stop signal that is none": (
        {},
        {"image": replace(IMAGE, document={"config": {"Cmd": ["sh"], "StopSignal": "SIGNO"}})},
        "image: 'busybox': its StopSignal: 'SIGNO' is not a signal",
    ),
    "nothing to run": ({}, {"image": replace(IMAGE, document={})}, "command: is not given"),
    "unknown image": ({}, {"image": None}, "image: 'busybox': no image of that name"),
    "unknown network": ({"networks": [{"name": "lab9"}]}, {}, "networks[0].name: 'lab9': no network"),
    "address outside": ({"networks": [{"name": "lab0", "addresses": ["10.99.0.2"]}]}, {}, "outside network lab0"),
    "gateway's address": ({"networks": [{"name": "lab0", "addresses": ["10.88.0.1"]}]}, {}, "gateway address"),
    "unknown user": ({"user": "nobody"}, {"user": "user nobody is not in the image"}, "user: 'nobody'"),
    "limit without controller": (
        {"limits": {"io_weight": 50}, "limits_required": True},
        {},
        "limits: cgroup v2 on this host lacks io. io: ",
    ),
    "limits that it could do without": (
        {"limits": {"io_weight": 50}, "limits_required": True},
        {},
        "Leave the limits out, or set limits_required: false (of role container: container_limits: warn)",
    ),
    "a namespace of nobody": ({"namespaces": {"pid": "container:db"}}, {}, "namespaces.pid: 'container:db'"),
    "the host's processes in a user namespace": (
        {"namespaces": {"pid": "host"}},
        {},
        "namespaces.pid: 'host': needs namespaces.user: host",
    ),
    "another's namespace that it cannot set up": (
        {"namespaces": {"pid": "container:db", "user": "private"}},
        {"host": replace(HOST, neighbours=(DB_RUNS,))},
        "namespaces.pid: 'container:db': needs namespaces.user: container:db (and namespaces.network: container:db or",
    ),
    "another's user namespace with a network of its own": (
        {"namespaces": {"uts": "container:db"}},
        {"host": replace(HOST, neighbours=(DB_RUNS,))},
        "namespaces.uts: 'container:db': needs namespaces.network: container:db or host too",
    ),
    "one that shares with it": (
        {"namespaces": {"pid": "container:db"}},
        {"host": replace(HOST, neighbours=(replace(DB_RUNS, container=JOINS_WEB),))},
        "namespaces.pid: 'container:db': container db shares namespaces with web itself",
    ),
    "a namespace of one that does not run": (
        {"networks": [], "namespaces": SHARED},
        {"host": replace(HOST, neighbours=(replace(DB_RUNS, pid=None),))},
        "namespaces.pid: 'container:db': container db does not run; start it first",
    ),
    "a user outside the map": ({"user": "70000"}, {"user": (70000, 0, ())}, "user: '70000': the user ID 70000 is not"),
    "a group outside the map": ({"user": "1:70000"}, {"user": (1, 70000, ())}, "the group ID 70000 is not one of the"),
    "a user that no kernel has": (
        {"user": "4294967295", "namespaces": {"user": "host"}},
        {"user": (4294967295, 0, ())},
        "not one that the kernel knows",
    ),
    "another's name": (
        {"networks": [{"name": "lab0", "aliases": ["db"]}]},
        {"host": replace(HOST, neighbours=(DB,))},
        "networks[0].aliases: 'db': container db on network lab0 has that name",
    ),
    "a name that is another's alias": (
        {},
        {"host": replace(HOST, neighbours=(replace(DB, container=AS_WEB),))},
        "name: 'web': container db has that alias",
    ),
}


@pytest.mark.parametrize(("changes", "observed", "words"), REFUSALS.values(), ids=list(REFUSALS))
def test_refusals_name_the_option_and_the_value(changes: dict[str, Any], observed: dict[str, Any], words: str) -> None:
    with pytest.raises((Refused, OptionError)) as refused:
        plan_container(container(**changes), replace(nothing(), **observed))
    assert words in str(refused.value)


def sharing(namespaces: dict[str, str], *neighbours: Neighbour) -> tuple[Container, ContainerObserved]:
    host = replace(HOST, neighbours=neighbours, systemd=True, systemd_version=252)
    return container(networks=[], namespaces=namespaces), replace(nothing(host), network=None)


def test_another_container_is_known_by_name_and_comes_first_at_boot() -> None:
    which, bare = sharing(SHARED, DB_RUNS)
    docs = documents(which, resolve(which, bare), bare)
    assert docs.launch["namespaces"] == {"pid": "db"}
    paths = {n["type"]: n.get("path") for n in docs.config["linux"]["namespaces"]}
    assert paths["network"] == "/run/netns/bk-db" and paths["user"] == "/run/barekernel/userns/bk-db"
    assert paths["pid"] is None and "uidMappings" not in docs.config["linux"]
    assert docs.unit is not None
    [after] = [line for line in docs.unit.content.splitlines() if line.startswith("After=")]
    assert after.endswith(" barekernel-db.service")


def test_a_shared_namespace_is_followed_to_its_end() -> None:
    db = container_from({**SPEC, "name": "db", "networks": [], "namespaces": {"network": "host", "ipc": "host"}})
    cache = container_from({**SPEC, "name": "cache", "networks": [], "namespaces": {**SHARED, "ipc": "container:db"}})
    there = (replace(DB_RUNS, container=db), Neighbour(cache, {"idmap": [700000, 65536]}, 44))
    which, bare = sharing(dict.fromkeys(("network", "pid", "ipc"), "container:cache"), *there)
    resolved = resolve(which, bare)
    wanted = {"network": "host", "ipc": "host", "pid": "container:db", "user": "container:db"}
    assert resolved.namespaces == wanted and resolved.idmap == (700000, 65536)
    assert documents(which, resolved, bare).launch["namespaces"] == {"pid": "db", "user": "db"}


def test_without_idmapped_layers_there_is_no_user_namespace() -> None:
    bare = nothing(replace(HOST, no_idmap="not here"))
    resolved = resolve(container(), bare)
    config = documents(container(), resolved, bare).config
    assert "user" not in {n["type"] for n in config["linux"]["namespaces"]}


@pytest.mark.parametrize("state", ["started", "stopped", "present"])
def test_what_runs_needs_nobody_else_until_it_is_to_be_started(state: str) -> None:
    which, bare = sharing(SHARED, replace(DB_RUNS, pid=None))
    which = replace(which, state=state)
    runs = replace(bare, supervised=Supervised("web", "running", pid=42, start_time=1))
    resolved = resolve(which, bare)
    docs = documents(which, resolved, bare)
    there = replace(runs, documents={"config": docs.config, "launch": docs.launch})
    assert not any(action.startswith("start") for action in plan_container(which, there).actions)


def test_one_that_lost_what_it_shares_is_restarted_only() -> None:
    there = replace(running(container()), strayed=("ipc",))
    plan = plan_container(container(), there)
    assert [action.split()[0] for action in plan.actions] == ["stop", "start"]
    assert [(change.option, change.how) for change in plan.changes] == [("namespace_owner", "restart")]


def test_a_limit_that_cannot_be_enforced_is_left_out_when_allowed() -> None:
    resolved = resolve(container(limits={"memory": "64M", "io_weight": 50}, limits_required=False), nothing())
    assert resolved.files == {"memory.max": "67108864", "pids.max": "4096"}
    assert "io" in resolved.unenforced["io.weight"]


def test_a_limit_that_is_left_out_is_told_in_every_run_and_seen_in_the_diff() -> None:
    unlimited = container(limits={"io_weight": 50})
    there = running(container(limits={}))
    plan = plan_container(unlimited, there)
    assert [(c.option, c.before, c.after) for c in plan.changes] == [
        ("limits.io.weight", None, "default 50 (not enforced)")
    ]
    assert plan.before != plan.after and plan.after["limits"]["io.weight"] == "default 50 (not enforced)"
    for planned in (plan, plan_container(unlimited, running(unlimited))):
        assert [w for w in planned.warnings if w.startswith("limits are not enforced on this host. io: ")]
    assert plan_container(unlimited, running(unlimited)).actions == []
    # Of several containers Ansible shows a warning of the same text once.
    assert not any("web" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("limits", "controllers", "pids"),
    [
        ({}, ("pids",), "4096"),
        ({"pids": "max"}, ("pids",), "max"),
        ({"pids": 20}, ("pids",), "20"),
        ({"raw": {"pids.max": "7"}}, ("pids",), "7"),
        ({}, ("memory",), None),  # nobody asked for a limit: it is not told that there is none
    ],
)
def test_processes_are_limited_where_the_host_can(
    limits: dict[str, Any], controllers: tuple[str, ...], pids: str | None
) -> None:
    there = nothing()
    hierarchy = replace(there.cgroup.hierarchy, controllers=controllers)
    resolved = resolve(container(limits=limits), replace(there, cgroup=replace(there.cgroup, hierarchy=hierarchy)))
    assert (resolved.files.get("pids.max"), resolved.unenforced) == (pids, {})


@pytest.mark.parametrize("user", ["private", "host"])
def test_capabilities_that_a_user_namespace_makes_void_are_named(user: str) -> None:
    which = container(cap_add=["SYS_TIME", "NET_ADMIN", "mknod"], namespaces={"user": user})
    found = [warning for warning in plan_container(which, nothing()).warnings if warning.startswith("cap_add")]
    assert [warning.partition(": without effect")[0] for warning in found] == (
        ["cap_add: MKNOD, SYS_TIME"] if user == "private" else []
    )


@pytest.mark.parametrize(
    ("user", "pid", "seccomp", "added", "said"),
    [
        ("host", "private", "default", ["sys_ptrace"], "process namespace (namespaces.pid) while they start, and with"),
        ("host", "private", "unconfined", ["sys_ptrace"], "start, and processes of the host at the other end of its"),
        ("host", "host", "default", ["CAP_SYS_PTRACE"], "every process of the host"),
        ("host", "private", "default", ["NET_ADMIN"], None),
        ("private", "private", "unconfined", ["SYS_PTRACE"], None),
    ],
)
def test_that_a_container_can_take_over_what_joins_it_is_told(
    user: str, pid: str, seccomp: str, added: list[str], said: str | None
) -> None:
    which = container(cap_add=added, namespaces={"user": user, "pid": pid}, seccomp=seccomp)
    found = [warning for warning in plan_container(which, nothing()).warnings if "take over" in warning]
    assert len(found) == (said is not None)
    if said:
        assert found[0].startswith("cap_add: SYS_PTRACE: without a user namespace") and said in found[0]


def test_devices_on_a_tmpfs_of_a_user_namespace_are_refused() -> None:
    mounts = [{"type": "tmpfs", "source": None, "target": "/x", "options": ["nodev", "dev"]}]
    with pytest.raises(OptionError, match=r"mounts\[0\].options: 'dev': device nodes on a tmpfs of a user namespace"):
        plan_container(container(mounts=mounts), nothing())
    mounts[0]["options"] = ["dev", "nodev"]
    assert plan_container(container(mounts=mounts), nothing()).actions
    mounts[0]["options"] = ["dev"]
    assert plan_container(container(mounts=mounts, namespaces={"user": "host"}), nothing()).actions


def test_ids_that_a_user_of_the_host_may_map_are_not_given_to_containers() -> None:
    """subuid(5): users beyond the seventh get ranges in the midst of those for containers, and not at our borders."""
    first = resolve(container(), nothing()).idmap
    assert first is not None
    for start in (first[0] - 1, first[0] + 65535, first[0] - 70000):
        granted = Granted(start, 70001, "alice", "/etc/subgid")
        taken = resolve(container(), nothing(replace(HOST, granted_ids=(granted,)))).idmap
        assert taken is not None and taken != first and not granted.overlaps(*taken)
    beside = (Granted(first[0] - 10, 10, "a", "/etc/subuid"), Granted(first[0] + 65536, 9, "b", "/etc/subuid"))
    assert resolve(container(), nothing(replace(HOST, granted_ids=beside))).idmap == first
    everything = replace(HOST, granted_ids=(Granted(100000, 1 << 31, "alice", "/etc/subuid"),))
    with pytest.raises(Refused, match="left on this host: /etc/subuid gives those from 100000 to .* to alice; give"):
        resolve(container(), nothing(everything))


def test_a_range_that_a_user_got_later_is_kept_and_told() -> None:
    was = running(container())
    first = (was.record or {})["idmap"][0]
    granted = Granted(first + 5, 65536, "alice", "/etc/subuid")
    plan = plan_container(container(), replace(was, host=replace(was.host, granted_ids=(granted,))))
    assert plan.operations == ()
    assert [w for w in plan.warnings if f"{first + 5} to {first + 65540} that /etc/subuid gives to alice" in w]


def test_modes_are_compared_and_set_before_anything_starts() -> None:
    home = "/var/lib/barekernel/containers/web"
    was = replace(running(container()), modes={f"{home}/hosts": 0o600, home: 0o755, f"{home}/log": 0o700})
    plan = plan_container(container(), was)
    assert plan.actions == [
        f"set directory {home} to mode 0700, owner 0:0 (it has mode 0755, owner 0:0)",
        f"set mode 0644 on {home}/hosts (it has 0600)",
    ]
    assert [(change.option, change.how) for change in plan.changes] == [("modes", "live")]
    assert plan.before["modes"] == {home: "0755", f"{home}/hosts": "0600"}
    assert plan.after["modes"] == {home: "0700", f"{home}/hosts": "0644"}


def test_what_only_another_version_wrote_is_told_in_words() -> None:
    """A digest says nothing to anybody, and beside what was declared otherwise it is no news."""
    there = running(container())
    config = {**there.documents["config"], "linux": {**there.documents["config"]["linux"], "seccomp": {}}}
    older = replace(there, documents={**there.documents, "config": config})
    plan = plan_container(container(), older)
    [change] = plan.changes
    assert (change.option, change.how) == ("bundle", "restart")
    assert change.before == {"seccomp policy": "as another version of the collection wrote it"}
    assert (plan.before["bundle"], plan.after["bundle"]) == (change.before, change.after)
    plan = plan_container(container(cwd="/srv"), older)
    assert [each.option for each in plan.changes] == ["cwd"] and "bundle" not in {**plan.before, **plan.after}
