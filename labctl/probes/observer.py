"""Carries out requests: one wave is one agent call to the VM, one to the staff's server, and outside work
beside them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from typing import Any

from labctl.agent import Agent, Op, OpResult, start_agent
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.inventory import Host
from labctl.probes import dns
from labctl.probes.request import Observed, Request, Unobserved

#: Ops at a time on a VM: more than the usual one processor can use, because most of them wait.
PARALLEL = 4
OUTSIDE_THREADS = 8
#: Seconds before another thread helps with the looks from outside: for a whole class they are many threads.
_PATIENCE = 0.2
#: Seconds before their deadline at which looks give up by themselves.
_CUT_SHORT = 0.5
#: What an experiment is: given its arguments and a deadline, it acts through agents and returns its
#: observation.
Experiment = Callable[[Mapping[str, Any], Deadline], Any]


class StaffLink:
    """The staff's server, for every VM of a run: one connection, begun when first needed, one user at a
    time.
    """

    def __init__(self, host: Host | None) -> None:
        self.host = host
        self._agent: Agent | None = None
        self._lock = threading.Lock()

    def call(self, ops: Sequence[Op], deadline: Deadline) -> list[OpResult]:
        """Raises :class:`HostError` when the server cannot be asked."""
        if self.host is None:
            raise HostError("the inventory names no staff server")
        with self._lock:
            if self._agent is None:
                self._agent = start_agent(self.host, deadline.sooner(40.0))
            try:
                return list(self._agent.call(ops, deadline.sooner(30.0), parallel=PARALLEL))
            except HostError:
                # out of step with the agent: the next caller begins a new one
                self._agent.close()
                self._agent = None
                raise

    def close(self) -> None:
        with self._lock:
            if self._agent is not None:
                self._agent.close()
                self._agent = None


_NO_AGENT = Unobserved("agent-fault", "there is no agent on the VM")


@dataclass
class Observer:
    """Fetches observations of one VM.

    ``agent`` is None when none could be started; ``no_agent`` then says why, and only what is seen from
    outside is observed. ``experiments`` carry out requests of vantage "experiment", by the probe's name.
    """

    agent: Agent | None
    staff: StaffLink
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    no_agent: Unobserved = _NO_AGENT

    def fetch(self, requests: Sequence[Request[Any]], deadline: Deadline) -> dict[str, Observed[Any]]:
        """Carry out all requests; by key, each has an observation or the reason why not. Never raises
        HostError.
        """
        chosen = list({request.key: request for request in requests}.values())
        found: dict[str, Observed[Any]] = {}
        by = {where: [one for one in chosen if one.vantage == where] for where in _VANTAGES}
        pool = ThreadPoolExecutor(1 + OUTSIDE_THREADS, thread_name_prefix="outside")
        outside = _Looks(by["outside"], deadline)
        try:
            staff = pool.submit(self._by_staff, by["staff"], deadline) if by["staff"] else None
            # what comes at once needs one thread; what is waited for gets more, one after the other
            looking = [pool.submit(outside.look)] if by["outside"] else []
            if by["vm"]:
                found.update(self._by_vm(by["vm"], deadline))
            for one in by["experiment"]:
                found[one.key] = self._by_experiment(one, deadline)
            while outside.left and len(looking) < OUTSIDE_THREADS and not deadline.expired:
                wait(looking, timeout=_PATIENCE)
                if outside.left:
                    looking.append(pool.submit(outside.look))
            if staff:
                found.update(_gather_all(staff, by["staff"], deadline))
            found.update(outside.seen(looking))
        finally:
            # threads that a hostile server still holds are left behind; they end with their own sockets'
            # deadlines
            outside.left.clear()
            pool.shutdown(wait=False, cancel_futures=True)
        return found

    def _by_vm(self, requests: list[Request[Any]], deadline: Deadline) -> dict[str, Observed[Any]]:
        if self.agent is None:
            return {one.key: Observed(self.no_agent) for one in requests}
        found: dict[str, Observed[Any]] = {}
        try:
            # the slowest first, so that they do not wait in line behind quick ones
            ordered = sorted(requests, key=lambda one: -one.deadline)
            for result in self.agent.call([to_op(one) for one in ordered], deadline, parallel=PARALLEL):
                found[ordered[result.index].key] = observed(ordered[result.index], result)
        except HostError as err:
            self.no_agent = Unobserved(err.cause, err.message)
            self.agent.close()
            self.agent = None
        return {one.key: found.get(one.key) or Observed(self.no_agent) for one in requests}

    def _by_staff(self, requests: list[Request[Any]], deadline: Deadline) -> dict[str, Observed[Any]]:
        try:
            results = self.staff.call([to_op(one) for one in requests], deadline)
        except HostError as err:
            missing = Unobserved(err.cause, f"the staff server: {err.message}")
            return {one.key: Observed(missing) for one in requests}
        return {requests[one.index].key: observed(requests[one.index], one) for one in results}

    def _by_experiment(self, request: Request[Any], deadline: Deadline) -> Observed[Any]:
        began = time.monotonic()
        try:
            value = self.experiments[request.probe.name](request.args, deadline.sooner(request.deadline))
        except HostError as err:
            value = Unobserved(err.cause, err.message)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as err:
            # what the VM sent had another shape than its own agent gives
            value = Unobserved("malformed", f"{request.probe.name}: {type(err).__name__}: {err}")
        return Observed(value, round(time.monotonic() - began, 3))


_VANTAGES = ("vm", "staff", "outside", "experiment")


def to_op(request: Request[Any]) -> Op:
    """The agent's op for a request. Any of them may hang, and is then alone with that."""
    probe = request.probe
    args = dns.wire_args(request.args) if probe is dns.DNS else request.args
    return Op(f"probes.{probe.name}", args, deadline=request.deadline, isolated=True, shared=not probe.alters)


def observed(request: Request[Any], result: OpResult) -> Observed[Any]:
    """What the agent's result says about ``request``; malformed data is a reason for having no
    observation.
    """
    if result.value is None:
        kind = result.error.kind if result.error else "crashed"
        message = result.error.message if result.error else "no value"
        return Observed(Unobserved(kind, f"{request.probe.name}: {message}"), result.seconds)
    if result.value.get("failed"):
        why = Unobserved("failed", f"{request.probe.name}: {str(result.value.get('msg'))[:300]}")
        return Observed(why, result.seconds)
    try:
        return Observed(request.probe.interpret(result.value), result.seconds)
    except ValueError as err:
        return Observed(Unobserved("malformed", f"{request.probe.name}: {err}"), result.seconds)


class _Looks:
    """A wave's looks from outside, shared by any number of threads. ``left`` are those not begun."""

    def __init__(self, requests: Sequence[Request[Any]], deadline: Deadline) -> None:
        self.left = list(reversed(requests))
        self._requests = requests
        self._deadline = deadline
        self._found: dict[str, Observed[Any]] = {}

    def look(self) -> None:
        """Make one after the other, until none is left."""
        while True:
            try:
                request = self.left.pop()
            except IndexError:
                return
            found = _outside(request, self._deadline)
            # what the VM's own deadline may have cut short says nothing about the VM
            if self._deadline.remaining() > _CUT_SHORT:
                self._found[request.key] = found

    def seen(self, looking: Sequence[Future[None]]) -> dict[str, Observed[Any]]:
        """What the threads found by the deadline, or why not."""
        for one in wait(looking, timeout=self._deadline.remaining() + 0.5).done:
            one.result()
        late = Unobserved("timeout", "the VM's time was over")
        return {one.key: self._found.get(one.key) or Observed(late) for one in self._requests}


def _outside(request: Request[Any], deadline: Deadline) -> Observed[Any]:
    assert request.probe.outside is not None, request.probe.name
    began = time.monotonic()
    value = request.probe.outside(request.args, min(request.deadline, deadline.remaining()))
    return Observed(value, round(time.monotonic() - began, 3))


def _gather_all(
    future: Future[dict[str, Observed[Any]]], requests: list[Request[Any]], deadline: Deadline
) -> dict[str, Observed[Any]]:
    try:
        return future.result(timeout=deadline.remaining() + 0.5)
    except TookTooLong:
        late = Unobserved("timeout", "the VM's time was over")
        return {one.key: Observed(late) for one in requests}
