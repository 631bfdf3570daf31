"""What an experiment works with."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.agent import Agent, Op, start_agent
from labctl.deadline import Deadline
from labctl.errors import AgentFault, HostError
from labctl.probes import Observer

log = logging.getLogger(__name__)

#: Seconds for the experiment of another run, or for its undo when that run is dead.
SETTLING = 75.0


class Busy(HostError):
    """Something is under way on the VM, and what is seen now says nothing."""

    cause = "busy"


class Interrupted(HostError):
    """The user ended the run: an experiment under way restores first."""

    cause = "interrupted"


@dataclass
class Bench:
    """The VM's agent and the staff's server, through ``observer``. ``stop`` is set when the user interrupts
    the run.
    """

    observer: Observer
    stop: threading.Event
    #: None until something was broken; then whether everything is shown to be as it was.
    restored: bool | None = None
    #: Every agent that worked on this VM, to count what it cost.
    agents: list[Agent] = field(default_factory=list)
    #: Which of them was the first of this attempt.
    first: int = 0

    @property
    def agent(self) -> Agent:
        """Raises :class:`AgentFault` when there is none (any more)."""
        if self.observer.agent is None:
            raise AgentFault(self.observer.no_agent.message)
        return self.observer.agent

    def rebooted(self, deadline: Deadline) -> bool:
        """The VM booted while it was looked at; then there is another agent on it.

        Asked only when an agent was lost on the way. A VM that is not back in time was not seen to have.
        """
        attempt = self.agents[self.first :]
        if not attempt or (self.observer.agent is not None and len(attempt) == 1):
            return False
        while self.observer.agent is None:
            try:
                self.reconnect(deadline)
            except HostError as err:
                log.debug("looking whether the VM rebooted: %s", err)
                if deadline.expired:
                    return False
                self.check_stop()
                time.sleep(min(1.0, deadline.remaining()))
        return self.agents[self.first].hello.boot_id != self.agents[-1].hello.boot_id

    def begin_again(self) -> None:
        """Forget what was seen of the VM before it rebooted."""
        self.first = len(self.agents) - 1
        self.restored = None

    def leave(self) -> None:
        """End the agent and its connection."""
        if self.observer.agent is not None:
            self.observer.agent.close()
            self.observer.agent = None

    def reconnect(self, deadline: Deadline) -> None:
        """Another agent in place of one that was lost. Raises :class:`HostError`."""
        if self.agents:
            self.observer.agent = start_agent(self.agents[0].host, deadline.sooner(20.0))
            self.agents.append(self.observer.agent)

    def settle(self, deadline: Deadline) -> None:
        """Wait until the VM has booted, and another run's experiment is undone. Raises :class:`HostError`."""
        until = deadline.sooner(SETTLING)
        waits_for = "its boot"
        while waits_for and not until.expired:
            self.check_stop()
            (told,) = self.call([Op("services.settled", {}, deadline=5.0)], deadline.sooner(15.0))
            waits_for = str(told["waits_for"])[:80]
        if waits_for:
            raise Busy(f"this VM is busy with {waits_for}", hint="grade it again when that is over")

    def check_stop(self) -> None:
        if self.stop.is_set():
            raise Interrupted("the run was interrupted")

    def call(self, ops: list[Op], deadline: Deadline, parallel: int = 1) -> list[Mapping[str, Any]]:
        """The values of some ops, in order. Raises :class:`AgentFault` for one that has none or failed."""
        values: dict[int, Mapping[str, Any]] = {}
        problem = ""
        # every result is read before anything is raised, or the next call would meet the rest of this one
        for result in self.agent.call(ops, deadline, parallel):
            if result.value is None or result.value.get("failed"):
                said = result.error.message if result.error else str((result.value or {}).get("msg"))[:300]
                problem = problem or f"{ops[result.index].name}: {said}"
            else:
                values[result.index] = result.value
        if problem:
            raise AgentFault(problem)
        return [values[index] for index in range(len(ops))]
