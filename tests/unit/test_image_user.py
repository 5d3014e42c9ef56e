# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user of a container is looked up in its own files, layer by layer."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.user import NoSuchUser, parse_user
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.lookup import read_file

FILES = {
    "etc/passwd": b"root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\nbroken\n",
    "etc/group": b"root:x:0:\nweb:x:34:\nlog:x:4:other,web\n",
}


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, ())),
        ("web", (33, 34, (4,))),
        ("33", (33, 34, (4,))),
        ("1000", (1000, 0, ())),
        ("1000:5", (1000, 5, ())),
        ("web:log", (33, 4, ())),
    ],
)
def test_users(user: str, expected: tuple[int, int, tuple[int, ...]]) -> None:
    assert parse_user(user, FILES.get) == expected


@pytest.mark.parametrize("user", ["nobody", "web:nobody"])
def test_a_name_that_is_not_there(user: str) -> None:
    with pytest.raises(NoSuchUser, match="nobody"):
        parse_user(user, FILES.get)


@pytest.mark.parametrize("user", ["4294967295", "1:4294967295", "9" * 5000, "huge"])
def test_a_number_that_is_no_id(user: str) -> None:
    files = {"etc/passwd": b"huge:x:99999999999:0::/:\n", "etc/group": b"junk:x:99999999999:\n"}
    with pytest.raises(NoSuchUser, match="is no ID, the largest is 4294967294"):
        parse_user(user, files.get)
    assert parse_user("4294967294", files.get) == (4294967294, 0, ())


@pytest.mark.parametrize("user", ["\u00b2", "0:\u0663"])
def test_digits_of_other_scripts_are_names(user: str) -> None:
    with pytest.raises(NoSuchUser, match="is not in the image's"):
        parse_user(user, FILES.get)


def test_a_line_ends_where_it_ends_for_the_c_library() -> None:
    files = {"etc/passwd": "web:x:33:34:\u2028root:x:0:0::/:\nother:x:5:6::/:\x0ctoo:x:0:0::/:\n".encode()}
    assert parse_user("web", files.get) == (33, 34, ())
    with pytest.raises(NoSuchUser, match="too"):
        parse_user("too", files.get)


def test_the_topmost_layer_wins_and_links_cannot_leave(tmp_path: Path) -> None:
    top, base = tmp_path / "top", tmp_path / "base"
    for layer in (top, base):
        (layer / "etc").mkdir(parents=True)
    (base / "etc/passwd").write_text("base")
    (base / "etc/group").write_text("base")
    (top / "etc/passwd").write_text("top")
    (tmp_path / "secret").write_text("secret")
    (top / "etc/leak").symlink_to(tmp_path / "secret")
    layers = [str(top), str(base)]
    assert read_file(layers, "etc/passwd") == b"top"
    assert read_file(layers, "etc/group") == b"base"
    assert read_file(layers, "etc/leak") is None
    assert read_file(layers, "etc/none") is None


def test_links_lead_from_one_layer_into_another(tmp_path: Path) -> None:
    """As images made by Nix have it: the files are in the store, below, and /etc has links to them."""
    links, store = tmp_path / "links", tmp_path / "store"
    (links / "etc").mkdir(parents=True)
    (store / "nix/store/nss/etc").mkdir(parents=True)
    (store / "nix/store/nss/etc/passwd").write_text("root:x:0:0::/:\napp:x:1000:1001::/:\n")
    (store / "nix/store/nss/etc/group").write_text("root:x:0:\napp:x:1001:\nmore:x:5:app\n")
    (links / "etc/passwd").symlink_to("/nix/store/nss/etc/passwd")
    (links / "etc/group").symlink_to("../nix/store/nss/etc/group")
    for layers in ([str(links), str(store)], [str(store), str(links)]):
        for user in ("app", "1000"):
            assert parse_user(user, partial(read_file, layers)) == (1000, 1001, (5,))


def test_what_a_directory_above_replaces_is_not_followed(tmp_path: Path) -> None:
    """A directory over a link of a lower layer hides it, and where it leads to."""
    top, base = tmp_path / "top", tmp_path / "base"
    (top / "etc").mkdir(parents=True)
    (base / "other").mkdir(parents=True)
    (base / "other/passwd").write_text("hidden")
    (base / "etc").symlink_to("other")
    assert read_file([str(top), str(base)], "etc/passwd") is None
    assert read_file([str(base)], "etc/passwd") == b"hidden"
    assert read_file([str(tmp_path / "missing"), str(base)], "etc/passwd") == b"hidden"
