# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of one container, shared by all that declare one."""

from __future__ import annotations


class ModuleDocFragment:
    """Says the same as the fields of module_utils/_container/records.py; tests compare them."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the container, which is also its host name where O(hostname) is unset.
      - 1 to 48 lower-case letters, digits, dots, hyphens or underscores, beginning with a letter or digit.
    type: str
    required: true
  state:
    description:
      - V(started) makes the container agree with the options and its process run.
      - V(present) makes everything but neither starts nor ends the process. One that runs is restarted where a change
        needs that, so that it always runs as declared.
      - V(stopped) ends the process; the network namespace, its links and published ports stay.
      - Where a container that runs cannot be started with other options, it is started again as it was, and the task
        fails.
      - V(restarted) is V(started) with a restart in any case, so it always reports a change.
      - A task that sets only O(name) and a state keeps what the container was declared with before. So does one for
        V(restarted) or V(stopped) that names the recorded O(image) too.
      - Any other task declares the whole container, and an option that it does not set goes back to its default. With
        V(restarted) and V(stopped), a warning names the options that are dropped that way.
      - V(started) waits for the first half second of a process. One that fails within it fails the task, unless
        O(restart_policy) starts it again.
      - A process that exited with code 0 and that O(restart_policy) does not start again is done. V(started) then
        leaves it so and says so in a warning; V(restarted) and a change that needs a restart run it again.
      - V(absent) ends the process and removes everything of the container but its volumes.
    type: str
    choices: [present, started, stopped, restarted, absent]
    default: started
  image:
    description:
      - Name of an image on this host, see M(barekernel.containers.oci_image).
      - Compared by digest. Another digest is applied by recreation, which drops what was written inside the container.
      - Required where any option but O(name) and O(state) is set. Unset, the recorded declaration is kept.
    type: str
  command:
    description:
      - Program and leading arguments, in place of the image's C(Entrypoint); the image's C(Cmd) is then not used.
      - Do not put a secret here. Results and the host's list of processes show it; give it to the program with O(env).
      - Unset, the image's C(Entrypoint) is used. Applied by restart.
    type: list
    elements: str
  args:
    description:
      - Arguments, in place of the image's C(Cmd). Unset, the image's C(Cmd) is used. Applied by restart.
      - Not for secrets, as O(command).
    type: list
    elements: str
  env:
    description:
      - Environment variables beside those of the image. A value left empty is the empty string.
      - Values are text. What YAML takes for a number or a boolean needs quotes, such as C("1.10") or C("on").
      - Values are secret. No result, diff, error or log of Ansible shows them, only that a variable changes. Where an
        error quotes log lines, values of six characters or more are hidden. In the container, and to root on the host
        below C(/var/lib/barekernel), they are in clear text.
      - Applied by restart.
    type: dict
  cwd:
    description: Working directory inside the container. Unset, the image's, or V(/). Applied by restart.
    type: str
  user:
    description:
      - User, or V(user:group), by name or number. Names are looked up in the container's own C(/etc/passwd) and
        C(/etc/group).
      - Unset, the image's, or root of the container. Applied by restart.
    type: str
  group_add:
    description:
      - Groups of the process beside those of O(user), by name or number. Names are looked up in the image's
        C(/etc/group), and numbers are IDs inside the container.
      - A command that M(barekernel.containers.ns_container_exec) runs as another user has that user's groups alone.
      - Unset, none. Applied by restart.
    type: list
    elements: str
  init:
    description:
      - What the container's first process is. V(none), also without quotes or as V(false), is its program itself.
      - V(reaper), or V(true) as in Compose, is C(catatonit) or C(tini) of the host. It starts the program, passes
        signals on to it, reaps orphans, and ends with it.
      - Programs that are not made to be a first process need it. As such the kernel gives them no signal that they do
        not handle, so that C(sleep) is killed only after O(stop_timeout), and orphans that end stay as zombies.
      - Needs O(namespaces.pid=private) and package C(catatonit) on the host, which role C(host) installs.
      - A program that a signal ends counts as exited with code 128 plus the signal's number, e.g. 143 for SIGTERM.
      - Applied by restart.
    type: str
    default: none
  cap_add:
    description:
      - Capabilities beside the default set. Unset, none. Applied by restart.
      - C(SYS_PTRACE) without a user namespace lets the container take over what joins it, and with it the host. Each
        run warns of it.
    type: list
    elements: str
  cap_drop:
    description: Capabilities of the default set to leave out; V(ALL) leaves out every one. Applied by restart.
    type: list
    elements: str
  seccomp:
    description:
      - The system-call filter. V(default) allows what ordinary programs use; V(unconfined) sets none.
      - Applied by restart.
    type: str
    choices: [default, unconfined]
    default: default
  read_only:
    description: Makes the root file system read-only. Applied by restart.
    type: bool
    default: false
  networks:
    description:
      - Networks of M(barekernel.containers.bridge_network) the container is on; the first one has the default route.
      - Unset, the container has a network namespace with nothing but loopback in it. Applied live.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      interface:
        description:
          - Name of the interface inside the container. Unset, C(eth) and the position in the list. Applied live.
        type: str
      addresses:
        description:
          - Addresses in the network, with or without prefix length.
          - Unset, the lowest free one of each family, which the container keeps. Applied live.
        type: list
        elements: str
      mac:
        description: Hardware address. Unset, one derived from host, container and network. Applied live.
        type: str
      ports:
        description:
          - Ports of the host to publish, as C([ADDRESS:]HOST[-LAST]:TARGET[-LAST][/tcp|udp]), e.g. V(8080:80).
          - They stay published while the container is stopped. TCP connections outlive a change of their port, UDP
            clients are led anew with their next packet.
          - An address that the host does not have is a warning, as it may come.
          - Unset, none. Applied live.
        type: list
        elements: str
      aliases:
        description: More names under which the network's other containers find this one. Applied live.
        type: list
        elements: str
  mounts:
    description:
      - Mounts beside those every container has. Unset, none. Applied by restart.
      - A file that was replaced on the host, as M(ansible.builtin.template) does it, is the old one in a container that
        runs. That is found, named as C(replaced_mounts), and mended by a restart.
      - Each directory that the image declares as a volume and that is no O(mounts[].target) is a volume of the
        container's own. It begins with what the image has there, is kept by restart and by recreation, and goes with
        the container. What is to outlive the container is mounted there as a V(volume).
    type: list
    elements: dict
    suboptions:
      type:
        description:
          - V(bind) shows a file or directory of the host.
          - V(tmpfs) is empty memory.
          - V(volume) is a directory kept under C(/var/lib/barekernel/volumes) that outlives the container. The first
            container that names it makes it, with what its image has at O(mounts[].target), but without device nodes,
            setuid and setgid bits and file capabilities.
        type: str
        choices: [bind, tmpfs, volume]
        default: bind
      source:
        description:
          - Path on the host for V(bind), which must be there, name for V(volume), unset for V(tmpfs).
        type: str
      target:
        description:
          - Absolute path inside the container.
          - On a V(tmpfs) or V(volume) at C(/etc) that is not read-only the container's C(hosts), C(hostname) and
            C(resolv.conf) are mounted, and empty files made for that. Anything else at C(/etc) is shown as it is.
        type: str
        required: true
      read_only:
        description: Mounts it read-only.
        type: bool
        default: false
      propagation:
        description:
          - Propagation of mounts below it, see mount_namespaces(7). Unset, V(rprivate).
          - V(rslave) lets later mounts of the host below a V(bind) source arrive. That works only where the mount that
            holds the source is shared on the host, as systemd makes all of them. Mounts made in a container never
            reach the host.
        type: str
        choices: [private, rprivate, slave, rslave]
      options:
        description:
          - More mount options, as mount(8) spells them. Of two that contradict each other, also of those that are the
            default (C(nosuid) and C(nodev)), the last one counts. An option without effect is an error.
          - C(dev) of a V(bind) of a directory also lets the container open the devices in it. A V(tmpfs) in a user
            namespace cannot have working devices.
          - V(idmap) shows a V(bind) of the host with the container's user IDs; a V(volume) is always shown so.
        type: list
        elements: str
  namespaces:
    description:
      - Which namespaces the container has for itself. Applied by recreation.
      - Each is V(private), V(host) or V(container:NAME), which joins that container's.
      - A user namespace may mount only what shows namespaces that it owns. So O(namespaces.pid=host) needs
        O(namespaces.user=host), and whoever shares the process, IPC or cgroup namespace of a container needs its user
        namespace too, which is the default, or O(namespaces.user=host).
      - In the user namespace of another container, O(namespaces.network) must be that container's or V(host).
      - What another container has is looked up at each start of this one, which fails while that one does not run. Only
        its network, and with a network of its own its user namespace, are there although it does not run.
      - At boot systemd starts it after those whose namespaces it shares. It is not started, stopped or restarted with
        them. A task that finds that another one has got new namespaces since then restarts it.
    type: dict
    suboptions:
      user:
        description:
          - User namespace. Unset, V(private) where the kernel can mount idmapped layers and V(host) where it cannot, or
            that of the container with which another namespace is shared.
          - Its IDs are none that another container has, or that C(/etc/subuid) or C(/etc/subgid) gives to a user.
        type: str
      network:
        description: Network namespace. Unset, V(private).
        type: str
      pid:
        description: Process namespace. Unset, V(private).
        type: str
      ipc:
        description: IPC namespace. Unset, V(private).
        type: str
      uts:
        description: Host-name namespace. Unset, V(private).
        type: str
      cgroup:
        description: Cgroup namespace. Unset, V(private).
        type: str
  limits_required:
    description:
      - What to do with a limit whose cgroup v2 controller this host does not have.
      - V(true) refuses before anything is made.
      - V(false) leaves the limit out with a warning in every run, and names it in the diff and in the result's
        RV(container.limits_not_enforced).
    type: bool
    default: false
  rlimits:
    description:
      - Limits of setrlimit(2), as name to V(SOFT:HARD) or one number, e.g. C(nofile) to V(1024:4096). V(-1),
        V(unlimited) and V(infinity) are no limit.
      - Applied by restart.
    type: dict
  oom_score_adj:
    description:
      - What the kernel adds to the score by which it chooses a process to kill when memory runs out, from V(-1000),
        which is never, to V(1000), which is first. See proc_pid_oom_score_adj(5).
      - Below what the host's own processes have needs C(CAP_SYS_RESOURCE) on the host, but none in the container.
      - Unset, that of the process that starts the container, which is 0 under systemd.
      - Applied by restart, as every process inherits it and may have changed its own since.
    type: int
  shm_size:
    description:
      - Size of C(/dev/shm), the file system that holds POSIX shared memory, such as V(256M), in bytes without a suffix.
        At least 4096 bytes; the kernel rounds up to whole pages. What is written there counts towards O(limits.memory).
      - Needs O(namespaces.ipc=private), and no other mount at C(/dev/shm).
      - Applied live. Where the files in it need more than the new size, applied by restart, which removes them.
    type: str
    default: 64M
  sysctls:
    description:
      - Kernel parameters that belong to a namespace of the container, e.g. C(net.core.somaxconn). Applied by restart.
      - One that is declared no longer gets the value that a new namespace has.
      - On its interfaces C(accept_ra), C(autoconf) and C(accept_redirects) are 0 unless declared here, so that no
        neighbour gives the container addresses or routes.
    type: dict
  hostname:
    description:
      - Host name inside the container, up to 64 letters, digits, hyphens, underscores and dots. Unset, O(name).
        Applied by restart.
    type: str
  domainname:
    description:
      - Domain name inside the container, see setdomainname(2), up to 64 letters, digits, hyphens, underscores and dots.
      - In C(/etc/hosts) of the container and of others on its networks, O(hostname) with this domain is its canonical
        name, as C(hostname --fqdn) shows it.
      - It is no search domain; see O(dns_search). Needs O(namespaces.uts=private).
      - Unset, that of the host, which usually has none. Applied by restart.
    type: str
  dns:
    description:
      - Name servers. Unset, those of the host that can be reached from the container's networks, with a warning
        about others; loopback, unspecified and IPv6 link-local addresses cannot. In the host's network, all of the
        host's. Applied live.
    type: list
    elements: str
  dns_search:
    description: Search domains. Unset, the host's. Applied live.
    type: list
    elements: str
  dns_options:
    description: Options of resolv.conf(5). Unset, none. Applied live.
    type: list
    elements: str
  extra_hosts:
    description: More entries of C(/etc/hosts), as name to address. Unset, none. Applied live.
    type: dict
  labels:
    description: Annotations of the container, as name to value, which is text. Results show them. Applied live.
    type: dict
  stop_signal:
    description: Signal that asks the process to end. Unset, the image's, or V(SIGTERM). Applied live.
    type: str
  stop_timeout:
    description: Seconds between the signal and the kill of what is left, at most 1000000. Applied live.
    type: int
    default: 10
  restart_policy:
    description:
      - When the process is started again by itself, with growing pauses between attempts.
      - V(no), also without quotes, V(on-failure), V(on-failure:N) with at most N attempts, V(always) or
        V(unless-stopped).
      - Applied live, from the next end of the process on.
    type: str
    default: 'no'
  log_max_size:
    description:
      - Size after which the log is rotated, where no journal keeps it, such as V(10M); at least 4096 bytes.
      - Applied live.
    type: str
    default: 10M
  log_max_files:
    description: How many files of log are kept, at most 1000. Applied live; fewer from the next rotation on.
    type: int
    default: 3
  runtime:
    description:
      - The OCI runtime that starts the bundle, V(nsrun) (the collection's own), V(crun), V(runc) or a path.
      - A program that does not answer C(--version) or C(features) as a runtime does is refused.
      - Those of Debian 12 (crun 1.8, runc 1.1) cannot join a user namespace, so with them set O(namespaces.user=host).
      - Applied by restart.
    type: str
    default: nsrun
  purge_volumes:
    description: With O(state=absent), removes the volumes that no other container names, too.
    type: bool
    default: false
"""
