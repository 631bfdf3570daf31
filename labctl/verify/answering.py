"""Written answers under proof: many students' answers, judged beside one VM that was observed once."""

from __future__ import annotations

from functools import cached_property
from string import Template

from labctl.agent import start_agent
from labctl.deadline import Deadline
from labctl.grading import Graded, Lab, Result, answered_again
from labctl.grading.answers import Answers, secrets_for
from labctl.inventory import Host
from labctl.probes import Observer, StaffLink
from labctl.verify.machines import Machines
from labctl.verify.matrix import PRISTINE, Case

#: Seconds to look at what one student's answers speak of and no other's did.
DEADLINE = 60.0


class Student:
    """Who writes the answers beside one VM."""

    def __init__(self, lab: Lab, solution: Answers, machines: Machines, host: Host) -> None:
        self._rubric = lab.rubric
        self._solution = solution
        self._machines = machines
        self._host = host
        self._secrets = secrets_for(lab.rubric, host, machines.staff)

    @cached_property
    def _facts(self) -> dict[str, str]:
        told = {name.upper(): value for name, value in self._secrets.items()}
        return {**self._machines.facts(self._host), **told}

    def answers(self, case: Case) -> Answers:
        """The solution but for the case's own, with facts for the names in it. Where nothing was done nothing
        is written.

        Raises :class:`SandboxError` when the VM does not tell the facts.
        """
        if case.name == PRISTINE:
            return Answers(self._solution.name, {})
        texts = {**self._solution.texts, **case.answers}
        # a name that is no fact stays as it stands: it may only be known on another kind of VM
        said = {one: Template(text).safe_substitute(self._facts) for one, text in texts.items()}
        return Answers(self._solution.name, said)

    def judged(self, case: Case, graded: Graded, observer: Observer) -> tuple[Result, ...]:
        """What the VM of ``graded`` comes to with a case's answers."""
        deadline = Deadline.after(DEADLINE)
        answers = self.answers(case)
        return answered_again(
            graded, self._rubric, answers, self._secrets, lambda wave: observer.fetch(wave, deadline)
        )


def observe_again(host: Host, staff: StaffLink) -> Observer:
    """For what answers ask of a VM after it was graded. Raises :class:`HostError`."""
    return Observer(start_agent(host, Deadline.after(DEADLINE)), staff)
