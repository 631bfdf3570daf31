"""Roles, imports and includes: what is wrong in them is found before anything is sent, at its own place."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from playing import inventory, messages, play, statuses

from labctl.errors import PlaybookError
from labctl.inventory import Inventory
from labctl.inventory.model import local_host
from labctl.playbook import RunOptions, load_playbook, run_playbook
from labctl.playbook.engine import Run

pytestmark = pytest.mark.slow

HEAD = "- hosts: all\n  gather_facts: false\n"


def lay(tmp_path: Path, files: dict[str, str]) -> Path:
    """Write files; play.yml is the playbook."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "play.yml"


def mistake(tmp_path: Path, files: dict[str, str]) -> PlaybookError:
    """The error that the playbook gives before a VM is asked. ``^^`` in a file marks where it must be."""
    marks = {}
    for name, text in files.items():
        before, found, after = text.partition("^^")
        files[name] = before + after
        if found:
            line = before.count("\n") + 1
            marks[name] = (line, len(before) - before.rfind("\n"))
    playbook = lay(tmp_path, files)
    made, hosts = inventory()
    with pytest.raises(PlaybookError) as caught:
        Run([load_playbook(playbook)], made, hosts, RunOptions()).preflight()
    place = caught.value.place
    assert place is not None
    for name, mark in marks.items():
        assert (place.path.resolve(), (place.line, place.column)) == ((tmp_path / name).resolve(), mark)
    return caught.value


CASES = {
    "a file that is not there": (
        {"play.yml": HEAD + "  tasks:\n    - import_tasks: ^^no.yml\n"},
        "no file 'no.yml'",
    ),
    "an include's file, too": (
        {"play.yml": HEAD + "  tasks:\n    - include_tasks: ^^no.yml\n      when: false\n"},
        "no file 'no.yml'",
    ),
    "a mistake in what an include names": (
        {
            "play.yml": HEAD + "  tasks:\n    - include_tasks: part.yml\n",
            "part.yml": "- copy: {^^dst: /x, content: a}\n",
        },
        "no parameter 'dst'",
    ),
    "a variable in an included file": (
        {
            "play.yml": HEAD + "  tasks:\n    - include_tasks: part.yml\n      vars: {a: 1}\n",
            "part.yml": '- debug: {msg: ^^"{{ a }} {{ b }}"}\n',
        },
        "'b' is not defined",
    ),
    "an import that depends on a variable": (
        {"play.yml": HEAD + '  tasks:\n    - import_tasks: ^^"{{ x }}.yml"\n'},
        "cannot depend on a variable",
    ),
    "a loop over an import": (
        {"play.yml": HEAD + "  tasks:\n    - import_tasks: a.yml\n      ^^loop: [1]\n", "a.yml": ""},
        "cannot loop",
    ),
    "become on an include": (
        {"play.yml": HEAD + "  tasks:\n    - include_tasks: a.yml\n      ^^become: true\n", "a.yml": ""},
        "for what is included",
    ),
    "files that import each other": (
        {
            "play.yml": HEAD + "  tasks:\n    - import_tasks: a.yml\n",
            "a.yml": "- import_tasks: b.yml\n",
            "b.yml": "- import_tasks: ^^a.yml\n",
        },
        "in a circle: a.yml -> b.yml -> a.yml",
    ),
    "an include without an end": (
        {
            "play.yml": HEAD + "  tasks:\n    - include_tasks: a.yml\n",
            "a.yml": "- ^^include_tasks: a.yml\n",
        },
        "includes stand in each other",
    ),
    "a playbook where tasks should be": (
        {
            "play.yml": HEAD + "  tasks:\n    - import_tasks: a.yml\n",
            "a.yml": "^^hosts: all\ntasks: []\n",
        },
        "a file of tasks is a list",
    ),
    "a play where a task should be": (
        {
            "play.yml": HEAD + "  tasks:\n    - import_tasks: a.yml\n",
            "a.yml": "- ^^hosts: all\n  tasks: []\n",
        },
        "names no module",
    ),
    "roles that need each other": (
        {
            "play.yml": HEAD + "  roles: [one]\n",
            "roles/one/meta/main.yml": "dependencies: [two]\n",
            "roles/two/meta/main.yml": "dependencies: [^^one]\n",
        },
        "in a circle: one -> two -> one",
    ),
    "a role's file that is asked for": (
        {
            "play.yml": HEAD + "  tasks:\n    - import_role: {name: ^^one, tasks_from: more}\n",
            "roles/one/tasks/main.yml": "",
        },
        "no file tasks/more",
    ),
    "a role without a name": ({"play.yml": HEAD + "  roles: [^^{when: true}]\n"}, "which role"),
    "a task in a role": (
        {"play.yml": HEAD + "  roles: [one]\n", "roles/one/tasks/main.yml": "- ^^aptt: {name: a}\n"},
        "no module 'aptt'",
    ),
    "a role's variables": (
        {"play.yml": HEAD + "  roles: [one]\n", "roles/one/defaults/main.yml": "a: 1\n^^b-c: 2\n"},
        "cannot be a variable's name",
    ),
    "argument_specs": (
        {
            "play.yml": HEAD + "  roles: [one]\n",
            "roles/one/meta/argument_specs.yml": "argument_specs: {}\n",
        },
        "argument_specs are not covered",
    ),
    "playbooks that import each other": (
        {"play.yml": "- import_playbook: two.yml\n", "two.yml": "- import_playbook: ^^play.yml\n"},
        "in a circle: play.yml -> two.yml -> play.yml",
    ),
    "a handler that nobody has": (
        {
            "play.yml": HEAD + "  tasks:\n    - import_tasks: a.yml\n",
            "a.yml": "- ping:\n  notify: ^^restart\n",
        },
        "no handler is called 'restart'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_in_another_file_is_named_there(tmp_path: Path, case: str) -> None:
    files, message = CASES[case]
    assert message in mistake(tmp_path, dict(files)).message


def test_what_an_include_brings_travels_with_the_tasks_around_it(tmp_path: Path) -> None:
    lay(tmp_path, {"part.yml": f"- copy: {{content: a, dest: '{tmp_path}/{{{{ item }}}}'}}\n"})
    host = play(
        tmp_path,
        f"""
        - file: {{path: "{tmp_path}/dir", state: directory}}
        - include_tasks: part.yml
          loop: [one, two]
        - file: {{path: "{tmp_path}/last", state: touch}}
        """,
    )
    assert statuses(host) == ["changed", "ok", "changed", "changed", "changed"]
    assert (host["connections"], host["round_trips"]) == (1, 1)


def test_a_result_may_choose_what_is_included_and_never_what_is_read_as_a_template(tmp_path: Path) -> None:
    lay(tmp_path, {"part.yml": "- debug: {msg: '{{ given }}'}\n"})
    host = play(
        tmp_path,
        """
        - command: printf '%s' '{{ "{{ 7 * 7 }}" }}'
          register: out
        - include_tasks: part.yml
          vars: {given: "{{ out.stdout }}"}
        - include_tasks: part.yml
          loop: "{{ [out.stdout] }}"
          loop_control: {loop_var: given}
        """,
    )
    assert [m for m in messages(host) if "7" in m] == ["{{ 7 * 7 }}"] * 2


def test_a_file_that_a_vm_names_is_not_read(tmp_path: Path) -> None:
    lay(tmp_path, {"secret.yml": "a: 1\n"})
    host = play(
        tmp_path,
        """
        - command: printf secret.yml
          register: out
        - include_vars: "{{ out.stdout }}"
        """,
    )
    assert host["status"] == "failed"
    assert "text from the VM takes part" in messages(host)[1]


def test_a_file_that_is_wrong_when_it_is_reached_fails_its_host_only(tmp_path: Path) -> None:
    lay(tmp_path, {"good.yml": "- debug: {msg: fine}\n", "bad.yml": "- nothing\n"})
    playbook = lay(
        tmp_path,
        {
            "play.yml": HEAD
            + "  tasks:\n    - command: 'true'\n      register: out\n"
            + "    - include_tasks: '{{ which if out is success else 0 }}.yml'\n"
        },
    )
    hosts = [local_host("one", which="good"), local_host("two", which="bad")]
    made = Inventory({host.name: host for host in hosts}, {})
    one, two = run_playbook(load_playbook(playbook), made, hosts).document()["hosts"]
    assert (one["status"], messages(one)[-1]) == ("ok", "fine")
    assert two["status"] == "failed"
    assert "bad.yml:1:3: a task is a mapping" in messages(two)[-1]


def test_run_once_waits_for_all_and_its_failure_is_everybodys(tmp_path: Path) -> None:
    playbook = lay(
        tmp_path,
        {
            "play.yml": HEAD
            + f"  tasks:\n    - shell: sleep {{{{ slow }}}}; echo x >> {tmp_path}/came\n"
            + f"    - command: wc -l {tmp_path}/came\n      run_once: true\n      register: seen\n"
            + "    - debug: {msg: '{{ seen.stdout.split()[0] }}'}\n"
            + "    - command: 'false'\n      run_once: true\n"
        },
    )
    hosts = [local_host(name, slow=slow) for name, slow in (("a", 0), ("b", 0.7), ("c", 0.2))]
    made = Inventory({host.name: host for host in hosts}, {})
    # one host at a time is given a slot, and still they all meet
    documents = run_playbook(load_playbook(playbook), made, hosts, RunOptions(forks=1)).document()["hosts"]
    assert [len(one["tasks"]) for one in documents] == [4, 3, 3]
    assert [messages(one)[-2] for one in documents] == ["3", "3", "3"]
    assert [one["status"] for one in documents] == ["failed"] * 3
    assert "it failed on a" in messages(documents[1])[-1]


def test_a_host_that_cannot_be_delegated_to_is_named(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: "true"
          delegate_to: 127.0.0.9
        """,
    )
    assert host["status"] == "unreachable"
    assert host["error"].startswith("delegate_to 127.0.0.9: ")


def test_a_host_that_waits_for_the_others_is_ended_with_the_run(tmp_path: Path) -> None:
    playbook = lay(
        tmp_path,
        {
            "play.yml": HEAD
            + "  tasks:\n    - command: sleep {{ slow }}\n"
            + "    - debug: {msg: all}\n      run_once: true\n"
        },
    )
    hosts = [local_host(name, slow=slow) for name, slow in (("a", 0), ("b", 60))]
    run = Run([load_playbook(playbook)], Inventory({h.name: h for h in hosts}, {}), hosts, RunOptions())
    threading.Timer(1.5, run.cancel).start()
    began = time.monotonic()
    result = run.execute()
    assert time.monotonic() - began < 20
    assert result.interrupted
    assert [len(one.tasks) for one in result.hosts] == [1, 0]
