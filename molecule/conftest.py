# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of all scenarios share: one long look into each machine, because each login costs seconds there."""

import concurrent.futures
import json
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
pytest.register_assert_rewrite("declared", "administered")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """A scenario verifies more than once: each time has results of its own."""
    if config.option.xmlpath:
        base, extension = os.path.splitext(config.option.xmlpath)
        config.option.xmlpath = f"{base}-{os.path.basename(os.path.dirname(config.args[0]))}{extension}"


@pytest.fixture(name="name", scope="module")
def name_of_the_machine(host):
    return host.backend.get_variables()["inventory_hostname"]


@pytest.fixture(name="siblings", scope="module")
def machines_of_this_scenario(host, request):
    """{name: variables} of the machines that the scenario works on, this one included."""
    inventory = host.backend.ansible_runner.inventory
    group = request.config.option.hosts.rpartition("/")[2]
    return {one: inventory["_meta"]["hostvars"][one] for one in inventory[group]["hosts"]}


@pytest.fixture(name="answers", scope="module")
def answers_of_all_machines():
    """{program: {name: what it printed}} for everywhere(); new for each file of tests."""
    return {}


@pytest.fixture(name="everyone", scope="module")
def long_look(host, siblings, answers):
    targets = [target for one in siblings for target in (one, siblings[one]["vm_address6"])]
    return everywhere(host, answers, "look.py", dict.fromkeys(siblings, (*targets, "127.0.0.1")))


@pytest.fixture(name="seen", scope="module")
def what_is_seen_of_this_machine(everyone, name):
    return everyone[name]


@pytest.fixture(name="page_of")
def page_of_a_machine():
    """What web serves there, as the inventory says."""
    return lambda name: f"Hello from {name}."


@pytest.fixture(name="web_memory")
def memory_of_web():
    """Bytes, as the inventory says."""
    return 64 << 20


@pytest.fixture(name="left", scope="module")
def what_is_left(host):
    """What differs from how the machine was when remember.yml was run, and what the collection's directories hold."""
    return run_in(host, "state.py", "compare")


@pytest.fixture(name="did", scope="module")
def what_an_administrator_did(host, name, hybrid, siblings, answers):
    """With the unit of the container web; leaves beta's stopped, for the next playbook run to see."""
    if hybrid:
        pytest.skip("what systemctl does to a unit is looked at where cgroup v2 has its controllers")
    machines = [one for one in siblings if not siblings[one]["vm"].get("hybrid", False)]
    last = {one: ("stop" if one == "beta" else "status",) for one in machines}
    return everywhere(host, answers, "administrator.py", last)[name]


@pytest.fixture(name="joined", scope="module")
def what_came_of_joining(host, name, siblings, answers):
    """Commands that joined the container web while that ended."""
    return everywhere(host, answers, "joining.py", dict.fromkeys(siblings, ()))[name]


def everywhere(host, answers, program, arguments):
    """What a program prints in each of these machines ({name: its arguments}), in which it runs at the same time.

    It is run for the first test that asks; ``answers`` keeps what it said for the others.
    """
    if program not in answers:
        inventory = host.backend.ansible_inventory
        hosts = [host.get_host(f"ansible://{one}", ansible_inventory=inventory) for one in arguments]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            said = list(pool.map(lambda one, given: run_in(one, program, *given), hosts, arguments.values()))
        answers[program] = dict(zip(arguments, said))
    return answers[program]


def run_in(host, program, *arguments):
    """Run one of the programs beside this file in the machine. What it prints as JSON."""
    with open(os.path.join(HERE, program), encoding="utf-8") as stream:
        return json.loads(host.check_output("python3 -c %s " + " ".join(arguments), stream.read()))


@pytest.fixture(name="hybrid", scope="module")
def whether_the_host_is_hybrid(host):
    return host.backend.get_variables()["vm"].get("hybrid", False)


@pytest.fixture(name="actions", scope="module")
def recorded_actions(name):
    """What the last run of a mode (check, apply) did or would do on this machine; see plugins/callback/actions.py."""
    return lambda mode: recorded(f"actions-{mode}.json", name)


@pytest.fixture(name="warned", scope="module")
def fixture_warned(name):
    """What the last run warned its user of on this machine."""
    return [entry["msg"] for entry in recorded("warned-apply.json", name)]


@pytest.fixture(name="told", scope="module")
def recorded_words(name):
    """What the last run told its user of this machine, by the task's name."""
    return {entry["task"].rpartition(" : ")[2]: entry["msg"] for entry in recorded("told-apply.json", name)}


def recorded(file, name):
    with open(os.path.join(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], file), encoding="utf-8") as stream:
        return [entry for entry in json.load(stream) if entry["host"] == name]
