# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules cannot do without is one clear error, before anything is read."""

from __future__ import annotations

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._module import pyroute2, runner

from tests import collection

#: What needs no root.
FOR_EVERYBODY = {"kernel_info"}


class Failed(Exception):
    pass


class Module:
    def fail_json(self, **values):
        raise Failed(values)


class Thing:
    name = "netns_veth"
    needs_root = True
    needs_pyroute2 = True


@pytest.fixture
def without_pyroute2(monkeypatch):
    monkeypatch.setattr(runner.os, "geteuid", lambda: 0)
    monkeypatch.setattr(pyroute2.importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize("name", collection.module_names())
def test_without_root(name, monkeypatch):
    monkeypatch.setattr(runner.os, "geteuid", lambda: 1000)
    resource = collection.module_resource(name)
    assert resource.name == name
    if name in FOR_EVERYBODY:
        assert runner.require(Module(), resource) is None
        return
    with pytest.raises(Failed, match=f"'{name} needs root on the host: use become'"):
        runner.require(Module(), resource)


def test_without_pyroute2_anywhere(without_pyroute2, monkeypatch):
    monkeypatch.setattr(pyroute2, "probe_interpreters_for_module", lambda paths, name: None)
    with pytest.raises(Failed, match="package python3-pyroute2"):
        runner.require(Module(), Thing())


def test_another_interpreter_has_it(without_pyroute2, monkeypatch):
    started = []

    def respawn(path):
        started.append(path)
        raise SystemExit

    monkeypatch.setattr(pyroute2, "probe_interpreters_for_module", lambda paths, name: paths[0])
    monkeypatch.setattr(pyroute2, "respawn_module", respawn)
    with pytest.raises(SystemExit):
        runner.require(Module(), Thing())
    assert started == ["/usr/bin/python3"]


def test_it_is_looked_for_once(without_pyroute2, monkeypatch):
    monkeypatch.setattr(pyroute2, "has_respawned", lambda: True)
    monkeypatch.setattr(pyroute2, "probe_interpreters_for_module", lambda paths, name: paths[0])
    with pytest.raises(Failed, match="python3-pyroute2"):
        runner.require(Module(), Thing())
