# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlay options survive the way into mount(2) and back out of mountinfo, whatever bytes the paths hold."""

from __future__ import annotations

from ansible_collections.barekernel.containers.plugins.module_utils._kernel import overlay_options
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.mountinfo import parse_line
from hypothesis import given
from hypothesis import strategies as st

paths = st.binary(min_size=1, max_size=40).map(lambda raw: b"/" + raw.replace(b"\0", b"/"))


def line_of(options: bytes) -> bytes:
    """A mountinfo line as the kernel writes it: fs/overlayfs shows options with these bytes in octal."""
    for byte in b"\\ \t\n":
        options = options.replace(bytes([byte]), b"\\%03o" % byte)
    return b"36 35 0:42 / /t rw,relatime - overlay barekernel:x rw," + options


@given(st.lists(paths, min_size=1, max_size=5), paths, paths)
def test_what_mount2_was_given_is_read_back(lowerdirs, upperdir, workdir):
    data = overlay_options.join(lowerdirs, upperdir, workdir, ("metacopy=on", "volatile"))
    # The kernel keeps each option's value as given and shows the commas in it in octal.
    shown = b",".join(option.replace(b",", b"\\054") for option in split_unescaped(data))
    shown = shown.replace(b"\\054", b"\0")
    read = overlay_options.parse(parse_line(line_of(shown).replace(b"\0", b"\\054")).options)
    assert list(read.lowerdirs) == lowerdirs
    assert upperdir in overlay_options.readings(read.upperdir)
    assert workdir in overlay_options.readings(read.workdir)
    assert read.options == ("rw", "metacopy=on", "volatile")


@given(st.lists(paths, min_size=1, max_size=5), paths)
def test_what_fsconfig_was_given_is_read_back(lowerdirs, upperdir):
    options = [b"lowerdir+=" + path for path in lowerdirs] + [b"upperdir=" + upperdir, b"workdir=/w"]
    shown = b",".join(option.replace(b",", b"\0") for option in options)
    read = overlay_options.parse(parse_line(line_of(shown).replace(b"\0", b"\\054")).options)
    assert list(read.lowerdirs) == lowerdirs
    assert upperdir in overlay_options.readings(read.upperdir)


@given(st.lists(paths, min_size=1, max_size=8))
def test_a_list_of_lower_layers_splits_where_it_was_joined(lowerdirs):
    joined = b":".join(overlay_options.escape_lower(path) for path in lowerdirs)
    assert list(overlay_options.split_lower(joined)) == lowerdirs
    assert split_unescaped(joined) == [joined], "no comma is left that mount(2) would end the option at"


def test_data_only_layers_count_as_layers():
    assert overlay_options.split_lower(b"/a:/b::/data") == (b"/a", b"/b", b"/data")


def split_unescaped(text: bytes) -> list[bytes]:
    """Where mount(2) cuts: at commas whose backslashes before them are even in number."""
    parts, current, escaped = [], b"", False
    for byte in text:
        char = bytes([byte])
        if char == b"," and not escaped:
            parts.append(current)
            current = b""
            continue
        escaped = char == b"\\" and not escaped
        current += char
    return [*parts, current]
