# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Compose file as input: its services, networks and images as the very options of this collection's modules.

Everything happens on the controller, and nothing of it is sent to a host. docs/compose.md says what is read, how it is
translated and what differs; https://github.com/compose-spec/compose-spec is what it is read by.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .check import check
from .errors import ERROR, WARN, ComposeError, Problems
from .extends import extended
from .files import CONFIGS, SECRETS, Files
from .images import Images
from .keys import TOP
from .mounts import Mounts
from .networks import Networks
from .project import read_project
from .reading import Reader
from .services import Services
from .volumes import Volumes

__all__ = ["ComposeError", "Translation", "translated"]

#: Where networks that name no subnet get one from.
POOL = "10.0.0.0/8"


@dataclass(frozen=True)
class Translation:
    """Options of oci_image, bridge_network and ns_container; those of a container may have ``depends_on``, which module
    stack adds. ``files`` are to be written to the host before a container starts: ``path``, ``content`` (Base64),
    ``mode``, ``uid``, ``gid``; each is a secret or a config."""

    project: str
    images: tuple[dict[str, Any], ...]
    networks: tuple[dict[str, Any], ...]
    containers: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


def translated(
    source: str | Mapping[str, Any],
    *,
    base: str | None = None,
    environment: Mapping[str, str],
    profiles: Sequence[str] = (),
    unsupported: str = ERROR,
    host_directory: str | None = None,
    pool: str = POOL,
) -> Translation:
    """A Compose file as options of modules. Reads the file, ``.env``, env_file, secrets and configs, and nothing else.

    source: the path of a file, or of a directory that has one, or the file's content as a dictionary.
    base: what a relative ``source`` is relative to; of a dictionary, the project's directory.
    environment: variables for the file, which win over those of ``.env``.
    profiles: services with a profile take part where it is one of these; ``*`` is every one.
    unsupported: ``error`` or ``warn``, for keys of the specification that have no counterpart here.
    host_directory: the directory of the host that paths like ./data are relative to; without it they are an error.
    pool: the IPv4 network from which networks get a subnet where ipam.config names none.
    Raises ComposeError with everything that is wrong.
    """
    if unsupported not in (ERROR, WARN):
        raise ComposeError([f"compose_unsupported: {unsupported!r}: must be {ERROR} or {WARN}"])
    problems = Problems(unsupported)
    reader = Reader(problems)
    project = read_project(source, base, environment, problems)
    top = reader.table(project.tree, TOP)
    if top.get("services") is None:
        problems.wrong(top.place, "has no services; a Compose file has services: at its top")
    services = Services(project, extended(dict(reader.entries(top.get("services"))), problems), profiles, reader)
    networks = Networks(project.name, top.get("networks"), _pool(pool), reader)
    mounts = Mounts(Volumes(project.name, top.get("volumes"), reader), host_directory, project.name, reader)
    files = [
        (key, Files(kind, project.name, top.get(key), project.variables, services.read, reader))
        for key, kind in (("secrets", SECRETS), ("configs", CONFIGS))
    ]
    images = Images(project.name, reader)
    containers = services.containers(networks, mounts, files, images)
    check(images.declared(), networks.declared(), containers, problems)
    problems.raise_if_any()
    return Translation(
        project.name,
        tuple(image.values for image in images.declared()),
        tuple(network.values for network in networks.declared()),
        tuple(options.values for options in containers),
        tuple(file for _key, kind in files for file in kind.written()),
        problems.warnings,
    )


def _pool(text: str) -> ipaddress.IPv4Network:
    """Raises ComposeError."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError:
        raise ComposeError([f"pool: {text!r}: is not an IPv4 network; write one such as 10.0.0.0/8"]) from None
