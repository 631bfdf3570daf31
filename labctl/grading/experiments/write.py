"""A fresh file through the student's mount, seen by the staff's server in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.agent import Op
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.grading.experiments.bench import Bench
from labctl.probes import Directory, WriteTrial, decode


def write(bench: Bench, args: Mapping[str, Any], deadline: Deadline) -> WriteTrial:
    """Write, look on the server, remove. Whatever comes in between, the VM removes the file itself after a
    while.
    """
    base = {"directory": args["directory"], "name": args["name"]}
    (told,) = bench.call([_op(base, "write")], deadline)
    written, error = bool(told.get("done")), str(told.get("error"))[:40]
    on_server = "unasked"
    try:
        if written and bench.observer.staff.host is not None:
            on_server = _look(bench, str(args["server_directory"]), str(args["name"]), deadline)
    finally:
        (told,) = bench.call([_op(base, "remove")], deadline)
    return WriteTrial(written, error, on_server, bool(told.get("done")))


def _op(base: Mapping[str, Any], action: str) -> Op:
    # isolated: the mount may hang, and then so does whoever touches it
    return Op("probes.write_trial", {**base, "action": action, "keep": 45.0}, deadline=40.0, isolated=True)


def _look(bench: Bench, path: str, name: str, deadline: Deadline) -> str:
    op = Op("probes.directory", {"path": path}, deadline=40.0, isolated=True)
    (result,) = bench.observer.staff.call([op], deadline)
    if result.value is None:
        raise HostError(f"the staff server: {result.error.message if result.error else 'no value'}")
    seen = decode(Directory, result.value)
    return "seen" if name in seen.entries else "absent"
