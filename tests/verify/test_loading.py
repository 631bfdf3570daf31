"""A lab author's mistake in the matrix is one clear error with its place, before any VM is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import CourseError
from labctl.grading import load_lab
from labctl.grading.answers import AnswersError
from labctl.verify import load_matrix

ROOT = Path(__file__).parent.parent.parent
LAB = load_lab(ROOT / "graders" / "lab7")


def test_lab_7_has_sixty_mutants_and_each_check_is_in_one() -> None:
    matrix = load_matrix(LAB, ROOT / "graders" / "lab7" / "mutants")
    mutants = [case for case in matrix.cases if case.kind == "mutant"]
    assert len(mutants) >= 60
    declared = {id for case in mutants for id in (*case.fail, *case.unjudged)}
    assert {one.id for one in LAB.checks if not one.optional} <= declared


def test_answers_are_judged_beside_the_reference_unless_the_vm_is_another() -> None:
    matrix = load_matrix(LAB, ROOT / "graders" / "lab7" / "mutants")
    cases = {case.name: case for case in matrix.cases}
    assert cases["another-secret"].only_written
    assert not cases["algorithm-of-the-file-before"].only_written
    assert not cases["reference"].only_written
    # every question has a right answer, and one in another form
    assert matrix.solution is not None
    asked = {one.id for one in LAB.rubric.questions if one.answer}
    assert set(matrix.solution.texts) == asked
    assert {one for case in matrix.cases if case.kind == "variant" for one in case.answers} == asked


def load(directory: Path, text: str, solution: str = "2a: x\n") -> None:
    (directory / "matrix.yml").write_text("{}\n")
    if solution:
        (directory / "solution.yml").write_text(solution)
    (directory / "dns.yml").write_text(text)
    load_matrix(LAB, directory)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("section: dsn\n", ":1:10", "the lab has no section 'dsn'"),
        ("section: dns\nmutant: []\n", ":2:9", "mutant is not known here"),
        ("section: dns\nmutants:\n  - {name: x, what: y}\n", ":3:5", "x: which checks does it fail?"),
        (
            "section: dns\nmutants:\n  - {name: x, what: y, fail: {dns.prot: z}}\n",
            ":3:30",
            "x: the lab has no check 'dns.prot'",
        ),
        (
            "section: dns\nmutants:\n  - {name: A b, what: y}\n",
            ":3:12",
            "mutants[0].name: string should match",
        ),
        (
            "section: dns\nvariants:\n  - {name: x, what: y}\n  - {name: x, what: y}\n",
            ":4:5",
            "the name x stands twice",
        ),
        (
            "section: dns\nvariants:\n  - {name: x, what: y, fail: {dns.port: z}}\n",
            ":3:24",
            "x: a variant is right",
        ),
        (
            "section: dns\nvariants:\n  - {name: x, what: y, answers: {2z: a}}\n",
            ":3:34",
            "x: nothing is written down for a question '2z'",
        ),
        (
            "section: dns\nvariants:\n  - {name: pristine, what: y}\n",
            ":3:5",
            "twice (first: every lab has one)",
        ),
        ("section: dns\nvariants:\n  - {name: x, what: y, kind: mutant}\n", ":3:24", "x: kind is said once"),
        (
            "section: dns\nvariants:\n  - {name: x, what: y, section: lb}\n",
            ":3:24",
            "x: section is said once",
        ),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, text: str, place: str, said: str) -> None:
    with pytest.raises(CourseError) as caught:
        load(tmp_path, text)
    assert said in caught.value.message
    assert str(caught.value.place) == f"{tmp_path / 'dns.yml'}{place}"


@pytest.mark.parametrize("name", ["1a", "dsn", "dns.prot"])
def test_what_containers_leave_out_is_a_section_or_a_check(tmp_path: Path, name: str) -> None:
    (tmp_path / "matrix.yml").write_text(f"containers:\n  leave_out: [dns, dns.port, {name}]\n")
    with pytest.raises(CourseError, match=f"no section and no check '{name}'") as caught:
        load_matrix(LAB, tmp_path)
    assert str(caught.value.place) == f"{tmp_path / 'matrix.yml'}:2:30"


def test_a_file_with_the_other_ending_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("section: dns\n")
    with pytest.raises(CourseError, match="has the ending") as caught:
        load(tmp_path, "section: dns\n")
    assert caught.value.hint == f"mv {tmp_path}/more.yaml {tmp_path}/more.yml"


def test_answers_without_a_solution_are_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"x: there is no .*solution\.yml") as caught:
        load(tmp_path, "section: dns\nvariants:\n  - {name: x, what: y, answers: {2a: a}}\n", solution="")
    assert str(caught.value.place) == f"{tmp_path / 'dns.yml'}:3:5"


def test_a_solution_is_read_like_a_students_file(tmp_path: Path) -> None:
    with pytest.raises(AnswersError) as caught:
        load(tmp_path, "section: dns\n", solution="2a: x\n2y: z\n")
    assert str(caught.value.place) == f"{tmp_path / 'solution.yml'}:2:1"


def test_a_lab_without_mutants_is_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="has no mutants"):
        load_matrix(LAB, tmp_path)


def test_an_unknown_name_has_a_near_one(tmp_path: Path) -> None:
    matrix = load_matrix(LAB, ROOT / "graders" / "lab7" / "mutants")
    with pytest.raises(CourseError) as caught:
        matrix.choose(["opne-resolver"])
    assert caught.value.hint == "did you mean open-resolver?"
