# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtnetlink(7) sockets, one for each network namespace and task, through pyroute2 (0.7 to 0.9).

What changes an interface goes through them; what is only read, through netlink_messages.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from . import namespaces, netlink_messages, pyroute2_parts
from .errors import KernelError
from .namespaces import HOST, NamespaceId, NetnsRef

_open: dict[NamespaceId, Any] = {}


def handle(netns: NetnsRef = HOST) -> Any:
    """The task's pyroute2 IPRoute of that network namespace. Raises KernelError where there is no such namespace."""
    fd = namespaces.open_netns(netns)
    try:
        known = namespaces.identity_of(fd)
        if known not in _open:
            _open[known] = _connect(fd)
        return _open[known]
    finally:
        os.close(fd)


def _connect(fd: int) -> Any:
    # pyroute2's own way into a namespace forks a server process (13-20 ms); a socket made while the thread is inside
    # belongs to that namespace as well (0.2 ms).
    iproute = pyroute2_parts.iproute()
    home = namespaces.open_netns(HOST)
    try:
        namespaces.setns(fd, namespaces.CLONE_NEWNET)
        try:
            return iproute(ext_ack=True)
        finally:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
    finally:
        os.close(home)


def forget(netns: NetnsRef) -> None:
    """Close the socket into a namespace that is about to be deleted: an open one keeps it alive."""
    known = namespaces.netns_identity(netns)
    if known is not None:
        netlink_messages.forget(known)
        if known in _open:
            _open.pop(known).close()


def forget_all() -> None:
    """Close every socket: before a fork, and when a task is over."""
    netlink_messages.forget_all()
    while _open:
        _open.popitem()[1].close()


def settle(handle: Any) -> None:
    """Before nlm_request() of a socket is used: pyroute2 0.9 looks this up there, and nothing of it sets it."""
    status = getattr(handle, "status", None)
    if status is not None and "nlm_generator" not in status:
        status["nlm_generator"] = False


def request(call: Callable[..., Any], *args: Any, subject: str, what: str, hint: str = "", **kwargs: Any) -> list[Any]:
    """Send one request and return the answers; the kernel's refusal becomes a KernelError.

    ``what`` is the message's name (RTM_NEWLINK), ``subject`` the object it is about.
    """
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        return list(call(*args, **kwargs) or ())
    except NetlinkError as error:
        code = abs(int(error.code or errno.EIO))
        words = str(error.args[1]) if len(error.args) > 1 else ""
        raise KernelError(code, what, subject, hint, "" if words == os.strerror(code) else words) from error
    except OSError as error:
        raise KernelError.wrap(error, what, subject, hint) from error


def interface_index(name: str, netns: NetnsRef = HOST) -> int:
    """if_nametoindex(3) in that namespace. Raises KernelError(ENODEV) where there is no such interface."""
    import _socket  # the small one: importing socket costs 15 ms

    with namespaces.inside_netns(netns):
        try:
            return int(_socket.if_nametoindex(name))
        except OSError as error:
            raise KernelError(errno.ENODEV, "if_nametoindex", name, f"There is no such interface in {netns}") from error
