# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runner says of parameters: what to write instead of what is wrong, and nothing that is secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import Plan
from ansible_collections.barekernel.containers.plugins.module_utils._module import runner, secrets
from ansible_collections.barekernel.containers.plugins.module_utils._module.explain import explain
from ansible_collections.barekernel.containers.plugins.module_utils._module.words import words_of

from tests import collection

SECRET = "pl4nted-s3cret"
WEB = {"name": "web", "image": "busybox"}
Answered = Callable[..., dict[str, Any]]


class Harmless:
    """A resource that takes any parameters, and refuses those with ``cwd``, by a value that is secret."""

    keeps = ()
    name = "harmless"
    needs_root = False

    def desired(self, params: Mapping[str, Any]) -> None:
        if params.get("cwd"):
            raise OptionError("env.KEY", SECRET, "cannot be meant")

    def locks(self, desired: None) -> tuple[str, ...]:
        return ()

    own_locks = locks

    def glance(self, desired: None, world: Any) -> None:
        return None

    observe = glance

    def plan(self, desired: None, observed: None) -> Plan:
        return Plan()

    def complete(self, desired: None, plan: Plan, world: Any) -> Plan:
        return plan

    def facts(self, desired: None, observed: None) -> dict[str, Any]:
        return {"pid": 1, "port": "8080"}


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Answered:
    """A module's result for parameters, and what it said to the host's system log (``logged``)."""
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    def call(module: str, **params: Any) -> dict[str, Any]:
        request = {"ANSIBLE_MODULE_ARGS": {**params, "_ansible_module_name": f"{collection.NAMESPACE}.{module}"}}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(request).encode())
        with pytest.raises(SystemExit):
            runner.run(
                Harmless(),
                internal=collection.module_internal(module),
                argument_spec=collection.module_arguments(module)["argument_spec"],
            )
        return {**json.loads(capsys.readouterr().out), "logged": logged}

    return call


STATES = "state: '{}': must be present, started, stopped, restarted or absent; {}"
#: What people write, and what they are told.
EXPLAINED: list[tuple[str, dict[str, Any], str]] = [
    (
        "ns_container",
        {"ports": ["8080:80"]},
        'ports: there is no such option; write networks: [{name: NETWORK, ports: ["8080:80"]',
    ),
    ("ns_container", {"volumes": ["/a:/b"]}, "volumes: there is no such option; write mounts: [{source:"),
    ("ns_container", {"privileged": True}, "privileged: there is no such option; no container has all rights"),
    ("ns_container", {"cpus": 2}, "cpus: there is no such option; write limits: {cpu: 1.5}"),
    ("ns_container", {"limits": {"cpus": 2}}, "limits.cpus: there is no such option; write cpu: 1.5"),
    ("ns_container", {"mem_limit": "1g"}, "mem_limit: there is no such option; write limits: {memory: 64M}"),
    ("ns_container", {"restart": "always"}, "restart: there is no such option; write restart_policy: on-failure"),
    ("ns_container", {"environment": {}}, "environment: there is no such option; write env: {NAME: value}"),
    ("ns_container", {"network_mode": "host"}, "network_mode: there is no such option; write networks: [{"),
    ("ns_container", {"networks": ["lab0"]}, "networks[0]: 'lab0': must be a dictionary; write {name: NETWORK}"),
    (
        "ns_container",
        {"networks": [{"name": "a"}, {"name": "b", "prots": []}]},
        "networks[1].prots: there is no such option; did you mean ports?",
    ),
    ("ns_container", {"networks": [{"interface": "eth0"}]}, "networks[0].name: is required"),
    ("ns_container", {"networks": {"lab0": {}}}, "networks: must be a list; write [{name: NETWORK}]"),
    ("ns_container", {"mounts": ["/a:/b"]}, "mounts[0]: '/a:/b': must be a dictionary; write {source:"),
    ("ns_container", {"env": [f"KEY={SECRET}"]}, "env: must be a dictionary; write NAME: value for each"),
    ("ns_container", {"env": SECRET}, "env: must be a dictionary; write NAME: value for each"),
    ("ns_container", {"state": "running"}, STATES.format("running", "write started")),
    ("ns_container", {"state": "starte"}, STATES.format("starte", "did you mean started?")),
    (
        "ns_container",
        {"xyzzy": 1},
        "xyzzy: there is no such option; there are args, cap_add, cap_drop, command, cwd and ",
    ),
    ("oci_image", {"tag": "1.4"}, "tag: there is no such option; write it into name"),
    ("oci_image", {"registry": f"u:{SECRET}@host"}, "registry: must be a dictionary; write {reference:"),
    ("oci_image", {"registry": {"passwd": SECRET}}, "registry.passwd: there is no such option; did you mean password?"),
    ("oci_image", {"pull": True}, "pull: True: must be missing, newer, always or never; write newer"),
    ("bridge_network", {"subnet": "10.0.0.0/24"}, "subnet: there is no such option; write addresses: [10.88.0.1/24]"),
    ("cgroup_v2", {"memory": "64M"}, "memory: there is no such option; write limits: {cpu: 1.5, memory: 64M}"),
]


@pytest.mark.parametrize(("module", "params", "told"), EXPLAINED, ids=[f"{m} {p}"[:60] for m, p, _told in EXPLAINED])
def test_what_is_wrong_is_told_with_what_to_write(
    module: str, params: dict[str, Any], told: str, answered: Answered
) -> None:
    named = {"path": "a"} if module == "cgroup_v2" else {"name": "web"}
    answer = answered(module, **named, **params)
    assert answer["failed"] and answer["msg"].startswith(told)
    assert SECRET not in json.dumps(answer)


def test_good_parameters_need_no_explanation() -> None:
    for module in collection.module_names():
        spec = collection.module_arguments(module).get("argument_spec") or {}
        for task in collection.examples(module):
            given = task.get(f"{collection.NAMESPACE}.{module}") or {}
            assert "no such option" not in explain(module, given, spec)
            assert "must be a" not in explain(module, {k: v for k, v in given.items() if "{{" not in str(v)}, spec)


@pytest.mark.parametrize("module", ["ns_container", "oci_image", "bridge_network", "ns_container_exec", "cgroup_v2"])
def test_words_of_others_are_no_options_of_ours(module: str) -> None:
    """Else nobody would ever be told."""
    spec = collection.module_arguments(module)["argument_spec"]
    for word in words_of(module):
        path, _is, value = word.partition("=")
        inner: Any = spec
        *above, name = path.replace("[]", "").split(".")
        for part in above:
            inner = inner[part]["options"]
        assert (name in inner) == (_is == "="), word
        assert value not in map(str, inner.get(name, {}).get("choices", [])) or not value, word


def test_a_secret_is_hidden_and_the_rest_is_not(answered: Answered) -> None:
    answer = answered("ns_container", **WEB, env={"DEBUG": "1", "KEY": SECRET}, labels={"a": "1"})
    shown = answer["invocation"]["module_args"]
    assert shown["env"] == {"DEBUG": secrets.HIDDEN, "KEY": secrets.HIDDEN}
    # A value such as 1 must not take every 1 out of the result.
    assert (answer["pid"], answer["port"], shown["labels"]) == (1, "8080", {"a": "1"})
    assert SECRET not in json.dumps(answer)
    assert answer["logged"] and "name=web" in answer["logged"][0]


def test_a_value_that_is_refused_is_not_told(answered: Answered) -> None:
    answer = answered("ns_container", **WEB, env={"KEY": SECRET}, cwd="/")
    assert answer["msg"] == "env.KEY: cannot be meant" and SECRET not in json.dumps(answer)


def test_a_password_is_nowhere_in_a_result() -> None:
    spec = collection.module_arguments("oci_image")["argument_spec"]
    params = {"name": "a", "registry": {"username": "u", "password": SECRET}}
    assert secrets.passwords(params, spec) == {SECRET}
    assert secrets.passwords({"debootstrap": {"mirror": f"http://u:{SECRET}@host/debian"}}, spec) == {SECRET}
    assert secrets.passwords({"name": "host:5000/app:1.4@sha256:abc", "config": {"env": {"A": "1"}}}, spec) == set()


def test_what_is_secret() -> None:
    """A new option that may be secret is put here, and documented so."""

    def found(spec: Mapping[str, Any], path: str) -> set[str]:
        inner = {name: option.get("options") or {} for name, option in spec.items()}
        below = {each for name, options in inner.items() for each in found(options, f"{path}{name}.")}
        return below | {path + name for name, option in spec.items() if option.get("no_log")}

    by_module = {
        m: found(collection.module_arguments(m).get("argument_spec") or {}, "") for m in collection.module_names()
    }
    assert {module: options for module, options in by_module.items() if options} == {
        "ns_container": {"env"},
        "ns_container_exec": {"env", "stdin"},
        "oci_image": {"registry.password"},
        "oci_image_push": {"password"},
    }


def test_what_no_playbook_gives_is_judged_and_not_told(answered: Answered) -> None:
    """It reaches the resource, and is not among what was given."""
    image = {"name": "app", "rootfs": {"path": "/srv/app"}}
    answer = answered("oci_image", **image, progress_file="/run/barekernel/progress/x.json")
    assert "progress_file" not in answer["invocation"]["module_args"]
    answer = answered("oci_image", **image, handed_over="x y")
    assert answer["failed"] and "handed_over" in answer["msg"]
