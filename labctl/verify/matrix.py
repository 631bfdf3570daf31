"""A lab's kill matrix as its author wrote it: ``graders/LAB/mutants/``.

``matrix.yml`` holds what all cases share, ``solution.yml`` the answers of somebody who has done everything;
every other file there holds the mutants and the variants of one section of the lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from labctl.documents import did_you_mean, load_yaml, validated
from labctl.errors import CourseError, Place
from labctl.grading import Lab
from labctl.grading.answers import Answers, read_answers
from labctl.placed import Map

SHARED, SOLUTION = "matrix.yml", "solution.yml"
#: Names of the two cases that every lab has: nothing done, and everything done by the playbooks.
PRISTINE, REFERENCE = "pristine", "reference"

Kind = Literal["pristine", "reference", "variant", "mutant"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Loss(_Model):
    """How a check fails: ``hint`` is a phrase that its hint must hold, ``keeps`` the share of its points that
    stays.
    """

    hint: Text
    keeps: float = Field(default=0.0, ge=0, lt=1)


def _loss(given: Any) -> Any:
    return {"hint": given} if isinstance(given, str) else given


class Case(_Model):
    """One VM to make and to grade.

    ``script`` is run by bash as root on the student's VM, ``staff`` before it on the staff's server, both
    after the lab's prelude. ``begins`` from a bare VM, or from one with the reference solution on it.
    ``needs`` what a container has not: then it is made on a VM with a kernel of its own. ``reboot``: the VM
    is booted anew before it is graded. ``answers`` are graded too: those of the solution, but for these, by
    question. ``fail`` maps the ids of the checks that must fail to how, and
    ``unjudged`` those that staff must look at to a phrase of what they say; what comes after these is
    skipped, and everything else passes.
    """

    name: Name
    what: Text
    script: str = ""
    staff: str = ""
    begins: Literal["bare", "solved"] = "solved"
    needs: tuple[Literal["nfs"], ...] = ()
    reboot: bool = False
    answers: dict[str, Text] = {}
    fail: dict[str, Annotated[Loss, BeforeValidator(_loss)]] = {}
    unjudged: dict[str, Text] = {}
    section: str = ""
    kind: Kind = "mutant"

    @property
    def only_written(self) -> bool:
        """The VM is that of the reference: what was observed of it once serves all such cases."""
        changed = self.script or self.staff or self.reboot or self.begins == "bare"
        return bool(self.answers) and not changed


class _File(_Model):
    section: str
    needs: tuple[Literal["nfs"], ...] = ()
    mutants: tuple[Case, ...] = ()
    variants: tuple[Case, ...] = ()


class Containers(_Model):
    """What of the lab is not to be had in a container: checks or sections, and the playbooks' tags."""

    leave_out: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()


class Shared(_Model):
    """``prelude`` is put before every script; ``ready`` is a script that ends when a solved VM has come up,
    and fails when it does not. ``facts`` are what only a solved VM knows: commands, whose output an answer
    names like a variable ($NAME).
    """

    prelude: str = ""
    ready: str = ""
    facts: dict[str, Text] = {}
    containers: Containers = Containers()


class Matrix(_Model):
    """All cases, the pristine VM and the reference first. ``shared`` holds for all of them. ``solution`` are
    the right answers, with $NAME for what differs from VM to VM; None for a lab that proves none.
    """

    shared: Shared
    cases: tuple[Case, ...]
    solution: Answers | None = None

    def choose(self, only: Sequence[str]) -> tuple[Case, ...]:
        """The cases with one of these names, or of one of these sections; all without any.

        Raises :class:`CourseError` with the nearest right name for one that does not exist.
        """
        known = {case.name for case in self.cases} | {case.section for case in self.cases if case.section}
        for name in only:
            if name not in known:
                raise CourseError(
                    f"there is no mutant {name!r}",
                    hint=did_you_mean(name, known, f"sections and names: {', '.join(sorted(known))}"),
                )
        return tuple(case for case in self.cases if not only or {case.name, case.section} & set(only))


def load_matrix(lab: Lab, directory: Path) -> Matrix:
    """The matrix of ``lab`` in ``directory``. Raises :class:`CourseError` with the place of what is wrong."""
    path = directory / SHARED
    if not path.is_file():
        raise CourseError(
            f"the lab {lab.name} has no mutants: there is no {path}",
            hint="docs/lab-authors.md shows how a lab's checks are proved",
        )
    document = load_yaml(path, CourseError)
    shared = validated(Shared, document, path, CourseError)
    parts = {*lab.sections, *(check.id for check in lab.checks)}
    for at, name in enumerate(shared.containers.leave_out):
        if name not in parts:
            raise CourseError(
                f"the lab has no section and no check {name!r}",
                hint=did_you_mean(name, parts, f"see: labctl lab show {lab.name}"),
                place=document["containers"]["leave_out"].at(at),
            )
    cases = [
        Case(name=PRISTINE, what="a VM on which nothing was done", begins="bare", kind="pristine"),
        Case(name=REFERENCE, what="the lab as the course's playbooks do it", kind="reference"),
    ]
    solved = directory / SOLUTION
    solution = read_answers(solved, lab.rubric) if solved.is_file() else None
    seen: dict[str, Place | str] = {case.name: "every lab has one" for case in cases}
    for file in sorted(directory.glob("*.y*ml")):
        if file.name in (SHARED, SOLUTION):
            continue
        if file.suffix != ".yml":
            raise CourseError(
                "a file of mutants has the ending .yml",
                hint=f"mv {file} {file.with_suffix('.yml')}",
                place=Place(file),
            )
        for case, place in _cases(lab, file):
            if case.answers and solution is None:
                raise CourseError(
                    f"{case.name}: there is no {solved} with the answers that it does not change", place=place
                )
            if case.name in seen:
                raise CourseError(
                    f"the name {case.name} stands twice (first: {seen[case.name]})", place=place
                )
            seen[case.name] = place
            cases.append(case)
    return Matrix(shared=shared, cases=tuple(cases), solution=solution)


def _cases(lab: Lab, path: Path) -> Iterator[tuple[Case, Place]]:
    document = load_yaml(path, CourseError)
    found = validated(_File, document, path, CourseError)
    if found.section not in lab.sections:
        known = ", ".join(lab.sections)
        raise CourseError(
            f"the lab has no section {found.section!r}", hint=f"it has {known}", place=document.at("section")
        )
    ids = {check.id for check in lab.checks}
    asked = [one.id for one in lab.rubric.questions if one.answer]
    groups: tuple[tuple[Kind, tuple[Case, ...]], ...] = (
        ("variant", found.variants),
        ("mutant", found.mutants),
    )
    for kind, cases in groups:
        for number, case in enumerate(cases):
            written: Map = document[f"{kind}s"][number]
            for name in ("section", "kind"):
                if name in case.model_fields_set:
                    raise CourseError(
                        f"{case.name}: {name} is said once, for the whole "
                        + ("file" if name == "section" else "list: mutants or variants"),
                        place=written.key_at(name),
                    )
            for id in (*case.fail, *case.unjudged):
                if id not in ids:
                    raise CourseError(
                        f"{case.name}: the lab has no check {id!r}",
                        hint=did_you_mean(id, ids, f"see: labctl lab show {lab.name}"),
                        place=written.at("fail" if id in case.fail else "unjudged"),
                    )
            for question in case.answers:
                if question not in asked:
                    raise CourseError(
                        f"{case.name}: nothing is written down for a question {question!r}",
                        hint=f"the questions are {', '.join(asked)}",
                        place=written["answers"].key_at(question),
                    )
            if kind == "mutant" and not case.fail and not case.unjudged:
                raise CourseError(
                    f"{case.name}: which checks does it fail?",
                    hint="fail: {CHECK: HINT}",
                    place=written.place,
                )
            if kind == "variant" and (case.fail or case.unjudged):
                raise CourseError(
                    f"{case.name}: a variant is right, and fails nothing", place=written.key_at("fail")
                )
            needs = tuple(dict.fromkeys((*found.needs, *case.needs)))
            yield (
                case.model_copy(update={"section": found.section, "kind": kind, "needs": needs}),
                written.place,
            )
