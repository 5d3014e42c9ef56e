# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Docker, Podman, Compose and their Ansible modules call an option, and what to write here instead.

Keys are full names of options, ``[]`` for any entry of a list. ``state=running`` is a value, ``env=`` a value of
another shape than the option's, ``networks[]=`` an entry that is not a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping


def words_of(module: str) -> Mapping[str, str]:
    """Those of one module; empty where nobody knows others."""
    return _MODULES.get(module, {})


def _each(text: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, text)


def _below(path: str, words: Mapping[str, str]) -> dict[str, str]:
    return {path + name: text for name, text in words.items()}


_PORTS = 'write networks: [{name: NETWORK, ports: ["8080:80"]}]'
_ATTACHED = "write networks: [{name: NETWORK}]; bridge_network makes the network"
_ADDRESS = "write networks: [{name: NETWORK, addresses: [ADDRESS]}]"
_BIND = "write mounts: [{source: /on/the/host, target: /in/the/container}]"
_VOLUME = (
    "write mounts: [{source: /on/the/host, target: /in/the/container}, {type: volume, source: NAME, target: /data}]"
)
_TMPFS = "write mounts: [{type: tmpfs, target: /tmp}]"
_IMAGE = "it belongs to the image: see oci_image, which pulls or builds it"
_ENV = "write env: {NAME: value}"
_LOG = "write log_max_size and log_max_files; under systemd the journal keeps the log"

_MOUNT = {
    **_each("write target", "destination", "dst", "path"),
    **_each("write source", "src", "from", "volume", "bind", "name"),
    **_each("write read_only: true", "readonly", "ro", "mode"),
    **_each("write options: [size=64M]", "size", "tmpfs", "tmpfs_size"),
}
_ATTACHMENT = {
    **_each("write addresses: [ADDRESS]", "ipv4_address", "ipv6_address", "ip", "ip_address", "address", "ipaddr"),
    **_each("write mac", "mac_address", "macaddress"),
    **_each("write aliases", "alias", "links", "hostname"),
    **_each('write ports: ["8080:80"]', "published", "publish", "published_ports", "port"),
    **_each("write interface", "device", "interface_name"),
}
#: What to write below ``limits``.
_LIMITS = {
    **_each("cpu: 1.5", "cpus", "cpu_quota", "cpu_period", "cpu_max", "nano_cpus"),
    **_each("cpu_weight: 100", "cpu_shares"),
    **_each("cpuset: 0-3", "cpuset_cpus"),
    **_each("cpuset_mems: 0", "mems"),
    **_each("memory: 64M", "mem", "mem_limit", "memory_max", "memory_limit", "max_memory"),
    **_each("memory_low: 64M", "mem_reservation", "memory_reservation"),
    **_each("swap: 0", "memswap_limit", "memory_swap", "swap_max"),
    **_each("pids: 100", "pids_limit", "pids_max", "tasks", "tasks_max", "processes"),
    **_each("io: [{device: /dev/sda, rbps: 10M}]", "blkio", "blkio_config", "io_max"),
    **_each("io_weight: 100", "blkio_weight"),
}
_LIMITS_INSIDE = {name: f"write {text}" for name, text in _LIMITS.items()}
_LIMITS_OUTSIDE = {name: f"write limits: {{{text}}}" for name, text in _LIMITS.items()}
_CONTAINER = {
    **_each(_PORTS, "ports", "port", "publish", "published", "published_ports", "exposed_ports", "expose"),
    **_each(_VOLUME, "volumes", "volume"),
    **_each(_BIND, "binds", "bind", "mount"),
    "tmpfs": _TMPFS,
    "privileged": "no container has all rights at once; name those it needs with cap_add, seccomp and namespaces",
    **_LIMITS_OUTSIDE,
    **_each("write limits: {cpu: 1.5, memory: 64M, pids: 100}", "cpu", "memory", "pids", "deploy", "resources"),
    **_each("write rlimits: {nofile: 1024:4096}", "ulimits", "ulimit"),
    **_each("write restart_policy: on-failure; state: restarted restarts it once", "restart"),
    **_each("write restart_policy: on-failure:3", "restart_retries", "restart_max_attempts"),
    **_each(_ENV, "environment", "env_vars", "envs"),
    "env_file": "read the file on the controller and write env: {NAME: value}",
    **_each(f"{_ATTACHED}, or namespaces: {{network: host}}", "network", "network_mode", "net"),
    **_each(_ADDRESS, "ip", "ip_address", "ipv4_address", "addresses", "address"),
    **_each("write networks: [{name: NETWORK, mac: ADDRESS}]", "mac", "mac_address"),
    **_each("write networks: [{name: NETWORK, aliases: [NAME]}]", "aliases", "network_aliases", "links"),
    **_each(_IMAGE, "image_pull", "pull", "pull_policy", "build", "registry", "platform", "healthcheck", "health_cmd"),
    **_each("write name", "container_name"),
    **_each("write command, and args for what follows it", "entrypoint", "cmd", "argv"),
    **_each("write cwd", "working_dir", "workdir", "chdir"),
    **_each("write user", "uid", "username"),
    **_each("write init: reaper", "init_path", "init_process", "use_init", "tini", "catatonit", "dumb_init"),
    **_each("write cap_add", "capabilities", "caps"),
    **_each("write seccomp: unconfined where the filter is in the way", "security_opt", "security_opts"),
    **_each("containers get no device nodes of the host", "devices", "device", "device_requests", "gpus"),
    **_each("enter it with nsrun exec -it NAME sh", "tty", "interactive", "stdin_open"),
    **_each("write dns", "dns_servers", "nameservers"),
    **_each("write dns_search", "dns_search_domains"),
    **_each("write domainname", "domain"),
    **_each("write group_add", "groups", "additional_groups", "supplementary_groups"),
    **_each("write oom_score_adj", "oom_score", "oom_adj", "oom_killer"),
    **_each("write shm_size", "shm", "shmsize"),
    **_each("write dns_options", "dns_opts", "dns_opt"),
    **_each("write extra_hosts: {name: ADDRESS}", "etc_hosts", "hosts", "add_host"),
    **_each("write namespaces: {ipc: host}", "ipc", "ipc_mode"),
    **_each("write namespaces: {pid: host}", "pid", "pid_mode"),
    **_each("write namespaces: {user: host}", "userns", "userns_mode"),
    **_each("write namespaces: {uts: host}", "uts", "uts_mode"),
    **_each("write namespaces: {cgroup: host}", "cgroupns", "cgroupns_mode", "cgroup"),
    **_each(_LOG, "log_driver", "log_options", "log_opt", "logging"),
    **_each("write stop_timeout: 10", "stop_grace_period", "timeout"),
    **_each("write stop_signal", "kill_signal", "signal"),
    **_each("write labels: {name: value}", "annotations"),
    **_each("write purge_volumes", "keep_volumes", "volumes_from"),
    **_each("containers are made in the order of their tasks", "depends_on"),
    **_each("what differs is applied by itself, by recreation where it takes that", "recreate", "force", "force_kill"),
    **_each("containers always run in the background", "detach", "detached"),
    **_each("write state: absent", "auto_remove", "remove", "cleanup", "rm"),
    **_below("networks[].", _ATTACHMENT),
    **_below("mounts[].", _MOUNT),
    **_below("limits.", _LIMITS_INSIDE),
    **_below("namespaces.", {"net": "write network", "userns": "write user", "mount": "it is always private"}),
    **_each("write started", "state=running", "state=up", "state=start", "state=healthy"),
    **_each("write stopped", "state=exited", "state=down", "state=stop", "state=paused", "state=created"),
    **_each("write absent", "state=removed", "state=deleted"),
    "env=": "write NAME: value for each",
    "labels=": "write name: value for each",
    "extra_hosts=": "write name: ADDRESS for each",
    "sysctls=": "write net.core.somaxconn: 1024 for each",
    "rlimits=": "write nofile: 1024:4096 for each",
    "limits=": "write {memory: 64M, cpu: 0.5}",
    "namespaces=": "write {network: host}",
    "networks=": "write [{name: NETWORK}]",
    "networks[]=": "write {name: NETWORK}",
    "mounts=": "write [{source: /on/the/host, target: /in/the/container}]",
    "mounts[]=": "write {source: /on/the/host, target: /in/the/container}",
    "seccomp=false": "write unconfined",
}
_NETWORK = {
    **_each("write addresses: [10.88.0.1/24], the bridge's own address", "subnet", "subnets", "gateway", "cidr"),
    **_each("write addresses: [10.88.0.1/24], the bridge's own address", "ipam", "ipam_config", "address", "ip_range"),
    **_each('write addresses: [10.88.0.1/24, "fd88::1/64"]', "ipv6", "enable_ipv6"),
    **_each("write nat: false", "internal", "masquerade", "ip_masquerade"),
    **_each("every network is a bridge", "driver", "driver_options", "options", "opt"),
    **_each("write bridge: NAME", "interface_name", "bridge_name", "interface"),
    **_each("write published: [{addresses: [ADDRESS], ports: [PORTS]}]", "ports", "publish"),
    **_each("name the network in the container: networks: [{name: NETWORK}]", "connected", "containers"),
    **_each("write isolate: false", "icc", "isolated"),
    **_each("write mac", "mac_address"),
    "published[]=": 'write {addresses: [10.88.0.10], ports: ["8080:80"]}',
    "published=": 'write [{addresses: [10.88.0.10], ports: ["8080:80"]}]',
    **_each("write present", "state=started", "state=up", "state=running"),
}
_IMAGE_WORDS = {
    **_each("write it into name: registry.example/team/web:1.4", "tag", "repository"),
    **_each("write build: {base: IMAGE, copy: [...], run: [...]}", "dockerfile", "context", "path", "build_path"),
    **_each("write registry, archive, image, container, directory, rootfs, debootstrap or build", "source"),
    **_each("write registry: {username: NAME, password: SECRET}", "username", "password", "login"),
    **_each("write registry: {auth_file: FILE}", "auth_file", "authfile"),
    **_each("write registry: {platform: linux/arm64}", "platform", "arch", "architecture"),
    **_each("write registry: {tls_verify: false}", "validate_certs", "tls_verify", "insecure"),
    **_each("write pull: newer, or pull: always", "force_source", "force_pull", "update"),
    **_each("write archive: {path: FILE}", "load_path", "tar", "archive_path"),
    **_each("use oci_image_save", "archive_to", "save", "export"),
    **_each("use oci_image_push", "push", "push_args"),
    **_each(
        "write config: {cmd: [...], env: {...}}", "cmd", "entrypoint", "env", "labels", "workdir", "user", "volumes"
    ),
    "healthcheck": "write config: {healthcheck: {test: [CMD-SHELL, LINE]}}",
    **_each("write build: {run: [...]}", "run"),
    **_each("write build: {copy: [{src: FILE, dest: /in/the/image}]}", "copy", "add"),
    **_each("write build: {base: IMAGE}", "base", "from"),
    **_each("write debootstrap: {suite: bookworm}", "suite", "mmdebstrap"),
    **_below(
        "config.",
        {
            **_each("write cmd", "command", "args"),
            **_each("write env", "environment"),
            **_each("write workdir", "cwd", "working_dir"),
            **_each("write exposed_ports", "ports", "expose"),
        },
    ),
    **_below(
        "build.",
        {
            **_each("write base", "from", "image"),
            **_each("write directories: [{path: /srv}]", "mkdir", "dirs", "directory"),
            **_each("steps run in the environment of the base image; set config: {env: {...}}", "env", "args"),
        },
    ),
    **_below(
        "build.copy[].", {**_each("write src", "source", "from"), **_each("write dest", "destination", "target", "to")}
    ),
    "archive=": "write {path: FILE}",
    "directory=": "write {path: DIRECTORY}",
    "rootfs=": "write {path: DIRECTORY}, or that of a tar archive",
    "registry=": "write {reference: registry.example/team/web:1.4}",
    "debootstrap=": "write {suite: bookworm}",
    "build=": "write {base: IMAGE, run: [COMMAND]}",
    "build.copy[]=": "write {src: FILE, dest: /in/the/image}",
    "build.directories[]=": "write {path: /in/the/image}",
    "build.links[]=": "write {path: /in/the/image, target: WHERE}",
    "config=": "write {cmd: [PROGRAM, ARGUMENT], env: {NAME: value}}",
    "config.env=": "write NAME: value for each",
    "config.labels=": "write name: value for each",
    "config.healthcheck=": "write {test: [CMD-SHELL, LINE]}",
    **_each("write present, and pull: newer", "state=latest", "state=updated"),
    **_each("write present", "state=build", "state=started"),
    **_each("write newer", "pull=latest", "pull=yes", "pull=true"),
}
_EXEC = {
    **_each("write argv: [PROGRAM, ARGUMENT]", "command"),
    **_each("write name", "container", "container_name"),
    **_each("write env: {NAME: value}", "environment"),
    **_each("write cwd", "workdir", "working_dir"),
    **_each("the task always waits for the command", "detach"),
    **_each("for a terminal use nsrun exec -it NAME sh", "tty", "interactive"),
    "env=": "write NAME: value for each",
}
_MODULES = {
    "ns_container": _CONTAINER,
    "bridge_network": _NETWORK,
    "oci_image": _IMAGE_WORDS,
    "ns_container_exec": _EXEC,
    "cgroup_v2": {
        **_LIMITS_OUTSIDE,
        **_each("write limits: {cpu: 1.5, memory: 64M}", "cpu", "memory"),
        **_below("limits.", _LIMITS_INSIDE),
        "limits=": "write {memory: 64M, cpu: 0.5}",
    },
}
_MODULES["overlay_mount"] = {
    **_each("write lowerdirs: [DIRECTORY, ...], the topmost first", "lower", "lowers", "lowerdir", "layers"),
    **_each("write upperdir", "upper", "upperdirs"),
    **_each("write workdir", "work", "workdirs"),
    **_each("write path", "merged", "target", "mountpoint", "mount_point", "dest", "name"),
    **_each("write flags: [nodev, nosuid]", "opts", "options", "mount_options"),
    **_each("write present", "state=mounted", "state=ephemeral"),
    **_each("write absent", "state=unmounted"),
}
_MODULES["netns_veth"] = {
    **_each(
        "write ends: [{netns: NAME, interface: eth0}, {interface: NAME}]", "veth", "veths", "peers", "peer", "links"
    ),
    **_each("write namespaces: [{name: NAME}]", "netns", "namespace"),
    **_below(
        "ends[].",
        {
            **_each("write interface", "name", "device", "ifname", "dev"),
            **_each("write addresses: [ADDRESS/PREFIX]", "address", "ip", "ipv4", "ipv6", "ip_address"),
            **_each("write netns", "namespace"),
            **_each("write impairment", "netem", "qdisc"),
        },
    ),
    "ends[]=": "write {netns: NAME, interface: eth0}",
    "namespaces[]=": "write {name: NAME}",
}
#: Module stack: each list has the options of a module.
_MODULES["stack"] = {
    **_below("images[].", _IMAGE_WORDS),
    **_below("cgroups[].", _MODULES["cgroup_v2"]),
    **_below("overlays[].", _MODULES["overlay_mount"]),
    **_below("links[].", _MODULES["netns_veth"]),
    **_below("networks[].", _NETWORK),
    **_below("containers[].", _CONTAINER),
    **_each("write containers", "services"),
}
