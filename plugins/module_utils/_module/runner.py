# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one runner: Ansible's parameters in, Ansible's result out, for every module."""

from __future__ import annotations

import copy
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._core.converge import Interrupted, NotConverged, Outcome, converge, predict
from .._core.errors import CommandFailed, Needed, OptionError
from .._core.operation import Plan
from .._core.resource import Resource
from .._kernel import terminal
from .._kernel.errors import BareKernelError
from . import secrets, utf8, values
from .internal import HANDED_OVER, taken


class Module(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule whose results hold no secret and are text: Ansible refuses the bytes that a path may hold.

    What Ansible prints as it is (messages, warnings) is harmless to a terminal; data stay what they are. Bad parameters
    are refused while it is made; the message then says what to write instead (explain.py).
    """

    def __init__(
        self,
        internal: Mapping[str, Any] | None = None,
        entries: Mapping[str, Mapping[str, Any]] | None = None,
        **arguments: Any,
    ) -> None:
        """``internal`` is the spec of what only our own plugins and roles give (internal.py), ``entries`` how those of
        lists that have the options of other modules are judged (entries.py)."""
        self._internal_spec = internal or {}
        self._entries = entries or {}
        #: What was given of that.
        self.internal: dict[str, Any] = {}
        #: The parameters as they came, until they are found good: Ansible changes them while it judges them.
        self._given: dict[str, Any] | None = None
        try:
            super().__init__(**arguments)
        except (
            TypeError,
            ValueError,
            OverflowError,
        ) as error:  # Ansible's own, of values that are of no type it expects
            try:
                values.check(self._given or {})
            except OptionError as wrong:
                self.fail_json(msg=str(wrong), option=wrong.option)
            found = values.misfit(self.argument_spec, self._given or {})
            self.fail_json(msg=": ".join(found) if found else str(error), **({"option": found[0]} if found else {}))
        self._judge_entries()
        self._given = None

    @property
    def whole_spec(self) -> dict[str, Any]:
        """The argument spec with that of each list's entries."""
        whole = dict(self.argument_spec)
        for name, judged in self._entries.items():
            whole[name] = {**whole[name], "options": judged["argument_spec"]}
        return whole

    def _judge_entries(self) -> None:
        """Each entry becomes what the module whose options it has would get. Fails the module."""
        if self._entries:
            from .entries import judged

            for name, spec in self._entries.items():
                found, wrong = judged(name, self.params.get(name) or [], spec)
                if wrong:
                    self.fail_json(msg="\n".join(wrong))
                self.params[name] = found

    def _load_params(self) -> None:
        super()._load_params()
        if self._internal_spec:
            self.internal = taken(self.params, self._internal_spec)
        self._given = copy.deepcopy({n: value for n, value in self.params.items() if not n.startswith("_ansible_")})

    def exit_json(self, **values: Any) -> None:
        super().exit_json(**self._without_secrets(values, self.params))

    def fail_json(self, msg: str, **values: Any) -> None:
        if self._given:
            from .explain import explain  # here: most parameters are good

            msg = explain(self._name.rpartition(".")[2], self._given, self.whole_spec) or msg
            msg = self._with_names(msg, self._given)
        if self.check_mode and _absent(sys.exc_info()[1]):
            msg = f"{msg.rstrip('.')}. {IN_CHECK_MODE}"
        params = self._given or getattr(self, "params", None) or {}
        super().fail_json(terminal.shown(msg), **self._without_secrets(values, params))

    def _with_names(self, message: str, params: Mapping[str, Any]) -> str:
        """``containers[2]`` with the name of that entry, by which people know it."""
        for option in self._entries:
            given = params.get(option)
            for index, entry in enumerate(given if isinstance(given, list) else ()):
                name = (entry.get("name") or entry.get("path")) if isinstance(entry, dict) else None
                if name:
                    message = message.replace(f"{option}[{index}].", f"{option}[{index}] ({name}): ")
        return message

    def _without_secrets(self, values: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """What is returned, with the parameters as they may be shown, and with what Ansible is to search for."""
        spec = {**self.whole_spec, **self._internal_spec}
        self.no_log_values = secrets.passwords({**params, **self.internal}, spec)
        invocation = {"module_args": secrets.shown(params, self.whole_spec)}
        return _harmless({"invocation": invocation, **values})

    def warn(self, warning: str, *more: Any, **values: Any) -> None:
        super().warn(terminal.shown(warning), *more, **values)

    def refuse(self, error: OptionError, **values: Any) -> None:
        """Fail for a value that cannot be meant."""
        secret = secrets.is_secret(error.option, self.whole_spec)
        self.fail_json(msg=f"{error.option}: {error.message}" if secret else str(error), option=error.option, **values)


#: For an error that an earlier task would have prevented.
IN_CHECK_MODE = (
    "In check mode, what a task before this one would only make is not there either: skip this task then "
    "(when: not ansible_check_mode)"
)


def _absent(error: BaseException | None) -> bool:
    """Whether that is about something missing, or was raised because of such an error."""
    return error is not None and (getattr(error, "absent", False) or _absent(error.__cause__ or error.__context__))


#: Results that are sentences for people.
_SENTENCES = ("actions", "actions_done", "actions_undone")


def _harmless(values: dict[str, Any]) -> dict[str, Any]:
    sentences = {name: list(map(terminal.shown, values[name])) for name in _SENTENCES if name in values}
    return {**printable(values), **sentences}


def printable(value: Any) -> Any:
    r"""The same value with what is no text in it (os.fsdecode makes surrogates of it) written as \xNN."""
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            raw = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # half of a surrogate pair is no byte either
            raw = value.encode("utf-8", "surrogatepass")
        return raw.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {printable(key): printable(each) for key, each in value.items()}
    return [printable(each) for each in value] if isinstance(value, (list, tuple)) else value


def run(
    resource: Resource[Any, Any],
    internal: Mapping[str, Any] | None = None,
    instead: Mapping[str, Callable[[], Resource[Any, Any]]] | None = None,
    **module_arguments: Any,
) -> None:
    """The body of every changing module; module_arguments are those of AnsibleModule.

    ``internal`` is the spec of what no playbook gives (internal.py); where one of ``instead`` is among it, the resource
    that this makes takes the place of the module's own.
    """
    module = Module(internal, supports_check_mode=True, **module_arguments)
    for option, make in (instead or {}).items():
        resource = make() if option in module.internal else resource
    require(module, resource)
    # Whatever umask Ansible came with: nothing that root makes is for others to write, and what a container's user,
    # debootstrap or skopeo must read is not for root alone.
    os.umask(0o022)
    try:
        params = {**module.params, **module.internal}
        values.check(params)
        desired = resource.desired(params)
        # The only place where check mode makes a difference.
        outcome = predict(resource, desired) if module.check_mode else converge(resource, desired)
    except Interrupted as error:
        undone = {"actions_undone": error.undone} if error.undone else {}
        module.fail_json(msg=str(error), **_done(error.done), **undone)
    except OptionError as error:
        module.refuse(error, **_done([]))
    except Needed as error:
        if HANDED_OVER not in module.internal:  # nobody is there to bring it
            module.fail_json(msg=str(error), **_done([]))
        module.exit_json(**_done([]), changes=[], needs=error.needs)
    except CommandFailed as error:
        module.fail_json(msg=str(error), **_done(error.done), **error.values)
    except NotConverged as error:
        module.fail_json(msg=str(error), **_done(error.done))
    except BareKernelError as error:
        module.fail_json(msg=str(error), **_done([]))
    for warning in outcome.plan.warnings:
        module.warn(warning)
    module.exit_json(**result(outcome, module._diff))


def _done(actions: list[str]) -> dict[str, Any]:
    """What a failure says of the host: whether it is another one than before, and what was done to it."""
    return {"changed": bool(actions), "actions": actions}


def run_many(stack: Any, **module_arguments: Any) -> None:
    """The body of a module that makes many objects: stack.predict(params), or stack.converge(params), answers."""
    module = Module(supports_check_mode=True, **module_arguments)
    _require_root(module, stack)
    try:
        values.check(module.params)
        stack.prepare(module.params)
    except OptionError as error:
        module.refuse(error, **_done([]))
    except BareKernelError as error:
        module.fail_json(msg=str(error), **_done([]))
    require(module, stack)
    os.umask(0o022)
    # Python would have the threads finish all that is begun first, for as long as a container takes to stop. A run that
    # is interrupted ends at once, as one that is killed does.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        params = {**module.params, **module.internal}
        if HANDED_OVER in module.internal and (needs := stack.needs(params)):
            module.exit_json(**_done([]), objects={}, needs=needs)
        answer = stack.predict(params) if module.check_mode else stack.converge(params)
    except OptionError as error:
        module.refuse(error, **_done([]))
    except Interrupted as error:
        module.fail_json(msg=str(error), **_done(error.done))
    except BareKernelError as error:
        module.fail_json(msg=str(error), **_done([]))
    for warning in answer.warnings:
        module.warn(warning)
    values_ = answer.values(diff if module._diff else None)
    if answer.failures:
        absent = module.check_mode and any(_absent(error) for error in answer.errors)
        module.fail_json(msg=f"{answer.message}. {IN_CHECK_MODE}" if absent else answer.message, **values_)
    module.exit_json(**values_)


def run_info(resource: Any, **module_arguments: Any) -> None:
    """The body of every ``_info`` module: resource.gather(params) returns the result."""
    module = Module(supports_check_mode=True, **module_arguments)
    require(module, resource)
    try:
        values.check(module.params)
        gathered = resource.gather(module.params)
    except OptionError as error:
        module.refuse(error)
    except BareKernelError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **gathered)


def require(module: AnsibleModule, resource: Any) -> None:
    """What the resource cannot do without: root, names in UTF-8, and pyroute2 where it says so. Fails the module."""
    _require_root(module, resource)
    utf8.prepare()
    if getattr(resource, "needs_pyroute2", False):
        from . import pyroute2

        pyroute2.require(module)
    utf8.require()


def _require_root(module: AnsibleModule, resource: Any) -> None:
    if getattr(resource, "needs_root", True) and os.geteuid() != 0:
        module.fail_json(msg=f"{resource.name} needs root on the host: use become")


def result(outcome: Outcome, with_diff: bool) -> dict[str, Any]:
    """What every module returns: changed, actions, changes, its facts, and the diff when asked for."""
    answer: dict[str, Any] = {
        "changed": outcome.changed,
        "actions": outcome.plan.actions,
        "changes": [vars(change) for change in outcome.plan.changes],
        **outcome.facts,
    }
    if with_diff:
        answer["diff"] = diff(outcome.plan)
    return answer


def diff(plan: Plan) -> dict[str, str]:
    """Ansible's before/after pair; the header says how each changed option is applied.

    Where something is to be done although the object is as declared (a file of ours is gone, the runtime is an older
    one, a restart was asked for), what is to be done is what is shown.
    """
    by_how: dict[str, list[str]] = {}
    if plan.before and plan.after:
        for change in plan.changes:
            by_how.setdefault(change.how, []).append(change.option)
    how = "; ".join(f"{kind}: {', '.join(options)}" for kind, options in sorted(by_how.items()))
    before = dict(plan.before)
    if plan.operations and plan.before == plan.after:
        before["to_do"] = plan.actions
    return {
        "before": _text(before),
        "after": _text(plan.after),
        "before_header": "observed",
        "after_header": f"declared (applied {how})" if how else "declared",
    }


def _text(state: Any) -> str:
    """For people, who read what is printable as it is."""
    return terminal.shown(json.dumps(state, indent=2, sort_keys=True, ensure_ascii=False)) + "\n" if state else ""
