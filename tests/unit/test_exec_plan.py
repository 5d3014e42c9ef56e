# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a command runs in a container, and as what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.plan_exec import (
    Exec,
    ExecObserved,
    plan_exec,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused

PROCESS = {
    "args": ["httpd"],
    "env": ["A=1", "PATH=/bin"],
    "cwd": "/",
    "user": {"uid": 0, "gid": 0},
    "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]},
}
RUNNING = ExecObserved("running", PROCESS)
TRUE = Exec("web", ("true",))


def test_it_runs_with_the_containers_own_process_settings() -> None:
    plan = plan_exec(replace(TRUE, env={"A": "2"}, cwd="/srv"), replace(RUNNING, user=(33, 33, (4,))))
    process = plan.operations[0].process  # type: ignore[attr-defined]
    assert process["args"] == ["true"]
    assert process["env"] == ["A=2", "PATH=/bin"]
    assert process["cwd"] == "/srv"
    assert process["user"] == {"uid": 33, "gid": 33, "additionalGids": [4]}
    assert process["capabilities"]["effective"] == []
    assert plan.actions == ["run true in container web"]


@pytest.mark.parametrize(
    "observed", [replace(RUNNING, created=True), replace(RUNNING, to_remove=False)], ids=["creates", "removes"]
)
def test_it_does_not_run_where_it_ran_before(observed: ExecObserved) -> None:
    assert plan_exec(TRUE, observed).operations == ()


def test_after_it_ran_nothing_is_left_to_do() -> None:
    assert plan_exec(replace(TRUE, done=True), RUNNING).operations == ()


@pytest.mark.parametrize(
    ("status", "words"),
    [(None, "no container"), ("exited", "exited; start it"), ("restarting", "restarting; it ended")],
)
def test_without_a_running_container_it_is_refused(status: str | None, words: str) -> None:
    with pytest.raises(Refused, match=words):
        plan_exec(TRUE, ExecObserved(status))
