"""What a case should lose beside what it lost. Nothing here knows of VMs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labctl.grading import Check, Result, Verdict
from labctl.verify.matrix import Case

#: How far apart two sums of points may be and still be the same.
EXACT = 0.011


@dataclass(frozen=True)
class Expectation:
    """What a check should come to: ``share`` of its points, and for a FAIL or an ERROR the phrase that names
    the fault.
    """

    verdict: Verdict
    share: float = 0.0
    phrase: str = ""


@dataclass(frozen=True)
class Comparison:
    """One case. ``expected`` and ``lost`` are the ids of checks that should not pass, and of those that did
    not; ``problems`` says what is otherwise than declared, a line each, and is empty when all is well.
    ``failed`` are the checks that said no themselves, not because of one before them. ``driver``: the kind of
    VM.
    """

    case: Case
    expected: tuple[str, ...]
    lost: tuple[str, ...]
    expected_points: float
    lost_points: float
    failed: tuple[str, ...]
    problems: tuple[str, ...]
    seconds: float = 0.0
    driver: str = ""

    @property
    def killed(self) -> bool:
        """Some check did not pass."""
        return bool(self.lost)


def expected_verdicts(case: Case, checks: Sequence[Check]) -> dict[str, Expectation]:
    """What each of ``checks`` should come to; those after one that fails are skipped, as the judge has it."""
    expected: dict[str, Expectation] = {}
    for check in checks:
        before = [expected[needed].verdict for needed in check.after if needed in expected]
        if Verdict.FAIL in before or Verdict.SKIP in before:
            expected[check.id] = Expectation(Verdict.SKIP)
        elif Verdict.ERROR in before:
            expected[check.id] = Expectation(Verdict.ERROR)
        elif check.id in case.fail:
            loss = case.fail[check.id]
            expected[check.id] = Expectation(Verdict.FAIL, loss.keeps, loss.hint)
        elif check.id in case.unjudged:
            expected[check.id] = Expectation(Verdict.ERROR, 0.0, case.unjudged[check.id])
        else:
            expected[check.id] = Expectation(Verdict.PASS, 1.0)
    return expected


def compare(
    case: Case,
    results: Sequence[Result],
    *,
    seconds: float = 0.0,
    driver: str = "",
    restored: bool | None = None,
) -> Comparison:
    """The results of grading what ``case`` made, beside what it declares.

    ``restored``: False when an experiment did not put everything back, which is wrong whatever it found.
    """
    by_id = {one.check.id: one for one in results}
    checks = [one.check for one in results]
    if case.kind == "pristine":
        expected = {check.id: Expectation(Verdict.FAIL) for check in checks}
        problems = _not_pristine(results)
    else:
        expected = expected_verdicts(case, checks)
        problems = [line for id, want in expected.items() for line in _differences(by_id[id], want)]
        problems += [
            f"{id}: declared, and not among the checks that were run"
            for id in (*case.fail, *case.unjudged)
            if id not in by_id
        ]
        problems += [
            f"{id}: declared, and {expected[id].verdict.value} because of a check before it"
            for id in (*case.fail, *case.unjudged)
            if id in by_id and not expected[id].phrase
        ]
    if restored is False:
        problems.append("its experiment left something of the VM broken: a student's would be too")
    return Comparison(
        case=case,
        expected=tuple(id for id, want in expected.items() if want.verdict is not Verdict.PASS),
        lost=tuple(id for id, one in by_id.items() if one.verdict is not Verdict.PASS),
        expected_points=_points((check.points, expected[check.id].share) for check in checks),
        lost_points=round(sum(one.check.points - one.score for one in results), 2),
        failed=tuple(
            id
            for id, one in by_id.items()
            if one.verdict is Verdict.FAIL or (one.verdict is Verdict.ERROR and id in case.unjudged)
        ),
        problems=tuple(problems),
        seconds=seconds,
        driver=driver,
    )


def _points(checks: Iterable[tuple[float, float]]) -> float:
    return round(sum(points * (1 - share) for points, share in checks), 2)


def _not_pristine(results: Sequence[Result]) -> list[str]:
    """A VM on which nothing was done has no point, and every check says what to do."""
    problems = [f"{one.check.id}: {one.score:g} points for nothing" for one in results if one.score]
    problems += [
        f"{one.check.id}: could not be judged: {one.judgement.seen}"
        for one in results
        if one.verdict is Verdict.ERROR
    ]
    problems += [
        f"{one.check.id}: no hint"
        for one in results
        if one.verdict in (Verdict.FAIL, Verdict.SKIP) and not one.judgement.hint
    ]
    return problems


def _differences(result: Result, want: Expectation) -> list[str]:
    id, got = result.check.id, result.judgement
    if result.verdict is not want.verdict:
        said = f": {got.seen}" if got.seen else ""
        return [f"{id}: {result.verdict.value} instead of {want.verdict.value}{said}"]
    problems = []
    kept, due = result.score, result.check.points * want.share
    if abs(kept - due) > EXACT and result.verdict is not Verdict.ERROR:
        problems.append(f"{id}: keeps {kept:g} points instead of {due:.2f}: {got.seen}")
    told = f"{got.hint} {got.seen}" if want.verdict is Verdict.ERROR else got.hint
    if want.phrase not in told:
        problems.append(f"{id}: its hint does not say {want.phrase!r}: {told}")
    if result.verdict is Verdict.SKIP and not got.hint:
        problems.append(f"{id}: no hint")
    return problems


def uncovered(checks: Iterable[Check], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The checks with points that no mutant made fail by itself: nothing shows that they can tell right from
    wrong.
    """
    failed = {id for one in comparisons if one.case.kind == "mutant" for id in one.failed}
    return tuple(check.id for check in checks if not check.optional and check.id not in failed)
