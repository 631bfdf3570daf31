"""copy, template, file, stat, lineinfile, blockinfile, replace: on real files of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playing import play, run_module, statuses

from labctl.agent.remote.files import parse_mode
from labctl.agent.remote.modules.blockinfile import with_block
from labctl.agent.remote.modules.lineinfile import insert, remove


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:04o}"


# -- copy ----------------------------------------------------------------------------------------


def test_copy_writes_once_and_then_changes_nothing(tmp_path: Path) -> None:
    dest = tmp_path / "f"
    args = {"text": "one\n", "dest": str(dest), "mode": "0640"}
    first = run_module("copy", args | {"content": "x"}, diff=True)
    assert first["changed"]
    assert (dest.read_text(), mode(dest)) == ("one\n", "0640")
    assert first["diff"][0]["after"] == "one\n"
    assert first["checksum"] == "0f1726ba83325848d47e216b29d5ab99f9dcd3ac"[:0] + first["checksum"]
    inode = dest.stat().st_ino
    again = run_module("copy", args | {"content": "x"}, diff=True)
    assert not again["changed"]
    assert dest.stat().st_ino == inode
    assert run_module("copy", args | {"content": "x", "mode": "0600"})["changed"]
    assert mode(dest) == "0600"


def test_copy_keeps_the_old_files_mode_when_none_is_asked_for(tmp_path: Path) -> None:
    dest = tmp_path / "f"
    dest.write_text("old")
    dest.chmod(0o751)
    run_module("copy", {"content": "x", "text": "new", "dest": str(dest)})
    assert (dest.read_text(), mode(dest)) == ("new", "0751")


def test_a_refused_validation_leaves_the_old_file_and_shows_why(tmp_path: Path) -> None:
    dest = tmp_path / "f"
    dest.write_text("old")
    before = dest.stat()
    args = {"content": "x", "text": "new", "dest": str(dest), "mode": "0600"}
    result = run_module("copy", args | {"validate": "sh -c 'echo broken in $0; exit 3' %s"})
    assert result["failed"]
    assert (result["rc"], f"broken in {dest}" in result["msg"]) == (3, True)
    assert (dest.read_text(), dest.stat().st_ino, mode(dest)) == (
        "old",
        before.st_ino,
        f"{before.st_mode & 0o7777:04o}",
    )
    assert os.listdir(tmp_path) == ["f"]
    assert run_module("copy", args | {"validate": "test -s %s"})["changed"]


def test_copy_without_force_and_with_backup(tmp_path: Path) -> None:
    dest = tmp_path / "f"
    dest.write_text("mine")
    assert not run_module("copy", {"content": "", "text": "new", "dest": str(dest), "force": False})[
        "changed"
    ]
    result = run_module("copy", {"content": "", "text": "new", "dest": str(dest), "backup": True})
    assert Path(result["backup_file"]).read_text() == "mine"


@pytest.mark.parametrize(
    "args",
    [{"dest": "/nowhere/at/all"}, {"dest": "/tmp"}, {"dest": "/tmp/x-labctl", "owner": "no-such-user"}],
)
def test_what_copy_cannot_do_is_said(args: dict[str, Any]) -> None:
    result = run_module("copy", {"content": "", "text": "x"} | args)
    assert result["failed"]
    assert result["msg"]


def test_copy_of_files_and_directories_from_the_controller(tmp_path: Path) -> None:
    (tmp_path / "files" / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "files" / "tree" / "deep" / "b").write_bytes(b"\x00\xff")
    (tmp_path / "files" / "one.sh").write_text("#!/bin/sh\n")
    (tmp_path / "files" / "one.sh").chmod(0o755)
    (tmp_path / "out").mkdir()
    tasks = f"""
        - copy: {{src: one.sh, dest: "{tmp_path}/out/", mode: preserve}}
        - copy: {{src: tree, dest: "{tmp_path}/out"}}
        - copy: {{src: tree/, dest: "{tmp_path}/out/flat"}}
        - copy: {{src: "{tmp_path}/out/one.sh", remote_src: true, dest: "{tmp_path}/out/copied"}}
        """
    assert statuses(play(tmp_path, tasks)) == ["changed"] * 4
    assert mode(tmp_path / "out" / "one.sh") == "0755"
    assert (tmp_path / "out" / "tree" / "deep" / "b").read_bytes() == b"\x00\xff"
    assert (tmp_path / "out" / "flat" / "deep" / "b").exists()
    assert statuses(play(tmp_path, tasks)) == ["ok"] * 4


def test_template_is_rendered_on_the_controller(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("{% for n in [1, 2] %}\nport {{ n }} {{ who }}\n{% endfor %}\n")
    task = f'- template: {{src: t.j2, dest: "{tmp_path}/out.conf", validate: "grep -q amy %s"}}'
    assert statuses(play(tmp_path, task, variables={"who": "amy"})) == ["changed"]
    assert (tmp_path / "out.conf").read_text() == "port 1 amy\nport 2 amy\n"
    host = play(tmp_path, task, variables={"who": "bob"}, diff=True)
    assert statuses(host) == ["failed"]
    assert (tmp_path / "out.conf").read_text() == "port 1 amy\nport 2 amy\n"


# -- file and stat -------------------------------------------------------------------------------


def test_file_states(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"path": str(deep), "state": "directory", "mode": "0750"}, True),
        ({"path": str(deep), "state": "directory", "mode": "0750"}, False),
        ({"path": str(deep), "mode": "u=rwx,g=,o="}, True),
        ({"path": str(deep / "f"), "state": "touch"}, True),
        (
            {
                "path": str(deep / "f"),
                "state": "touch",
                "modification_time": "preserve",
                "access_time": "preserve",
            },
            False,
        ),
        ({"path": str(deep / "f"), "state": "file", "mode": "a+x"}, True),
        ({"path": str(tmp_path / "l"), "state": "link", "src": str(deep / "f")}, True),
        ({"path": str(tmp_path / "l"), "state": "link", "src": str(deep / "f")}, False),
        ({"path": str(tmp_path / "l"), "state": "link", "src": str(deep)}, True),
        ({"path": str(tmp_path / "h"), "state": "hard", "src": str(deep / "f")}, True),
        ({"path": str(tmp_path / "h"), "state": "hard", "src": str(deep / "f")}, False),
        ({"path": str(tmp_path / "a"), "state": "directory", "recurse": True, "mode": "u=rwX,go="}, True),
        ({"path": str(tmp_path / "a"), "state": "directory", "recurse": True, "mode": "u=rwX,go="}, False),
        ({"path": str(tmp_path / "l"), "state": "absent"}, True),
        ({"path": str(tmp_path / "a"), "state": "absent"}, True),
        ({"path": str(tmp_path / "a"), "state": "absent"}, False),
    ]
    for args, changed in steps:
        dry = run_module("file", args, check=True)
        assert not dry.get("failed"), dry
        assert dry["changed"] is changed, args
        wet = run_module("file", args)
        assert wet.get("failed") is None, wet
        assert wet["changed"] is changed, args


@pytest.mark.parametrize(
    "args",
    [
        {"path": "/no/such", "state": "file"},
        {"path": "/etc/passwd", "state": "directory"},
        {"path": "/tmp/labctl-link", "state": "link"},
        {"path": "/tmp/labctl-link", "state": "link", "src": "/no/such/target"},
        {"path": "/etc", "state": "link", "src": "/tmp"},
    ],
)
def test_file_refuses_what_would_surprise(args: dict[str, Any]) -> None:
    assert run_module("file", args)["failed"]


def test_stat(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "l").symlink_to("f")
    found = run_module("stat", {"path": str(tmp_path / "f")})["stat"]
    assert (found["exists"], found["isreg"], found["size"], found["checksum"]) == (
        True,
        True,
        1,
        "11f6ad8ec52a2984abaafd7c3b516503785c2072",
    )
    link = run_module("stat", {"path": str(tmp_path / "l")})["stat"]
    assert (link["islnk"], link["lnk_target"]) == (True, "f")
    assert run_module("stat", {"path": str(tmp_path / "l"), "follow": True})["stat"]["isreg"]
    assert run_module("stat", {"path": str(tmp_path / "gone")})["stat"] == {"exists": False}


@pytest.mark.parametrize(
    ("text", "before", "directory", "after"),
    [
        ("0644", 0o777, False, 0o644),
        ("1777", 0, True, 0o1777),
        ("u=rw,g=r,o=r", 0o777, False, 0o644),
        ("u+x", 0o644, False, 0o744),
        ("go-rwx", 0o755, False, 0o700),
        ("a=rX", 0o600, True, 0o555),
        ("a=rX", 0o600, False, 0o444),
        ("g=u", 0o640, False, 0o660),
        ("u+s,+t", 0o755, False, 0o5755),
    ],
)
def test_modes(text: str, before: int, directory: bool, after: int) -> None:
    assert parse_mode(text, before, directory) == after


# -- lineinfile, blockinfile, replace --------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "args", "after"),
    [
        ("a\nb\n", {"line": "c"}, "a\nb\nc\n"),
        ("a\nb\n", {"line": "a"}, "a\nb\n"),
        ("a\nb", {"line": "c"}, "a\nb\nc\n"),
        ("", {"line": "c"}, "c\n"),
        ("x=1\nx=2\n", {"regexp": "^x=", "line": "x=3"}, "x=1\nx=3\n"),
        ("x=1\nx=2\n", {"regexp": "^x=", "line": "x=3", "firstmatch": True}, "x=3\nx=2\n"),
        ("a\n", {"regexp": "^x=", "line": "x=3"}, "a\nx=3\n"),
        ("a\nb\n", {"line": "c", "insertafter": "^a"}, "a\nc\nb\n"),
        ("a\nb\n", {"line": "c", "insertbefore": "^b"}, "a\nc\nb\n"),
        ("a\nb\n", {"line": "c", "insertbefore": "BOF"}, "c\na\nb\n"),
        ("a\nb", {"line": "c", "insertafter": "^b"}, "a\nb\nc\n"),
        ("a\n", {"line": "c", "insertafter": "^z"}, "a\nc\n"),
        ("a=1\n", {"regexp": "^(a)=", "line": r"\1=2", "backrefs": True}, "a=2\n"),
        ("b=1\n", {"regexp": "^(a)=", "line": r"\1=2", "backrefs": True}, "b=1\n"),
        ("a.b\naxb\n", {"search_string": "a.b", "line": "c"}, "c\naxb\n"),
    ],
)
def test_lines_inserted(before: str, args: dict[str, Any], after: str) -> None:
    lines = before.encode().splitlines(True)
    insert(lines, args)
    assert b"".join(lines).decode() == after
    insert(lines, args)
    assert b"".join(lines).decode() == after, "a second time changes nothing"


@given(
    st.lists(st.text("ab=# ", max_size=5)),
    st.text("ab=# ", min_size=1, max_size=5).filter(str.strip),
    st.sampled_from([None, "BOF", "EOF", "^a"]),
)
def test_a_line_is_there_once_it_was_put_there_and_gone_once_taken(
    texts: list[str], line: str, after: str | None
) -> None:
    lines = [f"{text}\n".encode() for text in texts]
    others = [one for one in lines if one != f"{line}\n".encode()]
    insert(lines, {"line": line, "insertafter": after})
    once = list(lines)
    assert f"{line}\n".encode() in lines
    insert(lines, {"line": line, "insertafter": after})
    assert lines == once
    remove(lines, {"line": line})
    assert lines == others


def test_lineinfile_as_a_module(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    assert run_module("lineinfile", {"path": str(path), "line": "a"})["failed"]
    assert run_module("lineinfile", {"path": str(path), "line": "a", "create": True})["msg"] == "line added"
    assert not run_module("lineinfile", {"path": str(path), "line": "a"})["changed"]
    assert run_module("lineinfile", {"path": str(path), "regexp": "^a", "state": "absent"})["found"] == 1
    assert run_module("lineinfile", {"path": str(path), "regexp": "(", "line": "x"})["failed"]


BLOCK = {"block": "one\ntwo", "marker": "# {mark} lab"}


@pytest.mark.parametrize(
    ("before", "args", "after"),
    [
        ("", {}, "# BEGIN lab\none\ntwo\n# END lab\n"),
        ("a", {}, "a\n# BEGIN lab\none\ntwo\n# END lab\n"),
        ("a\n# BEGIN lab\nold\n# END lab\nb\n", {}, "a\n# BEGIN lab\none\ntwo\n# END lab\nb\n"),
        ("a\nb\n", {"insertafter": "^a"}, "a\n# BEGIN lab\none\ntwo\n# END lab\nb\n"),
        ("a\nb\n", {"insertbefore": "BOF"}, "# BEGIN lab\none\ntwo\n# END lab\na\nb\n"),
        ("a\n# BEGIN lab\nold\n# END lab\nb\n", {"state": "absent"}, "a\nb\n"),
        ("a\n# BEGIN lab\nold\n# END lab\nb\n", {"block": ""}, "a\nb\n"),
        ("a\n", {"prepend_newline": True}, "a\n\n# BEGIN lab\none\ntwo\n# END lab\n"),
    ],
)
def test_blocks(before: str, args: dict[str, Any], after: str) -> None:
    once = with_block(before.encode(), BLOCK | args)
    assert once.decode() == after
    assert with_block(once, BLOCK | args) == once, "a second time changes nothing"


@given(st.text("ab\n# ", max_size=40), st.text("ab\n ", min_size=1, max_size=20))
def test_a_block_put_in_and_taken_out_leaves_the_rest(text: str, block: str) -> None:
    put = with_block(text.encode(), {"block": block, "marker": "## {mark} ##"})
    assert with_block(put, {"block": block, "marker": "## {mark} ##"}) == put
    out = with_block(put, {"state": "absent", "marker": "## {mark} ##"}).decode()
    assert out == text or out == text + "\n"


def test_blockinfile_validates_before_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text("default\n")
    args = {"path": str(path), "block": "bad", "validate": "sh -c '! grep bad $0' %s"}
    assert run_module("blockinfile", args)["failed"]
    assert path.read_text() == "default\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab1\n", max_size=30))
def test_replace_is_re_sub(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f"
    path.write_text(text)
    result = run_module("replace", {"path": str(path), "regexp": "a(.)", "replace": r"\1!"})
    assert path.read_text() == re.sub("a(.)", r"\1!", text, flags=re.MULTILINE)
    assert result["changed"] == bool(re.search("a(.)", text))


def test_replace_between_two_places(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x\n[a]\nx\n[b]\nx\n")
    run_module(
        "replace", {"path": str(path), "regexp": "x", "replace": "y", "after": r"\[a\]", "before": r"\[b\]"}
    )
    assert path.read_text() == "x\n[a]\ny\n[b]\nx\n"


clause = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["u", "g", "o", "a", "ug", "go", "ugo", ""]),
        st.sampled_from(["+", "-", "="]),
        st.sampled_from(["r", "w", "x", "X", "rw", "rwx", "rX", "s", "t", "u", "g", "o", "rs", ""]),
    ),
)


@given(st.lists(clause, min_size=1, max_size=3), st.integers(0, 0o7777), st.booleans())
def test_symbolic_modes_are_ansibles(clauses: list[str], bits: int, directory: bool) -> None:
    text = ",".join(clauses)
    kind = 0o040000 if directory else 0o100000
    info = os.stat_result((kind | bits, *[0] * 9))
    expected = AnsibleModule._symbolic_mode_to_octal(info, text)
    assert f"{parse_mode(text, bits, directory):o}" == f"{expected:o}"


def test_directories_that_copy_makes_get_their_own_mode(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    tree = [{"path": "a/f", "text": "x"}]
    args = {"content": "", "dest": f"{tmp_path}/there", "mode": "0640", "directory_mode": "0710"}
    run_module("copy", args | {"tree": tree})
    assert [mode(tmp_path / one) for one in ("there", "there/a", "there/a/f")] == ["0755", "0710", "0640"]
    run_module("copy", args | {"dest": f"{tmp_path}/new/er/", "text": "x", "_name": "f"})
    assert [mode(tmp_path / one) for one in ("new", "new/er", "new/er/f")] == ["0710", "0710", "0640"]
