# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host decides for a container: its addresses, its range of IDs, its control files. Pure and stable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._cgroup.limits import controllers_of, limits_to_files
from .._cgroup.plan import missing_controllers
from .._core.errors import OptionError, Refused
from .._core.user_ids import outside_of
from .._image.store.store import NOT_YET, Image
from .._kernel.cgroup_state import Hierarchy
from .._kernel.errors import absent
from .._kernel.host_resources import HostResources
from .._kernel.subids import Granted
from .._network.ipam import allocate
from .._network.records import Network
from .documents_bundle import process_args
from .observed import ContainerObserved, Host
from .plan_init import program_for
from .plan_namespaces import namespaces_of
from .plan_userns import check_mounts
from .records import FIRST_ID, ID_RANGE, LAST_ID, Attachment, Container, Resolved

#: ``pids.max`` of a container that says nothing of it: far above what a service has, and far below where forks without
#: end take the host's process table along. Podman's is 2048.
DEFAULT_PIDS = "4096"


def resolve(container: Container, observed: ContainerObserved) -> Resolved:
    """Raises OptionError for a value that this host cannot take, Refused for a clash."""
    host = observed.host
    check_limits(container, host.resources, observed.cgroup.hierarchy)
    files, unenforced = limits(container.limits, observed)
    image = image_of(container, observed)
    # Of an image that is yet to be made nobody knows what is in it.
    if image.digest != NOT_YET:
        _check_process(container, image, observed.user)
    record = observed.record or {}
    for namespace, value in container.namespaces.items():
        if value.startswith("container:"):
            _neighbour_record(host, value, namespace)
    _check_names(container, host)
    idmap = _idmap(container, host, record)
    check_mounts(container, idmap is not None)
    user = (0, 0, ()) if isinstance(observed.user, str) else observed.user
    outside = outside_of(user, idmap[1] if idmap else None)
    if outside:
        raise OptionError("user", container.user or image.config.get("User"), outside)
    for group in observed.groups:
        if told := outside_of((0, 0, (group,)), idmap[1] if idmap else None):
            raise OptionError("group_add", group, told)
    return Resolved(
        image_digest=image.digest,
        idmap=idmap,
        addresses=tuple(
            _addresses(container, attachment, index, host, record)
            for index, attachment in enumerate(container.networks)
        ),
        files=files,
        unenforced=unenforced,
        user=(*user[:2], tuple(sorted({*user[2], *observed.groups} - {user[1]}))),
        namespaces=namespaces_of(container, host, idmap),
        reaper=program_for(container, observed),
    )


def _check_process(container: Container, image: Image, user: tuple[int, int, tuple[int, ...]] | str) -> None:
    """There is something to run, somebody to run it as, and somewhere. Raises OptionError, Refused."""
    if isinstance(user, str):
        raise OptionError("user", container.user or image.config.get("User"), user)
    if not "".join(process_args(container, image.config)[:1]):
        raise Refused(f"command: is not given, and image '{container.image}' names none: give one")
    cwd = container.cwd or image.config.get("WorkingDir") or "/"
    if not cwd.startswith("/"):
        raise Refused(f"image: '{container.image}': its WorkingDir {cwd!r} is not absolute: give one as cwd")


def _check_names(container: Container, host: Host) -> None:
    """No alias is another container's own name on that network, nor the other way round. Raises Refused."""
    for index, attachment in enumerate(container.networks):
        for other in (neighbour.container for neighbour in host.neighbours):
            theirs = next((a for a in other.networks if a.network == attachment.network), None)
            if theirs is None:
                continue
            for alias in attachment.aliases:
                if alias in (other.name, other.hostname):
                    raise Refused(
                        f"networks[{index}].aliases: '{alias}': container {other.name} on network {theirs.network} "
                        "has that name; choose another alias"
                    )
            if container.name in theirs.aliases:
                raise Refused(
                    f"name: '{container.name}': container {other.name} has that alias on network {theirs.network}; "
                    "take the alias from it, or choose another name"
                )


def image_of(container: Container, observed: ContainerObserved) -> Image:
    """The image, unpacked. Raises Refused."""
    if observed.image is None:
        raise absent(
            Refused(f"image: '{container.image}': no image of that name is on this host; make it with oci_image")
        )
    if observed.image.missing:
        raise Refused(
            f"image: '{container.image}': its unpacked layer {observed.image.missing[0]} is missing; make it again "
            "with oci_image"
        )
    return observed.image


def network_of(attachment: Attachment, index: int, host: Host) -> Network:
    """The network an attachment is about. Raises Refused."""
    network = host.networks.get(attachment.network)
    if network is None:
        there = ", ".join(sorted(host.networks)) or "none"
        raise absent(
            Refused(
                f"networks[{index}].name: '{attachment.network}': no network of that name is on this host (there is: "
                f"{there}); declare it with bridge_network"
            )
        )
    return network


def _addresses(
    container: Container, attachment: Attachment, index: int, host: Host, record: Mapping[str, Any]
) -> tuple[str, ...]:
    taken = [
        address
        for neighbour in host.neighbours
        for address in neighbour.record.get("addresses", {}).get(attachment.network, ())
    ]
    return allocate(
        network_of(attachment, index, host),
        taken,
        attachment.addresses,
        record.get("addresses", {}).get(attachment.network, ()),
        f"networks[{index}].addresses",
    )


def _idmap(container: Container, host: Host, record: Mapping[str, Any]) -> tuple[int, int] | None:
    """The range of the user namespace: the one it has, else one that no other container of ours has."""
    wanted = container.namespaces.get("user")
    if wanted == "host":
        return None
    if wanted is not None and wanted.startswith("container:"):
        return _range_of(_neighbour_record(host, wanted, "user"))
    if host.no_idmap:
        if wanted == "private":
            raise Refused(f"namespaces.user: 'private': {host.no_idmap}; choose host to run without one")
        return None
    had = _range_of(record)
    return had or _free_range(container.name, (_range_of(n.record) for n in host.neighbours), host.granted_ids)


def _neighbour_record(host: Host, wanted: str, namespace: str) -> Mapping[str, Any]:
    name = wanted.partition(":")[2]
    for neighbour in host.neighbours:
        if neighbour.container.name == name:
            return neighbour.record
    raise absent(Refused(f"namespaces.{namespace}: '{wanted}': no container {name} is declared on this host"))


def _range_of(record: Mapping[str, Any]) -> tuple[int, int] | None:
    idmap = record.get("idmap")
    return (int(idmap[0]), int(idmap[1])) if idmap else None


def _free_range(name: str, taken: Iterable[tuple[int, int] | None], granted: Sequence[Granted] = ()) -> tuple[int, int]:
    """Begin where the name's digest says and take the next free one, so that a container made anew gets the same.

    IDs that /etc/subuid or /etc/subgid gives to a user are nobody else's: that user could act as the container's.
    """
    slots = (LAST_ID - FIRST_ID) // ID_RANGE
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % slots
    used = {entry[0] for entry in taken if entry is not None}
    for step in range(slots):
        host_id = FIRST_ID + ((first + step) % slots) * ID_RANGE
        if host_id not in used and not any(one.overlaps(host_id, ID_RANGE) for one in granted):
            return host_id, ID_RANGE
    why = f"no {ID_RANGE} user IDs from {FIRST_ID} to {LAST_ID} are left on this host"
    if granted:
        most = max(granted, key=lambda one: min(one.first + one.size, LAST_ID) - max(one.first, FIRST_ID))
        why += (
            f": {most.file} gives those from {most.first} to {most.first + most.size - 1} to {most.user}; give that "
            "user fewer, or set namespaces.user to host"
        )
    raise Refused(f"namespaces.user: {why}")


def limits(given: Mapping[str, Any], observed: ContainerObserved) -> tuple[dict[str, str], dict[str, str]]:
    """The control files to write for the option ``limits``, and those that cannot be, each with who has its controller.

    A limit that nobody asked for is never among the latter.
    """
    return _kept_limits(given, observed.host.resources, observed.cgroup.hierarchy)


def check_limits(container: Container, resources: HostResources, hierarchy: Hierarchy) -> None:
    """Raises Refused where limits are required and this host cannot keep them, whatever else is true of it."""
    _files, unenforced = _kept_limits(container.limits, resources, hierarchy)
    if unenforced and container.limits_required:
        reasons = sorted(set(unenforced.values()))
        raise Refused(
            f"limits: cgroup v2 on this host lacks {', '.join(reason.partition(':')[0] for reason in reasons)}. "
            f"{'; '.join(reasons)}. Leave the limits out, or set limits_required: false (of role container: "
            "container_limits: warn) to do without them"
        )


def _kept_limits(
    given: Mapping[str, Any], resources: HostResources, hierarchy: Hierarchy
) -> tuple[dict[str, str], dict[str, str]]:
    files = limits_to_files(given, resources)
    if "pids" in hierarchy.controllers:
        files = {"pids.max": DEFAULT_PIDS, **files}
    missing = missing_controllers(hierarchy, files)
    lacking = ((name, controller) for name in files for controller in controllers_of([name]) if controller in missing)
    unenforced = {name: f"{controller}: {missing[controller]}" for name, controller in lacking}
    return {name: value for name, value in files.items() if name not in unenforced}, unenforced


def limits_left_out(given: Mapping[str, Any], observed: ContainerObserved) -> dict[str, str]:
    """The declared limits that this host cannot keep, as control files with what would be in them."""
    _files, unenforced = limits(given, observed)
    wanted = limits_to_files(given, observed.host.resources)
    return {name: f"{wanted[name]} (not enforced)" for name in unenforced}
