"""Carries out a lab's matrix: every case made on a VM, graded there, and compared with what it declares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from labctl.batch import fan_out
from labctl.errors import HostError, LabctlError, RequestError, SandboxError
from labctl.grading import Check, Graded, Lab, Plan, Result, grade_host
from labctl.grading.answers import Answers
from labctl.inventory import Host
from labctl.probes import StaffLink
from labctl.sandbox import Sandbox
from labctl.sandbox import nspawn as containers
from labctl.verify.answering import Student, observe_again
from labctl.verify.compare import Comparison, compare, expected_verdicts, uncovered
from labctl.verify.machines import Machines, Setup
from labctl.verify.matrix import REFERENCE, Case, Matrix

#: Containers at a time: most of a case's time is spent waiting for health checks.
CONTAINERS = 5
#: Seconds in which one VM is graded.
DEADLINE = 240.0

Progress = Callable[[str, Comparison | None], None]


@dataclass(frozen=True)
class Report:
    """What came of it. ``checks`` are the lab's that apply to the VMs at hand; ``whole``: the whole matrix
    was run, so that what no mutant kills is known.
    """

    lab: Lab
    comparisons: tuple[Comparison, ...]
    checks: tuple[Check, ...]
    whole: bool
    seconds: float

    @property
    def survivors(self) -> tuple[str, ...]:
        """The mutants that lose nothing."""
        return tuple(
            one.case.name for one in self.comparisons if one.case.kind == "mutant" and not one.killed
        )

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The checks that no mutant makes fail; only known of a whole matrix."""
        return uncovered(self.checks, self.comparisons) if self.whole else ()

    @property
    def good(self) -> bool:
        return not (self.survivors or self.uncovered or any(one.problems for one in self.comparisons))


@dataclass(frozen=True)
class _Job:
    """A VM to make and to grade by ``checks``, and the ``written`` cases that are judged beside it.
    ``asked``: the case itself is one that was asked for.
    """

    case: Case
    checks: tuple[Check, ...]
    written: tuple[Case, ...] = ()
    asked: bool = True


@dataclass
class _Round:
    """What the threads of one run share."""

    lab: Lab
    solution: Answers | None
    setup: Setup
    stop: threading.Event
    tell: Progress
    found: list[Comparison] = field(default_factory=list)
    applied: set[str] = field(default_factory=set)

    def job(self, machines: Machines, host: Host, job: _Job) -> None:
        """Make the VM of a case, grade it, and judge beside it what others have written."""
        began = time.monotonic()
        staff = StaffLink(machines.staff)
        left = [job.case] * job.asked + list(job.written)
        try:
            machines.make(host, job.case)
            student = self._student(machines, host, job)
            answers = {host.name: student.answers(job.case)} if student else None
            graded = grade_host(host, Plan(self.lab, job.checks, DEADLINE, answers, self.stop), staff)
            if job.asked:
                self._done(machines, host, left.pop(0), graded.results, began, graded.restored)
            if student and left:
                self._written(machines, host, student, graded, left, staff)
        except RequestError:
            raise
        except Exception as err:  # noqa: BLE001 - whatever it is, other cases have their results
            if self.stop.is_set():
                return
            for case in left:
                seconds = round(time.monotonic() - began, 1)
                self._tell(host, _lost(case, job.checks, err, seconds, machines.driver))
        finally:
            staff.close()

    def _student(self, machines: Machines, host: Host, job: _Job) -> Student | None:
        """Who has written something; on a VM with a fault nobody has, unless the case says what."""
        if self.solution and (job.case.kind in WHOLE or job.case.answers):
            return Student(self.lab, self.solution, machines, host)
        return None

    def _written(
        self,
        machines: Machines,
        host: Host,
        student: Student,
        graded: Graded,
        left: list[Case],
        staff: StaffLink,
    ) -> None:
        """Judge all that is ``left``, taking each away when it is done."""
        observer = observe_again(host, staff)
        try:
            while left and not self.stop.is_set():
                began = time.monotonic()
                results = student.judged(left[0], graded, observer)
                self._done(machines, host, left.pop(0), results, began)
        finally:
            if observer.agent:
                observer.agent.close()

    def _done(
        self,
        machines: Machines,
        host: Host,
        case: Case,
        results: Sequence[Result],
        began: float,
        restored: bool | None = None,
    ) -> None:
        self.applied.update(one.check.id for one in results)
        seconds = round(time.monotonic() - began, 1)
        done = compare(case, results, seconds=seconds, driver=machines.driver, restored=restored)
        self._tell(host, done)

    def _tell(self, host: Host, done: Comparison) -> None:
        self.found.append(done)
        self.tell(host.name, done)


def verify(
    lab: Lab,
    matrix: Matrix,
    setup: Setup,
    *,
    only: Sequence[str] = (),
    sandbox: str = "verify",
    tell: Progress = lambda _said, _done: None,
    stop: threading.Event | None = None,
) -> Report:
    """Try the matrix, or the cases and sections named by ``only``, on VMs made for it and removed after.

    What needs no kernel of its own runs in containers, several at a time, where this machine has them; the
    rest on QEMU VMs. ``tell`` is called with the VM's name as each case ends, and with None when VMs are
    being prepared. Raises :class:`CourseError` for an unknown name, :class:`SandboxError` when the VMs cannot
    be had.
    """
    began = time.monotonic()
    chosen = matrix.choose(only)
    try:
        containers.check_usable()
        light = True
    except SandboxError:
        light = False
    shared = matrix.shared
    left_out = shared.containers.leave_out if light else ()
    round_ = _Round(lab, matrix.solution, setup, stop or threading.Event(), tell)
    heavy = [case for case in chosen if case.needs or not light or (left_out and case.kind in WHOLE)]
    easy = [case for case in chosen if light and not case.needs]
    parts: list[tuple[Machines, list[Case], tuple[str, ...], int]] = []
    if heavy:
        parts.append((Machines(Sandbox.open(f"{sandbox}-vm"), "qemu", shared), heavy, (), 1))
    if easy:
        box, skipped = Sandbox.open(f"{sandbox}-c"), shared.containers.skip_tags
        made = 1 + sum(not case.only_written for case in easy)
        parts.append((Machines(box, "nspawn", shared, skipped), easy, left_out, min(CONTAINERS, made)))
    # at once: the containers' cases wait for health checks while the emulated VMs compute
    with ThreadPoolExecutor(max(1, len(parts)), thread_name_prefix="matrix") as pool:
        for job in [pool.submit(_run, round_, *part) for part in parts]:
            job.result()
    order = {case.name: at for at, case in enumerate(chosen)}
    return Report(
        lab=lab,
        comparisons=tuple(sorted(round_.found, key=lambda one: order[one.case.name])),
        # answers for which there is no solution have never been tried
        checks=tuple(check for check in lab.checks if check.id in round_.applied or check.is_answer),
        whole=not only and not round_.stop.is_set(),
        seconds=round(time.monotonic() - began, 1),
    )


#: Cases that say something of every check: they run on both kinds of VM when containers cannot have them all.
WHOLE = ("pristine", "reference")


def _run(
    round_: _Round, machines: Machines, cases: Sequence[Case], left_out: tuple[str, ...], students: int
) -> None:
    waiting: SimpleQueue[_Job] = SimpleQueue()
    for job in _jobs(round_.lab, cases, left_out):
        waiting.put(job)

    def work(host: Host) -> None:
        while not round_.stop.is_set():
            try:
                job = waiting.get_nowait()
            except Empty:
                return
            round_.job(machines, host, job)

    done = False
    try:
        round_.tell(f"making {students + 1} VMs ({machines.driver}) and solving the lab on them", None)
        machines.prepare(students, cases, round_.setup)
        for outcome in fan_out(machines.hosts, work, forks=students).values():
            if isinstance(outcome, HostError):
                raise outcome
        done = True
    finally:
        if not done:
            # the other kind of VM need not go on
            round_.stop.set()
        machines.down()


def _jobs(lab: Lab, cases: Sequence[Case], left_out: Sequence[str]) -> list[_Job]:
    """What there is to do. What has an experiment in it takes longest, and is begun first."""
    slow = {lab.section_of(check) for check in lab.checks if check.disruptive}
    written = tuple(case for case in cases if case.only_written)
    jobs = []
    for case in sorted(cases, key=lambda case: case.section not in slow and case.kind not in WHOLE):
        if case not in written:
            beside = written if case.name == REFERENCE else ()
            jobs.append(_Job(case, checks_for(lab, case, left_out), beside))
    if written and not any(job.written for job in jobs):
        # the reference was not asked for: it is made all the same, and only looked at
        reference = Case(name=REFERENCE, what="beside which answers are judged", kind="reference")
        checks = checks_for(lab, reference, left_out)
        calm = tuple(one for one in checks if not one.disruptive)
        jobs.insert(0, _Job(reference, calm, written, asked=False))
    return jobs


def checks_for(lab: Lab, case: Case, left_out: Sequence[str] = ()) -> tuple[Check, ...]:
    """The checks that judge a case: all that merely look, and the experiments of the case's own section.

    Optional ones give no points, so that no fault can lose any.
    """
    return tuple(
        check
        for check in lab.checks
        if not check.optional
        and not {check.id, lab.section_of(check)} & set(left_out)
        and (not check.disruptive or case.kind in WHOLE or lab.section_of(check) == case.section)
    )


def _lost(case: Case, checks: Sequence[Check], err: Exception, seconds: float, driver: str) -> Comparison:
    """A case of which nothing is known."""
    expected = expected_verdicts(case, checks)
    said = err.message if isinstance(err, LabctlError) else f"{type(err).__name__}: {err}"
    return Comparison(
        case=case,
        expected=tuple(id for id, want in expected.items() if want.share < 1),
        lost=(),
        expected_points=0.0,
        lost_points=0.0,
        failed=(),
        problems=(f"it could not be made or graded: {said}",),
        seconds=seconds,
        driver=driver,
    )
