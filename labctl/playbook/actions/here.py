"""Modules that never reach a VM: assert, debug, fail, meta, pause, set_fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.errors import PlaybookError
from labctl.playbook.model import Task
from labctl.playbook.variables import Scope


def run(name: str, args: Mapping[str, Any], scope: Scope, task: Task) -> dict[str, Any]:
    """The result of one of these modules. What changes the run itself (meta, pause) is the runner's."""
    if name == "debug":
        return _debug(args, scope, task)
    if name == "fail":
        return {"failed": True, "changed": False, "msg": args["msg"]}
    if name == "set_fact":
        facts = {key: value for key, value in args.items() if key != "cacheable"}
        if not facts:
            raise PlaybookError("set_fact sets nothing: write name: value below it", place=task.args.place)
        for key in facts:
            if not key.isidentifier():
                raise PlaybookError(f"{key!r} cannot be a variable's name", place=task.args.place)
        return {"changed": False, "ansible_facts": facts, "_remote": scope.touched}
    if name == "meta":
        return {"changed": False, "action": args["action"]}
    return {"changed": False, "seconds": args.get("seconds", 0.0) + 60 * args.get("minutes", 0.0)}


def _debug(args: Mapping[str, Any], scope: Scope, task: Task) -> dict[str, Any]:
    if int(args["verbosity"]) > int(scope.lookup("ansible_verbosity")):
        return {"changed": False, "skipped": True, "msg": "Verbosity threshold not met."}
    if "var" in args:
        name = str(args["var"])
        try:
            value = scope.templar.evaluate(name, task.args.place, scope)
        except PlaybookError as err:
            if "is not defined" not in err.message:
                raise
            value = "VARIABLE IS NOT DEFINED!"
        return {"changed": False, name: value, "msg": f"{name}: {value}"}
    return {"changed": False, "msg": args.get("msg", "Hello world!")}


def run_assert(task: Task, scope: Scope) -> dict[str, Any]:
    """``that`` holds bare expressions, so it is evaluated here and not rendered with the rest."""
    args = task.args.value
    that = args["that"]
    conditions = that if isinstance(that, list) else [that]
    where = that.at if hasattr(that, "at") else lambda _index: args.at("that")
    for index, condition in enumerate(conditions):
        if not scope.templar.truth(condition, where(index), scope):
            word = "fail_msg" if "fail_msg" in args else "msg"
            msg = scope.templar.render(args.get(word, "Assertion failed"), args.at(word), scope)
            return {
                "failed": True,
                "changed": False,
                "assertion": condition,
                "evaluated_to": False,
                "msg": f"{msg} ({condition})"
                if isinstance(condition, str) and word not in args
                else str(msg),
            }
    msg = scope.templar.render(
        args.get("success_msg", "All assertions passed"), args.at("success_msg"), scope
    )
    return {"changed": False, "msg": msg}
