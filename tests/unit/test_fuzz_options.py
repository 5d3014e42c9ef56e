# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever an option is given, it means something or is refused by name: never a traceback, never a hang."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import BareKernelError
from ansible_collections.barekernel.containers.plugins.module_utils._module import values
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import printable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import collection, fuzz

#: What reads the host is asked as well: it meets odd values before any other code does.
MODULES = [name for name in collection.module_names() if fuzz.options(name)]
#: Seconds of CPU after which a value counts as one that nothing ever comes of.
PATIENCE = 20.0


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Raises in what does not end."""

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError(f"{PATIENCE:g} seconds of CPU were not enough")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def outcome(name: str, params: Mapping[str, Any]) -> str:
    """What becomes of the options: "invalid" to Ansible, "refused" by name, "meant"; anything else raises."""
    try:
        validated = fuzz.validator(name).validate(dict(params))
    except (TypeError, ValueError, OverflowError):  # a fault of Ansible's, which the runner makes an error of
        assert values.misfit(fuzz.arguments(name)["argument_spec"], params), "a traceback of Ansible's own"
        return "invalid"
    if validated.error_messages:
        return "invalid"
    resource = fuzz.resource(name)
    try:
        with patience():
            values.check(validated.validated_parameters)
            if hasattr(resource, "gather"):
                resource.gather(validated.validated_parameters)
                return "meant"
            if hasattr(resource, "prepare"):
                resource.prepare(validated.validated_parameters)
            desired = resource.desired(validated.validated_parameters)
            resource.locks(desired)
    except OptionError as error:
        assert fuzz.is_option(name, error.option), f"{error.option} is no option"
        said = printable(str(error))
        json.dumps(said).encode()
        assert printable(error.option) in said and len(said) < 3000, said[:3000]
        return "refused"
    except BareKernelError:  # the host's, as this may read of it
        return "meant"
    return "meant"


@pytest.mark.parametrize("name", MODULES)
def test_each_option_with_each_odd_value(name: str, pytestconfig: pytest.Config) -> None:
    """One at a time, in options that are otherwise as they should be."""
    for params in fuzz.bases(name):
        assert outcome(name, params) == "meant"
    wrong, seen, reached = [], set(), set()
    for option, value, params in fuzz.odd_one_out(name, share=pytestconfig.getoption("share")):
        reached.add(option)
        try:
            seen.add(outcome(name, params))
        except (Exception, RecursionError) as error:
            wrong.append(f"{option}: {fuzz.shown(value)}: {type(error).__name__}: {str(error)[:200]}")
    assert wrong == []
    assert "meant" in seen and len(seen) > 1
    assert reached == set(fuzz.options(name))


@settings(derandomize=True, max_examples=min(60, settings().max_examples), database=None)
@given(st.data())
@pytest.mark.parametrize("name", MODULES)
def test_some_options_with_any_values(name: str, data: st.DataObject) -> None:
    outcome(name, data.draw(fuzz.params(name)))


def test_the_validator_is_that_of_the_module() -> None:
    assert isinstance(fuzz.validator("ns_container"), ArgumentSpecValidator)
