"""template: what a file's first line asks for, its own mode, the ends of its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import messages, play, statuses


def written(tmp_path: Path, template: str, more: str = "") -> bytes:
    (tmp_path / "t.j2").write_text(template)
    out = tmp_path / "out"
    host = play(tmp_path, f"- template: {{src: t.j2, dest: {out}{more}}}")
    assert statuses(host) == ["changed"], messages(host)
    return out.read_bytes()


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("#jinja2: trim_blocks: False\n{% if true %}\nx\n{% endif %}\n", b"\nx\n"),
        ("#jinja2:trim_blocks:False, lstrip_blocks: True\n  {% if true %}\nx\n{% endif %}\n", b"\nx\n"),
        ("#jinja2: variable_start_string: '[%', variable_end_string: '%]'\n[% 1 %]{{ 2 }}\n", b"1{{ 2 }}\n"),
        ("#jinja2: newline_sequence: '\\r\\n'\na\n{{ 1 }}\n", b"a\r\n1\r\n"),
        ("#jinja2: line_statement_prefix: '%%'\n%% if true\nx\n%% endif\n", b"x\n"),
        ("# jinja2: no header\n{% if true %}\nx\n{% endif %}\n", b"# jinja2: no header\nx\n"),
    ],
)
def test_the_header_is_for_this_template_and_is_not_written(
    tmp_path: Path, template: str, expected: bytes
) -> None:
    assert written(tmp_path, template) == expected


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("#jinja2: trim_block: False\nx\n", 1, "trim_blocks is one"),
        ("#jinja2: trim_blocks\nx\n", 1, "is no option"),
        ("#jinja2: trim_blocks: no\nx\n", 1, "takes a Python value"),
        ("#jinja2: trim_blocks: 'no'\nx\n", 1, "takes bool"),
        ("#jinja2: newline_sequence: 'x'\nx\n", 1, "is one of"),
        ("#jinja2: trim_blocks: False", 1, "no template below"),
        ("#jinja2: trim_blocks: False\nx\n{% endif %}\n", 3, "unknown tag"),
        ("#jinja2: trim_blocks: False\nx\n{{ nowhere }}\n", 3, "'nowhere' is not defined"),
    ],
)
def test_mistakes_are_told_at_their_own_line(tmp_path: Path, template: str, line: int, words: str) -> None:
    (tmp_path / "t.j2").write_text(template)
    with pytest.raises(Exception, match=words) as caught:
        play(tmp_path, f"- template: {{src: t.j2, dest: {tmp_path}/out}}")
    assert caught.value.place.line == line  # type: ignore[attr-defined]


def test_the_lookup_takes_the_header_too(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("#jinja2: trim_blocks: False\n{% if true %}\nx{% endif %}")
    host = play(tmp_path, "- debug: {msg: \"<{{ lookup('template', 't.j2') }}>\"}")
    assert messages(host) == ["<\nx>"]


def test_a_templates_own_mode(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("x\n")
    (tmp_path / "t.j2").chmod(0o751)
    task = f"- template: {{src: t.j2, dest: {tmp_path}/out, mode: preserve}}"
    assert statuses(play(tmp_path, task)) == ["changed"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o751
    (tmp_path / "t.j2").chmod(0o640)
    assert statuses(play(tmp_path, task)) == ["changed"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("spelled", [r"'\r\n'", r'"\r\n"'])
def test_ends_of_lines_may_be_spelled_escaped(tmp_path: Path, spelled: str) -> None:
    assert written(tmp_path, "a\nb\n", f", newline_sequence: {spelled}") == b"a\r\nb\r\n"
