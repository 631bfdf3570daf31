"""What a case should lose beside what it lost: no VM is needed to tell the two apart."""

from __future__ import annotations

from dataclasses import replace

from labctl.grading import Check, Judgement, Result, Verdict, failed, passed, unjudged
from labctl.verify import Case, Loss, compare, uncovered


def check(id: str, *after: str) -> Check:
    return Check(id, "1a", "A title.", lambda _vm, _see: passed(), after=after).worth(2.0)


CHECKS = (check("a.one"), check("a.two", "a.one"), check("a.three"))


def results(**judged: Judgement) -> list[Result]:
    """All pass but those named, ``one=...`` for a.one."""
    found = []
    for one in CHECKS:
        judgement = judged.get(one.id.removeprefix("a."), passed())
        score = round(one.points * judgement.share, 2)
        found.append(Result(one, judgement, score))
    return found


def mutant(**fail: Loss) -> Case:
    return Case(name="m", what="x", fail={f"a.{id}": loss for id, loss in fail.items()})


NO = failed(expected="e", seen="s", hint="look at the file")
SKIPPED = Judgement(Verdict.SKIP, 0.0, hint="first see to a.one")
LOSS = Loss(hint="look at")


def test_a_loss_as_declared_with_what_comes_after_it_is_exact() -> None:
    done = compare(mutant(one=LOSS), results(one=NO, two=SKIPPED))
    assert (done.problems, done.killed, done.expected, done.lost) == (
        (),
        True,
        ("a.one", "a.two"),
    ) * 1 + (("a.one", "a.two"),)
    assert done.expected_points == done.lost_points == 4.0
    assert done.failed == ("a.one",)


def test_what_was_not_put_back_is_told_of_a_case_that_is_right_otherwise() -> None:
    for right in (None, True):
        assert compare(mutant(three=LOSS), results(three=NO), restored=right).problems == ()
    (problem,) = compare(mutant(three=LOSS), results(three=NO), restored=False).problems
    assert "left something of the VM broken" in problem


def test_a_mutant_that_loses_nothing_survives() -> None:
    done = compare(mutant(one=LOSS), results())
    assert not done.killed
    assert [line.partition(":")[0] for line in done.problems] == ["a.one", "a.two"]


def test_another_loss_than_declared_is_told() -> None:
    (problem,) = compare(mutant(three=LOSS), results(three=NO, one=NO, two=SKIPPED)).problems[:1]
    assert problem == "a.one: fail instead of pass: s"


def test_a_hint_that_does_not_name_the_fault_is_told() -> None:
    (problem,) = compare(mutant(three=Loss(hint="the firewall")), results(three=NO)).problems
    assert "its hint does not say 'the firewall'" in problem


def test_partial_credit_must_be_as_declared() -> None:
    half = replace(NO, share=0.5)
    assert not compare(mutant(three=Loss(hint="look", keeps=0.5)), results(three=half)).problems
    (problem,) = compare(mutant(three=LOSS), results(three=half)).problems
    assert "keeps 1 points instead of 0.00" in problem


def test_what_cannot_be_judged_is_no_loss_unless_declared() -> None:
    lost = unjudged("nobody knows", "staff: look")
    assert compare(mutant(three=LOSS), results(three=lost)).problems
    declared = Case(name="m", what="x", unjudged={"a.three": "staff"})
    done = compare(declared, results(three=lost))
    assert (done.problems, done.failed) == ((), ("a.three",))


def test_a_variant_must_have_everything() -> None:
    variant = Case(name="v", what="x", kind="variant")
    assert not compare(variant, results()).problems
    assert compare(variant, results(three=NO)).problems == ("a.three: fail instead of pass: s",)


def test_a_pristine_vm_has_no_point_and_a_hint_everywhere() -> None:
    pristine = Case(name="p", what="x", kind="pristine")
    assert not compare(pristine, results(one=NO, two=SKIPPED, three=NO)).problems
    assert compare(pristine, results(one=NO, two=SKIPPED)).problems == ("a.three: 2 points for nothing",)
    bare = replace(NO, hint="")
    assert compare(pristine, results(one=bare, two=SKIPPED, three=NO)).problems == ("a.one: no hint",)


def test_a_check_that_is_only_ever_skipped_is_not_proved() -> None:
    done = compare(mutant(one=LOSS), results(one=NO, two=SKIPPED))
    assert uncovered(CHECKS, [done]) == ("a.two", "a.three")
