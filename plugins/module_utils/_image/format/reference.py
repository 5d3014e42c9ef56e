# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Image references: the grammar that registries and engines share (distribution/reference).

``[DOMAIN/]PATH[:TAG][@DIGEST]``. As everywhere, a name without a domain is one of docker.io, a single word there is
below ``library/``, and without tag and digest the tag is ``latest``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ImageError
from . import digest as digests

DEFAULT_DOMAIN = "docker.io"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_NAME_LIMIT = 255


class BadReference(ImageError):
    """A text that is no reference; ``reason`` says why without the text, for whoever shows that anyway."""

    def __init__(self, text: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{text!r}: {reason}", hint)
        self.reason = f"{reason}. {hint}" if hint else reason


@dataclass(frozen=True)
class Reference:
    """A name in full; tag and digest are empty where not given (never both)."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Without tag and digest, e.g. ``docker.io/library/debian``."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def familiar(self) -> str:
        """As people write it: without ``docker.io/`` and ``library/``."""
        full = str(self)
        for prefix in (f"{DEFAULT_DOMAIN}/library/", f"{DEFAULT_DOMAIN}/"):
            if full.startswith(prefix):
                return full[len(prefix) :]
        return full

    def at(self, digest: str) -> Reference:
        """The same repository, by digest."""
        return Reference(self.domain, self.path, "", digest)


def familiar(name: str) -> str:
    """A reference in full as people write it; what is none (a digest) as it is."""
    try:
        return parse(name).familiar
    except BadReference:
        return name


def parse(text: str) -> Reference:
    """A reference in full. Raises BadReference that says which part is wrong."""
    if not isinstance(text, str) or not text:
        raise BadReference(text, "an image reference is empty")
    rest, digest = _split_digest(text)
    rest, tag = _split_tag(text, rest)
    domain, path = _split_domain(rest)
    if _IDENTIFIER.fullmatch(rest):
        raise BadReference(text, "this looks like an image ID, not a name", f"Write sha256:{rest} to mean the digest")
    if not _DOMAIN.fullmatch(domain):
        raise BadReference(text, f"{domain!r} is not a registry's host name")
    if path != path.lower():
        raise BadReference(text, f"the repository {path!r} must be lower case")
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            hint = "Use a-z, 0-9 and single separators (., _, __ or dashes) between them"
            raise BadReference(text, f"{component!r} cannot be part of a repository", hint)
    if len(path) > _NAME_LIMIT:
        raise BadReference(text, f"a repository has at most {_NAME_LIMIT} characters")
    if not tag and not digest:
        tag = "latest"
    return Reference(domain, path, "" if digest else tag, digest)


def _split_digest(text: str) -> tuple[str, str]:
    rest, at, digest = text.partition("@")
    if not at:
        return rest, ""
    if not digests.is_digest(digest):
        hint = "A digest is sha256: and 64 hexadecimal digits; no other algorithm is supported"
        raise BadReference(text, f"{digest!r} is not a digest", hint)
    return rest, digest


def _split_tag(text: str, rest: str) -> tuple[str, str]:
    """The tag is what follows the last colon, unless a slash follows that (then the colon was a port's)."""
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        return rest, ""
    if name.endswith((":sha256", ":sha512")) or name in ("sha256", "sha512"):
        raise BadReference(text, "a digest is not a tag", "Write NAME@sha256:DIGITS, with an @ before the digest")
    if not _TAG.fullmatch(tag):
        hint = "A tag has at most 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'"
        raise BadReference(text, f"{tag!r} is not a tag", hint)
    return name, tag


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_domain = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    if not is_domain:
        return DEFAULT_DOMAIN, name if slash else f"library/{name}"
    if first in ("docker.io", "index.docker.io"):
        return DEFAULT_DOMAIN, rest if "/" in rest else f"library/{rest}"
    return first, rest
