# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel does what the primitives promise. hammer.py runs in the machine; its answers are judged here."""

import json
import os

import pytest

HAMMER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hammer.py")


@pytest.fixture(name="answers", scope="module")
def what_the_kernel_did(host):
    with open(HAMMER, encoding="utf-8") as stream:
        return json.loads(host.check_output("python3 -c %s", stream.read()))


def test_memory_max_kills(answers):
    assert answers["memory"] == {"killed_by": 9, "kills": 1}


def test_pids_max_refuses_a_fork(answers):
    assert answers["processes"]["made"] == 4  # five with the one that forks
    assert answers["processes"]["refused"] >= 1


def test_io_max_slows_a_write(answers):
    """4 MiB at 1 MiB a second; the kernel lets a first slice pass. Unlimited, the same write is quicker."""
    assert answers["write"]["status"] == answers["free_write"]["status"] == 0
    assert answers["write"]["seconds"] >= 2.5
    assert answers["free_write"]["seconds"] < answers["write"]["seconds"]


def test_cpu_max_throttles(answers):
    """20% of a CPU: one period more or less."""
    assert answers["cpu"]["throttled"] >= 5
    assert answers["cpu"]["share"] < 0.3


def test_freeze_freezes(answers):
    assert answers["freeze"] == {"moved": 0, "freeze": 1, "status": -9}


def test_the_overlays_upper_gets_the_write(answers):
    both = "from below\nfrom above\n"
    assert answers["overlay"] == {"merged": both, "upper": both, "lower/one": "from below\n"}


def test_netem_delays(answers):
    for address, times in answers["link"].items():
        assert len(times) == 3, address
        assert min(times) >= 50, address


def test_the_controllers_are_enabled_down_the_path(answers):
    assert set(answers["controllers"]) >= {"cpu", "io", "memory", "pids"}
