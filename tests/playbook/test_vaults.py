"""Playbooks whose parts ansible-vault encrypted, run by the command against this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

VAULT = Path(sys.executable).parent / "ansible-vault"
SECRET = "s3cret-p4ssword"


def ansible_vault(*words: str, cwd: Path) -> str:
    """The real one."""
    done = subprocess.run(
        [VAULT, *words],
        cwd=cwd,
        env={**os.environ, "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playbook, its variables, a file and a template, all encrypted; some under a label."""
    top = tmp_path_factory.mktemp("course")
    (top / "pw").write_text("correct horse\n")
    (top / "dev").write_text("of dev\n")
    (top / "wrong").write_text("wrong\n")
    (top / "inventory.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    (top / "vars.yml").write_text(
        f'of_file: {SECRET}\nderived: "{{{{ of_file }}}}/{{{{ 1 + 1 }}}}"\npin: 987654321\n'
        "address: \"app:in-the-template@{{ inventory_hostname }}/{{ 'in-quotes' }}\"\n"
    )
    (top / "sent").write_text("sent: the-words-of-the-file\n")
    (top / "sent.j2").write_text("{{ of_file }} {{ inline }}\n")
    ansible_vault("encrypt", "--vault-password-file", "pw", "vars.yml", "sent", "sent.j2", cwd=top)
    inline = ansible_vault("encrypt_string", "--vault-id", "dev@dev", "{{ 1 + 1 }} of-the-string", cwd=top)
    (top / "inline.yml").write_text("before: 1\ninline: " + inline.rstrip() + "\n")
    return top


def setup(course: Path, tasks: str, *words: str, password: bool = True) -> subprocess.CompletedProcess[str]:
    (course / "play.yml").write_text(
        f"- hosts: all\n  gather_facts: false\n  vars_files: [vars.yml, inline.yml]\n  tasks:\n{tasks}"
    )
    passwords = ["--vault-password-file", "pw", "--vault-id", "dev@dev"] if password else []
    command = [
        sys.executable,
        "-m",
        "labctl",
        "setup",
        "here",
        "-i",
        "inventory.yml",
        "--playbook",
        "./play.yml",
    ]
    return subprocess.run(
        [*command, *passwords, *words], cwd=course, capture_output=True, text=True, timeout=60, check=False
    )


def tasks_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["hosts"][0]["tasks"]


def test_variables_files_and_templates_are_opened(course: Path) -> None:
    out = course / "out"
    out.mkdir(exist_ok=True)
    done = setup(
        course,
        f"""
    - copy: {{src: sent, dest: {out}/copied}}
    - copy: {{src: sent, dest: {out}/shut, decrypt: false}}
    - template: {{src: sent.j2, dest: {out}/templated}}
    - copy:
        content: "{{{{ derived }}}} {{{{ inline }}}} {{{{ lookup('file', 'sent') }}}}"
        dest: {out}/content
    - assert: {{that: [inline is vault_encrypted, derived is not vault_encrypted]}}
""",
        "--json",
    )
    assert [task["status"] for task in tasks_of(done)][:4] == ["changed"] * 4, done.stdout
    assert tasks_of(done)[4]["status"] == "ok"
    assert (out / "copied").read_text() == "sent: the-words-of-the-file\n"
    assert (out / "shut").read_bytes() == (course / "sent").read_bytes()
    # As in Ansible: what a vaulted file of variables holds may be a template, a !vault string never is.
    assert (out / "templated").read_text() == f"{SECRET} {{{{ 1 + 1 }}}} of-the-string\n"
    assert (out / "content").read_text() == (
        f"{SECRET}/2 {{{{ 1 + 1 }}}} of-the-string sent: the-words-of-the-file"
    )


def test_nothing_that_is_shown_holds_a_secret(course: Path, tmp_path: Path) -> None:
    tasks = f"""
    - debug: {{msg: "it is {{{{ of_file }}}}"}}
    - debug: {{var: inline}}
    - copy: {{content: "a\\n{{{{ of_file }}}}\\n", dest: {tmp_path}/content}}
    - copy: {{src: sent, dest: {tmp_path}/copied}}
    - command: echo {{{{ of_file }}}}
      register: said
    - name: "with {{{{ of_file }}}}"
      debug: {{msg: "{{{{ item }}}}"}}
      loop: ["{{{{ inline }}}}"]
    - fail: {{msg: "{{{{ said.stdout }}}}"}}
      ignore_errors: true
    - copy: {{content: "{{{{ lookup('file', 'sent') }}}}\n", dest: {tmp_path}/looked-up}}
    - copy: {{content: "{{{{ lookup('template', 'sent.j2') }}}} x\n", dest: {tmp_path}/made}}
    - copy: {{content: "{{{{ address }}}} pin={{{{ pin }}}}\n", dest: {tmp_path}/numbers}}
    - debug: {{var: pin}}
    - command: sh -c "echo {{{{ of_file }}}}; exit 1"
"""
    for words in (("--json", "--diff"), ("--diff", "-v")):
        done = setup(course, tasks, *words)
        assert done.returncode == 1, done.stderr
        for text in (done.stdout, done.stderr):
            assert SECRET not in text
            assert "of-the-string" not in text
            assert "the-words-of-the-file" not in text
            assert "in-the-template" not in text
            assert "in-quotes" not in text
            assert "987654321" not in text
        for file in tmp_path.iterdir():
            file.unlink()
    assert "********" in done.stderr
    assert "the diff is hidden" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "vars.yml:1:1: this is encrypted with ansible-vault (label 'default')"),
        (("--vault-password-file", "wrong"), "vars.yml:1:1: no vault password given opens this"),
        (("--vault-password-file", "pw"), "inline.yml:2:9: no vault password given opens this (label 'dev')"),
        (("--vault-password-file", "nowhere"), "there is no vault password file nowhere"),
    ],
)
def test_a_vault_that_stays_shut_is_an_error_before_anything_is_sent(
    course: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = setup(course, f"    - file: {{path: {tmp_path}/made, state: touch}}\n", *words, password=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "made").exists()


def test_a_mistake_inside_a_vault_shows_its_place_and_not_its_text(course: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(f"a: 1\nb: {SECRET}: {SECRET}\n")
    ansible_vault(
        "encrypt", "--vault-password-file", str(course / "pw"), str(tmp_path / "bad.yml"), cwd=course
    )
    done = setup(course, "    - ping:\n", "-e", f"@{tmp_path}/bad.yml")
    assert done.returncode == 2
    assert "bad.yml:2:" in done.stderr
    assert SECRET not in done.stderr
