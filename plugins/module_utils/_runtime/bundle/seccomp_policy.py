# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The default seccomp policy, as data: an allow-list that gives back what a container's capabilities justify.

What the policy knows and denies answers EPERM; what it has never heard of answers ENOSYS, so that a C library falls
back to the older call. The result is ``linux.seccomp`` as the OCI runtime-spec writes it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

EPERM = 1
EINVAL = 22
ENOSYS = 38
EAFNOSUPPORT = 97

#: Allowed to every container.
ALWAYS = """
    _llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
    epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
    fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid
    getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl
    ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64
    madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2
    mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
    mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
    name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
    pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv recv
    recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2
    restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
    select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
    setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
    setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown
    sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketpair splice
    stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee
    tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64
    ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork wait4 waitid
    waitpid write writev
"""

#: Allowed only to a container that has the capability; EPERM otherwise.
WITH_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_ADMIN": (
        "bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree "
        "open_tree_attr perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns syslog umount "
        "umount2 unshare"
    ),
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp process_madvise process_vm_readv process_vm_writev",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

#: Allowed as those are, but in a user namespace only. It takes descriptors out of a process that one may ptrace, in no
#: matter which PID namespace: without a user namespace also of the host's at the other end of a socket (SO_PEERPIDFD).
IN_USER_NAMESPACE = {"CAP_SYS_PTRACE": "pidfd_getfd"}

#: Known and allowed to nobody: kernel keyrings are not namespaced, the others are attack surface or obsolete.
NEVER = """
    add_key bdflush create_module get_kernel_syms io_uring_enter io_uring_register io_uring_setup kexec_file_load
    kexec_load keyctl migrate_pages move_pages nfsservctl nice oldfstat oldlstat oldolduname oldstat olduname
    query_module request_key sgetmask ssetmask swapoff swapon sysfs uselib userfaultfd ustat vm86 vm86old vmsplice
"""

#: Allowed to every container on that machine.
ON_MACHINE = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
}

#: The machine's own architecture first, then those whose programs its kernel can run as well.
ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}

#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET; clone(2).
NAMESPACE_FLAGS = 0x7E020000
#: PER_LINUX, PER_LINUX32, UNAME26, both, and "tell me"; personality(2).
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
AF_NETLINK, LAST_FAMILY = 16, 45
#: Families of socket(2) that nobody gets: obsolete ones (DECnet, Econet, ATM SVC, IrDA, WANPIPE, ISDN and CAIF), AF_ALG
#: (the kernel's cryptography, CVE-2026-31431) and AF_VSOCK (no namespace separates it).
DENIED_FAMILIES = (12, 19, 20, 23, 25, 34, 37, 38, 40)
#: Of the protocols of AF_NETLINK the last one (NETLINK_SMC, linux/netlink.h).
NETLINK_AUDIT, LAST_NETLINK = 9, 22


def default_policy(
    capabilities: Collection[str], machine: str | None = None, user_namespace: bool = False
) -> dict[str, Any]:
    """``linux.seccomp`` for a process with those capabilities (its bounding set), in a user namespace or in none."""
    machine = machine or os.uname().machine
    held = set(capabilities)
    allowed = set(ALWAYS.split()) | set(ON_MACHINE.get(machine, "").split())
    guarded: set[str] = set()
    for calls, given in ((WITH_CAPABILITY, True), (IN_USER_NAMESPACE, user_namespace)):
        for capability, names in calls.items():
            guarded |= set(names.split())
            if given and capability in held:
                allowed |= set(names.split())
    rules = [
        _rule(allowed, "SCMP_ACT_ALLOW"),
        _rule((guarded | set(NEVER.split())) - allowed, "SCMP_ACT_ERRNO", EPERM),
        *(_rule({"personality"}, "SCMP_ACT_ALLOW", args=[_argument(0, "SCMP_CMP_EQ", v)]) for v in PERSONALITIES),
        *_clone("CAP_SYS_ADMIN" in held),
        *_socket("CAP_AUDIT_WRITE" in held),
    ]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": list(ARCHITECTURES.get(machine, ())),
        "syscalls": rules,
    }


def _clone(may_make_namespaces: bool) -> list[dict[str, Any]]:
    """clone3 hides its flags behind a pointer, so without CAP_SYS_ADMIN it must not exist: libc then calls clone."""
    if may_make_namespaces:
        return [_rule({"clone", "clone3"}, "SCMP_ACT_ALLOW")]
    no_namespaces = _argument(0, "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0)
    return [
        _rule({"clone"}, "SCMP_ACT_ALLOW", args=[no_namespaces]),
        _rule({"clone3"}, "SCMP_ACT_ERRNO", ENOSYS),
    ]


def _socket(may_audit: bool) -> list[dict[str, Any]]:
    """The families that the kernel knows, but those denied; the audit netlink only with CAP_AUDIT_WRITE.

    seccomp compares 64 bits where the kernel takes an int: what is allowed is below a number or equal to one, since
    anything is "above 40" or "not 9" by bits that the kernel cuts off. Only what is denied may be above.
    socketcall(2) of 32-bit programs has its arguments in memory, where no filter looks, and libseccomp allows it with
    every rule about socket(2) that has arguments. So it is denied, by a rule that comes before those; it has another
    errno than the default action, as libseccomp leaves out what that says already.
    """
    allowed = [[family] for family in _all_but(0, (*DENIED_FAMILIES, AF_NETLINK), LAST_FAMILY)]
    netlink = _argument(0, "SCMP_CMP_EQ", AF_NETLINK)
    denied = [[_argument(0, "SCMP_CMP_EQ", family)] for family in DENIED_FAMILIES]
    denied.append([_argument(0, "SCMP_CMP_GT", LAST_FAMILY)])
    audit = []
    if may_audit:
        allowed.append([netlink])
    else:
        allowed += [[netlink, protocol] for protocol in _all_but(2, (NETLINK_AUDIT,), LAST_NETLINK)]
        about = [netlink, _argument(2, "SCMP_CMP_EQ", NETLINK_AUDIT)]
        audit = [_rule({"socket"}, "SCMP_ACT_ERRNO", EINVAL, about)]
    return [
        _rule({"socketcall"}, "SCMP_ACT_ERRNO", EPERM),
        *(_rule({"socket"}, "SCMP_ACT_ALLOW", args=arguments) for arguments in allowed),
        *(_rule({"socket"}, "SCMP_ACT_ERRNO", EAFNOSUPPORT, arguments) for arguments in denied),
        *audit,
    ]


def _all_but(index: int, denied: Collection[int], last: int) -> list[dict[str, Any]]:
    """Comparisons of an argument that hold for 0 to ``last``, except for those."""
    first = min(denied)
    others = [number for number in range(first, last + 1) if number not in denied]
    return [_argument(index, "SCMP_CMP_LT", first), *(_argument(index, "SCMP_CMP_EQ", number) for number in others)]


def _rule(
    names: Collection[str], action: str, errno: int | None = None, args: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": sorted(names), "action": action}
    if errno is not None:
        rule["errnoRet"] = errno
    if args:
        rule["args"] = args
    return rule


def _argument(index: int, op: str, value: int, value_two: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": value_two, "op": op}
