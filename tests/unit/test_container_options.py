# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container's options: what is accepted, and that each refusal names the option and the value."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.exec import ExecResource
from ansible_collections.barekernel.containers.plugins.module_utils._container.options import (
    container_from,
    container_of,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._images.options_config import overrides
from ansible_collections.barekernel.containers.plugins.module_utils._links.sysctls import parse_sysctls


def params(**changes: Any) -> dict[str, Any]:
    return {"name": "web", "state": "started", "image": "busybox", **changes}


def mount(**changes: Any) -> dict[str, Any]:
    return {"type": "bind", "source": "/srv", "target": "/srv", "read_only": False, **changes}


@pytest.mark.parametrize(
    ("changes", "option", "value"),
    [
        ({"name": "a/b"}, "name", "a/b"),
        ({"name": ".."}, "name", ".."),
        ({"name": "a..b"}, "name", "a..b"),
        ({"name": ""}, "name", ""),
        ({"name": "x" * 49}, "name", "x" * 49),
        ({"image": None, "env": {"A": "b"}}, "image", None),
        ({"command": ["a\0b"]}, "command", "a\0b"),
        ({"env": {"A=B": "c"}}, "env", "A=B"),
        ({"env": {"": "c"}}, "env", ""),
        ({"cwd": "srv"}, "cwd", "srv"),
        ({"hostname": "web 1"}, "hostname", "web 1"),
        ({"domainname": "lab example"}, "domainname", "lab example"),
        ({"domainname": "a" * 65}, "domainname", "a" * 65),
        ({"domainname": "lab", "namespaces": {"uts": "host"}}, "domainname", "lab"),
        ({"domainname": "lab", "sysctls": {"kernel.domainname": "lab"}}, "domainname", "lab"),
        ({"oom_score_adj": 1001}, "oom_score_adj", 1001),
        ({"oom_score_adj": -1001}, "oom_score_adj", -1001),
        ({"shm_size": "0"}, "shm_size", "0"),
        ({"shm_size": "4095"}, "shm_size", "4095"),
        ({"shm_size": "big"}, "shm_size", "big"),
        ({"shm_size": "1M", "namespaces": {"ipc": "host"}}, "shm_size", "1M"),
        ({"shm_size": "1M", "mounts": [mount(type="tmpfs", source=None, target="/dev/shm")]}, "shm_size", "1M"),
        ({"group_add": [""]}, "group_add", ""),
        ({"group_add": ["a:b"]}, "group_add", "a:b"),
        ({"networks": [{"name": "lab0", "interface": "x" * 16}]}, "networks[0].interface", "x" * 16),
        ({"networks": [{"name": "lab0", "interface": "lo"}]}, "networks[0].interface", "lo"),
        ({"networks": [{"name": "lab0", "interface": "eth%d"}]}, "networks[0].interface", "eth%d"),
        ({"networks": [{"name": "lab0"}, {"name": "lab0"}]}, "networks[1].name", "lab0"),
        ({"networks": [{"name": "a"}, {"name": "b", "interface": "eth0"}]}, "networks[1].interface", "eth0"),
        ({"networks": [{"name": "a", "addresses": ["10.0.0.300"]}]}, "networks[0].addresses", "10.0.0.300"),
        ({"networks": [{"name": "a", "aliases": ["not ok"]}]}, "networks[0].aliases", "not ok"),
        ({"networks": [{"name": "a", "ports": ["80"]}]}, "networks[0].ports", "80"),
        ({"networks": [{"name": "a"}], "namespaces": {"network": "host"}}, "networks", ["a"]),
        ({"mounts": [mount(target="srv")]}, "mounts[0].target", "srv"),
        ({"mounts": [mount(target="/")]}, "mounts[0].target", "/"),
        ({"mounts": [mount(target="/a/../b")]}, "mounts[0].target", "/a/../b"),
        ({"mounts": [mount(source="data")]}, "mounts[0].source", "data"),
        ({"mounts": [mount(type="tmpfs")]}, "mounts[0].source", "/srv"),
        ({"mounts": [mount(type="volume", source="../x")]}, "mounts[0].source", "../x"),
        ({"mounts": [mount(propagation="rshared")]}, "mounts[0].propagation", "rshared"),
        ({"mounts": [mount(options=["shared"])]}, "mounts[0].options", "shared"),
        ({"mounts": [mount(options=["ro", "nofail"])]}, "mounts[0].options", "nofail"),
        ({"mounts": [mount(options=["sync"])]}, "mounts[0].options", "sync"),
        ({"mounts": [mount(type="tmpfs", source=None, options=["bind"])]}, "mounts[0].options", "bind"),
        ({"namespaces": {"pid": "yes"}}, "namespaces.pid", "yes"),
        ({"namespaces": {"pid": "container:web"}}, "namespaces.pid", "container:web"),
        ({"cap_add": ["EVERYTHING"]}, "cap_add", "EVERYTHING"),
        ({"cap_add": ["ALL"]}, "cap_add", "ALL"),
        ({"sysctls": {"vm.swappiness": "1"}}, "sysctls", "vm.swappiness"),
        ({"sysctls": {"net.core.somaxconn": "1"}, "namespaces": {"network": "host"}}, "sysctls", "net.core.somaxconn"),
        ({"rlimits": {"files": "1"}}, "rlimits", "files"),
        ({"rlimits": {"nofile": "many"}}, "rlimits", "many"),
        ({"rlimits": {"core": "-2"}}, "rlimits", "-2"),
        ({"rlimits": {"core": "-1:0"}}, "rlimits", "-1:0"),
        ({"rlimits": {"core": "0:"}}, "rlimits", "0:"),
        ({"rlimits": {"core": str(1 << 64)}}, "rlimits", str(1 << 64)),
        ({"dns": ["localhost"]}, "dns", "localhost"),
        ({"extra_hosts": {"db": "here"}}, "extra_hosts.db", "here"),
        ({"init": "tini"}, "init", "tini"),
        ({"init": "reaper", "namespaces": {"pid": "host"}}, "init", "reaper"),
        ({"init": "True", "namespaces": {"pid": "container:db"}}, "init", "reaper"),
        ({"init": "reaper", "mounts": [mount(target="/dev")]}, "mounts[0].target", "/dev"),
        ({"init": "reaper", "mounts": [mount(), mount(target="/dev//init")]}, "mounts[1].target", "/dev/init"),
        ({"stop_signal": "SIGNOPE"}, "stop_signal", "SIGNOPE"),
        ({"stop_timeout": -1}, "stop_timeout", -1),
        ({"restart_policy": "sometimes"}, "restart_policy", "sometimes"),
        ({"restart_policy": "always:3"}, "restart_policy", "always:3"),
        ({"restart_policy": "on-failure:x"}, "restart_policy", "on-failure:x"),
        ({"log_max_size": 1}, "log_max_size", 1),
        ({"log_max_size": "10X"}, "log_max_size", "10X"),
        ({"log_max_files": 0}, "log_max_files", 0),
        ({"runtime": "docker"}, "runtime", "docker"),
        ({"env": {"A": "x\0y"}}, "env.A", "a text"),
        ({"env": {"V": 1.10}}, "env.V", "a number"),
        ({"env": {"V": 8080}}, "env.V", "a number"),
        ({"env": {"O": True}}, "env.O", "a boolean"),
        ({"env": {"L": [1, 2]}}, "env.L", "a list"),
        ({"env": {"D": {"k": "v"}}}, "env.D", "a dictionary"),
        ({"labels": {"a": True}}, "labels.a", "a boolean"),
        ({"labels": {"a": None}}, "labels.a", "nothing"),
        ({"extra_hosts": {"db": None}}, "extra_hosts.db", None),
        ({"extra_hosts": {"db": 10}}, "extra_hosts.db", 10),
        ({"labels": {"": "x"}}, "labels", ""),
        ({"dns_search": ["a b"]}, "dns_search", "a b"),
        ({"dns_options": ["x\ny"]}, "dns_options", "x\ny"),
        ({"networks": [{"name": "a", "mac": "zz"}]}, "networks[0].mac", "zz"),
        ({"networks": [{"name": "a", "mac": "01:00:00:00:00:01"}]}, "networks[0].mac", "01:00:00:00:00:01"),
        ({"networks": [{"name": "a", "interface": "all"}]}, "networks[0].interface", "all"),
        ({"mounts": [mount(), mount(source="/tmp", target="/srv/")]}, "mounts[1].target", "/srv/"),
        ({"mounts": [mount(source="/a\0b")]}, "mounts[0].source", "/a\0b"),
        ({"mounts": [mount(), mount(target="/x", options=["lazytime"])]}, "mounts[1].options", "lazytime"),
        ({"mounts": [mount(options=["size=1m"])]}, "mounts[0].options", "size=1m"),
        ({"sysctls": {"net.core.somaxconn": None}}, "sysctls.net.core.somaxconn", None),
        ({"sysctls": {"net.": "1"}}, "sysctls", "net."),
        ({"rlimits": {"nofile": "2:1"}}, "rlimits", "2:1"),
        ({"stop_timeout": 10**12}, "stop_timeout", 10**12),
        ({"restart_policy": "on-failure:10000000"}, "restart_policy", "on-failure:10000000"),
        ({"restart_policy": "on-failure:\u00b2"}, "restart_policy", "on-failure:\u00b2"),
        ({"log_max_size": 10**30}, "log_max_size", 10**30),
        ({"log_max_files": 10**6}, "log_max_files", 10**6),
    ],
)
def test_bad_input_is_refused_by_name(changes: dict[str, Any], option: str, value: Any) -> None:
    with pytest.raises(OptionError) as refused:
        container_from(params(**changes))
    assert (refused.value.option, refused.value.value) == (option, value)


def test_a_whole_container() -> None:
    container = container_from(
        params(
            command=["httpd", "-f"],
            env={"A": "1", "B": None},
            networks=[{"name": "lab0", "addresses": ["10.1.0.5/24"], "ports": ["8080:80"]}, {"name": "lab1"}],
            mounts=[mount(target="/srv//x/")],
            cap_drop=["net_raw"],
            stop_signal="int",
            restart_policy="on-failure:3",
            rlimits={"NOFILE": 1024},
        )
    )
    assert container.env == {"A": "1", "B": ""}
    assert [a.interface for a in container.networks] == ["eth0", "eth1"]
    assert str(container.networks[0].ports[0]) == "8080:80/tcp"
    assert container.mounts[0].target == "/srv/x"
    assert container.cap_drop == ("CAP_NET_RAW",)
    assert container.stop_signal == "SIGINT"
    assert (container.restart_policy, container.restart_retries) == ("on-failure", 3)
    assert container.rlimits == {"nofile": "1024"}


def test_a_bare_no_of_yaml_is_no() -> None:
    """``restart_policy: no`` is a boolean to YAML, and its text to the module."""
    assert container_from(params(restart_policy="False")).restart_policy == "no"


@pytest.mark.parametrize(
    ("given", "meant"), [("True", "reaper"), ("true", "reaper"), ("False", "none"), (None, "none")]
)
def test_init_is_a_boolean_too_as_compose_has_it(given: str | None, meant: str) -> None:
    assert container_from(params(init=given)).init == meant


def test_sharing_a_namespace_shares_the_user_namespace_too() -> None:
    assert container_from(params(namespaces={"pid": "container:db"})).namespaces == {
        "pid": "container:db",
        "user": "container:db",
    }


def test_words_of_resolv_conf_that_are_meant() -> None:
    container = container_from(params(dns_search=["example.org.", "."], dns_options=["ndots:2", "single-request"]))
    assert container.dns_search == ("example.org.", ".")
    assert container.dns_options == ("ndots:2", "single-request")


def test_numbers_booleans_and_addresses_in_the_kernels_spelling() -> None:
    container = container_from(
        params(sysctls={"net.ipv4.ip_forward": True}, networks=[{"name": "a", "mac": "02-00-00-00-00-AA"}])
    )
    assert container.sysctls == {"net.ipv4.ip_forward": "1"}
    # As sysctl(8) prints it; netns_veth takes the same.
    printed = {"net.ipv4.tcp_rmem": "4096\t87380\t6291456"}
    normal = {"net.ipv4.tcp_rmem": "4096 87380 6291456"}
    assert dict(parse_sysctls("sysctls", printed)) == container_from(params(sysctls=printed)).sysctls == normal
    assert container.networks[0].mac == "02:00:00:00:00:aa"


def test_another_runtime_knows_mount_options_of_its_own() -> None:
    assert container_from(params(mounts=[mount(options=["lazytime"])], runtime="crun")).mounts[0].options


def test_absent_needs_a_name_only() -> None:
    assert container_from({"name": "web", "state": "absent"}).image is None


def test_a_variable_without_a_value_is_empty_and_a_secret_is_not_shown() -> None:
    assert container_from(params(env={"A": None, "B": "", "C": "1.10"})).env == {"A": "", "B": "", "C": "1.10"}
    with pytest.raises(OptionError) as refused:
        container_from(params(env={"PASSWORD": 31415926}))
    assert "31415926" not in str(refused.value) and "env.PASSWORD" in str(refused.value)


@pytest.mark.parametrize("name", ["", "A=B", "A\0B"])
def test_names_of_variables_are_judged_alike_everywhere(name: str) -> None:
    exec_params = {"name": "web", "argv": ["true"], "env": {name: "x"}}
    for judge in (
        lambda: container_from(params(env={name: "x"})),
        lambda: ExecResource().desired(exec_params),
        lambda: overrides({"env": {name: "x"}}),
    ):
        with pytest.raises(OptionError, match="a variable's name cannot be empty or hold"):
            judge()


@pytest.mark.parametrize("word", ["-1", "unlimited", "Infinity", str((1 << 64) - 1), -1])
def test_no_limit_by_any_of_its_names(word: str | int) -> None:
    infinity = str((1 << 64) - 1)
    given = container_from(params(rlimits={"core": word, "nofile": f"1024:{word}", "memlock": f"{word}:{word}"}))
    assert given.rlimits == {"core": infinity, "nofile": f"1024:{infinity}", "memlock": f"{infinity}:{infinity}"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cap_add": ["SYSADMIN"]}, "did you mean SYS_ADMIN?"),
        ({"cap_drop": ["cap_netraw"]}, "did you mean NET_RAW?"),
        ({"cap_add": ["ALL"]}, "no container gets all capabilities: list those"),
        ({"log_max_size": "many"}, "write bytes, or a size such as 10M"),
    ],
)
def test_an_error_says_what_to_write(given: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError) as caught:
        container_from(params(**given))
    assert says in str(caught.value)


@pytest.mark.parametrize("given", ["10M", "10485760", 10485760, "10 MiB", None])
def test_a_size_of_logs_is_written_as_any_size(given: Any) -> None:
    assert container_from(params(log_max_size=given)).log_max_size == 10 << 20


def test_what_another_version_has_recorded_is_said_of_that_container() -> None:
    recorded = params(name="db", init="of-tomorrow")
    with pytest.raises(OptionError, match="container db: init: 'of-tomorrow': .*recorded by another version"):
        container_of({"params": recorded})
    assert container_of({"params": {**params(name="db"), "of_tomorrow": 1}}).name == "db"
