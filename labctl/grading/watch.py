"""One VM looked at again whenever something has changed on it, over one agent, at little cost to the VM."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from labctl.agent import Agent, Op, start_agent
from labctl.deadline import Deadline
from labctl.errors import AgentFault, HostError
from labctl.grading.grade import START_DEADLINE, Graded, Plan, grade_host, grade_through
from labctl.inventory import Host
from labctl.probes import Malformed, Observer, StaffLink, decode

#: Where the configuration of services is; what else happens shows in sockets, mounts and logs.
PATHS = ("/etc", "/var/lib/dpkg/status")
#: The part of one processor of the VM that watching may take: of that a tenth for asking whether something
#: changed, the rest for looking again.
SHARE = 0.1
#: Seconds between two questions whether something changed, and between two looks when nothing seems to have.
POLL, LATEST = 1.0, 30.0
#: A change is looked at once nothing more has changed for one poll, or so many seconds after it was seen.
SETTLED_BY = 8.0
_ANSWER = 20.0


@dataclass(frozen=True)
class Signs:
    """What differs when somebody has worked on the VM. ``cpu`` is what its agent has used, in seconds."""

    files: str
    sockets: str
    mounts: str
    logs: str
    cpu: float

    @property
    def of_work(self) -> tuple[str, str, str]:
        """The signs that looking at a VM does not itself make."""
        return self.files, self.sockets, self.mounts


@dataclass
class Pace:
    """When it is worth looking again. All times are in seconds on one clock that the caller reads.

    Call :meth:`looked` after each look with the signs from before and after it, :meth:`due` with every
    other ones.
    """

    _seen: Signs | None = None
    _ended: float = 0.0
    _rest: float = 0.0
    _changed_at: float | None = None
    _poll_cpu: float = 0.0

    def looked(self, ended: float, before: Signs, after: Signs) -> None:
        """What changed during a look shows afterwards, except in the logs, which a look writes to itself."""
        self._seen = replace(before, logs=after.logs, cpu=after.cpu)
        self._ended = ended
        self._rest = max(0.0, after.cpu - before.cpu) / SHARE
        self._changed_at = None

    def due(self, now: float, signs: Signs) -> Literal["", "change", "time"]:
        """Why to look now: something changed, or time has passed since the last look; "" for not yet."""
        seen = self._seen
        if seen is None:
            return "time"
        self._poll_cpu = max(0.0, signs.cpu - seen.cpu)
        quiet = (signs.of_work, signs.logs) == (seen.of_work, seen.logs)
        self._seen = signs
        if not quiet and self._changed_at is None:
            self._changed_at = now
        if now - self._ended < self._rest:
            return ""
        if self._changed_at is None:
            return "time" if now - self._ended >= LATEST else ""
        return "change" if quiet or now - self._changed_at >= SETTLED_BY else ""

    @property
    def pause(self) -> float:
        """Seconds until the next question: more of them where the question costs much."""
        return max(POLL, self._poll_cpu / (SHARE / 10))


@dataclass
class Watched:
    """A VM under watch. ``plan`` says which checks; those that change the VM are only run by
    :meth:`look_and_change`.
    """

    host: Host
    plan: Plan
    staff: StaffLink
    _agent: Agent | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def signs(self) -> Signs:
        """Raises :class:`HostError` when the VM does not answer: the next call begins anew."""
        agent = self._connected()
        try:
            op = Op("probes.fingerprint", {"paths": list(PATHS)}, deadline=_ANSWER)
            return decode(Signs, agent.call_one(op, Deadline.after(_ANSWER)))
        except Malformed as err:
            self._drop()
            raise AgentFault(f"the agent's account of what changed: {err}") from err
        except HostError:
            self._drop()
            raise

    def look(self, only: Sequence[str]) -> Graded:
        """Judge these checks, by id, and those that they need, without changing anything on the VM.

        Raises :class:`HostError` when the VM does not answer.
        """
        deadline = Deadline.after(self.plan.deadline)
        observer = Observer(self._connected(), self.staff)
        plan = replace(self.plan, checks=self.plan.lab.choose(only, disrupt=False))
        graded = grade_through(observer, self.host, plan, deadline)
        if observer.agent is None:
            self._drop()
            raise AgentFault(observer.no_agent.message)
        return graded

    def look_and_change(self) -> Graded:
        """Judge everything in the plan, experiments too, as ``labctl grade`` does."""
        return grade_host(self.host, self.plan, self.staff)

    def close(self) -> None:
        """End the agent; a look under way in another thread ends soon after, without a result."""
        self._closed = True
        self._drop()

    def _connected(self) -> Agent:
        if self._agent is None:
            agent = start_agent(self.host, Deadline.after(min(START_DEADLINE, self.plan.deadline)))
            with self._lock:
                if not self._closed:
                    self._agent = agent
            if self._closed:
                agent.close()
                raise AgentFault("the watch is over")
        assert self._agent is not None
        return self._agent

    def _drop(self) -> None:
        with self._lock:
            agent, self._agent = self._agent, None
        if agent is not None:
            agent.close()


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A check of which something else is to be said than before; ``was`` is its verdict then."""

    row: Row
    was: str


@dataclass
class Account:
    """What is known of a VM from the newest look at each check: rows of :func:`host_document`, by id."""

    rows: dict[str, Row] = field(default_factory=dict)
    _nonces: dict[str, str] = field(default_factory=dict)

    def add(self, host: Mapping[str, Any]) -> list[Change]:
        """Take a look's rows over; the changes in the order of the rows. The first look changes nothing."""
        nonce = str((host.get("target") or {}).get("nonce", ""))
        changes = []
        for row in host["checks"]:
            id = row["id"]
            before = self.rows.get(id)
            if before and _said(before, self._nonces[id]) != _said(row, nonce):
                changes.append(Change(row, str(before["verdict"])))
            self.rows[id], self._nonces[id] = row, nonce
        return changes

    @property
    def open(self) -> list[str]:
        """The ids of the checks that do not pass yet."""
        return [id for id, row in self.rows.items() if row["verdict"] != "pass"]

    @property
    def score(self) -> float:
        return round(sum(float(row["score"] or 0) for row in self.rows.values()), 2)

    @property
    def max_score(self) -> float:
        return round(sum(float(row["max_score"]) for row in self.rows.values()), 2)


def _said(row: Row, nonce: str) -> tuple[Any, ...]:
    """What a student reads of a check; each look asks for names of its own, which are no news."""
    if row["verdict"] in ("pass", "skip"):
        return row["verdict"], row["score"]
    words = (str(row[key]) for key in ("expected", "seen", "hint"))
    return row["verdict"], row["score"], *(one.replace(nonce, "") if nonce else one for one in words)
