"""Whole plays on this machine through the real agent: order, batches, handlers, failures, loops."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import inventory, messages, play, statuses, write

from labctl.inventory import Inventory
from labctl.inventory.model import Group, local_host
from labctl.playbook import RunOptions, load_playbook, run_playbook


def test_tasks_that_need_no_answer_travel_in_one_call(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - command: "true"
          register: unread
        - copy: {{content: "a", dest: "{tmp_path}/a"}}
        - debug: {{msg: here}}
        - file: {{path: "{tmp_path}/a", mode: "0600"}}
        - stat: {{path: "{tmp_path}/a"}}
        """,
    )
    assert statuses(host) == ["changed", "changed", "ok", "changed", "ok"]
    assert (host["connections"], host["round_trips"]) == (1, 1)


def test_a_result_that_is_read_ends_the_batch(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: echo one
          register: out
        - debug: {msg: "{{ indirect }}"}
        - command: echo two
        """,
        head='vars: {indirect: "got {{ out.stdout }}"}',
    )
    assert messages(host)[1] == "got one"
    assert host["round_trips"] == 2


def test_facts_are_fetched_when_they_are_read_and_only_then(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: echo one
          register: out
        - debug: {msg: "{{ ansible_facts.hostname == ansible_hostname }} {{ out.stdout }}"}
        """,
    )
    assert messages(host)[1] == "True one"
    assert host["round_trips"] == 1  # the start, and with it one call with the command and the facts
    none = play(
        tmp_path,
        "- debug: {msg: \"{{ ansible_hostname | default('unknown') }}\"}",
        head="gather_facts: false",
    )
    assert (messages(none), none["connections"]) == (["unknown"], 0)


def test_a_play_without_work_for_the_vm_connects_to_nothing(tmp_path: Path) -> None:
    host = play(tmp_path, "- debug: {msg: hello}")
    assert (host["status"], host["connections"], host["round_trips"]) == ("ok", 0, 0)


def test_a_failure_stops_what_comes_after_it(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - command: "false"
        - copy: {{content: "a", dest: "{tmp_path}/never"}}
        - debug: {{msg: never}}
        """,
    )
    assert (host["status"], statuses(host)) == ("failed", ["failed"])
    assert not (tmp_path / "never").exists()
    (task,) = host["tasks"]
    assert task["rc"] == 1
    assert task["place"].endswith("play.yml:4:7")
    assert task["args"] == {"cmd": "false"}


def test_a_failure_on_the_controller_comes_after_what_was_waiting(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - copy: {{content: "a", dest: "{tmp_path}/first"}}
        - fail: {{msg: enough}}
        - copy: {{content: "a", dest: "{tmp_path}/never"}}
        """,
    )
    assert (statuses(host), messages(host)[1]) == (["changed", "failed"], "enough")
    assert (tmp_path / "first").exists()
    assert not (tmp_path / "never").exists()


def test_ignored_failures_and_failed_when(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: "false"
          ignore_errors: true
          register: first
        - command: sh -c 'echo bad; exit 3'
          register: second
          failed_when: "'good' in second.stdout"
          changed_when: second.rc == 3
        - command: "false"
          failed_when: false
          changed_when: false
        - command: echo good
          register: third
          failed_when: "'good' in third.stdout"
        - debug: {msg: never}
        """,
    )
    assert statuses(host) == ["failed", "changed", "ok", "failed"]
    assert (host["status"], host["ignored"], host["failed"]) == ("failed", 1, 1)


def test_loops_run_every_round_and_stop_the_play_after_them(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - command: sh -c 'touch {tmp_path}/{{{{ item }}}}; test {{{{ item }}}} != b'
          loop: [a, b, c, d]
          when: item != 'd'
          register: out
          ignore_errors: true
        - debug: {{msg: "{{{{ out.results | map(attribute='item') | join(',') }}}} {{{{ out.failed }}}}"}}
        - command: echo {{{{ pair.name }}}} {{{{ n }}}}
          loop: [{{name: x}}, {{name: y}}]
          loop_control: {{loop_var: pair, index_var: n, label: "{{{{ pair.name }}}}"}}
        - command: "false"
          with_items: [[1], [2]]
        - debug: {{msg: never}}
        """,
    )
    assert sorted(path.name for path in tmp_path.iterdir() if len(path.name) == 1) == ["a", "b", "c"]
    assert messages(host)[1] == "a,b,c,d True"
    assert [item["item"] for item in host["tasks"][2]["items"]] == ["x", "y"]
    assert [item["status"] for item in host["tasks"][0]["items"]] == [
        "changed",
        "failed",
        "changed",
        "skipped",
    ]
    assert statuses(host) == ["failed", "ok", "changed", "failed"]


def test_handlers_run_once_in_their_own_order_when_something_changed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""
        - hosts: all
          tasks:
            - copy: {{content: "a", dest: "{tmp_path}/a"}}
              notify: [second, topic]
            - copy: {{content: "b", dest: "{tmp_path}/b"}}
              notify: second
            - command: "true"
              changed_when: false
              notify: unused
            - meta: flush_handlers
            - debug: {{msg: after}}
          handlers:
            - {{name: first, debug: {{msg: "one"}}, listen: topic}}
            - {{name: unused, debug: {{msg: "no"}}}}
            - {{name: second, command: "true", notify: chained}}
            - {{name: chained, debug: {{msg: "chained"}}}}
        """,
    )
    made, hosts = inventory()
    (first,) = run_playbook(load_playbook(path), made, hosts).document()["hosts"]
    assert [task["name"] for task in first["tasks"]] == [
        "copy",
        "copy",
        "command",
        "first",
        "second",
        "chained",
        "debug",
    ]
    (again,) = run_playbook(load_playbook(path), made, hosts).document()["hosts"]
    assert (again["changed"], [task["name"] for task in again["tasks"]]) == (
        0,
        ["copy", "copy", "command", "debug"],
    )


def test_handlers_do_not_run_after_a_failure(tmp_path: Path) -> None:
    text = """
        - hosts: all
          {force}
          tasks:
            - {{command: "true", notify: h}}
            - command: "false"
          handlers:
            - {{name: h, debug: {{msg: ran}}}}
        """
    made, hosts = inventory()
    for force, expected in (
        ("vars: {}", ["changed", "failed"]),
        ("force_handlers: true", ["changed", "failed", "ok"]),
    ):
        path = write(tmp_path, text.format(force=force))
        (host,) = run_playbook(load_playbook(path), made, hosts).document()["hosts"]
        assert (statuses(host), host["status"]) == (expected, "failed")


def test_blocks_catch_failures_and_always_end(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - block:
            - command: "false"
            - debug: {msg: never}
          rescue:
            - debug: {msg: rescued}
          always:
            - debug: {msg: in the end}
        - block:
            - command: "true"
              when: inner
            - debug: {msg: inherited}
          when: outer
          vars: {inner: false}
        - debug: {msg: goes on}
        """,
        variables={"outer": True},
    )
    assert messages(host)[1:3] == ["rescued", "in the end"]
    assert statuses(host) == ["failed", "ok", "ok", "skipped", "ok", "ok"]
    assert host["status"] == "ok"


def test_an_uncaught_failure_in_a_block_still_runs_always(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - block:
            - command: "false"
          always:
            - debug: {msg: in the end}
        - debug: {msg: never}
        """,
    )
    assert (statuses(host), host["status"]) == (["failed", "ok"], "failed")


def test_until_repeats_and_gives_up(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - shell: "echo x >> {tmp_path}/count; wc -l < {tmp_path}/count"
          register: out
          until: out.stdout | int >= 3
          retries: 5
          delay: 0.01
        - command: "true"
          register: gives_up
          until: gives_up.rc == 7
          retries: 2
          delay: 0.01
        """,
    )
    assert statuses(host) == ["changed", "failed"]
    assert (tmp_path / "count").read_text() == "x\n" * 3
    assert "after 3 attempts" in messages(host)[1]


def test_set_fact_assert_and_conditions_on_results(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - set_fact: {answer: 42, text: "{{ who }}!", empty: null}
        - assert:
            that: [answer == 42, empty is none, text == "amy!", "not (gone is defined)"]
            success_msg: as it should be
        - command: echo out
          register: said
        - set_fact: {copied: "{{ said.stdout }}"}
        - debug: {msg: "{{ copied }}"}
          when: said is changed and said is succeeded
        - assert: {that: copied == "other", fail_msg: "it was {{ copied }}"}
        """,
        variables={"who": "amy"},
    )
    assert messages(host)[1] == "as it should be"
    assert messages(host)[-2:] == ["out", "it was out"]
    assert statuses(host)[-1] == "failed"


def test_what_a_vm_said_is_not_rendered_on_its_way_through_facts(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: echo '{% raw %}{{ secret }}{% endraw %}'
          register: said
        - set_fact: {kept: "{{ said.stdout }}"}
        - debug: {msg: "{{ kept }}|{{ said.stdout }}|{{ item }}"}
          loop: "{{ [kept] }}"
          register: shown
        - debug: {msg: "{{ shown.results[0].msg }}"}
        """,
        variables={"secret": "s3cret"},
    )
    assert messages(host)[-1] == "{{ secret }}|{{ secret }}|{{ secret }}"


def test_tags(tmp_path: Path) -> None:
    tasks = """
        - {debug: {msg: a}, tags: [base, x]}
        - {debug: {msg: b}}
        - {debug: {msg: c}, tags: always}
        - {debug: {msg: d}, tags: [never, rare]}
        - {debug: {msg: e}, tags: "x,y"}
        - {debug: {msg: "{{ ansible_run_tags | join(' ') }}"}, tags: [never, several]}
        """
    assert messages(play(tmp_path, tasks)) == ["a", "b", "c", "e"]
    assert messages(play(tmp_path, tasks, tags=("base",))) == ["a", "c"]
    assert messages(play(tmp_path, tasks, tags=("rare", "y"))) == ["c", "d", "e"]
    assert messages(play(tmp_path, tasks, tags=("several,other",))) == ["c", "other several"]
    assert messages(play(tmp_path, tasks, skip_tags=("x",))) == ["b", "c"]
    assert messages(play(tmp_path, tasks, tags=("untagged",))) == ["b", "c"]


def test_precedence_of_variables(tmp_path: Path) -> None:
    (tmp_path / "file.yml").write_text("b: vars_files\nc: vars_files\nd: vars_files\ne: vars_files\n")
    host = play(
        tmp_path,
        """
        - set_fact: {e: set_fact}
        - debug: {msg: "{{ [a, b, c, d, e, f, inventory_hostname] | join(' ') }}"}
          vars: {d: task, e: task, f: task, inventory_hostname: task}
        """,
        head="vars: {b: play, c: play}\nvars_files: [file.yml]",
        variables=dict.fromkeys("abcdef", "inventory"),
        extra_vars={"f": "extra"},
    )
    assert messages(host)[1] == "inventory vars_files vars_files task set_fact extra vm"


def test_other_hosts_groups_and_magic_names(tmp_path: Path) -> None:
    one = local_host("one", lab_user="amy", greeting="hi {{ lab_user }}")
    two = local_host("two.lab", lab_user="bob")
    made = Inventory({"one": one, "two.lab": two}, {"students": Group("students", ("one", "two.lab"))})
    path = write(
        tmp_path,
        """
        - hosts: students
          tasks:
            - debug:
                msg: >-
                  {{ hostvars['one'].greeting }} {{ inventory_hostname_short }}
                  {{ groups.students | length }} {{ ansible_check_mode }}
        """,
    )
    result = run_playbook(load_playbook(path), made, [one, two], RunOptions(check=True))
    assert [host["tasks"][0]["msg"] for host in result.document()["hosts"]] == [
        "hi amy one 2 True",
        "hi amy two 2 True",
    ]


def test_check_mode_changes_nothing_and_says_what_it_would(tmp_path: Path) -> None:
    tasks = f"""
        - copy: {{content: "a", dest: "{tmp_path}/a"}}
        - file: {{path: "{tmp_path}/d", state: directory}}
        - copy: {{content: "x", dest: "{tmp_path}/d/deeper/x"}}
        - lineinfile: {{path: "{tmp_path}/a", line: more}}
        - command: touch {tmp_path}/never
        - command: touch {tmp_path}/really
          check_mode: false
        """
    before = {path.name for path in tmp_path.iterdir()}
    host = play(tmp_path, tasks, check=True, diff=True)
    assert statuses(host) == ["changed"] * 4 + ["skipped", "changed"]
    assert {path.name for path in tmp_path.iterdir()} - before == {"play.yml", "really"}
    assert "+a" in host["tasks"][0]["diff"]


@pytest.mark.parametrize(
    "task", ["- command: sleep 30\n  timeout: 1", "- wait_for: {path: /nowhere, timeout: 1}"]
)
def test_time_limits_hold(tmp_path: Path, task: str) -> None:
    host = play(tmp_path, task)
    assert host["status"] == "failed"
    assert host["seconds"] < 20


def test_shell_and_command_differ_as_they_should(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: echo $((1 + 1)) | cat
          register: plain
        - shell: |
            echo $((1 + 1)) | cat
            echo "$WHO" 'a  b'
          environment: {WHO: amy}
          register: shell
        - command: {argv: [cat, -], stdin: given}
          register: fed
        - debug: {msg: "{{ plain.stdout }}/{{ shell.stdout_lines | join(';') }}/{{ fed.stdout }}"}
        - command: touch x creates=/etc/passwd
        - command: no-such-program
        """,
    )
    assert messages(host)[3] == "$((1 + 1)) | cat/2;amy a  b/given"
    assert statuses(host)[4:] == ["ok", "failed"]
    assert "there is no program no-such-program" in messages(host)[5]


@pytest.mark.parametrize("wish", ["true", "'{{ not ansible_check_mode }}'", "'{{ told.rc == 0 }}'"])
def test_a_task_that_cannot_be_rendered_may_be_ignored(tmp_path: Path, wish: str) -> None:
    tasks = f"""
    - command: "true"
      register: told
    - command: echo {{{{ told.nothing }}}}
      ignore_errors: {wish}
    - command: "true"
    """
    assert statuses(play(tmp_path, tasks)) == ["changed", "failed", "changed"]
