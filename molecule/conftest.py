# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of all scenarios share: one long look into each machine, because each login costs seconds there."""

import json
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))


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


@pytest.fixture(name="seen", scope="module")
def long_look(host, siblings, pages):
    targets = [target for one in siblings for target in (one, siblings[one]["vm_address6"])] if pages else []
    targets += ["127.0.0.1"] if pages else []
    with open(os.path.join(HERE, "look.py"), encoding="utf-8") as stream:
        return json.loads(host.check_output("python3 -c %s " + " ".join(targets), stream.read()))


@pytest.fixture(name="pages", scope="module")
def whether_pages_are_fetched():
    """Overridden where no container runs any more."""
    return True


@pytest.fixture(name="actions", scope="module")
def recorded_actions(name):
    """What the last run of a mode (check, apply) did or would do on this machine; see plugins/callback/actions.py."""

    def read(mode):
        path = os.path.join(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], f"actions-{mode}.json")
        with open(path, encoding="utf-8") as stream:
            return [entry for entry in json.load(stream) if entry["host"] == name]

    return read
