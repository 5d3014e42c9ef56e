# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every file that nsrun and restore need on a host, as imports. Written by tools/shipped.

Ansible sends along with a module what the module imports, executed or not. A module that installs the library on a host
imports this file; any other module stays small.
"""

from __future__ import annotations


def boot() -> None:
    from .._boot import (  # noqa: F401
        declared,
        host,
        host_code,
        library,
        plan,
        resource,
        restoring,
        shipped,
    )


def cgroup() -> None:
    from .._cgroup import (  # noqa: F401
        limit_values,
        limits,
        observe,
        operations,
        plan,
    )


def container() -> None:
    from .._container import (  # noqa: F401
        bundle_options,
        documents,
        documents_bundle,
        documents_health,
        documents_identity,
        exec,
        facts,
        health,
        logs,
        observe,
        observe_conditions,
        observe_covered,
        observe_host,
        observe_hosts,
        observe_joined,
        observe_mount_places,
        observe_mount_points,
        observe_mounted,
        observe_network,
        observe_program,
        observe_replaced,
        observe_runtime,
        observe_usable,
        observed,
        operations,
        option,
        options,
        options_mounts,
        options_values,
        plan,
        plan_declared,
        plan_exec,
        plan_hosts,
        plan_identity,
        plan_init,
        plan_modes,
        plan_namespaces,
        plan_network,
        plan_quiet,
        plan_resolve,
        plan_shared_memory,
        plan_start,
        plan_userns,
        plan_volumes,
        records,
        resource,
        restore,
        view,
    )


def core() -> None:
    from .._core import (  # noqa: F401
        command_line,
        converge,
        errors,
        files,
        fold,
        ip_text,
        mac,
        names,
        neighbours,
        observe_cgroups,
        observe_containers,
        observe_files,
        observe_links,
        observe_own_paths,
        observe_world,
        operation,
        own_directories,
        paths,
        phases,
        quantities,
        resource,
        texts,
        units,
        user_ids,
    )


def image() -> None:
    from .._image import (  # noqa: F401
        errors,
    )


def image_format() -> None:
    from .._image.format import (  # noqa: F401
        digest,
        healthcheck,
        reference,
        shapes,
        user,
        variables,
    )


def image_layers() -> None:
    from .._image.layers import (  # noqa: F401
        find,
        layer,
        lookup,
        lower,
        overlay_marks,
        parents,
        policy,
        stream,
        tarstream,
        tarwriter,
    )


def image_sources() -> None:
    from .._image.sources import (  # noqa: F401
        mount_points,
    )


def image_store() -> None:
    from .._image.store import (  # noqa: F401
        disk,
        store,
        volume,
    )


def kernel() -> None:
    from .._kernel import (  # noqa: F401
        capabilities,
        cgroup,
        cgroup_devices,
        cgroup_state,
        cgroup_usage,
        clone,
        container_records,
        elf,
        errors,
        files,
        host_resources,
        idmap,
        inode_flags,
        iptables_legacy,
        kernel,
        libc,
        libnftables,
        locations,
        loopback,
        mount,
        mount_overlay,
        mountinfo,
        namespaces,
        netlink,
        netlink_conntrack,
        netlink_fdb,
        netlink_filter,
        netlink_ip,
        netlink_links,
        netlink_messages,
        netlink_neighbours,
        netlink_qdisc,
        netns,
        nft,
        notify,
        openat2,
        overlay_by_mount,
        overlay_options,
        overlay_state,
        own_directories,
        passwd,
        process,
        process_holders,
        process_mounts,
        process_root,
        process_title,
        pyroute2_parts,
        reaper,
        record_file,
        regular,
        seccomp,
        shared_directory,
        sockets,
        spawn,
        state_directory,
        subids,
        sysctl,
        sysctl_carried,
        sysctl_names,
        sysctl_trial,
        systemd,
        terminal,
        tree,
        unit_files,
        userns,
    )


def links() -> None:
    from .._links import (  # noqa: F401
        addresses,
        netns,
        observe,
        observe_sysctls,
        operations,
        plan,
        plan_checks,
        plan_together,
        qdisc,
        records,
        sysctl_values,
        sysctls,
    )


def network() -> None:
    from .._network import (  # noqa: F401
        foreign_firewall,
        forwarding,
        host_sysctls,
        ipam,
        nft_table,
        observe,
        observe_declared,
        operations,
        options,
        plan,
        plan_checks,
        plan_elements,
        publish,
        recorded,
        records,
        resource,
    )


def runtime() -> None:
    from .._runtime import (  # noqa: F401
        errors,
    )


def runtime_bundle() -> None:
    from .._runtime.bundle import (  # noqa: F401
        checks,
        defaults,
        device_rules,
        hooks,
        mount_entry,
        resources,
        seccomp_filter,
        seccomp_policy,
        signals,
        spec,
        spec_rules,
    )


def runtime_command() -> None:
    from .._runtime.command import (  # noqa: F401
        cli,
        commands,
        features,
        options,
        supervision,
        usage,
    )


def runtime_process() -> None:
    from .._runtime.process import (  # noqa: F401
        bounded,
        build_cgroup,
        cgroups,
        channel,
        clock,
        console,
        create,
        credentials,
        descriptors,
        devices,
        end,
        exchange,
        execute,
        foreground,
        init,
        inroot,
        isolated,
        lifeline,
        masking,
        mounting,
        pipes,
        prepare,
        rootfs,
        seal,
        standard,
        state,
    )


def runtime_supervise() -> None:
    from .._runtime.supervise import (  # noqa: F401
        control,
        engine,
        joined,
        launch,
        logs,
        record,
        restart,
        starter,
        supervisor,
        unit,
    )
