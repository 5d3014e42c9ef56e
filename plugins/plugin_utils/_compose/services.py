# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``services``, as options of ns_container. Compose Specification, 05-services.md."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import depends
from .attachments import attach
from .depends import Dependency
from .errors import Place
from .files import Files
from .images import Images
from .keys import DEPLOY, SERVICE
from .limits import set_limits
from .mounts import Mounts
from .namespaces import attached, set_namespaces
from .networks import Network, Networks
from .options import Options
from .ports import published
from .process import set_environment, set_hosts, set_process
from .project import Project, read_file
from .reading import Reader
from .values import Table, Value

#: Chosen whatever its profiles are.
_EVERY_PROFILE = "*"
_MOST_REPLICAS = 1000


class Services:
    """The services of a file that take part, and the containers that they become."""

    def __init__(
        self, project: Project, extended: Mapping[str, Value], profiles: Sequence[str], reader: Reader
    ) -> None:
        self._project, self._reader = project, reader
        tables = {name: reader.table(value, SERVICE) for name, value in extended.items()}
        self._all = tuple(tables)
        self.chosen = {name: table for name, table in tables.items() if self._is_chosen(table, profiles)}
        self._deploy = {name: reader.table(table.get("deploy"), DEPLOY) for name, table in self.chosen.items()}
        self._names = {name: self._container_names(name, table) for name, table in self.chosen.items()}

    def containers(
        self, networks: Networks, mounts: Mounts, files: Sequence[tuple[str, Files]], images: Images
    ) -> list[Options]:
        """Every container, in the order of the file."""
        shared: dict[str, dict[str, Dependency]] = {}
        made: dict[str, list[Options]] = {}
        for service, table in self.chosen.items():
            image = images.of(service, table)
            hint = "" if table.get("container_name") is not None else "set container_name"
            options = [Options(table.place, hint, name=name) for name in self._names[service]]
            for each in options if table.get("container_name") is not None else ():
                each.note("name", table.entries["container_name"].place)
            for each in options or [Options(table.place, name=service)]:  # one of none, for what is wrong with it
                if image is not None:
                    each.set("image", *image)
                others = self._container(service, table, each, networks, mounts, files)
            shared[service] = depends.dependencies(table, others, self._reader)
            made[service] = options
        for service, wanted in depends.check(shared, self._all, self._reader).items():
            for each in made[service]:
                self._depend(each, wanted)
        return [each for options in made.values() for each in options]

    def _is_chosen(self, table: Table, profiles: Sequence[str]) -> bool:
        """15-profiles.md: one without profiles always is."""
        own = [name for name, _place in self._reader.texts(table.get("profiles"))]
        return not own or _EVERY_PROFILE in profiles or any(name in profiles for name in own)

    def _container_names(self, service: str, table: Table) -> list[str]:
        """container_name, else PROJECT-SERVICE-NUMBER as Compose names them."""
        count = self._replicas(service, table)
        given = table.get("container_name")
        own = self._reader.filled(given)
        if own is None or given is None:
            return [f"{self._project.name}-{service}-{number}" for number in range(1, count + 1)]
        if count > 1:
            self._reader.problems.wrong(given.place, f"is the name of one container, and there are {count}", own)
        return [own][:count]

    def _replicas(self, service: str, table: Table) -> int:
        deploy = self._deploy[service]
        mode = deploy.get("mode")
        found = self._reader.one_of(mode, ("replicated", "global"))
        if mode is not None and found == "global":
            self._reader.problems.unsupported(mode.place, "'global' is for a swarm; use replicated")
        scale = self._reader.integer(table.get("scale"), 0, _MOST_REPLICAS)
        replicas = self._reader.integer(deploy.get("replicas"), 0, _MOST_REPLICAS)
        if scale is not None and replicas is not None and scale != replicas:
            self._reader.problems.wrong(table.entries["scale"].place, f"deploy.replicas is {replicas}", scale)
        count = scale if scale is not None else replicas
        return 1 if count is None else count

    def _first(self, service: str, place: Place) -> str | None:
        names = self._names.get(service, [])
        if not names:
            self._reader.problems.wrong(place, "there is no such service, or it has no container", service)
        return names[0] if names else None

    def _container(
        self,
        service: str,
        table: Table,
        options: Options,
        networks: Networks,
        mounts: Mounts,
        files: Sequence[tuple[str, Files]],
    ) -> list[tuple[str, Place]]:
        """Set the options of one container; the services whose namespaces it shares."""
        deploy = self._deploy[service]
        set_process(table, deploy, options, self._reader)
        set_environment(table, options, self._project.variables, self.read, self._reader)
        others = set_namespaces(table, options, self._reader, self._first)
        on: list[Network] = []
        if attached(table, self._reader):
            on = attach(service, table, options, networks, self._reader)
            self._publish(service, table, options)
        set_hosts(table.get("extra_hosts"), on, options, self._reader)
        mounts.add(table, options)
        for key, kind in files:
            kind.add(table.get(key), options)
        set_limits(table, deploy, options, self._reader)
        return others

    def _publish(self, service: str, table: Table, options: Options) -> None:
        """Ports lead to the address in the network with the default route."""
        ports = published(table.get("ports"), self._reader)
        count = len(self._names[service])
        if ports and count > 1:
            why = f"a port of the host leads to one container, and the service has {count}; publish none"
            self._reader.problems.wrong(ports[0][1], why)
        attachments = options.values.get("networks")
        if ports and attachments:
            attachments[0]["ports"] = [port for port, _place in ports]
            for index, (_port, place) in enumerate(ports):
                options.note(f"networks[0].ports[{index}]", place)

    def _depend(self, options: Options, wanted: Mapping[str, Dependency]) -> None:
        """``depends_on`` of module stack: containers by name."""
        named: dict[str, Any] = {}
        for service, dependency in wanted.items():
            for name in self._names[service]:
                named[name] = {"condition": dependency.condition}
        if named:
            options.values["depends_on"] = named

    def read(self, path: str, place: Place, required: bool) -> bytes | None:
        """A file of the controller, relative to the project's directory."""
        name = os.path.expanduser(path)
        if self._project.directory is None and not os.path.isabs(name):
            why = "is relative, and the Compose file has no directory; write an absolute path of the controller"
            self._reader.problems.wrong(place, why, name)
            return None
        full = os.path.join(self._project.directory or "/", name)
        if not required and not os.path.exists(full):
            return None
        content, problem = read_file(full)
        if content is None:
            self._reader.problems.wrong(place, problem, name)
        return content
