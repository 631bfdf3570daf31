"""A lab: its rubric and its checks, loaded from the course directory's graders."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.documents import did_you_mean, nearest
from labctl.errors import CourseError, Place
from labctl.grading.blame import PACKAGE, place_in_lab
from labctl.grading.check import Check
from labctl.grading.layers import LAYERS, height
from labctl.grading.rubric import Rubric

#: As many letters as a database of results takes.
LONGEST_LAB = 60


@dataclass(frozen=True)
class Lab:
    """What students are asked (the rubric) and how it is judged (the checks). Made by :meth:`of`."""

    name: str
    rubric: Rubric
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, name: str, rubric: Rubric, checks: Sequence[Check]) -> Lab:
        """The lab with these checks, in the order of the scorecard, each worth what the rubric says.

        Raises :class:`CourseError` for a check without a weight and a weight without a check, and for checks
        that stand twice, come before what they are after or rest on an optional one, or belong to no
        question.
        """
        if len(name) > LONGEST_LAB:
            raise CourseError(f"a lab's name has at most {LONGEST_LAB} letters, not {len(name)}: {name}")
        ids = [one.id for one in checks]
        for at, one in enumerate(checks):
            if one.id in ids[:at]:
                raise CourseError(f"lab {name}: the check {one.id} stands twice", place=one.place)
        for id in rubric.weighed:
            if id not in ids:
                raise CourseError(
                    f"lab {name}: there is no check {id}, to which the rubric gives points",
                    hint=did_you_mean(id, ids, "checks are in the lab's Python files"),
                    place=rubric.place_of(id),
                )
        weighed: dict[str, Check] = {}
        for one in checks:
            for word, needed in [("after", id) for id in one.after] + [
                ("explained by", id) for id in one.explained_by
            ]:
                if needed not in weighed:
                    why = "comes later in the list" if needed in ids else "does not exist"
                    why = "is itself" if needed == one.id else why
                    raise CourseError(
                        f"lab {name}: {one.id} is {word} {needed}, which {why}", place=one.place
                    )
                if weighed[needed].optional and not one.optional:
                    raise CourseError(
                        f"lab {name}: {one.id} is {word} {needed}, which is optional",
                        hint="what is optional costs no points, also not those of another check",
                        place=one.place,
                    )
                if height(weighed[needed].layer) > height(one.layer):
                    raise CourseError(
                        f"lab {name}: {one.id} ({one.layer}) is {word} {needed} ({weighed[needed].layer}), "
                        "a higher layer",
                        hint=f"the layers, each resting on those before it: {', '.join(LAYERS)}",
                        place=one.place,
                    )
            weighed[one.id] = _weighed(name, rubric, one)
        return cls(name, rubric, tuple(weighed.values()))

    @property
    def title(self) -> str:
        return self.rubric.title

    @property
    def sections(self) -> dict[str, str]:
        """Keys and headings, in the order of the scorecard."""
        return self.rubric.sections

    def section_of(self, check: Check) -> str:
        """The section of a check's question."""
        question = self.rubric.question(check.question)
        assert question is not None, "made by Lab.of, which looked"
        return question.section

    def other_points(self, document: Mapping[str, Any]) -> list[str]:
        """The checks for which a VM's document was made by other points than the lab's: those that are worth
        something else, that the lab does not have, and that the document lacks. Answers may lack, and so may
        what has no points.
        """
        mine = {one.id: one.points for one in self.checks if one.points}
        theirs = {one["id"]: one["max_score"] for one in document["checks"]}
        known = {*theirs, *(one["id"] for one in document["left_out"])}
        lacking = [one.id for one in self.checks if one.id in mine.keys() - known and not one.is_answer]
        return [id for id, points in theirs.items() if mine.get(id, 0) != points] + lacking

    def choose(self, only: Sequence[str] = (), disrupt: bool = True) -> tuple[Check, ...]:
        """The checks to run. ``only`` names ids or sections; what those need comes with them.

        Raises :class:`CourseError` with the nearest right name for one that does not exist.
        """
        wanted = {check.id for check in self.checks}
        if only:
            wanted = set()
            for name in only:
                matching = {
                    one.id for one in self.checks if name in (one.id, self.section_of(one), one.question)
                }
                if not matching:
                    names = [one.id for one in self.checks] + list(self.sections)
                    hint = did_you_mean(name, names, f"see: labctl lab show {self.name}")
                    raise CourseError(f"lab {self.name} has no check {name!r}", hint=hint)
                wanted |= matching
            for one in reversed(self.checks):
                if one.id in wanted:
                    wanted.update(one.after)
        return tuple(one for one in self.checks if one.id in wanted and (disrupt or not one.disruptive))


def _weighed(lab: str, rubric: Rubric, check: Check) -> Check:
    """The check with its points. Raises :class:`CourseError` when the rubric does not know it or its
    question.
    """
    if rubric.question(check.question) is None:
        asked = [one.id for one in rubric.questions]
        raise CourseError(
            f"lab {lab}: {check.id} belongs to question {check.question}, which the rubric does not have",
            hint=did_you_mean(check.question, asked, f"it asks: {', '.join(asked)}"),
            place=rubric.place,
        )
    weight = rubric.weight(check.id)
    if check.optional:
        if weight:
            raise CourseError(
                f"lab {lab}: {check.id} is optional, and the rubric gives it points",
                hint="what has points is not optional: a grade would fall without it",
                place=rubric.place,
            )
        return check
    if weight is None:
        near = nearest(check.id, rubric.checks)
        raise CourseError(
            f"lab {lab}: the rubric has no points for the check {check.id}",
            hint=f"add to its checks: `{check.id}: {{points: 1}}`" + (f"; {near} has some" if near else ""),
            place=rubric.place,
        )
    for part in {**weight.parts, **check.parts}:
        if part not in weight.parts or part not in check.parts:
            others = check.parts if part in weight.parts else weight.parts
            raise CourseError(
                f"lab {lab}: the part {part!r} of {check.id} is only in "
                + ("the rubric" if part in weight.parts else "the check, and has no points in the rubric"),
                hint=did_you_mean(part, others, "rubric.yml and @check name the same parts"),
                place=rubric.place_of(check.id),
            )
    return check.worth(weight.points, weight.parts)


def staff_checks(package: str) -> tuple[Check, ...]:
    """The CHECKS of the module ``staff`` in a lab's package: none where students have the lab without it."""
    name = f"{package}.staff"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name != name:
            raise
        return ()
    return tuple(module.CHECKS)


def list_labs(graders: Path) -> list[str]:
    """The names of the labs in a course's graders directory, sorted."""
    return sorted(path.parent.name for path in graders.glob("*/__init__.py"))


def package_of(path: Path) -> str:
    """The name under which :func:`load_lab` imports a lab: two courses' labs do not meet."""
    return f"{PACKAGE}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"


def load_lab(path: Path) -> Lab:
    """The lab in the package directory ``path``, for example ``graders/lab7``: its ``LAB``.

    What it prints meanwhile goes to stderr: stdout is the report's. Raises :class:`CourseError` when there is
    none, when it cannot be imported, and when it is called otherwise than its directory: runs are kept, and
    judged again, by the lab's name.
    """
    # of a name that is too long for a file the system would not even say that there is none
    if len(path.name) > LONGEST_LAB or not (path / "__init__.py").is_file():
        known = list_labs(path.parent) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, known, f"there are: {', '.join(known) or 'none'}")
        raise CourseError(f"there is no lab {path.name!r} in {path.parent}", hint=hint)
    name = package_of(path)
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(
            name, path / "__init__.py", submodule_search_locations=[str(path)]
        )
        if spec is None or spec.loader is None:
            raise CourseError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            with contextlib.redirect_stdout(sys.stderr):
                spec.loader.exec_module(module)
        except CourseError:
            del sys.modules[name]
            raise
        except (Exception, SystemExit) as err:
            del sys.modules[name]
            why = err.msg if isinstance(err, SyntaxError) else err
            raise CourseError(
                f"lab {path.name} cannot be loaded: {type(err).__name__}: {why}", place=place_in_lab(err)
            ) from err
    lab = getattr(module, "LAB", None)
    if not isinstance(lab, Lab):
        raise CourseError(
            f"{path / '__init__.py'} must define LAB, a labctl.grading.Lab",
            hint=f'LAB = Lab.of("{path.name}", rubric, checks)',
        )
    if lab.name != path.name:
        raise CourseError(
            f"the lab in {path} is called {lab.name!r}",
            hint=f'it has its directory\'s name: Lab.of("{path.name}", ...)',
            place=Place(path / "__init__.py"),
        )
    return lab
