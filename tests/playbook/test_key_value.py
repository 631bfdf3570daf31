"""Arguments written as key=value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.playbook.kv import BadSplit, parse_free_form, parse_pairs, split_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1 b=two", {"a": "1", "b": "two"}),
        ("msg='two words' x=\"a 'b' c\"", {"msg": "two words", "x": "a 'b' c"}),
        ("msg={{ a + 'b c' }}", {"msg": "{{ a + 'b c' }}"}),
        ("path={{ a }}/{{ b }} mode=0644", {"path": "{{ a }}/{{ b }}", "mode": "0644"}),
        ("x=a=b", {"x": "a=b"}),
        ("", {}),
    ],
)
def test_pairs(text: str, expected: dict[str, str]) -> None:
    assert parse_pairs(text) == expected


@pytest.mark.parametrize("text", ["word", "a=1 word", "a='open", "a={{ open", "1a=2"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(BadSplit):
        parse_pairs(text)


@pytest.mark.parametrize(
    ("text", "command", "found"),
    [
        ("echo hello", "echo hello", {}),
        (
            "make install creates=/usr/bin/x chdir='/a b'",
            "make install",
            {"creates": "/usr/bin/x", "chdir": "/a b"},
        ),
        ("FOO=1 env", "FOO=1 env", {}),
        ("echo 'creates=no'", "echo 'creates=no'", {}),
        ("echo \"it's\"\n  for a lone ' quote", "echo \"it's\"\n  for a lone ' quote", {}),
    ],
)
def test_free_form(text: str, command: str, found: dict[str, str]) -> None:
    assert parse_free_form(text, ["creates", "chdir"]) == (command, found)


words = st.text("abcXYZ019/._-", min_size=1)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), words | st.text("ab c'\t", min_size=0)))
def test_what_is_written_is_read_back(pairs: dict[str, str]) -> None:
    text = " ".join(f'{name}="{value}"' for name, value in pairs.items())
    assert parse_pairs(text) == pairs


@given(st.text())
def test_splitting_never_loses_anything_but_blanks(text: str) -> None:
    try:
        found = split_words(text)
    except BadSplit:
        return
    assert "".join("".join(found).split()) == "".join(text.split())
    assert parse_free_form(text, ["creates"])[0] or not text.strip() or "creates=" in text
