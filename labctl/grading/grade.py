"""Grading one VM: an agent, waves of observations, verdicts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from labctl.agent import Agent, start_agent
from labctl.connect import Retry
from labctl.deadline import Deadline
from labctl.errors import AgentFault, DeadlineExceeded, HostError, PythonMissing, SudoRefused
from labctl.grading import experiments
from labctl.grading.answers.reading import Answers
from labctl.grading.answers.written import add_answers, secrets_for
from labctl.grading.check import Check
from labctl.grading.evidence import Evidence
from labctl.grading.judge import Result, judge, leave_out_absent
from labctl.grading.lab import Lab
from labctl.grading.rubric import Rubric
from labctl.grading.settling import Fetch
from labctl.grading.target import Target, target_of
from labctl.grading.verdict import Verdict
from labctl.inventory import Host
from labctl.probes import Observed, Observer, Request, StaffLink, Unobserved

#: Seconds for one VM, whatever happens on it.
VM_DEADLINE = 180.0
#: Seconds for connecting and starting the agent, a second try included.
START_DEADLINE = 75.0

#: Why a check was left out by whoever asked for the run, not by the check itself.
NOT_ASKED = "not asked for"

log = logging.getLogger(__name__)


class Rebooted(HostError):
    """The VM does not stay up for as long as it takes to grade it."""

    cause = "rebooted"


@dataclass(frozen=True)
class Plan:
    """What a run does on each VM. ``stop`` is set when the user interrupts it. ``answers`` are the written
    ones by VM; None when there are none to judge. A VM that is not among them has answered nothing.
    ``reached`` are the VMs on which something may be under way that is to be put back.
    """

    lab: Lab
    checks: tuple[Check, ...]
    deadline: float = VM_DEADLINE
    answers: Mapping[str, Answers] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    reached: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Graded:
    """One VM's grade. ``left_out`` are the lab's checks that were not run, with the reason.

    ``restored``: None when nothing was broken, else whether everything is as it was before. ``tries`` are
    the tries to connect that failed before one did not. ``identity``: ``host_key`` and ``machine_id``, which
    no two VMs share; empty for this machine and where no agent started.
    """

    target: Target
    results: tuple[Result, ...]
    evidence: Evidence
    left_out: tuple[tuple[str, str], ...]
    seconds: float
    connections: int
    round_trips: int
    started: datetime
    problem: HostError | None = None
    restored: bool | None = None
    tries: tuple[str, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Every check came to PASS, FAIL or SKIP."""
        return all(one.verdict is not Verdict.ERROR for one in self.results)

    @property
    def score(self) -> float:
        return round(sum(one.score for one in self.results), 2)

    @property
    def max_score(self) -> float:
        return round(sum(one.check.points for one in self.results), 2)


def grade_host(host: Host, plan: Plan, staff: StaffLink) -> Graded:
    """Grade one VM by its absolute deadline.

    Raises :class:`HostError` when the VM cannot be reached or is not the VM it should be, and when another
    run's experiment does not end in time (``labctl.grading.experiments.bench.Busy``). A VM that can be
    reached and on which no agent starts is judged by what is seen from outside; the rest of its checks are
    ERROR.
    """
    began, started = time.monotonic(), datetime.now(timezone.utc)
    deadline = Deadline.after(plan.deadline)
    retry = Retry(stop=plan.stop)
    try:
        agent, problem = _start(host, deadline, retry)
    except HostError as err:
        err.tries = tuple(retry.failed)
        raise
    plan.reached.add(host.name)
    observer = Observer(agent, staff)
    if problem is not None:
        observer.no_agent = Unobserved(problem.cause, problem.message)
    try:
        graded = grade_through(observer, host, plan, deadline)
    finally:
        if observer.agent is not None:
            observer.agent.close()
        plan.reached.discard(host.name)
    return replace(
        graded,
        problem=problem,
        started=started,
        seconds=round(time.monotonic() - began, 2),
        tries=tuple(retry.failed),
        identity=_identity(agent) if agent and not host.is_local else {},
    )


def grade_through(observer: Observer, host: Host, plan: Plan, deadline: Deadline) -> Graded:
    """Grade one VM through an observer that is there already. Its agent stays open; it has none when that
    one was lost.
    """
    began, started = time.monotonic(), datetime.now(timezone.utc)
    evidence = Evidence()
    target = _with_answers(plan, host, observer.staff.host, evidence)
    checks, left_out = _applicable(plan, target)
    agent = observer.agent
    bench = experiments.Bench(observer, plan.stop, agents=[agent] if agent else [])
    observer.experiments = {
        "crash": lambda args, until: experiments.crash(bench, args, until),
        "write_trial": lambda args, until: experiments.write(bench, args, until),
    }

    def fetch(wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        bench.check_stop()
        return observer.fetch(wave, deadline)

    if agent is not None and agent.hello.unsettled:
        bench.settle(deadline)
    results = judge(checks, target, evidence, fetch)
    if bench.rebooted(deadline):
        # nothing that was seen before goes together with what is seen now: once more, and all of it
        log.debug("%s rebooted while it was graded", host.name)
        bench.begin_again()
        bench.settle(deadline)
        evidence = Evidence()
        target = _with_answers(plan, host, observer.staff.host, evidence)
        results = judge(checks, target, evidence, fetch)
        if bench.rebooted(deadline):
            raise Rebooted("the VM rebooted, and again, while it was graded", hint="let it come to rest")
    judged, absent = leave_out_absent(results)
    return Graded(
        target=target,
        results=judged,
        evidence=evidence,
        left_out=left_out + absent,
        seconds=round(time.monotonic() - began, 2),
        connections=sum(one.connections for one in bench.agents),
        round_trips=sum(one.round_trips for one in bench.agents),
        started=started,
        restored=bench.restored,
    )


def answered_again(
    graded: Graded, rubric: Rubric, answers: Answers, secrets: Mapping[str, str], fetch: Fetch
) -> tuple[Result, ...]:
    """The checks of ``graded`` once more, with other answers beside the same VM.

    ``secrets`` are the staff's values by name. ``fetch`` observes what these answers ask for beside what has
    been seen of the VM already.
    """
    evidence = Evidence(dict(graded.evidence.observed), dict(graded.evidence.requests))
    add_answers(evidence, answers, rubric, secrets)
    target = replace(graded.target, answered=True, secrets=tuple(secrets))
    return tuple(judge([one.check for one in graded.results], target, evidence, fetch))


def _with_answers(plan: Plan, host: Host, staff: Host | None, evidence: Evidence) -> Target:
    """The target; what its student wrote is put into the evidence."""
    target = target_of(host, staff)
    if plan.answers is None:
        return target
    rubric = plan.lab.rubric
    secrets = secrets_for(rubric, host, staff)
    add_answers(evidence, plan.answers.get(host.name, Answers("", {})), rubric, secrets)
    return replace(target, answered=True, secrets=tuple(secrets))


def _start(host: Host, deadline: Deadline, retry: Retry) -> tuple[Agent | None, HostError | None]:
    until = deadline.sooner(START_DEADLINE)
    seconds = until.remaining()
    try:
        return start_agent(host, until, retry=retry), None
    except (PythonMissing, SudoRefused, AgentFault) as err:
        if host.is_local:
            raise  # no view from outside is left to judge by
        log.debug("no agent on %s: %s", host.name, err)
        return None, err
    except DeadlineExceeded as err:
        raise DeadlineExceeded(f"no agent within {seconds:.0f} s: {err.message}", hint=err.hint) from err


def _identity(agent: Agent) -> dict[str, str]:
    return {"host_key": agent.connection.host_key, "machine_id": agent.hello.machine_id}


def _applicable(plan: Plan, target: Target) -> tuple[tuple[Check, ...], tuple[tuple[str, str], ...]]:
    """The checks that apply to this VM; the lab's others with why they are left out."""
    chosen: list[Check] = []
    left_out: list[tuple[str, str]] = []
    asked = {one.id for one in plan.checks}
    for each in plan.lab.checks:
        one, reason = each.on(target)
        if one.id not in asked:
            left_out.append((one.id, NOT_ASKED))
        elif reason:
            left_out.append((one.id, reason))
        else:
            chosen.append(one)
    left_out += [(id, "checked by staff") for id in plan.lab.rubric.by_staff]
    return tuple(chosen), tuple(left_out)


def plan_for(
    lab: Lab,
    only: Sequence[str] = (),
    *,
    disrupt: bool = True,
    deadline: float = VM_DEADLINE,
    answers: Mapping[str, Answers] | None = None,
) -> Plan:
    """The plan for a request; raises :class:`CourseError` for an unknown check."""
    return Plan(lab, lab.choose(only, disrupt), deadline, answers)
