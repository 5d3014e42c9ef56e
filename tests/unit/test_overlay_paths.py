# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths and names survive the way through Ansible and into systemd."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.paths import (
    ancestors,
    inside,
    parse_path,
    show_path,
)
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import printable
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.mount_unit import (
    Inexpressible,
    mount_unit,
    unit_name,
)
from hypothesis import given
from hypothesis import strategies as st

names = st.binary(min_size=1, max_size=20).filter(lambda raw: not set(raw) & {0, 0x2F} and raw not in (b".", b".."))
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: b"/" + b"/".join(parts))


@given(paths)
def test_any_path_is_shown_as_text_that_ansible_passes_on_and_read_back(path):
    shown = show_path(path)
    assert json.loads(json.dumps(shown).encode("utf-8")) == shown
    shown.encode("utf-8")
    assert parse_path(shown) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/a//b/./c/", b"/a/b/c"),
        ("/a%41", b"/a%41"),
        ("file:///a%41%20b", b"/aA b"),
        ("file:///caf%E9", b"/caf\xe9"),
        ("/caf\u00e9", b"/caf\xc3\xa9"),
        ("/", b"/"),
    ],
)
def test_paths_as_people_write_them(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", "a", "./a", "~/a", "/a/../b", "file://host/a", "file:a", "file:///%00", "/\0"])
def test_what_is_no_absolute_path(text):
    with pytest.raises(ValueError):
        parse_path(text)


def test_paths_that_are_too_long():
    parse_path("/" + "n" * 255)
    with pytest.raises(ValueError, match="too long"):
        parse_path("/" + "n" * 256)
    with pytest.raises(ValueError, match="too long"):
        parse_path("/n" * 2048)


def test_inside_goes_by_names_and_not_by_letters():
    assert inside(b"/a/b", b"/a") and inside(b"/a", b"/a") and inside(b"/a", b"/")
    assert not inside(b"/ab", b"/a")
    assert ancestors(b"/a/b/c") == (b"/a/b", b"/a")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=9), min_size=1))
def test_a_unit_is_named_as_systemd_names_it(parts):
    parts = [part for part in parts if part not in (".", "..")] or ["x"]
    path = "/" + "/".join(parts[:3])
    name = unit_name(os.fsencode(path))
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-\\")


@pytest.mark.parametrize("path", ["/srv/web", "/srv/a-b", "/.hidden/x", "/a b/\u00e9", "/srv/100%", "/a:b_c.d\\e"])
def test_a_unit_is_named_as_systemd_escape_says(path):
    try:
        done = subprocess.run(["systemd-escape", "--path", "--suffix=mount", path], capture_output=True, text=True)
    except FileNotFoundError:
        expected = {"/srv/web": "srv-web.mount", "/srv/a-b": "srv-a\\x2db.mount", "/.hidden/x": "\\x2ehidden-x.mount"}
        assert unit_name(os.fsencode(path)) == expected.get(path, unit_name(os.fsencode(path)))
        return
    assert unit_name(os.fsencode(path)) == done.stdout.strip()


def test_the_text_of_a_unit():
    unit = mount_unit(b"/srv/100%", "barekernel:overlay:x", (b"/l,1", b"/l:2"), b"/u", b"/w", ("index=on", "nodev"))
    assert unit.path == "/etc/systemd/system/srv-100\\x25.mount"
    lines = unit.text.splitlines()
    assert "Where=/srv/100%%" in lines
    assert "What=barekernel:overlay:x" in lines
    assert r"Options=lowerdir=/l\,1:/l\:2,upperdir=/u,workdir=/w,index=on,nodev" in lines
    assert [line for line in lines if line.startswith("RequiresMountsFor=")] == [
        'RequiresMountsFor="/l,1"',
        'RequiresMountsFor="/l:2"',
        'RequiresMountsFor="/u"',
        'RequiresMountsFor="/w"',
    ]


@pytest.mark.parametrize(
    ("path", "lowerdirs", "words"),
    [
        (b"/t\xe9", (b"/a", b"/b"), "not UTF-8"),
        (b"/t", (b"/a\n", b"/b"), "control character"),
        (b"/t", (b'/a"', b"/b"), "double quote"),
        (b"/t ", (b"/a", b"/b"), "strips"),
        (b"/t\\", (b"/a", b"/b"), "strips"),
        (b"/t", (b"/a",), "single lowerdir"),
        (b"/" + b"-" * 100, (b"/a", b"/b"), "the unit's name"),
        (b"/t", tuple(b"/%0200d" % number for number in range(30)), "mount\\(2\\) reads 4095"),
    ],
)
def test_what_a_unit_cannot_express_is_refused(path, lowerdirs, words):
    with pytest.raises(Inexpressible, match=words):
        mount_unit(path, "barekernel:overlay:x", lowerdirs, None, None, ())


def test_results_hold_no_bytes_that_ansible_refuses():
    value = {"msg": os.fsdecode(b"/caf\xe9"), "list": [os.fsdecode(b"\xff"), 1, None], "text": "caf\u00e9"}
    assert printable(value) == {"msg": "/caf\\xe9", "list": ["\\xff", 1, None], "text": "caf\u00e9"}
