# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configurations of images as odd as JSON allows: an error that names what is odd, or a meaning, never a traceback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.documents_bundle import environment
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan import plan_container
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._image.format import config
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.digest import canonical
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.test_container_plan import HOST, IMAGE, container, nothing

TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            "=",
            "=x",
            "A",
            "A=",
            "A=b=c",
            "/data",
            "/a/../b",
            "/",
            "80/tcp",
            "99999",
            "SIGTERM",
            "SIGX",
            "7",
            "-1",
            "a:b:c",
        ]
    ),
)
ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
LIKELY = {
    **dict.fromkeys(("User", "WorkingDir", "StopSignal"), TEXT),
    **dict.fromkeys(("Entrypoint", "Cmd", "Env"), st.lists(TEXT, max_size=3)),
    **dict.fromkeys(("ExposedPorts", "Volumes"), st.dictionaries(TEXT, st.just({}), max_size=3)),
    "Labels": st.dictionaries(TEXT, TEXT, max_size=3),
    "Healthcheck": st.dictionaries(
        st.sampled_from(["Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"]),
        st.one_of(st.lists(TEXT, max_size=3), st.integers(), ODD),
        max_size=4,
    ),
}
CONFIG = st.fixed_dictionaries({}, optional={key: st.one_of(likely, ODD) for key, likely in LIKELY.items()})


def document(of: Any) -> dict[str, Any]:
    return {"architecture": "amd64", "os": "linux", "config": of, "rootfs": {"type": "layers", "diff_ids": []}}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CONFIG, st.booleans())
def test_a_container_of_it(odd: Any, with_systemd: bool) -> None:
    try:
        parsed = config.parse(canonical(document(odd)))
    except ImageError as error:
        assert "the image configuration" in str(error)
        return
    config.overridden(parsed, {"env": {"A": "1"}, "labels": {"a": "b"}, "volumes": ["/x"], "exposed_ports": ["1"]})
    host = replace(HOST, systemd=with_systemd, systemd_version=252)
    try:
        actions = plan_container(container(), replace(nothing(host), image=replace(IMAGE, document=parsed))).actions
    except (OptionError, Refused) as error:
        assert str(error)
    else:
        assert "start container web" in actions


@pytest.mark.parametrize("key", [*LIKELY, "Shell", "OnBuild"])
def test_null_is_as_if_it_were_not_there(key: str) -> None:
    parsed = config.parse(canonical(document({"Cmd": ["sh"], **({key: None} if key != "Cmd" else {})})))
    image = replace(IMAGE, document=parsed)
    assert plan_container(container(), replace(nothing(), image=image)).actions


def test_an_environment_as_odd_tools_write_it() -> None:
    """A variable without a value is empty, an entry without a name is none; the last of two counts."""
    env = ["LONE", "EMPTY=", "=nameless", "", "A=b=c", "TWICE=1", "TWICE=2"]
    parsed = config.parse(canonical(document({"Env": env})))
    found = dict(entry.split("=", 1) for entry in environment(container(env={}), parsed["config"]))
    assert {**found, "LONE": "", "EMPTY": "", "A": "b=c", "TWICE": "2"} == found
    assert set(found) == {"LONE", "EMPTY", "A", "TWICE", "PATH", "HOSTNAME"}
    made = config.overridden(parsed, {"env": {"NEW": "1"}})["config"]["Env"]
    assert made == ["LONE=", "EMPTY=", "A=b=c", "TWICE=2", "NEW=1"]
