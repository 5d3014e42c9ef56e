# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which keys of the Compose Specification are read, which have no counterpart here and why, and which have no effect.

One table for each mapping that the specification defines (schema/compose-spec.json). To support a key, take it out of
``unsupported``, name it in ``read``, and read it where that mapping is translated. The last two are not needed for a
key of a service that holds what an option of ns_container holds: the option's field names it (_container/records.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...module_utils._container.records import OPTIONS


@dataclass(frozen=True)
class Section:
    """The keys of one mapping. ``unsupported`` says why not and what to write, ``idle`` why nothing comes of a key; a
    key in ``silent`` has no effect by the specification itself."""

    name: str
    read: frozenset[str]
    unsupported: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """Every key that the specification has there."""
        return self.read | frozenset(self.unsupported) | frozenset(self.idle) | self.silent


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SWARM = "has an effect only in a swarm"
_NO_LABELS = "labels are kept of containers alone"
_DEVICES = "devices cannot be given to a container; bind what can be opened without one"

TOP = Section(
    "a Compose file",
    _words("name services networks volumes secrets configs"),
    {
        "include": "write the services of the other file into this one",
        "models": "there is nothing that runs models",
    },
    silent=_words("version"),
)
#: Keys of a service that hold what an option of ns_container holds: Compose's name -> the option's.
OPTIONS_BY_KEY = {each.compose: name for name, each in OPTIONS.items() if each.compose}
SERVICE = Section(
    "a service",
    frozenset(OPTIONS_BY_KEY)
    | _words(
        """annotations blkio_config cgroup command configs container_name cpu_period cpu_quota cpu_shares cpus cpuset
        depends_on deploy entrypoint env_file environment extends extra_hosts healthcheck image init ipc labels links
        logging mac_address mem_limit mem_reservation memswap_limit network_mode networks pid pids_limit platform ports
        profiles pull_policy restart scale secrets security_opt stop_grace_period sysctls tmpfs ulimits
        userns_mode uts volumes"""
    ),
    {
        "build": "build the image with oci_image, or elsewhere, and name it in image",
        "cgroup_parent": "each container has its place in the tree of cgroups",
        "cpu_count": "is for Windows; use cpus",
        "cpu_percent": "is for Windows; use cpus",
        "cpu_rt_period": "cgroup v2 has no real-time share",
        "cpu_rt_runtime": "cgroup v2 has no real-time share",
        "credential_spec": "is for Windows",
        "device_cgroup_rules": _DEVICES,
        "devices": _DEVICES,
        "external_links": "name the other container's network in networks, as external",
        "gpus": _DEVICES,
        "isolation": "is for Windows",
        "label_file": "write the labels into labels",
        "mem_swappiness": "cgroup v2 has no such limit; use memswap_limit",
        "models": "there is nothing that runs models",
        "oom_kill_disable": "cgroup v2 has no such setting",
        "post_start": "no command is run beside the container's own",
        "pre_stop": "no command is run beside the container's own",
        "privileged": "name what the program needs in cap_add, security_opt and volumes",
        "provider": "a service is a container",
        "pull_refresh_after": "an image is pulled never, where it is missing, or each time",
        "stdin_open": "a container has no standard input",
        "storage_opt": "the size of a root file system cannot be limited",
        "tty": "a container has no terminal",
        "use_api_socket": "there is no engine with a socket",
        "volumes_from": "name the volumes in volumes",
    },
    idle={"develop": "files are watched by Compose alone"},
    silent=_words("attach expose"),
)
DEPLOY = Section(
    "deploy",
    _words("mode replicas resources restart_policy"),
    idle=dict.fromkeys(("endpoint_mode", "labels", "placement", "rollback_config", "update_config"), _SWARM),
)
RESOURCES = Section("deploy.resources", _words("limits reservations"))
LIMITS = Section("deploy.resources.limits", _words("cpus memory pids"))
RESERVATIONS = Section(
    "deploy.resources.reservations",
    _words("memory"),
    {
        "cpus": "CPU time cannot be reserved; use cpu_shares",
        "devices": _DEVICES,
        "generic_resources": _SWARM,
    },
)
RESTART_POLICY = Section(
    "deploy.restart_policy",
    _words("condition max_attempts"),
    idle=dict.fromkeys(("delay", "window"), "the pauses between attempts grow by themselves"),
)
BLKIO = Section(
    "blkio_config",
    _words("device_read_bps device_read_iops device_write_bps device_write_iops weight weight_device"),
)
BLKIO_RATE = Section("an entry of blkio_config", _words("path rate"))
BLKIO_WEIGHT = Section("an entry of blkio_config", _words("path weight"))
HEALTHCHECK = Section("healthcheck", _words("disable interval retries start_interval start_period test timeout"))
LOGGING = Section("logging", _words("driver options"))
LOGGING_OPTIONS = Section(
    "logging.options",
    _words("max-size max-file"),
    dict.fromkeys(
        ("compress", "env", "env-regex", "labels", "labels-regex", "mode", "max-buffer-size", "tag"),
        "logs are kept as they are",
    ),
)
DEPENDENCY = Section(
    "depends_on",
    _words("condition required"),
    {"restart": "a container is not restarted because another one was"},
)
ULIMIT = Section("ulimits", _words("soft hard"))
EXTENDS = Section(
    "extends",
    _words("service"),
    {"file": "write the service of the other file into this one"},
)
ENV_FILE = Section("env_file", _words("path required format"))
PORT = Section("ports", _words("target published host_ip protocol mode"), silent=_words("name app_protocol"))
ATTACHMENT = Section(
    "networks of a service",
    _words("aliases gw_priority interface_name ipv4_address ipv6_address mac_address priority"),
    {
        "driver_opts": "the settings of a container's links are its sysctls",
        "link_local_ips": "the kernel chooses link-local addresses",
    },
)
MOUNT = Section(
    "volumes of a service",
    _words("type source target read_only bind volume tmpfs image"),
    silent=_words("consistency"),
)
BIND = Section(
    "bind",
    _words("propagation"),
    {
        "create_host_path": "directories of the host are not created; create it first, with ansible.builtin.file",
        "recursive": "a bind mount always shows what is mounted below its source",
        "selinux": "files are not relabelled; do that with community.general.sefcontext",
    },
)
VOLUME_OPTIONS = Section(
    "volume",
    frozenset(),
    {
        "nocopy": "a volume begins with what its image has at the target",
        "subpath": "a volume is mounted as a whole; use another volume",
    },
    idle={"labels": _NO_LABELS},
)
TMPFS_OPTIONS = Section("tmpfs", _words("size mode"))
SECRET_USE = Section("secrets of a service", _words("source target uid gid mode"))
NETWORK = Section(
    "a network",
    _words("name driver driver_opts ipam external enable_ipv4 enable_ipv6"),
    {"internal": "bridge_network cannot keep containers from what is outside; leave it out, and filter on the host"},
    idle={"labels": _NO_LABELS},
    silent=_words("attachable"),
)
IPAM = Section("ipam", _words("driver config"), {"options": "addresses are chosen on the host"})
IPAM_CONFIG = Section(
    "ipam.config",
    _words("subnet gateway"),
    {
        "ip_range": "containers get the lowest free address of the subnet; name ipv4_address where that matters",
        "aux_addresses": "nothing but containers has addresses in a network",
    },
)
EXTERNAL = Section("external", _words("name"))
VOLUME = Section("a volume", _words("name driver driver_opts external"), idle={"labels": _NO_LABELS})
SECRET = Section(
    "a secret",
    _words("file environment"),
    {
        "external": "there is no store of secrets; name a file of the controller in file",
        "driver": "there is no store of secrets; name a file of the controller in file",
        "driver_opts": "there is no store of secrets; name a file of the controller in file",
        "template_driver": "a secret is taken as it is",
    },
    idle={"labels": _NO_LABELS},
    silent=_words("name"),
)
CONFIG = Section(
    "a config",
    _words("file environment content"),
    {
        "external": "there is no store of configs; name a file of the controller in file",
        "template_driver": "a config is taken as it is",
    },
    idle={"labels": _NO_LABELS},
    silent=_words("name"),
)
