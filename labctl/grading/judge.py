"""Judging: checks over evidence, and the waves in which missing evidence is fetched.

A check that asks for something not observed yet is stopped and called again later. All requests of all
stopped checks make one wave; what changes the VM is only fetched when everything that merely looks has been
seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labctl.grading.blame import place_in_lab
from labctl.grading.check import Check
from labctl.grading.evidence import Evidence, NotObserved, See, Wanted, not_recorded
from labctl.grading.layers import height
from labctl.grading.settling import REAL, Clock, Fetch, Settling, by_key, fetch_settled
from labctl.grading.target import Target
from labctl.grading.verdict import Judgement, Verdict
from labctl.probes import Observed, Request, Unobserved

#: A check that still asks after so many waves for it asks without end.
MAX_WAVES = 12


@dataclass(frozen=True)
class Result:
    """A check and what it came to. ``blocked_by`` is the first broken check that this comes from: what a SKIP
    was skipped for, what an ERROR could not be judged without, what explains a FAIL; "" for none.
    """

    check: Check
    judgement: Judgement
    score: float
    used: tuple[Request[Any], ...] = ()
    blocked_by: str = ""

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict


def judge(
    checks: Sequence[Check],
    target: Target,
    evidence: Evidence,
    fetch: Fetch | None = None,
    clock: Clock = REAL,
) -> list[Result]:
    """Judge all ``checks``, in order. Without ``fetch`` (a stored run) what is not in the evidence is an
    ERROR.

    ``fetch`` is called with each wave's requests; what it does not return counts as not observed. The
    evidence given is added to. ``clock`` measures the time in which states settle.
    """
    said: dict[str, _Said] = {}
    waves: Counter[str] = Counter()
    while True:  # each time something is fetched, or some check comes to its end
        results, wanting, settling = _round(checks, target, evidence, said)
        if not wanting:
            return [_kindly(one) for one in results]
        endless = [check for check in wanting if waves[check] == MAX_WAVES]
        if endless:
            said |= dict.fromkeys(endless, _ENDLESS)
            continue
        wanted = list({one.key: one for requests in wanting.values() for one in requests}.values())
        if fetch is None:
            wave = wanted
            for request in wave:
                evidence.add(request, Observed(not_recorded(request)))
        else:
            wave = _wave(wanted)
            awaited = {one.key: settling[one.key] for one in wave if one.key in settling}
            found = fetch_settled(wave, awaited, fetch, clock)
            lost = Unobserved("agent-fault", "nothing came back for this observation")
            for request in wave:
                evidence.add(request, found.get(request.key) or Observed(lost))
        # who waits until others have looked has not been served yet
        fetched = {one.key for one in wave}
        waves.update(
            check for check, requests in wanting.items() if any(one.key in fetched for one in requests)
        )


def _wave(wanted: list[Request[Any]]) -> list[Request[Any]]:
    """What is fetched next. What must be alone is, when the others have been seen; what disrupts, last."""
    together = [request for request in wanted if not request.alone and not request.disruptive]
    alone = [request for request in wanted if request.alone and not request.disruptive]
    # one at a time: two experiments would disturb each other
    return together or alone[:1] or wanted[:1]


@dataclass(frozen=True)
class _Said:
    """What a check says of the evidence, whatever those before it say: the same when it is asked again."""

    judgement: Judgement
    score: float
    used: tuple[Request[Any], ...]


_ENDLESS = _Said(
    Judgement(Verdict.ERROR, 0.0, seen=f"it still asked for more after {MAX_WAVES} waves"), 0.0, ()
)


def _ask(check: Check, target: Target, evidence: Evidence) -> _Said | Wanted:
    """What the check says, or what it wants to see first."""
    see = See(evidence)
    try:
        judgement = check.judge(target, see)
        if see.stopped is None:
            said = _Said(judgement, check.score(judgement), see.used)
            return _disturbed(check, see.used) or said
    except (Exception, SystemExit) as bug:  # noqa: BLE001  an author's code
        if see.stopped is None:
            at = place_in_lab(bug)
            where = f" ({at.path.parent.name}/{at.path.name}:{at.line})" if at else ""
            return _broken(f"{type(bug).__name__}: {bug}{where}", see.used)
    # Whatever a check makes of being stopped, it has not seen what it asked for. Without its traceback the
    # exception is not kept alive by the frames that it came through.
    stopped = see.stopped.with_traceback(None)
    if isinstance(stopped, NotObserved):
        unknown = Judgement(Verdict.ERROR, 0.0, seen=f"{stopped.why.cause}: {stopped.why.message}")
        return _Said(unknown, 0.0, see.used)
    return _disturbed(check, stopped.requests) or stopped


def _disturbed(check: Check, requests: Sequence[Request[Any]]) -> _Said | None:
    """A check that does not say that it disrupts would be run by ``--no-disrupt`` and ``--watch``."""
    if check.disruptive or not any(one.disruptive for one in requests):
        return None
    return _broken("it asks for what changes the VM, and its @check does not say disruptive=True", ())


def _broken(why: str, used: tuple[Request[Any], ...]) -> _Said:
    """A lab author's mistake costs nobody a point, and no other check its verdict."""
    hint = "please report this to the lab's authors"
    broken = Judgement(Verdict.ERROR, 0.0, seen=f"the check itself is broken: {why}", hint=hint)
    return _Said(broken, 0.0, used)


def _round(
    checks: Sequence[Check], target: Target, evidence: Evidence, said: dict[str, _Said]
) -> tuple[list[Result], dict[str, tuple[Request[Any], ...]], dict[str, Settling[Any]]]:
    """Every check as far as the evidence goes, the requests that are missing by check, and which of them
    are for states that settle. ``said`` is what checks said in earlier rounds, and is added to.
    """
    results: dict[str, Result] = {}
    wanting: dict[str, tuple[Request[Any], ...]] = {}
    settling: list[Settling[Any]] = []
    for one in checks:
        before = [results[needed] for needed in one.after if needed in results]
        blocked = _blocked(one, before, results)
        if blocked:
            results[one.id] = blocked
            continue
        found = said.get(one.id) or _ask(one, target, evidence)
        if isinstance(found, Wanted):
            # Asked for ahead, before it is known whether the checks before pass: it saves round trips. What
            # changes the VM is safe from that: by the time it is fetched everything before it is decided,
            # because the checks before stand, and ask, earlier.
            wanting[one.id] = found.requests
            settling.extend(found.settling)
            results[one.id] = Result(one, _PENDING, 0.0)
            continue
        said[one.id] = found
        if any(earlier.judgement is _PENDING for earlier in before):
            results[one.id] = Result(one, _PENDING, 0.0)
            continue
        cause = ""
        if found.judgement.verdict is Verdict.FAIL:
            below = [results[other] for other in one.explained_by if other in results]
            cause = _cause([other for other in below if other.verdict in _BROKEN], results)
        results[one.id] = Result(one, found.judgement, found.score, found.used, cause)
    return list(results.values()), wanting, by_key(settling)


_BROKEN = (Verdict.FAIL, Verdict.SKIP)
_PENDING = Judgement(Verdict.ERROR, 0.0, seen="not judged yet")


def leave_out_absent(results: Sequence[Result]) -> tuple[tuple[Result, ...], tuple[tuple[str, str], ...]]:
    """The results without what is optional and not there; that is (id, reason) instead."""
    absent = [one for one in results if one.check.optional and one.verdict is not Verdict.PASS]
    reasons = tuple((one.check.id, f"optional: {one.judgement.seen}") for one in absent)
    return tuple(one for one in results if one not in absent), reasons


def _kindly(result: Result) -> Result:
    """What is optional and not there, or could not be judged, is a SKIP that says what was seen."""
    if not result.check.optional or result.verdict in (Verdict.PASS, Verdict.SKIP):
        return result
    return replace(result, judgement=replace(result.judgement, verdict=Verdict.SKIP, share=0.0, done=()))


def _blocked(check: Check, before: Sequence[Result], results: Mapping[str, Result]) -> Result | None:
    """SKIP when a check before failed (naming the first broken one), ERROR when one could not be judged."""
    broken = [one for one in before if one.verdict in _BROKEN]
    if broken:
        cause = _cause(broken, results)
        layer = results[cause].check.layer
        where = f"{cause} ({layer})" if layer else cause
        seen = f"could not be tested: {where} is broken, and this rests on it"
        hint = check.hint or f"first see to {where}"
        return Result(check, Judgement(Verdict.SKIP, 0.0, seen=seen, hint=hint), 0.0, blocked_by=cause)
    for earlier in before:
        if earlier.verdict is Verdict.ERROR and earlier.judgement is not _PENDING:
            cause = earlier.blocked_by or earlier.check.id
            seen = f"cannot be judged: {cause} could not be judged"
            return Result(check, Judgement(Verdict.ERROR, 0.0, seen=seen), 0.0, blocked_by=cause)
    return None


def _cause(broken: Sequence[Result], results: Mapping[str, Result]) -> str:
    """Where it begins: of the checks that these come from the one in the lowest layer; "" for none."""
    roots = [results[one.blocked_by or one.check.id].check for one in broken]
    return min(roots, key=lambda one: height(one.layer)).id if roots else ""
