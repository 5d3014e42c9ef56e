# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service says of its process: program, environment, identity and life, as options of ns_container.

Compose Specification, services, under the names of the keys.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...module_utils._container.records import OPTIONS
from ...module_utils._core.ip_text import ip_address
from .env_file import read_variables
from .errors import Place
from .keys import ENV_FILE, LOGGING, LOGGING_OPTIONS, OPTIONS_BY_KEY, RESTART_POLICY
from .networks import Network
from .options import Options
from .project import Read
from .reading import Reader
from .values import BOOLEAN, Scalar, Table, Value

_SECOND = 1_000_000_000
_LOGS = ("json-file", "journald", "local")
_CONDITIONS = {"none": "no", "on-failure": "on-failure", "any": "always"}
_MOST_RESTARTS = 1_000_000


def set_process(table: Table, deploy: Table, options: Options, reader: Reader) -> None:
    """Everything but the environment, networks, mounts, limits and namespaces."""
    for key, option in OPTIONS_BY_KEY.items():
        _same(option, OPTIONS[option].argument["type"], table.get(key), options, reader)
    _set(options, "init", "reaper" if reader.boolean(table.get("init")) else None, table.get("init"))
    _program(table, options, reader)
    _security(table.get("security_opt"), options, reader)
    _sysctls(table.get("sysctls"), options, reader)
    for key in ("annotations", "labels"):
        for name, (label, place) in reader.pairs(table.get(key)).items():
            options.named("labels", name, label or "", place)
    _restart(table.get("restart"), deploy.get("restart_policy"), options, reader)
    grace = reader.nanoseconds(table.get("stop_grace_period"))
    _set(options, "stop_timeout", None if grace is None else -(-grace // _SECOND), table.get("stop_grace_period"))
    _logging(reader.table(table.get("logging"), LOGGING), options, reader)


def _set(options: Options, option: str, found: object, value: Value | None) -> None:
    if value is not None:
        options.set(option, found, value.place)


def _same(option: str, kind: str, value: Value | None, options: Options, reader: Reader) -> None:
    """A key that means what the option means; ns_container's own parser judges the value."""
    if kind == "list":
        for text, place in reader.text_or_texts(value):
            options.add(option, text, place)
    else:
        _set(options, option, reader.boolean(value) if kind == "bool" else reader.optional(value), value)


def _program(table: Table, options: Options, reader: Reader) -> None:
    """Compose's entrypoint is the option ``command``, and its command is ``args``. An empty entrypoint takes the
    image's away, so that the command is all there is."""
    entrypoint, command = (reader.command(table.get(key)) for key in ("entrypoint", "command"))
    if entrypoint == []:
        if not command:
            why = "is empty, which takes the image's entrypoint away; name the program in command, or leave it out"
            reader.problems.wrong(table.entries["entrypoint"].place, why)
        _set(options, "command", command or None, table.get("command"))
        return
    _set(options, "command", entrypoint, table.get("entrypoint"))
    _set(options, "args", command, table.get("command"))


def _security(value: Value | None, options: Options, reader: Reader) -> None:
    for text, place in reader.texts(value):
        name, _sign, setting = text.replace("=", ":", 1).partition(":")
        if (name, setting) == ("seccomp", "unconfined"):
            options.set("seccomp", "unconfined", place)
        elif name == "no-new-privileges" and setting in ("", "true"):
            continue  # always so
        elif (name, setting) in (("apparmor", "unconfined"), ("label", "disable")):
            continue  # no profile and no label is set
        else:
            known = "only seccomp:unconfined, no-new-privileges:true, apparmor:unconfined and label:disable have one"
            reader.problems.unsupported(place, f"{text!r} has no counterpart; {known}")


def _sysctls(value: Value | None, options: Options, reader: Reader) -> None:
    for name, (text, place) in reader.pairs(value).items():
        if text is None:
            reader.problems.wrong(place, "has no value; write NAME: VALUE", name)
        else:
            options.named("sysctls", name, text, place)


def _restart(value: Value | None, deployed: Value | None, options: Options, reader: Reader) -> None:
    """``restart``; as in Compose, deploy.restart_policy has the last word."""
    policy = reader.optional(value)
    if isinstance(value, Scalar) and value.kind == BOOLEAN and value.text == "false":
        policy = "no"  # a bare no, in a dictionary of a playbook
    _set(options, "restart_policy", policy, value)
    table = reader.table(deployed, RESTART_POLICY)
    if deployed is None:
        return
    condition = reader.one_of(table.get("condition"), tuple(_CONDITIONS)) or "any"
    attempts = reader.integer(table.get("max_attempts"), 0, _MOST_RESTARTS)
    if attempts and condition != "on-failure":
        why = "counts with condition: on-failure only; set that, or leave it out"
        reader.problems.wrong(table.entries["max_attempts"].place, why, attempts)
    policy = _CONDITIONS[condition] + (f":{attempts}" if attempts and condition == "on-failure" else "")
    options.set("restart_policy", policy, deployed.place)


def _logging(table: Table, options: Options, reader: Reader) -> None:
    driver = table.get("driver")
    name = reader.text(driver)
    if driver is not None and name is not None and name not in _LOGS:
        reader.problems.unsupported(driver.place, f"{name!r}; logs go to the journal, or to files where there is none")
        return
    inner = reader.table(table.get("options"), LOGGING_OPTIONS)
    _set(options, "log_max_size", reader.size(inner.get("max-size")), inner.get("max-size"))
    _set(options, "log_max_files", reader.integer(inner.get("max-file"), 1, 1000), inner.get("max-file"))


def set_environment(
    table: Table,
    options: Options,
    variables: Mapping[str, str],
    read: Read,
    reader: Reader,
) -> None:
    """``env_file`` in its order, then ``environment``; a name without a value is one of ``variables``, or left out."""
    found: dict[str, str] = {}
    for path, place, raw, required in _env_files(table.get("env_file"), reader):
        content = read(path, place, required)
        text = None if content is None else _decoded(content, place, reader)
        if text is not None:
            found.update(read_variables(path, text, variables, reader.problems, raw))
    given = table.get("environment")
    for name, (value, place) in reader.pairs(given, secret=True).items():
        options.note(f"env.{name}", place)
        if value is not None:
            found[name] = value
        elif name in variables:
            found[name] = variables[name]
        else:
            found.pop(name, None)
    if found:
        where = given if given is not None else table.get("env_file")
        options.set("env", found, table.place if where is None else where.place)


def _env_files(value: Value | None, reader: Reader) -> list[tuple[str, Place, bool, bool]]:
    """Path, place, whether values are taken as they are, whether the file must be there."""
    found = []
    items = (value,) if isinstance(value, Scalar) else reader.items(value)
    for item in items:
        entry = reader.table(item, ENV_FILE) if isinstance(item, Table) else Table(item.place, {"path": item})
        path = reader.filled(entry.get("path"))
        kind = reader.one_of(entry.get("format"), ("raw",))
        required = reader.boolean(entry.get("required")) is not False
        if path is not None:
            found.append((path, item.place, kind == "raw", required))
        elif entry.get("path") is None:
            reader.problems.wrong(item.place, "names no file")
    return found


def _decoded(content: bytes, place: Place, reader: Reader) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        reader.problems.wrong(place, "the file is not UTF-8")
        return None


def set_hosts(value: Value | None, networks: list[Network], options: Options, reader: Reader) -> None:
    """``extra_hosts``; host-gateway is the host's address in the network with the default route."""
    for name, (given, place) in reader.pairs(value, "=:").items():
        if not given:
            reader.problems.wrong(place, "has no address; write NAME: ADDRESS", name)
            continue
        address = given[1:-1] if given.startswith("[") and given.endswith("]") else given
        if address == "host-gateway":
            gateways = [gateway for network in networks for gateway in network.gateways]
            if not gateways:
                why = "is not known: the container is on no network of this file; write an address"
                reader.problems.wrong(place, why, address)
                continue
            address = gateways[0]
        try:
            options.named("extra_hosts", name, str(ip_address(address)), place)
        except ValueError:
            reader.problems.wrong(place, "is not an address; write an IPv4 or IPv6 address, or host-gateway", given)
