# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.format import reference
from ansible_collections.barekernel.containers.plugins.module_utils._images import options as image_options
from hypothesis import given
from hypothesis import strategies as st

HEX = "0123456789abcdef" * 4
DIGEST = "sha256:" + HEX


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("grafana/loki", "docker.io/grafana/loki:latest", "grafana/loki:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest"),
        ("[::1]:5000/a:v1", "[::1]:5000/a:v1", "[::1]:5000/a:v1"),
        ("Host/a", "Host/a:latest", "Host/a:latest"),
        ("quay.io/a__b/c--d.e:T_1.x-", "quay.io/a__b/c--d.e:T_1.x-", "quay.io/a__b/c--d.e:T_1.x-"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        # With a digest the tag means nothing: nobody checks that it still points there.
        (f"debian:12@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        # A tag that looks like a digest is a tag.
        (f"debian:{HEX}", f"docker.io/library/debian:{HEX}", f"debian:{HEX}"),
        (f"debian:sha256-{HEX}", f"docker.io/library/debian:sha256-{HEX}", f"debian:sha256-{HEX}"),
    ],
)
def test_a_reference_is_written_in_full(text: str, full: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert (str(parsed), parsed.familiar) == (full, familiar)
    assert reference.parse(full) == parsed
    assert reference.parse(familiar) == parsed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("Debian", "lower case"),
        ("a//b", "cannot be part"),
        ("../etc/passwd", "host name"),
        ("a/../b", "cannot be part"),
        ("/etc", "cannot be part"),
        ("a/b/", "cannot be part"),
        ("a b", "cannot be part"),
        ("a:b:c", "cannot be part"),
        ("a___b", "cannot be part"),
        ("debian:.x", "not a tag"),
        ("debian:-x", "not a tag"),
        ("debian:" + "x" * 129, "not a tag"),
        ("debian:", "not a tag"),
        (HEX, "image ID"),
        (DIGEST, "not a tag"),
        (f"debian:{DIGEST}", "with an @"),
        ("debian@sha256:abc", "not a digest"),
        (f"debian@{DIGEST.upper()}", "not a digest"),
        (f"debian@{DIGEST}0", "not a digest"),
        (f"debian@md5:{HEX[:32]}", "not a digest"),
        ("-x.example/a", "host name"),
        ("a" * 256, "at most"),
        ("debian\n", "cannot be part"),
    ],
)
def test_what_is_no_reference_says_why(text: str, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        reference.parse(text)


def test_an_option_that_is_no_reference_shows_the_value_once() -> None:
    with pytest.raises(OptionError) as caught:
        image_options.image_name("name", "no/tag/at:5000:x")
    assert str(caught.value) == (
        "name: 'no/tag/at:5000:x': 'at:5000' cannot be part of a repository. "
        "Use a-z, 0-9 and single separators (., _, __ or dashes) between them"
    )


@given(st.text(alphabet="aB0./:@-_[]", max_size=20))
def test_whatever_parses_reads_back_as_itself(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except ImageError:
        return
    assert reference.parse(str(parsed)) == parsed
    assert reference.parse(parsed.familiar) == parsed
