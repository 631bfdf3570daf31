"""Loops whose rounds build on each other, and tasks that are tried again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import inventory, messages, play, statuses, write

from labctl.errors import InventoryError, PlaybookError
from labctl.inventory import load_inventory
from labctl.playbook import RunOptions, load_playbook, run_playbook


def test_what_a_round_sets_the_next_one_sees(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - set_fact:
            ports: "{{ ports | default([]) + [8000 + item] }}"
            named: "{{ named | default({}) | combine({item: total}) }}"
          loop: [1, 2, 3]
          vars: {total: "{{ ports | default([]) | length }}"}
        - set_fact: {first: "{{ item }}"}
          loop: [a, b]
          when: first is not defined
        - debug: {msg: "{{ ports }} {{ named }} {{ first }}"}
        """,
    )
    assert messages(host)[-1] == "[8001, 8002, 8003] {1: 0, 2: 1, 3: 2} a"


def test_a_round_that_sets_nothing_is_told(tmp_path: Path) -> None:
    assert "sets nothing" in messages(play(tmp_path, "- set_fact: {}\n  ignore_errors: true"))[0]


def test_what_a_vm_said_stays_its_word_from_round_to_round(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: echo '{{ '{{' }} 7 * 7 }}'
          register: out
        - set_fact: {all: "{{ all | default([]) + [out.stdout] }}"}
          loop: [1, 2]
        - debug: {msg: "{{ all | join(' ') }}"}
        """,
    )
    assert messages(host)[-1] == "{{ 7 * 7 }} {{ 7 * 7 }}"


def test_each_round_of_a_loop_is_tried_until_it_is_so(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - shell: "echo x >> {tmp_path}/{{{{ item }}}}; wc -l < {tmp_path}/{{{{ item }}}}"
          loop: [a, b]
          register: out
          until: out.stdout | int >= (3 if item == 'a' else 2)
          retries: 5
          delay: 0.01
        - debug: {{msg: "{{{{ out.results | map(attribute='attempts') | list }}}}"}}
        - command: "false"
          loop: [a, b]
          register: never
          until: never.rc == 0
          retries: 2
          delay: 0
          ignore_errors: true
        - debug: {{msg: "{{{{ never.results | map(attribute='attempts') | list }}}}"}}
        """,
    )
    assert statuses(host) == ["changed", "ok", "failed", "ok"]
    assert [(tmp_path / name).read_text().count("x") for name in "ab"] == [3, 2]
    # Ansible counts the retries where they ran out
    assert (messages(host)[1], messages(host)[3]) == ("[3, 2]", "[2, 2]")


def test_retries_alone_try_again_until_it_succeeds(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - shell: "echo x >> {tmp_path}/count; test $(wc -l < {tmp_path}/count) -ge 3"
          retries: 5
          delay: 0
          register: out
        - debug: {{msg: "{{{{ out.attempts }}}}"}}
        - command: "false"
          retries: 0
        """,
    )
    assert statuses(host) == ["changed", "ok", "failed"]
    assert messages(host)[1] == "3"


@pytest.mark.parametrize(
    "words",
    [
        "until: out.json.state == 'up'",
        "retries: '{{ nowhere }}'",
        "until: out.rc == 1\n  delay: 3s",
        "until: out.rc == 1\n  retries: many",
    ],
)
def test_a_mistake_in_it_fails_the_task_and_not_the_run(tmp_path: Path, words: str) -> None:
    host = play(
        tmp_path,
        f'- command: "true"\n  register: out\n  {words}\n  ignore_errors: true\n- debug: {{msg: on}}',
    )
    assert statuses(host) == ["failed", "ok"]
    assert messages(host)[0]


def test_a_loop_over_nothing_known_is_skipped_with_its_task(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - debug: {msg: "{{ item }}"}
          loop: "{{ users }}"
          when: users is defined
          register: out
        - debug: {msg: "{{ out is skipped }} {{ out.results is defined }}"}
        """,
    )
    assert statuses(host) == ["skipped", "ok"]
    assert messages(host)[1] == "True False"
    with pytest.raises(PlaybookError, match="'users' is not defined"):
        play(tmp_path, '- debug: {msg: x}\n  loop: "{{ users }}"\n  when: item != 3')


def test_with_items_takes_one_for_a_list_of_it(tmp_path: Path) -> None:
    tasks = "- debug: {msg: '{{ item }}'}\n  with_items: a\n"
    tasks += "- debug: {msg: '{{ item.k }}'}\n  with_items: '{{ one }}'"
    host = play(tmp_path, tasks, head="vars: {one: {k: v}}")
    assert statuses(host) == ["ok", "ok"]


def test_the_name_of_what_is_set_may_be_a_template(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - set_fact: {"{{ item }}_port": 80}
          loop: [web, dns]
        - debug: {msg: "{{ web_port + dns_port }}"}
        """,
    )
    assert messages(host)[-1] == "160"


def test_an_environment_may_be_a_list_of_mappings(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - shell: echo $A $B
          environment: [{A: "1", B: "1"}, "{{ more }}"]
          register: out
        - debug: {msg: "{{ out.stdout }}"}
        """,
        head='vars: {more: {B: "2"}}',
    )
    assert messages(host)[-1] == "1 2"


def test_files_of_variables_lie_beside_the_playbook_or_in_vars(tmp_path: Path) -> None:
    (tmp_path / "vars").mkdir()
    (tmp_path / "vars/common.yml").write_text("a: 1\n")
    (tmp_path / "here.yml").write_text("b: 2\n")
    host = play(
        tmp_path,
        "- debug: {msg: '{{ a }} {{ b }}'}",
        head="vars_files:\n  - common.yml\n  - [nowhere.yml, here.yml]",
    )
    assert messages(host) == ["1 2"]
    with pytest.raises(PlaybookError, match=r"there is no file .*x.yml, nor in vars/"):
        play(tmp_path, "- ping:", head="vars_files: [x.yml]")


def test_who_the_inventory_says_a_task_is_wins_over_the_playbook(tmp_path: Path) -> None:
    told = "\n- debug: {msg: '{{ out.stdout }}'}"
    task = "- command: id -un\n  register: out"
    other = f"{task}\n  become: true\n  become_user: nobody{told}"
    assert messages(play(tmp_path, other))[1] == "nobody"
    assert messages(play(tmp_path, other, variables={"ansible_become": "no"}))[1] == "root"
    found = play(tmp_path, task + told, variables={"ansible_become": True, "ansible_become_user": "nobody"})
    assert messages(found)[1] == "nobody"
    with pytest.raises(PlaybookError, match="ansible_become_method is not covered"):
        play(tmp_path, task, variables={"ansible_become_method": "su"})


def test_the_hosts_of_a_play_may_be_a_template(tmp_path: Path) -> None:
    path = write(tmp_path, "- hosts: \"{{ target | default('vm') }}\"\n  tasks: [{debug: {msg: x}}]\n")
    made, hosts = inventory()
    assert run_playbook(load_playbook(path), made, hosts, RunOptions()).document()["hosts"]
    with pytest.raises(PlaybookError, match="no play of"):
        run_playbook(load_playbook(path), made, hosts, RunOptions(extra_vars={"target": "web"}))


def test_a_date_is_text_and_a_boolean_the_choice_that_is_spelled_so(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - copy: {{dest: "{tmp_path}/a", content: 2024-09-01}}
        - lineinfile: {{path: "{tmp_path}/a", line: "{{{{ day }}}}", insertbefore: BOF}}
          vars: {{day: 2025-01-02}}
        - uri: {{url: "file:///nowhere", follow_redirects: yes}}
          ignore_errors: true
        """,
    )
    assert statuses(host) == ["changed", "changed", "failed"]
    assert (tmp_path / "a").read_text().split() == ["2025-01-02", "2024-09-01"]
    assert "is not one of" not in messages(host)[2]


def test_mappings_are_merged_and_anchors_stand_for_what_they_name(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        f"""
        - copy: &base
            dest: "{tmp_path}/a"
            content: a
            mode: &mode 0640
        - copy:
            <<: *base
            dest: "{tmp_path}/b"
        - file: {{path: "{tmp_path}/a", mode: *mode}}
        """,
    )
    assert statuses(host) == ["changed", "changed", "ok"]
    assert (tmp_path / "b").read_text() == "a"
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o640


def test_old_names_of_the_connections_variables_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        "old ansible_ssh_host=10.0.0.1 ansible_ssh_port=2222 ansible_ssh_user=bob "
        "ansible_private_key_file=/k\nbox ansible_connection=docker\n"
        "here ansible_connection=ansible.builtin.local\n"
    )
    made = load_inventory(path).hosts
    old = made["old"]
    assert (old.address, old.port, old.user, str(old.key_file)) == ("10.0.0.1", 2222, "bob", "/k")
    assert made["here"].is_local
    with pytest.raises(InventoryError, match="'docker' is not covered"):
        _ = made["box"].is_local
