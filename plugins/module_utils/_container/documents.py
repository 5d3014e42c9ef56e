# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a container: what ns_container writes so that others can start, find and rebuild it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._boot.plan import SERVICES
from .._core.errors import Refused
from .._image.store.store import NOT_YET, Image
from .._kernel import container_records, locations, record_file
from .._runtime.bundle.signals import signal_name
from .._runtime.errors import RuntimeFailure
from .._runtime.supervise import launch as launch_
from .._runtime.supervise import unit
from . import documents_health
from .documents_bundle import Places, config_json, hostname
from .observed import ContainerObserved, Host
from .option import write_as_is
from .plan_declared import declares_the_same
from .plan_identity import addresses_of, hosts_file, inhabitants, resolver
from .plan_namespaces import kept_files, living, name_of
from .plan_resolve import image_of
from .plan_volumes import directory_of, volumes_of
from .records import OPTIONS, Container, Resolved

DEFAULT_STOP_SIGNAL = "SIGTERM"
_FIELDS = ("params", "image_digest", "idmap", "addresses", "reaper")


@dataclass(frozen=True)
class Document:
    """A file as it should be; ``in_place`` for those that are bind-mounted into the running container."""

    path: str
    content: str
    mode: int = 0o600
    in_place: bool = False


@dataclass(frozen=True)
class Documents:
    """All of them in the order in which they are written, and the two that say how the container runs."""

    files: tuple[Document, ...]
    config: Mapping[str, Any]
    launch: Mapping[str, Any]
    unit: Document | None


def directory(name: str) -> str:
    """A container's own directory."""
    return f"{locations.CONTAINERS}/{name}"


def cgroup_path(name: str, host_systemd: bool, mount: str | None) -> str:
    """The container's cgroup. Raises Refused on a host without a cgroup2 mount."""
    if mount is None:
        raise Refused("this host has no cgroup2 file system mounted: mount -t cgroup2 none /sys/fs/cgroup")
    return unit.cgroup_path(name, mount) if host_systemd else f"{mount}/barekernel/{name}"


def documents(container: Container, resolved: Resolved, observed: ContainerObserved) -> Documents:
    """Render every file."""
    home = directory(container.name)
    image = image_of(container, observed)
    mount = observed.cgroup.hierarchy.mount
    cgroup = cgroup_path(container.name, observed.host.systemd, mount)
    places = Places(
        directory=home,
        cgroup=cgroup[len(mount or "") :],
        namespaces=kept_files(container.name, resolved.namespaces, observed.host),
        volumes={v.source or "": directory_of(container.name, v) for v in volumes_of(container, image.config)},
    )
    # What "container:NAME" comes down to decides what is mounted and mapped.
    config = config_json(replace(container, namespaces=resolved.namespaces), resolved, image.config, places)
    launch = _launch(container, resolved, observed, cgroup)
    names = hosts_file(container.name, inhabitants(container, resolved, observed.host))
    files = (
        Document(f"{home}/container.json", _json(_record(container, resolved, observed))),
        Document(f"{home}/hosts", names, 0o644, True),
        Document(f"{home}/hostname", hostname(container) + "\n", 0o644, True),
        Document(f"{home}/resolv.conf", resolver(container, resolved, observed.host).text, 0o644, True),
        Document(f"{home}/bundle/config.json", _json(config)),
        Document(f"{home}/launch.json", _json(launch)),
    )
    return Documents(files, config, launch, _unit(container, resolved, launch, observed.host))


def record(container: Container, resolved: Resolved) -> dict[str, Any]:
    """container.json: the options as given, and what this host decided."""
    return {
        record_file.VERSION: container_records.VERSION,
        "params": dict(container.params),
        "image_digest": resolved.image_digest,
        "idmap": list(resolved.idmap) if resolved.idmap else None,
        "addresses": addresses_of(container, resolved),
        **({"reaper": resolved.reaper} if resolved.reaper else {}),
    }


def _record(container: Container, resolved: Resolved, observed: ContainerObserved) -> dict[str, Any]:
    """The same, with the recorded options where the given ones only spell them in another way, and with what a newer
    version of the collection has recorded besides."""
    kept = {**record_file.others(observed.record, _FIELDS), **record(container, resolved)}
    if observed.record is not None and declares_the_same(container, observed.recorded):
        kept["params"] = observed.record["params"]
    return kept


def _unknown(image: Image) -> list[str]:
    return [f"{locations.IMAGES}/not-made-yet"] if image.digest == NOT_YET else []


def _launch(container: Container, resolved: Resolved, observed: ContainerObserved, cgroup: str) -> dict[str, Any]:
    image = image_of(container, observed)
    home = directory(container.name)
    idmap = {"host_id": resolved.idmap[0], "size": resolved.idmap[1]} if resolved.idmap else None
    launch = {
        record_file.VERSION: container_records.LAUNCH_VERSION,
        "id": container.name,
        "image": f"{image.reference}@{image.digest}",
        "bundle": f"{home}/bundle",
        "rootfs": {
            # An image that is yet to be made has no layers to name.
            "lowerdirs": list(image.lowerdirs) or _unknown(image),
            "upperdir": f"{home}/upper",
            "workdir": f"{home}/work",
            "idmap": idmap,
            "options": {},
        },
        "cgroup": cgroup,
        "files": dict(resolved.files),
        **({"namespaces": joined} if (joined := living(resolved.namespaces, observed.host)) else {}),
        "restart": {"policy": container.restart_policy, "max_retries": container.restart_retries},
        "stop": {"signal": _stop_signal(container, image)},
        "log": {"path": f"{home}/log/container.log"},
        **({"healthcheck": check} if (check := documents_health.check_of(image.config)) else {}),
    }
    write_as_is(launch, "launch", container, OPTIONS)
    return launch


def _stop_signal(container: Container, image: Image) -> str:
    """Declared, or the image's. Raises Refused."""
    if container.stop_signal:
        return container.stop_signal
    try:
        return signal_name(image.config.get("StopSignal") or DEFAULT_STOP_SIGNAL)
    except RuntimeFailure as error:
        raise Refused(f"image: '{container.image}': its StopSignal: {error}; give one as stop_signal") from None


def _unit(container: Container, resolved: Resolved, launch: Mapping[str, Any], host: Host) -> Document | None:
    if not host.systemd:
        return None
    shared = sorted(set(map(name_of, resolved.namespaces.values())) - {""})
    after = [*(service.unit for service in SERVICES), *map(unit.unit_name, shared)]
    text = unit.unit_text(
        launch_.parse(launch),
        after=after,
        mounts=host.places,
        reaper=bool(resolved.reaper),
        systemd_version=host.systemd_version,
    )
    return Document(unit.unit_path(container.name), text, 0o644)


def _json(value: Mapping[str, Any]) -> str:
    """A line for each key: the encoder that indents deeper is written in Python, and takes five times as long."""
    lines = (f" {json.dumps(key)}: {json.dumps(value[key], sort_keys=True)}" for key in sorted(value))
    return "{\n" + ",\n".join(lines) + "\n}\n"
