"""lineinfile, blockinfile, wait_for, free forms: where ansible-core decides in its own way."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from playing import messages, play, run_module, statuses

from labctl.agent.remote.modules import wait_for
from labctl.agent.remote.modules.blockinfile import with_block
from labctl.errors import PlaybookError


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        # nothing is what an empty place says
        ("a\nb\n", {"line": "x", "insertafter": ""}, "a\nb\nx\n"),
        ("a\nb\n", {"line": "x", "insertbefore": ""}, "a\nb\nx\n"),
        # only a newline ends a line
        ("a\rb\nc\n", {"line": "x", "regexp": "^a"}, "x\nc\n"),
        ("a\rb\n", {"line": "b", "state": "absent"}, "a\rb\n"),
    ],
)
def test_lines(tmp_path: Path, text: str, args: dict[str, Any], expected: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(text.encode())
    assert run_module("lineinfile", {"path": str(path), **args}).get("failed") is None
    assert path.read_bytes().decode() == expected


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"line": "x"}, "regexp is required with backrefs"),
        ({"line": r"\2", "regexp": "(a)"}, "invalid group reference"),
        ({"line": r"\g<no>", "regexp": "(a)"}, "no"),
    ],
)
def test_groups_need_their_pattern(tmp_path: Path, args: dict[str, Any], words: str) -> None:
    path = tmp_path / "f"
    path.write_text("a\n")
    result = run_module("lineinfile", {"path": str(path), "backrefs": True, **args})
    assert result["failed"]
    assert words in result["msg"]
    assert path.read_text() == "a\n"


def test_without_a_match_for_its_groups_no_file_is_made(tmp_path: Path) -> None:
    args = {"path": str(tmp_path / "f"), "line": r"\1", "regexp": "(a)", "backrefs": True, "create": True}
    assert run_module("lineinfile", args)["changed"] is False
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        (b"a\nBOF b\nc\n", {"block": "x", "insertafter": "BOF"}, b"a\nBOF b\n#B\nx\n#E\nc\n"),
        (b"a\n", {"block": "x", "insertafter": "BOF"}, b"a\n#B\nx\n#E\n"),
        (b"a\nEOF\nb\n", {"block": "x", "insertbefore": "EOF"}, b"a\n#B\nx\n#E\nEOF\nb\n"),
        (b"a\nb", {"block": ""}, b"a\nb\n"),
        (b"a\nb", {"state": "absent"}, b"a\nb\n"),
    ],
)
def test_blocks(text: bytes, args: dict[str, Any], expected: bytes) -> None:
    words = {"marker": "#{mark}", "marker_begin": "B", "marker_end": "E"}
    assert with_block(text, {**words, **args}) == expected


def test_a_port_is_drained_when_nobody_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        args = {"port": port, "state": "drained", "timeout": 1, "sleep": 1}
        assert run_module("wait_for", args).get("failed") is None
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            assert wait_for.connections("127.0.0.1", port) == 1
            assert wait_for.connections("0.0.0.0", port) == 1
            assert wait_for.connections("127.0.0.2", port) == 0
            assert "has no connections" in run_module("wait_for", args | {"timeout": 0})["msg"]
        # who closes first has the rest of it: it is not the server, so the port is free of connections
        accepted.close()


def test_what_is_to_be_gone_is_to_be_gone_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("ready\n")
    args = {"path": str(path), "search_regex": "starting", "state": "absent", "timeout": 0}
    assert run_module("wait_for", args)["failed"]
    path.unlink()
    assert run_module("wait_for", args).get("failed") is None
    for state in ("stopped", "drained"):
        assert "only be used for checking a port" in run_module("wait_for", args | {"state": state})["msg"]


def test_files_named_by_pairs(tmp_path: Path) -> None:
    (tmp_path / "v.yml").write_text("a: 1\n")
    (tmp_path / "t.yml").write_text("- debug: {msg: here}\n")
    host = play(
        tmp_path,
        """
        - include_vars: file=v.yml name=q
        - include_vars: v.yml name=p
        - debug: {msg: "{{ q.a }}{{ p.a }}"}
        - include_tasks: file=t.yml
        - import_tasks: file=t.yml
        """,
    )
    assert host["status"] == "ok", host
    assert [one for one in messages(host) if one] == ["11", "here", "here"]


def test_a_directory_of_variables_stands_beside_the_playbook(tmp_path: Path) -> None:
    for name, value in (("vars/d", 1), ("d", 2), ("vars/e", 3)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "v.yml").write_text(f"a: {value}\n")
    tasks = "- include_vars: {dir: %s}\n- debug: {msg: '{{ a }}'}"
    assert messages(play(tmp_path, tasks % "d"))[-1] == "2"
    assert messages(play(tmp_path, tasks % "vars/e"))[-1] == "3"
    with pytest.raises(Exception, match="is not a directory"):
        play(tmp_path, tasks % "e")


@pytest.mark.parametrize("text", ["argv=1", "expand_argument_vars=no", "cmd=x", "free=2"])
def test_what_is_no_parameter_of_a_free_form_is_the_commands(tmp_path: Path, text: str) -> None:
    host = play(tmp_path, f"- shell: printf '%s' {text} stdin=x\n  register: r\n- debug: {{var: r.stdout}}")
    assert messages(host)[-1] == f"r.stdout: {text}"


def test_a_parameter_that_ansible_took_once_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no parameter 'warn'"):
        play(tmp_path, "- shell: echo warn=no")
    assert statuses(play(tmp_path, "- shell: echo 'warn=no'")) == ["changed"]


# -- what is registered, and what changes nothing ------------------------------------------------


@pytest.mark.parametrize("name", ["command", "shell"])
def test_what_did_not_run_has_no_code(tmp_path: Path, name: str) -> None:
    args = {"cmd": "true", "chdir": str(tmp_path / "nowhere")}
    for more in ({}, {"creates": "/"}):
        result = run_module(name, {**args, **more})
        assert (result["failed"], result["rc"]) == (True, None)
    host = play(
        tmp_path,
        f"""
        - command: {{cmd: "true", chdir: "{tmp_path}/nowhere"}}
          register: r
          failed_when: r.rc != 0
        """,
    )
    assert statuses(host) == ["failed"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"after": "1", "before": "b"}, "1 X b\n2 x b\n"),
        # alone it ends the part at its last match
        ({"before": "b"}, "1 X b\n2 X b\n"),
        ({"after": "2"}, "1 x b\n2 X b\n"),
    ],
)
def test_replace_within_a_part(tmp_path: Path, args: dict[str, str], expected: str) -> None:
    path = tmp_path / "f"
    path.write_text("1 x b\n2 x b\n")
    run_module("replace", {"path": str(path), "regexp": "x", "replace": "X", **args})
    assert path.read_text() == expected


def test_replace_without_its_part_leaves_the_mode_too(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x\n")
    path.chmod(0o644)
    args = {"path": str(path), "regexp": "x", "mode": "0600"}
    assert run_module("replace", {**args, "after": "nowhere"})["changed"] is False
    assert path.stat().st_mode & 0o777 == 0o644
    assert "brackets" in run_module("replace", {**args, "after": "x|y"})["msg"]


def test_a_mode_with_special_bits_is_told_as_ansible_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    modes = [run_module("file", {"path": str(path), "mode": mode})["mode"] for mode in ("1777", "0640", "7")]
    assert modes == ["01777", "0640", "0007"]


def test_a_copy_that_is_not_forced_tells_of_the_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "from").write_text("a")
    (tmp_path / "to").write_text("other")
    args = {
        "remote_path": str(tmp_path / "from"),
        "src": "from",
        "dest": str(tmp_path / "to"),
        "force": False,
    }
    result = run_module("copy", args)
    assert (result["changed"], result["size"], result["state"]) == (False, 5, "file")


def test_below_a_file_there_is_nothing_to_look_for(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    result = run_module("stat", {"path": str(tmp_path / "f" / "x")})
    assert result["failed"]
    assert "Not a directory" in result["msg"]


@pytest.mark.parametrize("name", ["lineinfile", "blockinfile", "replace"])
def test_a_directory_has_no_lines(tmp_path: Path, name: str) -> None:
    more = {"regexp": "a"} if name == "replace" else {"line": "a"} if name == "lineinfile" else {"block": "a"}
    result = run_module(name, {"path": str(tmp_path), **more})
    assert (result["failed"], result["rc"]) == (True, 256)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("lineinfile: {path: /f, line: a, search_string: b, backrefs: false}", "only one of backrefs and"),
        ("lineinfile: {path: /f, line: a, mode: preserve}", "'preserve' is not a file mode"),
        ("file: {path: /f, mode: preserve}", "'preserve' is not a file mode"),
    ],
)
def test_what_ansible_refuses_is_refused_before_anything_runs(tmp_path: Path, task: str, words: str) -> None:
    with pytest.raises(PlaybookError, match=words):
        play(tmp_path, f"- {task}")
