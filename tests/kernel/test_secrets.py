# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret is in anything that Ansible prints: of tasks that fail, succeed and change, at -vvv with --diff."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel import images
from tests.kernel.module_process import run_module
from tests.kernel.test_container import apply

SECRET = "pl4nted-s3cret"
NAME = "bktest-secret"
CONTAINER = {"name": NAME, "image": "bktest", "command": ["sleep", "1000"], "stop_timeout": 0}
EXEC = {"name": NAME, "argv": ["true"]}
CLOSED = {"registry": {"reference": "127.0.0.1:1/a:1", "tls_verify": False, "retries": 0, "username": "u"}}


def variables(**more: Any) -> dict[str, Any]:
    return {"PASSWORD_OF_DB": "{{ secret }}", **more}


#: (what it is, the module or role, its parameters, whether it fails)
TASKS: list[tuple[str, str, dict[str, Any], bool]] = [
    ("made", "ns_container", {**CONTAINER, "env": variables()}, False),
    ("changed", "ns_container", {**CONTAINER, "env": {"PASSWORD_OF_DB": "{{ secret }}2"}}, False),
    (
        "printed by one that ends",
        "ns_container",
        {**CONTAINER, "name": f"{NAME}-ends", "command": ["sh", "-c", "env; exit 4"], "env": variables()},
        True,
    ),
    ("removed", "ns_container", {"name": f"{NAME}-ends", "state": "absent"}, False),
    ("one that cannot start", "ns_container", {**CONTAINER, "command": ["/nowhere"], "env": variables()}, True),
    ("a value that cannot be", "ns_container", {**CONTAINER, "env": variables(NUL="{{ secret }}\0")}, True),
    ("a list for a dictionary", "ns_container", {**CONTAINER, "env": ["PASSWORD_OF_DB={{ secret }}"]}, True),
    ("a misspelt option", "ns_container", {**CONTAINER, "enviroment": variables()}, True),
    ("a misspelt neighbour", "ns_container", {**CONTAINER, "privileged": True, "env": variables()}, True),
    ("a wrong number", "ns_container", {**CONTAINER, "stop_timeout": "soon", "env": variables()}, True),
    ("by role", "role container", {"container_list": [{**CONTAINER, "env": variables()}]}, False),
    ("refused by role", "role container", {"container_list": [{**CONTAINER, "env": variables(), "image": "no"}]}, True),
    ("not a list", "role container", {"container_list": {NAME: {"env": variables()}}}, True),
    ("run", "ns_container_exec", {**EXEC, "env": variables(), "stdin": "{{ secret }}"}, False),
    (
        "run and failed",
        "ns_container_exec",
        {**EXEC, "argv": ["false"], "env": variables(), "stdin": "{{ secret }}"},
        True,
    ),
    ("not run", "ns_container_exec", {**EXEC, "cwd": "here", "env": variables(), "stdin": "{{ secret }}"}, True),
    ("not known", "ns_container_exec", {**EXEC, "sdtin": "{{ secret }}"}, True),
    ("pulled", "oci_image", {"name": "a", **CLOSED}, True),
    ("a misspelt password", "oci_image", {"name": "a", "registry": {"passwd": "{{ secret }}", "username": "u"}}, True),
    ("a registry in one word", "oci_image", {"name": "a", "registry": "u:{{ secret }}@host"}, True),
    (
        "a mirror's URL",
        "oci_image",
        {"name": "a", "state": "absent", "debootstrap": {"suite": "x", "mirror": "http://u:{{ secret }}@h/"}},
        False,
    ),
    ("pulled by role", "role image", {"image_list": [{"name": "a", **CLOSED}]}, True),
    ("seeded", "role image", {"image_seed": "controller", "image_list": [{"name": "a", **CLOSED}]}, True),
    (
        "pushed",
        "oci_image_push",
        {"name": "bktest", "to": "127.0.0.1:1/a:1", "username": "u", "password": "{{ secret }}"},
        True,
    ),
]
#: The files of a project: a secret from the environment of the play's files, in a variable, and in a file of its own.
COMPOSE = f"""
services:
  shop:
    image: bktest
    container_name: {NAME}-shop
    command: [sleep, "1000"]
    stop_grace_period: 0s
    pull_policy: never
    environment: {{PASSWORD_OF_DB: "${{PASSWORD}}"}}
    env_file: shop.env
    secrets: [token]
secrets:
  token: {{file: ./token}}
"""
FILES = {"compose.yaml": COMPOSE, ".env": f"PASSWORD={SECRET}\n", "shop.env": f"OTHER={SECRET}\n", "token": SECRET}
SHOP = {"compose": "{{ playbook_dir }}/compose.yaml", "compose_directory": "/run/shop"}
IN_STACK = {**CONTAINER, "name": f"{NAME}-s", "env": variables()}
STACK = {"name": "secrets", "containers": [IN_STACK]}
TASKS += [
    ("a stack", "stack", STACK, False),
    (
        "a stack again",
        "stack",
        {**STACK, "containers": [{**STACK["containers"][0], "env": variables(MORE="1")}]},
        False,
    ),
    ("a stack that fails", "stack", {**STACK, "containers": [{**CONTAINER, "image": "no", "env": variables()}]}, True),
    ("an entry that cannot be", "stack", {"containers": [{**CONTAINER, "privileged": 1, "env": variables()}]}, True),
    ("an image of a stack", "stack", {"images": [{"name": "a", **CLOSED}]}, True),
    ("a stack removed", "stack", {"name": "secrets", "state": "absent"}, False),
    ("a project", "stack", SHOP, False),
    ("a project that fails", "stack", {**SHOP, "compose": "{{ playbook_dir }}/wrong.yaml"}, True),
    ("a project removed", "stack", {**SHOP, "state": "absent"}, False),
]
for _what, _module, _params, _fails in TASKS:
    for _group in (_params, *_params.get("image_list", []), *_params.get("images", [])):
        if _group.get("registry") == CLOSED["registry"]:
            _group["registry"] = {**CLOSED["registry"], "password": "{{ secret }}"}


def task(what: str, module: str, params: dict[str, Any]) -> dict[str, Any]:
    """Each fails or succeeds by itself, and says which."""
    if module.startswith("role "):
        done = {"name": what, "include_role": {"name": f"barekernel.containers.{module[5:]}"}, "vars": params}
    else:
        done = {"name": what, f"barekernel.containers.{module}": params}
    said = {"debug": {"msg": f"<{what}: failed>"}}
    return {"block": [done, {"debug": {"msg": f"<{what}: succeeded>"}}], "rescue": [said]}


@pytest.fixture(autouse=True)
def image() -> Iterator[None]:
    copied = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    build = {"directories": [{"path": "/etc"}], "copy": copied, "run": ["/bin/busybox --install -s /bin"]}
    apply("oci_image", name="bktest", build=build)
    yield
    run_module("stack", {"state": "absent"})
    apply("ns_container", name=NAME, state="absent")
    images.remove_all()


def played(folder: Path, *options: str) -> str:
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [task(*each[:3]) for each in TASKS]}
    (folder / "play.yml").write_text(json.dumps([play]))
    (folder / "secret.json").write_text(json.dumps({"secret": SECRET}))
    for name, content in {**FILES, "wrong.yaml": COMPOSE.replace("env_file", "env_fil")}.items():
        (folder / name).write_text(content)
    inventory = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
    (folder / "inventory").write_text(inventory)
    command = ["ansible-playbook", "-i", "inventory", "-e", "@secret.json", "-vvv", "--diff", *options, "play.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_nothing_printed_holds_a_secret(tmp_path: Path) -> None:
    output = played(tmp_path)
    told = {f"{what}: {outcome}" for what, outcome in re.findall(r"<([^<>]+): (failed|succeeded)>", output)}
    assert told == {f"{what}: {'failed' if fails else 'succeeded'}" for what, _module, _params, fails in TASKS}
    assert SECRET not in output
    # What is not secret is told: that it changed, and which variable.
    assert re.search(r'^\+ *"PASSWORD_OF_DB": "\(not shown; another value\)"', output, re.MULTILINE)
    for path in Path("/var/lib/barekernel", "containers").rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            others = [p for p in (path, *path.parents) if not stat.S_IMODE(p.stat().st_mode) & 0o077]
            assert others, f"{path} can be read by others"
    assert SECRET not in played(tmp_path, "--check")
