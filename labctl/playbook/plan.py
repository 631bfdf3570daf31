"""How a playbook becomes batches.

A round trip to a VM costs more than most tasks, so tasks travel together. The runner walks a play's
tasks in order, on the controller, and makes each ready: conditions judged, loop unrolled, arguments
rendered and checked. What is ready goes into the batch, not yet to the VM. The walk stops, and the
batch is sent as one call of the agent, only when going on needs an answer:

- a template or condition mentions a variable that a waiting task registers. This is not found by
  reading the template in advance: the name is bound to "not known yet", and Jinja asking for it
  raises :class:`~labctl.playbook.variables.NeedsResult`. The batch is sent, and the same task made
  ready once more. So a register that nobody reads costs nothing.
- a fact is mentioned for the first time (NeedsFacts). The facts are gathered by one more op at the
  end of the same batch. A play that mentions none gathers none.
- only the controller can say whether a task failed (``failed_when``, ``until``), or the task is a
  ``pause`` or ``meta: flush_handlers``: nothing may follow it unjudged.
- a block with ``rescue`` or ``always`` begins or ends: a failure in it leads elsewhere.
- the play's section ends. Handlers that were notified make a batch of their own.

Within a call the agent runs the tasks in order and stops at the first that fails, unless its
failure is to be ignored; results stream back as each is done. A loop is one op (``series``), so
that a failing round does not keep the later rounds from running, as in Ansible. Tasks done on the
controller (debug, assert, set_fact) hold their place in the batch: their results are shown, and
their failure counts, when those before them have succeeded.

Before anything connects, the same walk is made for every host with nothing sent (``preflight``):
an undefined variable or a bad value that no VM's answer is needed to find is found then.

Cost of lab7.yml that changes nothing: connect, start of the agent, and one call, which goes with the start.

Rejected: finding dependencies with ``jinja2.meta`` (it does not see through variables that hold
templates); sending conditions to the VM to be judged there (it needs Jinja on the VM, and shows a
student the playbook's logic); a call per task (a round trip each).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.agent import Agent, Op, OpResult
from labctl.deadline import Deadline
from labctl.playbook.prepare import Prepared

#: Given the VM when the sum of its ops' own deadlines is over, for the link.
_SLACK = 15.0
FACTS_OP = "modules.setup"


@dataclass
class Batch:
    """Tasks made ready and not yet done, in order."""

    entries: list[Prepared] = field(default_factory=list)

    def add(self, prepared: Prepared) -> None:
        self.entries.append(prepared)

    @property
    def registers(self) -> dict[str, bool]:
        return {entry.task.register: True for entry in self.entries if entry.task.register}

    @property
    def notifies(self) -> bool:
        return any(entry.notify for entry in self.entries)

    def take(self) -> list[Prepared]:
        taken, self.entries = self.entries, []
        return taken


def send(
    entries: list[Prepared],
    agent_of: Callable[[Sequence[Op]], Agent],
    deadline: Deadline,
    *,
    facts: bool = False,
) -> Iterator[tuple[Prepared | None, OpResult | None]]:
    """Do ``entries`` in one call; yields each with its result in order.

    An entry done on the controller comes with None, when all before it are done. The last pair is
    ``(None, result)`` for the facts, when they were asked for. After a failure that stops the call
    the remaining entries do not come; the iterator must then be read to its end.
    """
    remote = [index for index, entry in enumerate(entries) if entry.remote]
    ops = [entries[index].op() for index in remote]
    if facts:
        ops.append(Op(FACTS_OP, {}, deadline=60.0))
    if not ops:
        for entry in entries:
            yield entry, None
        return
    agent = agent_of(ops)
    limit = deadline.sooner(sum(op.deadline for op in ops) + _SLACK)
    done = 0
    stopped = False
    for result in agent.call(ops, limit):
        if result.error is not None and result.error.kind == "not-run":
            stopped = True
            continue
        position = remote[result.index] if result.index < len(remote) else len(entries)
        for entry in entries[done:position]:
            yield entry, None
        done = position + 1
        yield (entries[position] if position < len(entries) else None), result
        stopped = stopped or (result.failed and ops[result.index].stop_on_failure)
    if not stopped:
        for entry in entries[done:]:
            yield entry, None


def values_of(prepared: Prepared, result: OpResult | None) -> list[Mapping[str, Any]]:
    """One result per item: the VM's for what it did, the controller's own for the others."""
    if result is None:
        return [item.value or {} for item in prepared.items]
    if result.value is None:
        message = result.error.message if result.error else "no result"
        kind = result.error.kind if result.error else "crashed"
        lost = {"failed": True, "changed": False, "msg": f"{kind}: {message}", "_fault": True}
        return [item.value if item.value is not None else lost for item in prepared.items]
    if not prepared.looped:
        return [result.value]
    results = result.value.get("results")
    given = iter(results if isinstance(results, list) else [])
    missing = {"failed": True, "changed": False, "msg": "the VM gave no result for this item", "_fault": True}
    values: list[Mapping[str, Any]] = []
    for item in prepared.items:
        if item.value is not None:
            values.append(item.value)
            continue
        value = next(given, missing)
        values.append(value if isinstance(value, Mapping) else missing)
    return values
