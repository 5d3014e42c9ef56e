# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd values for every option of every module, made of the argument specs."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import AnsibleValidationError
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.stack import entries
from ansible_collections.barekernel.containers.plugins.module_utils._module.entries import judged
from hypothesis import strategies as st

from tests import collection

#: ArgumentSpecValidator's parameters beside argument_spec.
RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
LONG = 1 << 20
#: Elements of what is too long to be shown.
MANY = 1000

#: What no document can hold as text, what means something to some layer below, and what is too much of it.
TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "a\nb",
    "\x1b[2J",
    "\ud800",
    "\udcff",
    "\U0010ffff",
    "\u00e9",
    "\u0662",  # a digit to str.isdigit
    "it's",
    "echo 'it",
    'say "it',
    "back\\",
    "\\",
    "%",
    "$(id)",
    "-x",
    ".",
    "..",
    "/",
    "/a/../b",
    "/a\nb",
    "/a\0b",
    "/\udcff",
    "file:///%00",
    "file://%ff",
    ":",
    "a:b",
    "=",
    "A=B",
    ",",
    ";",
    "null",
    "0",
    "-1",
    "+1",
    "1e400",
    "1.5",
    "inf",
    "99999999999999999999999999",
    "1K",
    "5-1",
    "0-99999999999",
    "::1",
    "::1/129",
    "10.0.0.1/33",
    "fe80::1%eth0",
    "fe80::1%e\nth0",
    "::ffff:1.2.3.4",
    "zz:zz",
    "65536:80",
    "80/sctp",
    "container:x",
    "a@sha256:",
    "x" * 256,
    "/" + "x/" * 3000,
    "9" * 5000,
    "x" * LONG,
    "a:/" * (LONG // 3),
)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    65536,
    2**63,
    -(2**63) - 1,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    [],
    {},
    [None],
    [[]],
    [[[[]]]],
    ["a", "a"],
    ["a"] * MANY,
    [1, True, None, 1.5],
    {"": ""},
    {"a": None},
    {"a": 10},
    {"a": []},
    {"a": {"b": {"c": None}}},
    {"A=B": "x"},
    {"a\0": "b"},
    {"a": "b\0"},
    {"a": "b\nc"},
    {"\ud800": "\ud800"},
    {"x" * LONG: "x"},
    {str(number): "x" for number in range(MANY)},
)
VALUES: tuple[Any, ...] = (*TEXTS, *OTHERS)


@functools.cache
def arguments(name: str) -> Mapping[str, Any]:
    """What the module passes to AnsibleModule."""
    return collection.module_arguments(name)


@functools.cache
def validator(name: str) -> ArgumentSpecValidator:
    """Ansible's own for this module."""
    rules = {rule: arguments(name)[rule] for rule in RULES if rule in arguments(name)}
    kind = WithEntries if name == "stack" else ArgumentSpecValidator
    return kind(arguments(name).get("argument_spec") or {}, **rules)


class WithEntries(ArgumentSpecValidator):  # type: ignore[misc]
    """For a module whose lists have the options of other modules: the runner judges each entry."""

    def validate(self, parameters: dict[str, Any]) -> Any:
        found = super().validate(parameters)
        for name, spec in entries().items() if not found.error_messages else ():
            judged_, wrong = judged(name, found.validated_parameters[name] or [], spec)
            for message in wrong:
                found.errors.append(AnsibleValidationError(message))
            found.validated_parameters[name] = judged_
        return found


@functools.cache
def resource(name: str) -> Any:
    """What the module hands to the runner; stateless."""
    return collection.module_resource(name)


def is_option(name: str, option: str) -> bool:
    """Whether that is the whole name of an option of the module, or of something in one: ``mounts[0].source``."""
    spec = dict(arguments(name).get("argument_spec") or {})
    if name == "stack":
        spec = {
            n: {**each, "options": entries()[n]["argument_spec"]} if n in entries() else each
            for n, each in spec.items()
        }
    rest = option
    while rest:
        this, _dot, rest = rest.partition(".")
        bare, bracket, _index = this.partition("[")
        if bare not in spec:
            return False
        if not spec[bare].get("options"):
            return True  # what is in it has names of its own
        if rest and spec[bare].get("type") == "list" and not bracket:
            return False
        spec = spec[bare]["options"]
    return True


def shown(value: Any) -> str:
    """Short enough for a line."""
    return ascii(value) if len(ascii(value)) < 80 else f"{ascii(value)[:60]}... ({type(value).__name__})"


def options(name: str) -> list[str]:
    """Every option by its full name, into suboptions; elements are ``NAME[]``, values of a dict ``NAME{}``."""
    return [".".join(path) for path, _spec in _walk(arguments(name).get("argument_spec") or {}, ())]


Path = tuple[str, ...]


def _walk(spec: Mapping[str, Any], above: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for name, option in sorted(spec.items()):
        path = (*above, name)
        yield path, option
        kind, inner = option.get("type", "str"), option.get("options")
        if kind == "list":
            yield (*above, f"{name}[]"), {"type": option.get("elements", "raw")}
        elif kind == "dict" and not inner:
            yield (*above, f"{name}{{}}"), {"type": "raw"}
        if inner:
            yield from _walk(inner, (*above, f"{name}[]") if kind == "list" else path)


#: Options as they should be, one set or more for each module, such that every option has a place in one of them.
_DEVICE = min(os.listdir("/sys/dev/block"), default="")
_LIMITS = {
    "memory": "64M",
    "io": [{"device": _DEVICE, "rbps": "1M"}] if _DEVICE else [],
    "hugetlb": {"2M": "4M"},
    "raw": {"pids.max": 5},
}
_IMAGE = {"name": "a:1", "config": {"cmd": ["x"], "env": {"A": "b"}, "healthcheck": {"test": ["CMD", "x"]}}}
BASES: dict[str, list[dict[str, Any]]] = {
    "bridge_network": [
        {
            "name": "lab0",
            "addresses": ["10.88.7.1/24", "fd88::1/64"],
            "published": [{"addresses": ["10.88.7.9"], "ports": ["8080:80"]}],
        },
    ],
    "cgroup_v2": [{"path": "lab/db", "limits": _LIMITS, "pids": [1]}],
    "netns_veth": [
        {
            "name": "link",
            "ends": [
                {
                    "netns": "a",
                    "interface": "eth0",
                    "addresses": ["10.99.0.2/24"],
                    "routes": [{"to": "default", "via": "10.99.0.1"}],
                    "sysctls": {"net.ipv4.ip_forward": "1"},
                    "impairment": {"delay": "5ms"},
                },
                {"interface": "lab1"},
            ],
            "namespaces": [{"name": "a", "owner": {"host_id": 100000}, "sysctls": {"net.core.somaxconn": "9"}}],
        },
        {"name": "link", "ends": [{"container": "web", "interface": "eth1"}, {"interface": "lab1", "bridge": "lab0"}]},
        {"name": "link", "ends": [{"pid": 1, "interface": "eth1"}, {"path": "/run/x", "interface": "eth1"}]},
    ],
    "ns_container": [
        {
            "name": "web",
            "image": "a",
            "command": ["sh"],
            "env": {"A": "b"},
            "networks": [{"name": "lab0", "addresses": ["10.88.7.9"], "ports": ["8080:80"], "aliases": ["www"]}],
            "mounts": [
                {"type": "bind", "source": "/srv", "target": "/srv", "options": ["noatime"]},
                {"type": "tmpfs", "target": "/tmp", "options": ["size=1m"]},
            ],
            "limits": _LIMITS,
            "sysctls": {"net.core.somaxconn": "9"},
            "rlimits": {"nofile": "1024"},
            "extra_hosts": {"db": "10.0.0.1"},
            "labels": {"a": "b"},
            "dns": ["10.0.0.1"],
        },
        {"name": "web", "image": "a", "args": ["x"], "namespaces": {"ipc": "container:db"}},
    ],
    "ns_container_exec": [{"name": "web", "cmd": "echo x", "env": {"A": "b"}}, {"name": "web", "argv": ["echo", "x"]}],
    "oci_image": [
        {
            **_IMAGE,
            "build": {
                "base": "b",
                "copy": [{"src": "/srv/a", "dest": "/a"}],
                "directories": [{"path": "/d"}],
                "links": [{"path": "/l", "target": "d"}],
                "run": ["true"],
            },
        },
        {**_IMAGE, "archive": {"path": "/srv/a.tar"}},
        {**_IMAGE, "container": "web"},
        {**_IMAGE, "debootstrap": {"suite": "bookworm"}},
        {**_IMAGE, "directory": {"path": "/srv", "exclude": ["proc"]}},
        {**_IMAGE, "image": "b"},
        {**_IMAGE, "rootfs": {"path": "/srv/r.tar"}},
        {"name": "localhost:5000/a:1", "registry": {"tls_verify": False}},
    ],
    "oci_image_blobs": [{"name": "a:1", "blobs": ["sha256:" + "0" * 64], "path": "/srv/blobs"}],
    "oci_image_push": [{"name": "a:1", "destination": "localhost:5000/a:1"}],
    "oci_image_save": [{"name": "a:1", "path": "/srv/a.tar"}],
    "stack": [
        {
            "name": "lab",
            "images": [{"name": "app", "rootfs": {"path": "/srv/app"}}],
            "cgroups": [{"path": "lab"}],
            "overlays": [{"path": "/srv/view", "lowerdirs": ["/srv/a"]}],
            "networks": [{"name": "lab0", "addresses": ["10.88.0.1/24"]}],
            "links": [{"name": "uplink", "ends": [{"netns": "a", "interface": "up0"}, {"interface": "up0"}]}],
            "containers": [
                {"name": "db", "image": "app", "networks": [{"name": "lab0"}]},
                {"name": "web", "image": "app", "depends_on": {"db": {"condition": "healthy"}}},
            ],
            "compose": {"services": {}},
            "compose_profiles": ["lab"],
            "compose_unsupported": "warn",
            "compose_directory": "/srv",
            "prune": True,
            "only": ["network", "container/web"],
        },
    ],
    "bridge_network_info": [{"name": "lab0"}],
    "cgroup_v2_info": [{"paths": ["lab"]}],
    "netns_veth_info": [{"name": "link"}],
    "ns_container_info": [{"name": "web", "log_lines": 3}],
    "oci_image_info": [{"name": "a:1"}],
    "overlay_mount_info": [{"path": "/srv/view"}],
    "stack_info": [{"name": "lab"}],
    "overlay_mount": [
        {
            "path": "/srv/view",
            "lowerdirs": ["/srv/a", "/srv/b"],
            "upperdir": "/srv/u",
            "workdir": "/srv/w",
            "flags": ["nodev"],
            "idmap": {"host_id": 100000},
        },
    ],
}


def bases(name: str) -> list[dict[str, Any]]:
    """Options that mean something, with each of them together with what it needs."""
    return copy.deepcopy(BASES[name])


def meant(name: str, params: Mapping[str, Any]) -> bool:
    """Whether Ansible and the resource take these options."""
    try:
        validated = validator(name).validate(dict(params))
        if not validated.error_messages:
            resource(name).desired(validated.validated_parameters)
    except (TypeError, ValueError, OverflowError):  # OptionError is one
        return False
    return not validated.error_messages


def odd_one_out(
    name: str, among: Sequence[dict[str, Any]] = (), share: int = 1
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Every option with every odd value, in one of these sets, or those above: (option, value, all parameters).

    With a ``share`` of N, each option with one of N values, the next option with the next ones.
    """
    found = among or bases(name)
    for number, (path, _spec) in enumerate(_walk(arguments(name).get("argument_spec") or {}, ())):
        base = next((base for base in found if _has(base, path)), found[0])
        for value in VALUES[number % share :: share]:
            yield ".".join(path), value, put(copy.deepcopy(base), path, value)


def _has(params: Any, path: Path) -> bool:
    for step in path[:-1]:
        params = params.get(step.rstrip("[]"))
        if step.endswith("[]"):
            params = params[0] if params else None
        if not isinstance(params, Mapping):
            return False
    return path[-1].rstrip("[]{}") in params


def put(params: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The parameters with that value at that place; what leads there is made, also where an odd value stands."""
    inner: Any = params
    for step in path[:-1]:
        if step.endswith("[]"):
            listed = inner.get(step[:-2])
            if not (isinstance(listed, list) and listed and isinstance(listed[0], dict)):
                listed = [{}]
            inner[step[:-2]] = listed
            inner = listed[0]
        else:
            inner[step] = inner[step] if isinstance(inner.get(step), dict) else {}
            inner = inner[step]
    last = path[-1]
    if last.endswith("[]"):
        before = inner.get(last[:-2])
        inner[last[:-2]] = [*(before if isinstance(before, list) else []), value]
    elif last.endswith("{}"):
        before = inner.get(last[:-2])
        inner[last[:-2]] = {**(before if isinstance(before, dict) else {}), "a": value}
    else:
        inner[last] = value
    return params


def params(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Several options of a sound set with any values."""
    paths = [path for path, _spec in _walk(arguments(name).get("argument_spec") or {}, ())]
    changes = st.lists(st.tuples(st.sampled_from(paths), anything()), min_size=1, max_size=4)
    return st.builds(_changed, st.sampled_from(bases(name)), changes)


def _changed(base: dict[str, Any], changes: Sequence[tuple[Path, Any]]) -> dict[str, Any]:
    changed = copy.deepcopy(base)
    for path, value in changes:
        try:
            put(changed, path, value)
        except (AttributeError, TypeError):  # the way to it is one of the odd values
            continue
    return changed


def anything() -> st.SearchStrategy[Any]:
    """What JSON can hold and YAML can make of a line, with surrogates."""
    text = st.text(st.characters(), max_size=20) | st.sampled_from([t for t in TEXTS if len(t) < 300])
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | text
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
    )
