"""Answers files: what students write is read as it stands, and a mistake has a place and a way out."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from world import LAB

from labctl.grading.answers import AnswersError, compare, find_answers, read_answers
from labctl.grading.answers.reading import MAX_ANSWER, MAX_FILE


def read(tmp_path: Path, text: str | bytes) -> dict[str, str]:
    path = tmp_path / "alice.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dict(read_answers(path, LAB.rubric).texts)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("1a: sudo mount a:/b /mnt\n3f: 503\n", {"1a": "sudo mount a:/b /mnt", "3f": "503"}),
        ("1a: |\n  sudo mount \\\n    a:/b /mnt\n", {"1a": "sudo mount \\\n  a:/b /mnt"}),
        ("2d:\n  - api A 10.0.0.1\n  - '@ TXT \"x\"'\n", {"2d": 'api A 10.0.0.1\n@ TXT "x"'}),
        ("1b: off\n3f: 0503\n2c: 1.10\n", {"1b": "off", "3f": "0503", "2c": "1.10"}),
        ("1b: 2026-11-21\n1c: .inf\n", {"1b": "2026-11-21", "1c": ".inf"}),
        ("1a: |\n  \n1b:\n1c: ~\n1d: ''\n2d: []\n", {}),
        ("# only a comment\n", {}),
        ("", {}),
        ("---\n1b: word\n...\n", {"1b": "word"}),
        ("\ufeff1b: word\r\n1d: |\r\n  two\r\n  lines\r\n", {"1b": "word", "1d": "two\nlines"}),
        ('"1b": "{{ 7 * 7 }} %(x)s"\n', {"1b": "{{ 7 * 7 }} %(x)s"}),
        ("1b: «ü»\n", {"1b": "«ü»"}),
        ("2d: >\n  a A 1.1.1.1\n  b A 1.1.1.1\n\n  c A 1.1.1.1\n# x\n3f: 503\n",
         {"2d": "a A 1.1.1.1\nb A 1.1.1.1\n\nc A 1.1.1.1", "3f": "503"}),
        ("2d: >-\n  é A 1.1.1.1\n    b", {"2d": "é A 1.1.1.1\n  b"}),
        ("2d:\n  a A 1.1.1.1\n  b A 1.1.1.1\n1b: x\n", {"2d": "a A 1.1.1.1\nb A 1.1.1.1", "1b": "x"}),
        ("1a: mount a:/b\n  /mnt\n", {"1a": "mount a:/b /mnt"}),
        ("1a: # mount a:/b /mnt\n1f: note #1.txt\n1b: 'x' # y\n",
         {"1a": "# mount a:/b /mnt", "1f": "note #1.txt", "1b": "x"}),
        ("2d:\n  - # a\n  - é #b\n1a:\n  x\n  y # z\n", {"2d": "# a\né #b", "1a": "x\ny # z"}),
        ("1a: ~ # none\n# c\n1b:\n# c\n", {}),
        ("1b: 'a\u2028b'\n2d:\n  a\n  b\n", {"1b": "a\u2028b", "2d": "a\nb"}),
    ],
)  # fmt: skip
def test_an_answer_is_the_text_that_stands_there(tmp_path: Path, text: str, answers: dict[str, str]) -> None:
    assert read(tmp_path, text) == answers


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("1a: x\n1z: y\n", 2, 1, "there is no question '1z'"),
        ("1a: x\n1a: y\n", 2, 1, "answered twice (first in line 1)"),
        ("1a: {b: c}\n", 1, 5, "an answer is text, or a list of lines"),
        ("2d:\n  - a\n  - [b]\n", 3, 5, "an answer's line is text"),
        ("[1a, 1b]: x\n", 1, 1, "the name of a question is text"),
        ("- x\n", 1, 1, "a line for each question"),
        ("just text\n", 1, 1, "a line for each question"),
        ("1a: &x y\n", 1, 5, "& and * begin names"),
        ("1a: *x\n", 1, 5, "& and * begin names"),
        ("1a: !!python/object/apply:os.system [reboot]\n", 1, 5, "! begins a tag"),
        ("1b: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n", 1, 5, "! begins a tag"),
        ("1d: touch: cannot touch: Read-only\n", 1, 10, "not valid YAML: mapping values are not allowed"),
        ("1a: x\n\t1b: y\n", 2, 1, "not valid YAML"),
        ("1a: 'x\n", 2, 1, "not valid YAML"),
        ("1a: x\n--- \n1b: y\n", 3, 1, "second document"),
        ("1a: " + "x" * (MAX_ANSWER + 1), 1, 5, "characters; at most"),
        ("2d:\n" + "  - x\n" * 101, 102, 5, "at most 100 lines"),
        ('1a: "a\\0b"\n', 1, 5, "NUL"),
        ("1a: x\u0007y\n", 1, 6, "character that YAML does not allow"),
    ],
)  # fmt: skip
def test_a_mistake_has_a_place(tmp_path: Path, text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(AnswersError) as caught:
        read(tmp_path, text)
    assert said in caught.value.message
    place = caught.value.place
    assert place is not None
    assert (place.line, place.column) == (line, column)


def test_a_comment_in_an_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="expected key") as caught:
        read(tmp_path, "2d: |\n  a A 1.1.1.1\n# mine\n  b A 1.1.1.1\n")
    assert "ends the answer" in caught.value.hint
    assert caught.value.place is not None
    assert caught.value.place.line == 4


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="longer than 128 KiB"):
        read(tmp_path, "#" * (MAX_FILE + 1))
    with pytest.raises(AnswersError, match="not UTF-8") as caught:
        read(tmp_path, b"1a: x\n1b: \xff\n")
    assert caught.value.place is not None
    assert (caught.value.place.line, caught.value.place.column) == (2, 5)
    with pytest.raises(AnswersError, match="cannot read"):
        read_answers(tmp_path / "none.yml", LAB.rubric)


@pytest.mark.parametrize(
    "text",
    ["[" * 60_000, "{" * 60_000, "- " * 50_000, "1a: " + "[" * 60_000, "1a: &a [x, x]\n1b: [*a, *a]\n"],
)  # fmt: skip
def test_a_bomb_is_refused_at_once(tmp_path: Path, text: str) -> None:
    began = time.monotonic()
    with pytest.raises(AnswersError):
        read(tmp_path, text)
    assert time.monotonic() - began < 5


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@given(st.dictionaries(st.sampled_from(["1a", "1b", "2d"]), _texts))
def test_what_yaml_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, answers: dict[str, str]
) -> None:
    found = read(tmp_path_factory.mktemp("answers"), yaml.safe_dump(answers, allow_unicode=False))
    kept = {key: value.strip("\n").rstrip() for key, value in answers.items()}
    assert found == {key: value for key, value in kept.items() if value}


@given(st.text(max_size=120) | st.binary(max_size=120) | st.text("1a: >|\n-b#\x85'\"{", max_size=60))
@example("{0")
@example("1a: [")
def test_any_file_is_answers_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: str | bytes
) -> None:
    with contextlib.suppress(AnswersError, UnicodeEncodeError):
        read(tmp_path_factory.mktemp("answers"), data)


def test_a_directory_has_a_file_for_each_vm(tmp_path: Path) -> None:
    for name in ("alice.yml", "bob.yaml", "notes.txt", "carol.yml"):
        (tmp_path / name).touch()
    known = ["alice", "bob", "carol", "dave"]
    found = find_answers(tmp_path, ["alice", "bob", "dave"], known)
    assert {name: path.name for name, path in found.items()} == {"alice": "alice.yml", "bob": "bob.yaml"}


def test_a_file_that_belongs_to_nobody_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "alise.yml").touch()
    with pytest.raises(AnswersError, match="no VM 'alise'") as caught:
        find_answers(tmp_path, ["alice"], ["alice", "bob"])
    assert caught.value.hint == "did you mean alice?"


def test_two_files_for_one_vm_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "alice.yml").touch()
    (tmp_path / "alice.yaml").touch()
    with pytest.raises(AnswersError, match="another file"):
        find_answers(tmp_path, ["alice"], ["alice"])


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("tuna fish", True),
        ("Tuna-Fish!", True),
        ("the words are: tuna fish.", True),
        ("tuna", False),
        ("fish tuna", False),
        ("tunafish", False),
        ("", False),
        ("a b c d e f g h i j k l m n tuna fish", False),
    ],
)
def test_a_secret_may_stand_in_a_sentence_and_not_in_a_list_of_guesses(text: str, same: bool) -> None:
    assert compare(text, "Tuna fish").same == same


def test_a_secret_without_letters_is_compared_as_it_is() -> None:
    assert compare(" #!? ", "#!?").same
    assert not compare("x", "#!?").same
