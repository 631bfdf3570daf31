"""Checks of written answers: checks like others, with what the student wrote in their hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from labctl.grading.answers.ideas import Found
from labctl.grading.answers.pasted import words_of
from labctl.grading.answers.shell import Unreadable
from labctl.grading.answers.written import written
from labctl.grading.check import Applies, Check, check
from labctl.grading.evidence import See
from labctl.grading.rubric import ANSWER
from labctl.grading.target import Target
from labctl.grading.verdict import Judgement, failed, passed

JudgeAnswer = Callable[[Target, See, str], Judgement]

#: Why answers are left out of a run that was given none.
NONE_GIVEN = "for written answers (--answers FILE)"


def answer(
    question: str,
    *,
    after: tuple[str, ...] = (),
    applies: Applies | None = None,
    read: Callable[[str], str] = words_of,
) -> Callable[[JudgeAnswer], Check]:
    """Make a function of the VM, what is seen of it and the answer's text the check ``answer.QUESTION``.

    The text comes as ``read`` makes it of what was written: see :mod:`labctl.grading.answers.pasted`. It is
    left out when no answers were given. An empty answer, and a command that cannot be read
    (:class:`Unreadable`: for staff to read), are failures without the function's doing. What was written is
    shown beside the judgement.
    """

    def wrap(judge: JudgeAnswer) -> Check:
        def judged(vm: Target, see: See) -> Judgement:
            text = see(written(question)).text
            if not text.strip():
                return failed(
                    expected="an answer", seen="none", hint=f"question {question} is not answered in the file"
                )
            try:
                said = judge(vm, see, read(text))
            except Unreadable as err:
                said = failed(
                    expected="a command as you would type it",
                    seen=str(err),
                    hint="try it on your VM, then copy what you typed",
                    for_staff=True,
                )
            return replace(said, answer=text)

        def left_out(vm: Target) -> str:
            if not vm.answered:
                return NONE_GIVEN
            return applies(vm) if applies else ""

        judged.__doc__ = judge.__doc__
        return check(f"{ANSWER}{question}", question=question, after=after, applies=left_out)(judged)

    return wrap


def in_own_words(found: Found, beside: str) -> Judgement:
    """The judgement of an answer by its ideas. ``beside`` is what the VM shows of the same matter.

    Below full marks it is for staff to read: nobody loses a point to a list of words alone. With full marks
    it is when it may be meant the other way round.
    """
    named = ", ".join(idea.name for idea in found.shown)
    seen = f"it says: {named}" if named else "none of the points that are looked for was recognised"
    if beside:
        seen += f"; on the VM: {beside}"
    if not found.missing or found.share >= 1:
        return passed(seen, for_staff=found.doubtful)
    count = len(found.shown) + len(found.missing)
    return failed(
        expected=f"an answer in which {count} points are recognised",
        seen=f"{seen}; {len(found.shown)} of {count}",
        hint="answer every part of the question, and say why; staff read this answer too",
        share=min(found.share, 0.99),
        for_staff=True,
    )
