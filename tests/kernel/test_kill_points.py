# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""site.yml and teardown.yml, ended after every single change to the host: the next run completes, teardown clears.

Each step is one task of the example site. It runs in a process of its own, with a kernel that ends the process after
the k-th call, for every k; then it runs again, undisturbed.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge, predict

from tests import collection
from tests.kernels import DIED, Dying, Recording, load_all

from . import leaks

VARIABLES = collection.CHECKOUT / "playbooks/inventory/group_vars/example.yml"
#: What becomes of each list of the site.
MODULES = {"image_list": "oci_image", "network_list": "bridge_network", "container_list": "ns_container"}


class Step:
    """One task: a module and its parameters."""

    def __init__(self, module: str, params: dict[str, Any]) -> None:
        self.module, self.name = module, params["name"]
        self.resource = collection.module_resource(module)
        self.present = collection.full_params(module, params)
        self.absent = collection.full_params(module, {**params, "state": "absent"})

    def run(self, params: dict[str, Any], kernel: Callable[[Any], Any] = lambda real: real) -> int:
        """Converge in a child process with that kernel; the child's exit status."""
        return in_child(lambda: converge(self.resource, self.resource.desired(params), kernel(self.resource.kernel())))

    def calls(self, params: dict[str, Any]) -> int:
        """How many calls to the kernel it takes. Does it, in a child."""
        reader, writer = os.pipe()

        def counted() -> None:
            kernel = Recording(self.resource.kernel())
            converge(self.resource, self.resource.desired(params), kernel)
            os.write(writer, str(len(kernel.calls)).encode())

        assert in_child(counted) == 0
        os.close(writer)
        with os.fdopen(reader) as answer:
            return int(answer.read())

    def settled(self, params: dict[str, Any]) -> bool:
        """Whether nothing is left to do."""
        return in_child(lambda: sys.exit(predict(self.resource, self.resource.desired(params)).changed)) == 0


def in_child(work: Callable[[], Any]) -> int:
    """Run it in a fork; 0 when it returned, 1 when it raised (shown), else what it exited with."""
    load_all()
    child = os.fork()
    if child == 0:
        try:
            work()
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def site() -> list[Step]:
    """The example site, but for Debian's packages: the client runs on busybox, too."""
    variables = yaml.safe_load(VARIABLES.read_text())
    images = [image for image in variables["image_list"] if image["name"] == "busybox"]
    containers = [
        {**container, "image": "busybox", "limits_required": False} for container in variables["container_list"]
    ]
    lists = {**variables, "image_list": images, "container_list": containers}
    return [Step(module, entry) for name, module in MODULES.items() for entry in lists[name]]


STEPS = site()


@pytest.fixture(params=range(len(STEPS)), ids=[f"{step.module} {step.name}" for step in STEPS])
def step(request: pytest.FixtureRequest) -> Iterator[Step]:
    """A step of the site, with all before it done; whatever happens, the site is torn down."""
    for earlier in STEPS[: request.param]:
        assert earlier.run(earlier.present) == 0
    yield STEPS[request.param]
    for done in reversed(STEPS[: request.param + 1]):
        assert done.run(done.absent) == 0


def test_ended_while_it_is_made(step: Step, record_property: Any) -> None:
    before = leaks.take()
    calls = step.calls(step.present)
    assert step.run(step.absent) == 0
    assert calls > 0
    for k in range(1, calls + 1):
        assert step.run(step.present, lambda real, k=k: Dying(real, k)) == DIED
        if k % 2:
            assert step.run(step.present) == 0, f"after {k} of {calls} calls the next run failed"
            assert step.settled(step.present), f"after {k} of {calls} calls the next run did not converge"
        assert step.run(step.absent) == 0, f"after {k} of {calls} calls it could not be removed"
        assert leaks.leaked_since(before) == [], f"after {k} of {calls} calls"
    record_property("kill_points", calls)
    print(f"{step.module} {step.name}: {calls} kill points while it was made")


def test_ended_while_it_is_removed(step: Step, record_property: Any) -> None:
    before = leaks.take()
    assert step.run(step.present) == 0
    calls = step.calls(step.absent)
    assert calls > 0
    for k in range(1, calls + 1):
        assert step.run(step.present) == 0
        assert step.run(step.absent, lambda real, k=k: Dying(real, k)) == DIED
        assert step.run(step.absent) == 0, f"after {k} of {calls} calls the next removal failed"
        assert step.settled(step.absent)
        assert leaks.leaked_since(before) == [], f"after {k} of {calls} calls"
    record_property("kill_points", calls)
    print(f"{step.module} {step.name}: {calls} kill points while it was removed")
