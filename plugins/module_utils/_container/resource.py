# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container: a whole container as one resource."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from .._boot.declared import DeclaredResource
from .._boot.resource import Boot, Restorable, places
from .._cgroup.limits import limits_to_files
from .._cgroup.observe import resources_for
from .._core.operation import Plan
from .._core.resource import CommandFailed, OptionError, Refused
from .._image.errors import ImageError
from .._image.format.user import NoSuchUser, parse_user
from .._image.layers.find import CannotTell
from .._image.layers.lookup import read_file
from .._image.store.store import CONTAINERS_LOCK, Image, Store
from .._kernel import cgroup_state, container_records, files, locations, subids, systemd, userns
from .._kernel.container_records import declared
from .._kernel.host_resources import HostResources
from .._network.observe_declared import declared_elements
from .._network.recorded import host_identity, read_networks
from .._runtime.supervise import control, unit
from . import observe_network
from .documents import cgroup_path, directory
from .facts import facts
from .observe_joined import strayed
from .observe_mount_points import spent_mount_points
from .observe_replaced import replaced
from .observe_usable import unusable
from .observed import ContainerObserved, Host, Neighbour, Unusable
from .options import container_from, container_of
from .plan import SHARED, plan_container
from .plan_declared import dropped, meant, options_of
from .plan_init import NONE
from .plan_resolve import check_limits
from .plan_volumes import own_volumes, places_of
from .records import Container


class ContainerResource(DeclaredResource[Container, ContainerObserved]):
    """Desired, observed and planned as everything else; ``restarted`` is an event, after which it is started."""

    name = "ns_container"
    keeps = (locations.STATE, locations.LIBRARY, locations.IMAGES, locations.CONTAINERS, locations.VOLUMES)
    keeps_layers = True
    needs_pyroute2 = True
    #: Every change of a container looks at the others' addresses, hosts files and ID ranges, and at its image.
    lock_names = (CONTAINERS_LOCK, *observe_network.LOCKS)

    def desired(self, params: Mapping[str, Any]) -> Container:
        return container_from(params)

    def observe(self, desired: Container) -> ContainerObserved:
        if desired.limits_required and desired.state != "absent":
            # Before anything is read that a host without its packages does not have.
            check_limits(desired, resources_for(desired.limits), cgroup_state.find_hierarchy())
        if desired.just_started:
            control.wait_first_moments(desired.name)
        return observe(desired)

    def plan(self, desired: Container, observed: ContainerObserved) -> Plan:
        wanted = meant(desired, observed.recorded)
        if desired.just_started:
            _check_survived(desired, observed)
        plan = plan_container(wanted, observed)
        less = dropped(wanted, observed.recorded) if wanted is desired else ()
        return replace(plan, warnings=(*plan.warnings, *less))

    def boot(self, desired: Container) -> Boot:
        # container.json is its record; boot needs no other.
        return Boot(desired.name, desired.state != "absent")

    def complete(self, desired: Container, plan: Plan) -> Plan:
        if desired.assume:
            from .assumed import assumed_boot  # here, as below: only the check mode of a role gives it

            if assumed_boot(desired.assume, systemd.running()):
                return plan
        return super().complete(desired, plan)

    def restorable(self) -> Iterator[Restorable[Container]]:
        # Its network and files; its process is the business of its own unit.
        for name in container_records.names():
            if os.path.lexists(f"{directory(name)}/container.json"):
                yield Restorable(name, partial(_declared, name))

    def settled(self, desired: Container) -> Container:
        state = "started" if desired.state == "restarted" else desired.state
        # What only named a state is by now what is recorded, whichever of the two it meant.
        image = desired.image if options_of(desired) else None
        return replace(desired, state=state, image=image, just_started=state == "started")

    def facts(self, desired: Container, observed: ContainerObserved) -> dict[str, Any]:
        wanted = meant(desired, observed.recorded)
        return {"container": facts(wanted, observed) if wanted.state != "absent" else {}}


def observe(container: Container, host: Host | None = None) -> ContainerObserved:
    """Everything the planner needs to know; ``host`` where that is known already. Raises KernelError, Refused."""
    home = directory(container.name)
    record = container_records.read(container.name)
    recorded = _recorded(record)
    container = meant(container, recorded)
    host = host or _host(container, record or {})
    image = _image(container) if container.state != "absent" else None
    if container.assume:
        from .assumed import assumed_image

        image = assumed_image(container.assume, container.image, image)
    documents = {
        "config": files.read_json(f"{home}/bundle/config.json"),
        "launch": container_records.read_launch(container.name),
    }
    hierarchy = cgroup_state.find_hierarchy()
    launch = documents["launch"] or {}
    path = cgroup_path(container.name, host.systemd, hierarchy.mount) if hierarchy.mount else "/"
    supervised = control.observe(container.name)
    network = observe_network.observe(
        container,
        dict(host.networks),
        (record or {}).get("addresses", {}),
        host.identity,
        ((documents["config"] or {}).get("linux") or {}).get("sysctl") or {},
    )
    if container.assume:
        from .assumed import assumed_bridges

        network = assumed_bridges(network, host.networks)
    layers = _layers(image, home, (record or {}).get("image_digest"))
    spent = spent_mount_points(container, image, layers, documents["config"]) if container.state != "absent" else ()
    starts = not supervised.running or launch.get("runtime") != container.runtime
    reapers, no_reaper = _reapers(container)
    written, directories = _files(container.name, host.systemd), frozenset(_directories(home))
    return ContainerObserved(
        host=host,
        record=record,
        supervised=supervised,
        image=image,
        user=_user(container, image, layers),
        root=_root(image),
        files=written,
        documents=documents,
        directories=directories,
        cgroup=cgroup_state.observe_cgroup(path, _limit_files(container, launch, host.resources)),
        network=network,
        unit_enabled=host.systemd and systemd.starts_at_boot(unit.unit_name(container.name)),
        leftovers=_leftovers(container.name, path),
        empty=frozenset(path for path in SHARED if files.is_empty_directory(path)),
        unusable=(
            *((Unusable("init", container.init, no_reaper),) if no_reaper else ()),
            *unusable(container, image, layers, host.no_idmap, documents["config"], spent, starts),
        )
        if container.state != "absent"
        else (),
        strayed=strayed(supervised, documents, host.neighbours),
        recorded=recorded,
        replaced=replaced(supervised, documents["config"]),
        modes=_modes((*written, *directories, own_volumes(container.name))),
        reapers=reapers,
        no_reaper=no_reaper,
        spent=spent,
    )


def _reapers(container: Container) -> tuple[tuple[str, ...], str]:
    """The host's programs for ``init: reaper``, or why there is none; looked for where the container asks for one."""
    if container.init == NONE or container.state == "absent":
        return (), ""
    from .._kernel import reaper  # here: few containers ask for it

    # A package that is missing would have been installed by then.
    found = reaper.usable() or (reaper.PROGRAMS[:1] if container.assume else ())
    return found, "" if found else reaper.why_none()


def _declared(name: str) -> Container:
    """As recorded. Raises KernelError, OptionError."""
    record = container_records.read(name)
    if record is None or not isinstance(record.get("params"), Mapping):
        raise files.damaged(f"{directory(name)}/container.json")
    return container_of(record)


def _recorded(record: Mapping[str, Any] | None) -> Container | None:
    """What the record declares; None for one that means nothing to this version, and is declared again."""
    try:
        return container_of(record) if record is not None else None
    except (OptionError, KeyError):
        return None


def _host(container: Container, before: Mapping[str, Any]) -> Host:
    listeners, holders = observe_network.listeners(container.networks)
    networks, table = {network.name: network for network in read_networks()}, observe_network.table()
    host = Host(
        resolv_conf=_resolv_conf(),
        no_idmap=userns.why_no_idmapped_layers(),
        systemd=systemd.running(),
        systemd_version=systemd.version() if systemd.running() else 0,
        resources=resources_for(container.limits),
        identity=host_identity(),
        nodename=os.uname().nodename,
        networks=networks,
        table=table,
        elements=declared_elements(networks.values(), table, f"container/{container.name}"),
        localnet=observe_network.localnet(
            {*(attachment.network for attachment in container.networks), *before.get("addresses", {})}, networks
        ),
        neighbours=tuple(_neighbour(name, record) for name, record in declared(without=container.name)),
        listeners=listeners,
        absent=observe_network.absent(container.networks),
        holders=holders,
        volumes=frozenset(_listed(locations.VOLUMES)),
        places=places(places_of(container)) if systemd.running() else (),
        granted_ids=subids.granted(),
    )
    if not container.assume:
        return host
    from .assumed import assumed_host, assumed_neighbours

    return assumed_neighbours(container, assumed_host(container.assume, host), container_from, observe)


def _neighbour(name: str, record: Mapping[str, Any]) -> Neighbour:
    supervised = control.observe(name)
    hosts = files.read_text(f"{directory(name)}/hosts")
    pid, start_time = (supervised.pid, supervised.start_time) if supervised.running else (None, None)
    return Neighbour(container_of(record), record, hosts, pid, start_time)


def _resolv_conf() -> str:
    """The host's, or behind systemd-resolved's stub the servers it really asks (systemd-resolved.service(8))."""
    text = files.read_text("/etc/resolv.conf") or ""
    if re.search(r"^nameserver\s+(::ffff:)?127\.0\.0\.5[34]\s*$", text, re.MULTILINE):
        return files.read_text("/run/systemd/resolve/resolv.conf") or text
    return text


def _image(container: Container) -> Image | None:
    try:
        return Store().resolve(container.image or "")
    except ImageError as error:
        raise Refused(f"image: '{container.image}': {error}") from None


def _layers(image: Image | None, home: str, digest: str | None) -> list[str]:
    """What the container's root shows, the topmost first."""
    if image is None:
        return []
    # What it wrote goes when another image takes the place of its own.
    written = [f"{home}/upper"] if digest == image.digest and os.path.isdir(f"{home}/upper") else []
    return [*written, *image.lowerdirs]


def _user(container: Container, image: Image | None, layers: list[str]) -> tuple[int, int, tuple[int, ...]] | str:
    if image is None:
        return (0, 0, ())
    try:
        return parse_user(container.user or image.config.get("User") or "0", lambda path: read_file(layers, path))
    except NoSuchUser as error:
        return str(error)
    except CannotTell as error:
        return f"the image's /etc/passwd and /etc/group cannot be read: {error}"


def _root(image: Image | None) -> tuple[int, int, int]:
    try:
        status = os.stat(image.layers[0]) if image is not None and image.layers else None
    except OSError:
        status = None  # the planner says that the layer is missing
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) if status is not None else (0o755, 0, 0)


def _files(name: str, with_unit: bool) -> dict[str, str | None]:
    home = directory(name)
    known = ("container.json", "hosts", "hostname", "resolv.conf", "bundle/config.json", "launch.json")
    paths = [f"{home}/{file}" for file in known] + ([unit.unit_path(name)] if with_unit else [])
    return {path: files.read_text(path) for path in paths}


def _directories(home: str) -> list[str]:
    known = ["", "/bundle", "/bundle/rootfs", "/log", "/upper", "/work", "/upper.before", "/work.before"]
    volumes = [f"/volumes/{name}" for name in _listed(f"{home}/volumes")]
    return [home + name for name in [*known, *volumes] if os.path.isdir(home + name)]


def _modes(paths: Iterable[str]) -> dict[str, int]:
    """Of those that exist."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
    return found


def _limit_files(container: Container, launch: Mapping[str, Any], resources: HostResources) -> tuple[str, ...]:
    return tuple(sorted({*(launch.get("files") or {}), *limits_to_files(container.limits, resources)}))


def _leftovers(name: str, cgroup: str) -> bool:
    return os.path.isdir(f"{locations.CONTAINERS_RUN}/{name}") or os.path.isdir(cgroup)


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _check_survived(desired: Container, observed: ContainerObserved) -> None:
    """A container that failed as soon as it was started is an error with its own last words."""
    supervised = observed.supervised
    if supervised.status != "exited" or supervised.completed:
        return
    from .logs import last_lines, without_values

    how = f"was killed by {supervised.signal}" if supervised.signal else f"exited with code {supervised.exit_code}"
    launch, since = observed.documents.get("launch"), supervised.started_at
    said = "\n".join(last_lines(desired.name, launch, 10, since)) if since else ""
    said = without_values(said, meant(desired, observed.recorded).env)
    raise CommandFailed(
        f"container {desired.name} {how} immediately after starting"
        + (f": {supervised.error}" if supervised.error else "")
        + (f". Last log lines:\n{said}" if said else "; it wrote nothing"),
        {"container": facts(meant(desired, observed.recorded), observed)},
    )
