"""From what the VM said to the task's result: changed_when, failed_when, until, loops, what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labctl.errors import PlaybookError
from labctl.playbook.model import Source
from labctl.playbook.prepare import Item, Prepared
from labctl.playbook.result import Status, TaskResult, kept, masked, unified
from labctl.playbook.variables import Layer, Scope
from labctl.vault import MASK

VAULTED = "the diff is hidden: what was sent is from a vault\n"
HIDDEN = "the output has been hidden: no_log is on for this task"


def judged(prepared: Prepared, item: Item, value: Mapping[str, Any]) -> dict[str, Any]:
    """One item's result as Ansible registers it."""
    result = dict(value)
    result.setdefault("changed", False)
    result["changed"] = result["changed"] is True
    result["failed"] = bool(result.get("failed", False))
    for stream in ("stdout", "stderr"):
        if isinstance(result.get(stream), str) and f"{stream}_lines" not in result:
            result[f"{stream}_lines"] = result[stream].splitlines()
    if prepared.looped:
        result |= item.layer.values if item.layer else {}
    if result.get("skipped") or result.pop("_fault", False):
        return result
    task = prepared.task
    try:
        if task.changed_when:
            result["changed"] = all_true(task.changed_when, with_result(prepared, item.scope, result))
        if task.failed_when:
            result["failed"] = all_true(task.failed_when, with_result(prepared, item.scope, result))
            result["failed_when_result"] = result["failed"]
    except PlaybookError as err:
        result.update(failed=True, msg=str(err))
    return result


def with_result(prepared: Prepared, scope: Scope, result: Mapping[str, Any]) -> Scope:
    """The scope in which a task's own conditions on its result are judged."""
    name = prepared.task.register
    # changed_when on a task that registers nothing can still not see its result: as in Ansible.
    return scope.with_layer(Layer("result", {name: result} if name else {}, "remote"))


def all_true(conditions: Sequence[Source], scope: Scope) -> bool:
    return all(scope.templar.truth(condition.value, condition.place, scope) for condition in conditions)


def registered(prepared: Prepared, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The task's own result: the only item's, or a loop's summary."""
    if not prepared.looped:
        return results[0]
    failed = any(result["failed"] for result in results)
    summary: dict[str, Any] = {
        "results": list(results),
        "changed": any(result["changed"] for result in results),
        "failed": failed,
        "skipped": False,
        "msg": "One or more items failed" if failed else "All items completed",
    }
    if all(result.get("skipped") for result in results):
        summary.update(skipped=True, msg="All items skipped" if results else "No items in the list")
        if not results:
            summary["skipped_reason"] = "No items in the list"
    return summary


def status_of(result: Mapping[str, Any]) -> Status:
    if result["failed"]:
        return "failed"
    if result.get("skipped"):
        return "skipped"
    return "changed" if result["changed"] else "ok"


def shown(
    prepared: Prepared, results: Sequence[dict[str, Any]], whole: Mapping[str, Any], seconds: float
) -> TaskResult:
    """What reports show of it: capped, secrets masked, the failing item first."""
    status = status_of(whole)
    task = prepared.task
    telling = next((result for result in results if result["failed"]), whole)
    shows = zip(prepared.items, results, strict=True)
    diffs = "" if prepared.hidden else "".join(_diff(item, result) for item, result in shows)
    return TaskResult(
        name=prepared.name,
        module=task.module.name,
        status=status,
        msg=HIDDEN if prepared.hidden else _message(telling, status),
        diff=diffs,
        seconds=seconds,
        place=str(task.place),
        args=_args(prepared, results),
        stdout="" if prepared.hidden else kept(telling.get("stdout")),
        stderr="" if prepared.hidden else kept(telling.get("stderr")),
        rc=telling.get("rc") if isinstance(telling.get("rc"), int) else None,
        ignored=status == "failed" and prepared.ignore_errors,
        handler=prepared.handler,
        items=tuple(
            _item(prepared, item, result) for item, result in zip(prepared.items, results, strict=True)
        )
        if prepared.looped
        else (),
    )


def _diff(item: Item, result: Mapping[str, Any]) -> str:
    text = unified(result["diff"]) if "diff" in result else ""
    return VAULTED if text and item.remote_args.get("_vaulted") else text


def _message(result: Mapping[str, Any], status: Status) -> str:
    msg = result.get("msg", "")
    text = msg if isinstance(msg, str) else str(msg)
    if status == "skipped" and not text:
        return str(result.get("skip_reason", ""))
    return kept(text)


def _args(prepared: Prepared, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if prepared.hidden:
        return {"args": MASK}
    secret = frozenset(name for name, param in prepared.task.module.params.items() if param.secret)
    pairs = list(zip(prepared.items, results, strict=True))
    item = next((item for item, result in pairs if result["failed"]), pairs[0][0] if pairs else None)
    if item is None:
        return {}
    module = prepared.task.module
    names = {module.canonical(name) or name for name in item.given}
    return masked({name: value for name, value in item.args.items() if name in names}, secret)


def _item(prepared: Prepared, item: Item, result: Mapping[str, Any]) -> dict[str, Any]:
    if prepared.hidden:
        return {"item": MASK, "status": status_of(result)}
    return {
        "item": kept(item.label or ""),
        "status": status_of(result),
        "msg": _message(result, status_of(result)),
    }
