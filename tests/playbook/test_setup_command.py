"""labctl setup as a command: what it prints where, its exit status, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

LABCTL = [sys.executable, "-m", "labctl"]
INVENTORY = """\
all:
  hosts:
    here: {ansible_connection: local, who: inventory}
    gone: {ansible_host: 127.0.0.1, ansible_port: 1, labctl_known_hosts: /dev/null}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    return tmp_path


def run(
    files: Path, playbook: str, *args: str, vms: tuple[str, ...] = ("here",)
) -> subprocess.CompletedProcess[str]:
    (files / "play.yml").write_text(playbook)
    return subprocess.run(
        [
            *LABCTL,
            "setup",
            *vms,
            "-i",
            str(files / "inventory.yml"),
            "--playbook",
            str(files / "play.yml"),
            *args,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def only(done: subprocess.CompletedProcess[str]) -> Any:
    document = json.loads(done.stdout)
    assert (document["schema"], document["playbook"]) == (1, "play")
    (host,) = document["hosts"]
    return host


PING = "- hosts: all\n  tasks:\n    - ping:\n"
SAY = '- hosts: all\n  tasks:\n    - debug: {msg: "{{ who }} {{ n | default(0) + 1 }}"}\n'


def test_json_is_the_only_thing_on_stdout(files: Path) -> None:
    done = run(files, PING, "--json")
    assert done.returncode == 0
    host = only(done)
    assert {key: host[key] for key in ("host", "status", "ok", "changed", "failed", "skipped")} == {
        "host": "here",
        "status": "ok",
        "ok": 1,
        "changed": 0,
        "failed": 0,
        "skipped": 0,
    }
    (task,) = host["tasks"]
    assert {"name", "module", "status", "diff", "msg", "seconds"} <= set(task)
    assert "here: ping" in done.stderr


@pytest.mark.parametrize(
    ("extra", "msg"),
    [
        ((), "inventory 1"),
        (("-e", "who=me"), "me 1"),
        (("-e", '{"who": "json", "n": 4}'), "json 5"),
        (("-e", "@vars.yml", "-e", "who=last"), "last 3"),
    ],
)
def test_extra_variables(
    files: Path, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...], msg: str
) -> None:
    (files / "vars.yml").write_text("who: file\nn: 2\n")
    given = [one.replace("@", f"@{files}/") for one in extra]
    assert only(run(files, SAY, "--json", *given))["tasks"][0]["msg"] == msg


def test_a_failed_task_is_1_and_the_console_says_why(files: Path) -> None:
    done = run(files, "- hosts: all\n  tasks:\n    - command: sh -c 'echo out; echo err >&2; exit 4'\n")
    assert done.returncode == 1
    for part in ("non-zero return code 4", "stdout    out", "stderr    err", "play.yml:3:7"):
        assert part in done.stderr
    assert "here  failed" in done.stdout


def test_verbose_shows_what_each_task_did_and_masks_secrets(files: Path) -> None:
    playbook = """\
- hosts: all
  tasks:
    - command: echo {{ who }}
    - debug: {msg: "{{ who }}"}
    - set_fact: {api_token: hunter2}
    - command: echo hunter3
      no_log: true
    - debug: {msg: only when verbose, verbosity: 1}
"""
    quiet, said = run(files, playbook, "--json"), run(files, playbook, "-v", "--json")
    assert (quiet.returncode, said.returncode) == (0, 0)
    assert "arguments" not in quiet.stderr
    for part in (
        "arguments cmd: echo inventory",
        "stdout    inventory",
        "play.yml:3:7",
        "message   inventory",
    ):
        assert part in said.stderr
    assert "api_token: ********" in said.stderr
    assert "hunter" not in said.stderr + said.stdout
    assert ["stdout" in task for task in only(quiet)["tasks"]] == [False] * 5
    assert [only(done)["tasks"][4]["status"] for done in (quiet, said)] == ["skipped", "ok"]
    assert only(said)["tasks"][0]["args"] == {"cmd": "echo inventory"}


def test_one_unreachable_vm_is_3_and_does_not_stop_the_others(files: Path) -> None:
    done = run(files, PING, "--json", vms=("all",))
    assert done.returncode == 3
    status = {host["host"]: (host["status"], len(host["tasks"])) for host in json.loads(done.stdout)["hosts"]}
    assert status == {"here": ("ok", 1), "gone": ("unreachable", 0)}


@pytest.mark.parametrize(
    ("playbook", "args", "message"),
    [
        ("- hosts: all\n  tasks:\n    - pnig:\n", (), "play.yml:3:7: there is no module 'pnig'"),
        (PING, ("-e", "nonsense"), "is not key=value"),
        (PING, ("--limit", "gone"), "leaves none"),
        (PING, ("--forks", "0"), "0 is not in the range"),
    ],
)
def test_a_wrong_request_is_2_and_nothing_is_printed_on_stdout(
    files: Path, playbook: str, args: tuple[str, ...], message: str
) -> None:
    done = run(files, playbook, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_limit_takes_a_file(files: Path) -> None:
    (files / "failed").write_text("# of the last run\nhere\n")
    done = run(files, PING, "--json", "--limit", f"@{files}/failed", vms=("all",))
    assert only(done)["host"] == "here"


def test_interrupting_ends_the_work_on_the_vm_and_says_what_was_done(files: Path) -> None:
    (files / "play.yml").write_text(
        f"- hosts: all\n  tasks:\n    - copy: {{content: x, dest: {files}/done}}\n    - command: sleep 73\n"
    )
    with subprocess.Popen(
        [
            *LABCTL,
            "setup",
            "here",
            "-i",
            f"{files}/inventory.yml",
            "--playbook",
            f"{files}/play.yml",
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not (files / "done").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _err = process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert process.returncode == 130
    document = json.loads(out)
    assert document["interrupted"] is True
    assert [task["status"] for task in document["hosts"][0]["tasks"]] == ["changed"]
    left = subprocess.run(["pgrep", "-f", "^sleep 73$"], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_the_events_are_one_json_object_a_line(files: Path) -> None:
    done = run(files, PING, "--json-lines", vms=("here", "gone"))
    assert done.returncode == 3
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["schema"] for one in events} == {1}
    assert events[0]["event"] == "play-began"
    assert events[0]["hosts"] == ["here", "gone"]
    (task,) = [one for one in events if one["event"] == "task-ended"]
    assert (task["host"], task["status"]) == ("here", "ok")
    (lost,) = [one for one in events if one["event"] == "vm-lost"]
    assert (lost["host"], lost["cause"]) == ("gone", "unreachable")
    ends = {one["host"]: one["status"] for one in events if one["event"] == "vm-ended"}
    assert ends == {"here": "ok", "gone": "unreachable"}
    assert (events[-1]["event"], events[-1]["status"]) == ("run-ended", 3)
    both = run(files, PING, "--json-lines", "--json")
    assert (both.returncode, "both want stdout" in both.stderr) == (2, True)


CLASS = """\
all:
  vars: {ansible_connection: local}
  hosts:
    vm1: {}
    vm2: {}
    vm3: {wrong: true}
    vm4: {wrong: true}
    gone1: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1, labctl_known_hosts: /dev/null}
    gone2: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1, labctl_known_hosts: /dev/null}
"""
STEPS = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      command: echo seen
      changed_when: false
    - name: Stumble
      fail: {msg: "not\\e[31m here"}
      when: wrong | default(false)
"""


def test_elsewhere_than_on_a_terminal_each_vm_has_a_line_when_it_is_done(files: Path) -> None:
    (files / "inventory.yml").write_text(CLASS)
    done = run(files, STEPS, vms=("all",))
    assert done.returncode == 3
    ended = re.findall(r"^\[\d/6\] +[\d.]+ s  (\w+): (\w+)", done.stderr, re.MULTILINE)
    assert dict(ended) == {
        **dict.fromkeys(("vm1", "vm2"), "0"),
        **dict.fromkeys(("vm3", "vm4"), "failed"),
        **dict.fromkeys(("gone1", "gone2"), "unreachable"),
    }
    assert "vm1: 0 changed, 1 ok" in done.stderr
    assert len(re.findall(r"vm\d: Look ", done.stderr)) == 4
    assert "\x1b" not in done.stderr


def test_on_a_terminal_one_line_changes_and_of_a_problem_the_first_is_told_whole(files: Path) -> None:
    (files / "inventory.yml").write_text(CLASS)
    (files / "play.yml").write_text(STEPS)
    argv = [*LABCTL, "setup", "all", "-i", str(files / "inventory.yml"), "--json"]
    line = f"{shlex.join([*argv, '--playbook', str(files / 'play.yml')])} > {files}/document"
    done = subprocess.run(
        ["script", "-qec", line, "/dev/null"],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "\x1b[31m here" not in done.stdout, "a VM's escape sequence came through"
    told = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout)
    assert "/6 done, " in told
    assert "running" in told
    assert "Look" not in told
    # the first of the two with its place in the playbook, the other on a line
    assert len(re.findall(r"failed +vm[34]: Stumble", told)) == 2
    assert len(re.findall(r"^    at +\S+play.yml:\d+:\d+", told, re.MULTILINE)) == 1
    assert len(re.findall(r"unreachable +gone[12]: ", told)) == 2
    counts = {host["host"]: host["status"] for host in json.loads((files / "document").read_text())["hosts"]}
    assert counts == {
        **dict.fromkeys(("vm1", "vm2"), "ok"),
        **dict.fromkeys(("vm3", "vm4"), "failed"),
        **dict.fromkeys(("gone1", "gone2"), "unreachable"),
    }
