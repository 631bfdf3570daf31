"""Nothing from a VM reaches a terminal raw."""

from __future__ import annotations

import unicodedata

from cpu import within_seconds_of_cpu
from hypothesis import given
from hypothesis import strategies as st

from labctl.report.text import plain


@given(st.text())
def test_no_control_or_format_character_gets_through(text: str) -> None:
    for letter in plain(text):
        assert letter == "\n" or unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Co"}


@given(st.text(), st.integers(1, 50))
def test_the_limit_holds_and_one_line_stays_one(text: str, limit: int) -> None:
    shown = plain(text, limit=limit, multiline=False)
    assert "\n" not in shown
    assert len(shown.split("… (")[0]) <= limit or "… (" not in shown


def test_what_is_harmless_stays_as_it_is() -> None:
    assert plain("naïve café: 5 µs – ✓\nnext") == "naïve café: 5 µs – ✓\nnext"
    assert plain("\x1b[31mred\u202e") == "\\x1b[31mred\\u202e"


def test_what_is_cut_off_is_not_escaped_first() -> None:
    text = "\x01" * 1_000_000
    with within_seconds_of_cpu(0.3):
        shown = plain(text, limit=300)
    assert shown == "\\x01" * 75 + "… (1000600 more characters)"
    assert plain("a\nb" * 200, limit=300) == ("a\nb" * 100) + "… (300 more characters)"
