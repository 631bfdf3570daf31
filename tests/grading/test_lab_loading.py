"""A lab is loaded whole or not at all, with the line of its files that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from rubrics import lab_of, rubric_for

from labctl.errors import CourseError
from labctl.grading import Check, Lab, check, load_lab, passed

LAB = """\
from labctl.grading import Lab, Question, Rubric, Weight, check, passed

MORE

@check("box.fine", question="1")
def fine(vm, see):
    '''It is fine.'''
    return passed()


rubric = Rubric("Tiny", {"box": "Box"}, (Question("1", "box"),), {"box.fine": Weight(1)})
LAB = Lab.of("NAME", rubric, (fine,))
"""


def written(home: Path, more: str = "", name: str = "tiny") -> Path:
    lab = home / "tiny"
    lab.mkdir()
    (lab / "__init__.py").write_text(LAB.replace("MORE", more).replace("NAME", name))
    return lab


def test_a_lab_has_the_name_of_its_directory(tmp_path: Path) -> None:
    assert load_lab(written(tmp_path)).name == "tiny"
    (tmp_path / "copy").mkdir()
    with pytest.raises(CourseError, match="is called 'other'") as caught:
        load_lab(written(tmp_path / "copy", name="other"))
    assert caught.value.place is not None
    assert caught.value.place.path == tmp_path / "copy" / "tiny" / "__init__.py"
    assert 'Lab.of("tiny", ...)' in caught.value.hint


def test_a_name_longer_than_any_file_s_is_no_lab_s(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="there is no lab 'ttt"):
        load_lab(tmp_path / ("t" * 300))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("assert not fine", "NameError"),
        ("{}['x']", "KeyError: 'x'"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise OSError(2, 'no')", "FileNotFoundError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def (:", "SyntaxError: invalid syntax"),
        ("from . import nothing", "ImportError"),
    ],
)
def test_what_cannot_be_imported_is_told_with_its_line(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(CourseError, match="lab tiny cannot be loaded") as caught:
        load_lab(written(tmp_path, more))
    assert said in caught.value.message
    place = caught.value.place
    assert place is not None
    assert (place.path, place.line, place.text) == (tmp_path / "tiny" / "__init__.py", 3, more)


def test_what_a_lab_prints_is_not_part_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_lab(written(tmp_path, "print('hello')"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\n")
    assert sys.stdout is not sys.stderr


def made(id: Any, **how: Any) -> Check:
    return check(id, **{"question": "1", **how})(_fine)


def _fine(_vm: Any, _see: Any) -> Any:
    """It is fine."""
    return passed()


LINE = _fine.__code__.co_firstlineno


@pytest.mark.parametrize("word", ["after", "explained_by"])
def test_no_point_rests_on_what_is_optional(word: str) -> None:
    extra = made("a.extra", optional=True)
    rubric = rubric_for({"a.one": 1}, {"1": "a"})
    with pytest.raises(CourseError, match=r"a\.extra, which is optional") as caught:
        Lab.of("test", rubric, (extra, made("a.one", **{word: ("a.extra",)})))
    other = made("a.other", **{word: ("a.extra",)}, optional=True)
    assert Lab.of("test", rubric, (extra, other, made("a.one")))
    assert caught.value.place is not None
    assert (caught.value.place.path, caught.value.place.line) == (Path(__file__), LINE)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"after": "a.zero"}, "after is a tuple"),
        ({"explained_by": "a.zero"}, "explained_by is a tuple"),
        ({"parts": "one"}, "parts is a tuple"),
        ({"question": 1}, "its question is a text, not 1"),
        ({"hint": 1}, "its hint is a text, not 1"),
        ({"layer": "kernel"}, "no layer 'kernel'"),
    ],
)
def test_mistakes_of_a_check_are_told_with_its_line(how: dict[str, Any], message: str) -> None:
    with pytest.raises(CourseError, match=f"check a.one: .*{message}") as caught:
        made("a.one", **how)
    assert caught.value.place is not None
    assert caught.value.place.line == LINE


def test_mistakes_between_checks_are_told_as_they_are() -> None:
    with pytest.raises(CourseError, match=r"a\.one, which is itself"):
        lab_of(made("a.one", after=("a.one",)))
    with pytest.raises(CourseError, match=r"the check a\.one stands twice") as caught:
        lab_of(made("a.one"), made("a.one", after=("a.none",)))
    assert caught.value.place is not None


def test_a_python_without_docstrings_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fine, "__doc__", None)
    with pytest.raises(CourseError, match="needs a docstring") as caught:
        made("a.one")
    assert caught.value.hint == ""

    class Flags:
        optimize = 2

    monkeypatch.setattr(sys, "flags", Flags)
    with pytest.raises(CourseError, match="needs a docstring") as caught:
        made("a.one")
    assert "PYTHONOPTIMIZE" in caught.value.hint
