# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers of single options of ns_container: each takes the option's name and a value that was given.

What cannot be meant is refused by name: all of them raise OptionError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._core.ip_text import ip_address, ip_interface
from .._core.names import container_name
from .._core.quantities import parse_size
from .._core.resource import OptionError
from .._core.texts import text
from .._runtime.bundle.signals import signal_name
from .._runtime.errors import RuntimeFailure
from .option import Parse

#: hostname(7) knows no underscore; the kernel, resolvers and the Compose files of many do.
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
#: resolv.conf(5): one word of its line, and no character that would end it or begin a comment.
_SEARCH_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}\Z")
_RESOLVER_OPTION = re.compile(r"[A-Za-z0-9_-]+(:[0-9]{1,9})?\Z")
#: What group(5) can hold in its first field.
_GROUP = re.compile(r"[^\s:,\0]{1,256}")
_RLIMITS = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
).split()
#: As the kernel writes "no limit" (bits/resource.h).
RLIM_INFINITY = (1 << 64) - 1
#: What a container's first process is: its own program, or a reaper that starts it.
NONE, REAPER = "none", "reaper"


def name(option: str, value: str) -> str:
    """A container's name."""
    return container_name(value, option)


def as_given(_option: str, value: Any) -> Any:
    """Ansible has checked all that there is to check."""
    return value


def argv(option: str, words: Sequence[str]) -> tuple[str, ...]:
    """Arguments of a program."""
    for word in words:
        if "\0" in word:
            raise OptionError(option, word, "an argument cannot hold a NUL byte")
    return tuple(words)


def absolute(option: str, value: str) -> str:
    """A path inside the container."""
    if not value.startswith("/") or "\0" in value:
        raise OptionError(option, value, "must be an absolute path inside the container")
    return value


def host_name(option: str, value: str) -> str:
    """A host or domain name, which the kernel keeps in 64 bytes (__NEW_UTS_LEN)."""
    if len(value) > 64 or not HOSTNAME.match(value):
        raise OptionError(option, value, "must be at most 64 letters, digits, hyphens, underscores and dots")
    return value


def groups(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Names of groups, and their IDs in digits, each once; who has which ID is in the image."""
    for group in given:
        if not _GROUP.fullmatch(group):
            raise OptionError(option, group, "must be the name or the ID of a group")
    return tuple(dict.fromkeys(given))


def init(option: str, given: Any) -> str:
    """Also a boolean, as Compose has it, of which Ansible makes text."""
    value = str(given or NONE)
    meant = {"true": REAPER, "yes": REAPER, "false": NONE, "no": NONE}.get(value.lower(), value)
    if meant not in (NONE, REAPER):
        raise OptionError(option, value, f"must be {NONE} or {REAPER}")
    return meant


def those_set(_option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Suboptions without those that are not set."""
    return {key: value for key, value in given.items() if value is not None}


def capabilities(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """With or without CAP_, in any case; ALL to drop every one."""
    if not given:
        return ()
    from .._kernel.capabilities import NUMBERS  # here: most containers name none

    named = []
    for value in given:
        capability = value.upper()
        if capability == "ALL" and option == "cap_drop":
            named.append(capability)
            continue
        capability = capability if capability.startswith("CAP_") else f"CAP_{capability}"
        if capability not in NUMBERS:
            raise OptionError(option, value, _no_capability(capability, NUMBERS))
        named.append(capability)
    return tuple(sorted(set(named)))


def _no_capability(wrong: str, known: Iterable[str]) -> str:
    if wrong == "CAP_ALL":
        return "no container gets all capabilities: list those that its program needs, such as NET_ADMIN or SYS_PTRACE"
    import difflib  # here, as it is for an error

    plain = {each.replace("_", ""): each for each in known}
    near = difflib.get_close_matches(wrong.replace("_", ""), plain, n=1, cutoff=0.7)
    meant = f"; did you mean {plain[near[0]][len('CAP_') :]}?" if near else ""
    return f"is not a capability (capabilities(7) lists them){meant}"


def _limit(word: str) -> int | None:
    """RLIM_INFINITY of setrlimit(2) by any of its names; None for what is no limit."""
    if word.lower() in ("-1", "unlimited", "infinity"):
        return RLIM_INFINITY
    return int(word) if re.fullmatch(r"[0-9]{1,20}", word) and int(word) <= RLIM_INFINITY else None


def rlimits(option: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Resource limits as SOFT:HARD, or one number, by their names in lower case."""
    found = {}
    for limit, value in given.items():
        if limit.lower() not in _RLIMITS:
            raise OptionError(option, limit, "must be one of " + ", ".join(_RLIMITS))
        soft, colon, hard = str(value).partition(":")
        limits = [_limit(part) for part in ([soft, hard] if colon else [soft])]
        if None in limits or isinstance(value, bool):
            message = f"{limit} takes a number, -1 or unlimited for none, or two of these as SOFT:HARD"
            raise OptionError(option, value, message)
        if colon and int(limits[0] or 0) > int(limits[1] or 0):
            raise OptionError(option, value, f"the soft limit of {limit} is above its hard limit")
        found[limit.lower()] = ":".join(str(each) for each in limits)
    return found


def servers(option: str, given: Sequence[Any]) -> tuple[str, ...]:
    """Addresses of nameservers."""
    return tuple(_server(option, server) for server in given)


def _server(option: str, given: Any) -> str:
    try:
        server = ip_address(given)
    except ValueError:
        raise OptionError(option, given, "is not an IPv4 or IPv6 address (without a zone)") from None
    if server.is_unspecified or server.is_multicast:
        raise OptionError(option, given, "is not the address of a server")
    return str(server)


def address(option: str, value: Any) -> str:
    """An address, with or without the network's prefix length."""
    try:
        return str(ip_interface(value) if "/" in str(value) else ip_address(value))
    except ValueError:
        raise OptionError(option, value, "is not an IPv4 or IPv6 address (without a zone)") from None


def hosts(option: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Host names with addresses."""
    found = {}
    for host, where in given.items():
        if not HOSTNAME.match(host):
            raise OptionError(option, host, "is no host name")
        found[host] = address(f"{option}.{host}", where).partition("/")[0]
    return found


def signal(option: str, value: str) -> str:
    """A signal by its name, of its name or number."""
    try:
        return signal_name(value)
    except RuntimeFailure:
        raise OptionError(option, value, "is no signal (signal(7)), e.g. SIGTERM") from None


def search_domains(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Domains for the line ``search`` of resolv.conf(5)."""
    return _words(option, given, _SEARCH_DOMAIN, "is no domain")


def resolver_options(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Words for the line ``options`` of resolv.conf(5)."""
    return _words(option, given, _RESOLVER_OPTION, "is no option of resolv.conf(5), e.g. ndots:2")


def _words(option: str, given: Sequence[str], pattern: re.Pattern[str], problem: str) -> tuple[str, ...]:
    for word in given:
        if not pattern.match(word):
            raise OptionError(option, word, problem)
    return tuple(given)


def texts(option: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Labels: names with texts."""
    if "" in given:
        raise OptionError(option, "", "a label needs a name")
    return {label: text(f"{option}.{label}", value) for label, value in given.items()}


def size(least: int, most: int) -> Parse:
    """A parser of sizes, in bytes."""

    def parse(option: str, value: Any) -> int:
        found = parse_size(option, str(value), "a size such as 10M")
        if not least <= found <= most:
            raise OptionError(option, value, f"must be at least {least} bytes and at most {most >> 40}T")
        return found

    return parse


def within(least: int, most: int) -> Parse:
    """A parser of whole numbers."""

    def parse(option: str, value: Any) -> int:
        if not least <= value <= most:
            raise OptionError(option, value, f"must be at least {least} and at most {most}")
        return int(value)

    return parse


def runtime(option: str, value: str) -> str:
    """An OCI runtime by its name or path."""
    if value not in ("", "nsrun", "crun", "runc") and not value.startswith("/"):
        raise OptionError(option, value, "must be nsrun, crun, runc or an absolute path")
    return value or "nsrun"
