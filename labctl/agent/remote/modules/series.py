"""The rounds of a task's loop, one after another; a failing round does not stop the later ones."""

from __future__ import annotations

import importlib
import time
from typing import Any

from ..outcome import Context, Failed
from ..paths import filled


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``module`` is an op's name, ``steps`` its arguments for each round, ``seconds`` one round's time.

    A module with ``foresee`` may look at what all rounds are about before the first.
    """
    module = importlib.import_module("..." + args["module"], __name__)
    results = []
    args = dict(args, steps=[filled(step) for step in args["steps"]])
    if hasattr(module, "foresee") and len(args["steps"]) > 1 and not args.get("pause"):
        module.foresee(args["steps"], ctx)
    for index, step in enumerate(args["steps"]):
        if index and args.get("pause"):
            time.sleep(min(float(args["pause"]), ctx.remaining()))
        inner = Context(min(ctx.deadline, time.monotonic() + float(args["seconds"])), ctx.check, ctx.diff)
        try:
            value = module.run(step, inner)
        except Failed as err:
            value = dict(err.fields, failed=True, msg=err.msg)
        results.append(value)
    return {"results": results, "failed": any(bool(value.get("failed")) for value in results)}
