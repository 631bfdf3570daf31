"""The command line as a whole: exit statuses, messages, what --help costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.cli import COMMANDS, main


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yml"
    path.write_text("all:\n  hosts:\n    web1: {ansible_host: 127.0.0.1, ansible_port: 1}\n    web2:\n")
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "Usage: labctl" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graed"]) == 2
    assert "Did you mean grade?" in capsys.readouterr().err


def test_hosts_list_json(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", "list", "-i", str(inventory), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["inventory"] == str(inventory)
    assert [row["host"] for row in document["hosts"]] == ["web1", "web2"]


def test_an_unknown_host_is_a_bad_request(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", "list", "wbe1", "-i", str(inventory)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "did you mean web1?" in captured.err


def test_an_inventory_mistake_shows_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yml"
    path.write_text("all:\n  hots:\n    web1:\n")
    assert main(["hosts", "list", "-i", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"labctl: {path}:2:3: the group all cannot hold 'hots'; it takes hosts, children and vars",
        "      hots:",
        "      ^",
        "  did you mean hosts?",
    ]


def test_of_a_file_that_is_one_line_only_what_is_around_the_mistake_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    hosts = {f"vm{number}": {"ansible_become_password": f"secret{number}"} for number in range(1000)}
    path.write_text(json.dumps({"all": {"hosts": {**hosts, "bad": "text"}, "vars": hosts}}))
    assert main(["hosts", "list", "-i", str(path)]) == 2
    _what, line, caret, *_ = capsys.readouterr().err.splitlines()
    assert len(line) < 220
    assert "secret999" in line
    assert "secret990" not in line
    assert line[caret.index("^") :].startswith('"text"')


def test_a_vm_that_does_not_answer_is_status_3(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", "ping", "web1", "-i", str(inventory), "--json"]) == 3
    (row,) = json.loads(capsys.readouterr().out)["hosts"]
    assert row["error"] == "unreachable"


def test_help_imports_nothing_heavy() -> None:
    """What --help loads is counted, not timed."""
    code = (
        "import sys; from labctl.cli import main; main(['--help']);"
        "print([m for m in ('paramiko','jinja2','yaml','rich','dns','requests','cattrs')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("web2: {ansible_port: twenty}", "web2: ansible_port must be a number"),
        ('web2: {lab_user: "{{ nobody }}"}', "web2: lab_user cannot be rendered"),
        ("web2: {lab_user: [amy]}", "web2: lab_user must be text, not ['amy']"),
        ("web2: {lab_user: yes}", "web2: lab_user must be text, not True"),
        (
            "web2: {lab_address: 10.77.0.11/24}",
            "web2: lab_address must be an IP address, not '10.77.0.11/24'",
        ),
        ('web2: {lab_address: "{{ inventory_hostname }}"}', "web2: lab_address must be an IP address"),
        ("web2: {outside_ports: {dns: 53}}", "web2: outside_ports"),
        ("web2: {outside_ports: {7000: 70000}}", "web2: outside_ports: there is no port 70000"),
    ],
)
def test_a_wrong_variable_of_one_vm_is_found_before_anything_connects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(f"all:\n  hosts:\n    web1: {{ansible_host: 127.0.0.1, ansible_port: 1}}\n    {line}\n")
    assert main(["grade", "all", "-i", str(path), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "web1: " not in captured.err


def test_hosts_list_reads_ini_rosters_and_directories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labctl.toml").write_text(
        '[roster]\nhost = "{user}.example.org"\nvars = {ansible_user = "lee"}\n'
    )
    (tmp_path / "roster.csv").write_text("name,email,sid,user\nKim Doe,k@example.org,1,kim\n")
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "staff").write_text("[staff]\nserver ansible_host=192.0.2.1\n")
    (tmp_path / "hosts" / "group_vars").mkdir()
    (tmp_path / "hosts" / "group_vars" / "all").write_text("ansible_port: 2200\nansible_user: all\n")
    sources = [word for name in ("hosts", "roster.csv") for word in ("-i", str(tmp_path / name))]
    assert main(["hosts", "list", "--course", str(tmp_path), *sources, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = [(row["host"], row["address"], row["port"], row["groups"]) for row in document["hosts"]]
    assert rows == [
        ("server", "192.0.2.1", 2200, ["staff"]),
        ("kim.example.org", "kim.example.org", 2200, ["students"]),
    ]
    assert document["inventory"] == f"{tmp_path}/hosts, {tmp_path}/roster.csv"
