"""``--engine ansible``: the same run, by ansible-core, told in the same words."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vms import LABCTL, NAME, environment

from labctl.playbook.keywords import ENGINE_HINT
from labctl.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent
VM = "student1"
machine = [
    pytest.mark.vm,
    pytest.mark.root,
]
WELL = """\
- name: All kinds
  hosts: students
  become: true
  vars: {word: inner}
  tasks:
    - ping:
    - name: A file
      ansible.builtin.copy: {content: "{{ word }}\\n", dest: /etc/engines, mode: "0644"}
      notify: tell
    - name: From the course
      template: {src: note.j2, dest: /etc/engines.note, mode: "0644"}
    - {name: Tagged, command: "echo {{ item }}", loop: [a, b], changed_when: false, tags: [quick]}
    - {debug: {msg: no}, when: false}
    - block:
        - {name: Caught, command: /bin/false}
      rescue:
        - debug: {msg: rescued}
    - {name: Ignored, command: /bin/false, ignore_errors: true}
    - {name: Hidden, command: echo hunter2, no_log: true}
    - {name: Hidden loop, command: "echo {{ item }}", loop: [hunter2], no_log: true}
    - {name: Hidden and idle, command: echo hunter2, no_log: true, changed_when: false}
  handlers:
    - {name: tell, command: echo told}
"""
BAD = """\
- hosts: students
  tasks:
    - name: Talk and fail
      command: sh -c 'echo {{ word }}; echo err >&2; exit 4'
    - ping:
"""
COUNTS = ("host", "status", "ok", "changed", "failed", "skipped", "ignored")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    made = Sandbox.open(f"{NAME}-engines")
    made.down()
    try:
        made.up(students=1, driver="nspawn")
        yield made
    finally:
        made.down()


@pytest.fixture
def course() -> Iterator[Path]:
    """A course, and in it a directory for temporary files: of a short name, as SSH's sockets need it."""
    with tempfile.TemporaryDirectory(prefix="c") as directory:
        root = Path(directory)
        for name in ("playbooks", "templates", "t"):
            (root / name).mkdir()
        (root / "labctl.toml").write_text('[setup]\nplaybooks = ["well"]\n')
        (root / "templates" / "note.j2").write_text("{{ inventory_hostname }}: {{ word }}\n")
        (root / "playbooks" / "well.yml").write_text(WELL)
        (root / "playbooks" / "bad.yml").write_text(BAD)
        yield root


def settings(course: Path, temporary: str = "t") -> dict[str, str]:
    return {**environment(), "TMPDIR": str(course / temporary), "XDG_STATE_HOME": str(course / "state")}


def run(
    box: Sandbox, course: Path, engine: str, *words: str, vms: tuple[str, ...] = (VM,), temporary: str = "t"
) -> subprocess.CompletedProcess[str]:
    inventory = () if "-i" in words else ("-i", str(box.inventory_path))
    return subprocess.run(
        [*LABCTL, "setup", *vms, *inventory, "--course", str(course), "--engine", engine, *words],
        env=settings(course, temporary),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def only(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    (host,) = json.loads(done.stdout)["hosts"]
    return dict(host)


def counts(host: dict[str, Any]) -> dict[str, Any]:
    return {name: host[name] for name in COUNTS}


def items(task: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["item"], item["status"]) for item in task.get("items", [])]


def left_behind(course: Path) -> list[str]:
    return [path.name for path in (course / "t").iterdir()]


class TestOnAMachine:
    pytestmark = machine

    def both(self, box: Sandbox, course: Path, *words: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same run by each engine, each from the same state of the machine."""
        found = []
        for engine in ("ansible", "labctl"):
            assert box.run(VM, "sudo rm -f /etc/engines /etc/engines.note").status == 0
            done = run(box, course, engine, *words, "--json")
            assert done.returncode in (0, 1), done.stderr
            found.append(only(done))
        return found[0], found[1]

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("--check", "--diff"),
            ("--tags", "quick"),
            ("--skip-tags", "quick"),
            ("-e", "word=outer"),
        ],
        ids=" ".join,
    )
    def test_both_engines_tell_the_same(self, box: Sandbox, course: Path, words: tuple[str, ...]) -> None:
        by_ansible, by_labctl = self.both(box, course, *words)
        assert counts(by_ansible) == counts(by_labctl)
        assert [(task["name"], task["module"], task["status"]) for task in by_ansible["tasks"]] == [
            (task["name"], task["module"], task["status"]) for task in by_labctl["tasks"]
        ]
        for one, other in zip(by_ansible["tasks"], by_labctl["tasks"], strict=True):
            assert items(one) == items(other), one["name"]
            assert one.get("handler") == other.get("handler")
            assert other["place"].startswith(one["place"])  # Ansible tells no column here
        assert "hunter2" not in json.dumps(by_ansible)
        assert left_behind(course) == []
        there = box.run(VM, "cat /etc/engines /etc/engines.note").stdout
        wanted = "outer" if "word=outer" in words else "inner"
        assert there == ("" if "--check" in words or "--tags" in words else f"{wanted}\n{VM}: {wanted}\n")

    def test_a_long_name_of_the_temporary_directory_is_no_obstacle(self, box: Sandbox, course: Path) -> None:
        (course / ("t" * 80)).mkdir()
        done = run(box, course, "ansible", "--tags", "quick", temporary="t" * 80)
        assert done.returncode == 0, done.stderr

    def test_the_diff_is_told(self, box: Sandbox, course: Path) -> None:
        box.run(VM, "sudo rm -f /etc/engines")
        done = run(box, course, "ansible", "--check", "--diff")
        assert done.returncode == 0, done.stderr
        assert "    +inner" in done.stderr
        assert "check mode: nothing was changed" in done.stdout

    def test_a_failure_is_1_with_its_whole_story(self, box: Sandbox, course: Path) -> None:
        done = run(box, course, "ansible", "--playbook", "bad", "-e", "word=out")
        assert done.returncode == 1
        for part in (
            "Talk and fail",
            "arguments cmd: sh -c 'echo out; echo err >&2; exit 4'",
            "stdout    out",
            "stderr    err",
            f"{course}/playbooks/bad.yml:3",
        ):
            assert part in done.stderr
        assert f"{VM}  failed       ok 0  changed 0  failed 1  skipped 0" in done.stdout
        assert "--engine ansible" in done.stderr.splitlines()[-1]

    @pytest.mark.parametrize(
        ("variable", "value", "cause"),
        [
            ("ansible_port", "1", "unreachable"),
            ("labctl_known_hosts", "/dev/null", "host-key-unknown"),
            ("ansible_user", "nobody", "auth-refused"),
        ],
    )
    def test_who_cannot_be_reached_is_3_and_the_others_go_on(
        self, box: Sandbox, course: Path, variable: str, value: str, cause: str
    ) -> None:
        inventory = json.loads(json.dumps(_inventory(box)))
        students = inventory["all"]["children"]["students"]["hosts"]
        students["gone"] = {**students[VM], variable: int(value) if value.isdigit() else value}
        path = course / "inventory.json"
        path.write_text(json.dumps(inventory))
        done = run(box, course, "ansible", "--json", "--tags", "quick", "-i", str(path), vms=("students",))
        assert done.returncode == 3, done.stderr
        told = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
        assert (told["gone"]["status"], told["gone"]["cause"]) == ("unreachable", cause), told["gone"]
        assert (told[VM]["status"], told[VM]["ok"]) == ("ok", 1)

    def test_ctrl_c_ends_the_work_on_the_machine(self, box: Sandbox, course: Path) -> None:
        (course / "playbooks" / "long.yml").write_text(
            "- hosts: students\n  tasks:\n    - ping:\n    - command: sleep 74\n"
        )
        words = ["setup", VM, "--course", str(course), "--playbook", "long", "-i", str(box.inventory_path)]
        with subprocess.Popen(
            [*LABCTL, *words, "--engine", "ansible", "--json"],
            env=settings(course),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = time.monotonic() + 60
            while box.run(VM, "pgrep -x sleep").status and time.monotonic() < deadline:
                time.sleep(0.2)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert time.monotonic() - began < 25
        document = json.loads(out)
        assert document["interrupted"] is True
        assert [task["name"] for task in document["hosts"][0]["tasks"]] == ["ping"]
        assert left_behind(course) == []
        assert box.run(VM, "pgrep -x sleep").status == 1


def _inventory(box: Sandbox) -> Any:
    import yaml

    return yaml.safe_load(box.inventory_path.read_text())


class TestHere:
    """Without a machine of its own."""

    def play(self, course: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
        (course / "playbooks" / "p.yml").write_text(text)
        (course / "i.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
        return subprocess.run(
            [*LABCTL, "setup", "here", "--course", course, "-i", course / "i.yml", "--playbook", "p", *words],
            env=settings(course),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_a_mistake_that_ansible_finds_is_2_at_its_place(self, course: Path) -> None:
        done = self.play(course, "- hosts: all\n  tasks:\n    - pnig: {}\n", "--engine", "ansible")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{course}/playbooks/p.yml:3:7: couldn't resolve module/action 'pnig'" in done.stderr
        assert done.stderr.rstrip().endswith("^")
        assert left_behind(course) == []

    @pytest.mark.slow
    def test_what_labctl_refuses_names_the_command_that_then_works(self, course: Path) -> None:
        text = "- hosts: all\n  gather_facts: false\n  strategy: free\n  tasks:\n    - ping:\n"
        done = self.play(course, text)
        assert done.returncode == 2
        assert ENGINE_HINT in done.stderr
        assert "labctl setup --engine ansible" in ENGINE_HINT
        assert self.play(course, text, "--engine", "ansible").returncode == 0

    @pytest.mark.slow
    def test_two_vms_behind_one_address_are_told_of_apart(self, course: Path) -> None:
        names = ["root@127.0.0.1:1", "root@127.0.0.1:2"]
        text = "- hosts: all\n  gather_facts: false\n  tasks: [ping: ]\n"
        done = self.play(course, text, *names, "--engine", "ansible", "--json")
        assert done.returncode == 3, done.stderr
        told = {host["host"]: host["status"] for host in json.loads(done.stdout)["hosts"]}
        assert told == {"here": "ok", "127.0.0.1:1": "unreachable", "127.0.0.1:2": "unreachable"}

    def test_the_courses_ansible_cfg_holds_but_not_against_host_keys(self, course: Path) -> None:
        (course / "ansible.cfg").write_text(
            "[defaults]\nhost_key_checking = false\nroles_path = /from/the/course\n"
        )
        text = (
            "- hosts: all\n  gather_facts: false\n  tasks:\n"
            "    - debug: {msg: \"{{ lookup('config', 'DEFAULT_ROLES_PATH')[0] }} "
            "{{ lookup('config', 'HOST_KEY_CHECKING') }}\"}\n"
        )
        done = self.play(course, text, "--engine", "ansible", "--json")
        assert done.returncode == 0, done.stderr
        assert only(done)["tasks"][0]["msg"] == "/from/the/course True"

    @pytest.mark.parametrize("missing", ["ansible-runner", "ansible-core"])
    def test_without_the_extra_the_command_to_install_it_is_said(self, course: Path, missing: str) -> None:
        with tempfile.TemporaryDirectory() as directory:
            venv = Path(directory)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
            (packages,) = venv.glob("lib/*/site-packages")
            left_out = {"ansible-runner": "ansible_runner", "ansible-core": "ansible"}[missing]
            for entry in Path(pytest.__file__).parent.parent.iterdir():
                if entry.name != left_out and not (packages / entry.name).exists():
                    (packages / entry.name).symlink_to(entry)
            if missing != "ansible-core":
                (venv / "bin" / "ansible-playbook").symlink_to("/bin/true")
            done = subprocess.run(
                [venv / "bin" / "python", "-m", "labctl", "setup", "joe@127.0.0.1", "--engine", "ansible"],
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "HOME": directory},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--engine ansible needs {missing}, which is not installed" in done.stderr
        assert "pip install 'labctl[ansible]'" in done.stderr
