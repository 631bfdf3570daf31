"""Every mistake is found before anything connects, at its line and column, with what would be right."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from playing import inventory

from labctl.errors import PlaybookError
from labctl.inventory import Inventory
from labctl.inventory.model import local_host
from labctl.playbook import RunOptions, load_playbook
from labctl.playbook.engine import Run

# In each text ^^ stands right before the place that the message must name.
CASES = [
    ("a play that is a word", "- ^^nothing\n", "a play is a mapping", ""),
    ("no hosts", "- ^^name: x\n  tasks: []\n", "does not say on which hosts", ""),
    ("a word of a play", "- hosts: all\n  ^^taks: []\n", "'taks' is not a word", "'tasks'"),
    ("tasks not a list", "- hosts: all\n  tasks: ^^ping\n", "tasks is a list", ""),
    ("serial", "- hosts: all\n  ^^serial: 1\n", "'serial' is not covered", "--engine ansible"),
    ("no such role", "- hosts: all\n  roles: [^^x]\n", "there is no role 'x'", "labctl looked in"),
    (
        "an unknown module",
        "- hosts: all\n  tasks:\n    - ^^templat: {src: a}\n",
        "no module 'templat'",
        "'template'",
    ),
    ("a word of a task", "- hosts: all\n  tasks:\n    - ping:\n      ^^whne: true\n", "'whne'", "'when'"),
    (
        "a module of Ansible",
        "- hosts: all\n  tasks:\n    - ^^git: {repo: a}\n",
        "'git' is not covered",
        "--engine ansible",
    ),
    (
        "a module of another collection",
        "- hosts: all\n  tasks:\n    - ^^community.docker.docker_image: {name: a}\n",
        "'community.docker.docker_image' is not covered",
        "--engine ansible",
    ),
    (
        "async",
        "- hosts: all\n  tasks:\n    - ping:\n      ^^async: 10\n",
        "'async' is not covered",
        "ansible",
    ),
    (
        "a state of nothing",
        "- hosts: all\n  tasks:\n    - ^^systemd: {state: started}\n",
        "systemd takes 'state' only with 'name'",
        "",
    ),
    ("two modules", "- hosts: all\n  tasks:\n    - ping:\n      ^^apt: {name: a}\n", "one module", "dash"),
    ("no module", "- hosts: all\n  tasks:\n    - ^^name: x\n", "names no module", ""),
    (
        "an unknown parameter",
        "- hosts: all\n  tasks:\n    - apt: {^^nmae: x}\n",
        "no parameter 'nmae'",
        "'name'",
    ),
    (
        "a missing parameter",
        "- hosts: all\n  tasks:\n    - ^^file: {state: directory}\n",
        "needs the parameter 'path'",
        "",
    ),
    (
        "a wrong choice",
        "- hosts: all\n  tasks:\n    - apt: {name: x, state: ^^instaled}\n",
        "'instaled' is not one of",
        "",
    ),
    (
        "a wrong boolean",
        "- hosts: all\n  tasks:\n    - apt: {name: x, purge: ^^maybe}\n",
        "not a boolean",
        "",
    ),
    ("a wrong number", "- hosts: all\n  tasks:\n    - wait_for: {port: ^^http}\n", "not a whole number", ""),
    ("a decimal mode", "- hosts: all\n  tasks:\n    - file: {path: /x, mode: ^^644}\n", "decimal number", ""),
    (
        "a mode of words",
        "- hosts: all\n  tasks:\n    - file: {path: /x, mode: ^^readable}\n",
        "not a file mode",
        "",
    ),
    ("rivals", "- hosts: all\n  tasks:\n    - ^^copy: {src: a, content: b, dest: /c}\n", "only one of", ""),
    ("one of", "- hosts: all\n  tasks:\n    - ^^service: {name: x}\n", "needs one of", ""),
    ("an alias given twice", "- hosts: all\n  tasks:\n    - apt: {name: x, ^^pkg: y}\n", "given twice", ""),
    ("key=value broken", "- hosts: all\n  tasks:\n    - apt: ^^name=x present\n", "is not key=value", ""),
    (
        "a template that does not end",
        '- hosts: all\n  tasks:\n    - debug:\n        msg: ^^"{{ x"\n',
        "wrong",
        "",
    ),
    (
        "an unknown filter",
        '- hosts: all\n  tasks:\n    - debug:\n        msg: ^^"{{ x | defualt(1) }}"\n',
        "no filter 'defualt'",
        "'default'",
    ),
    (
        "an unknown test",
        "- hosts: all\n  tasks:\n    - ping:\n      when: ^^x is defind\n",
        "no test 'defind'",
        "'defined'",
    ),
    (
        "an unknown lookup",
        "- hosts: all\n  tasks:\n    - debug:\n        msg: ^^\"{{ lookup('fiel', 'x') }}\"\n",
        "no lookup 'fiel'",
        "'file'",
    ),
    (
        "a condition of braces broken",
        "- hosts: all\n  tasks:\n    - ping:\n      when: ^^a ==\n",
        "wrong",
        "",
    ),
    ("a loop over a word", "- hosts: all\n  tasks:\n    - ping:\n      loop: ^^abc\n", "takes a list", ""),
    (
        "two loops",
        "- hosts: all\n  tasks:\n    - ping:\n      loop: [a]\n      ^^with_items: [b]\n",
        "one loop",
        "",
    ),
    (
        "loop_control alone",
        "- hosts: all\n  tasks:\n    - ping:\n      ^^loop_control: {label: x}\n",
        "without a loop",
        "",
    ),
    (
        "a handler nobody has",
        "- hosts: all\n  tasks:\n    - ping:\n      notify: ^^Restrat\n"
        "  handlers:\n    - name: Restart\n      ping:\n",
        "no handler is called 'Restrat'",
        "'Restart'",
    ),
    (
        "a file that is not there",
        "- hosts: all\n  tasks:\n    - copy:\n        src: ^^nowhere.conf\n        dest: /x\n",
        "no file 'nowhere.conf'",
        "",
    ),
    ("vars_files", "- hosts: all\n  vars_files:\n    - ^^nowhere.yml\n", "no file", ""),
    ("a variable's name", "- hosts: all\n  vars:\n    ^^my-var: 1\n", "cannot be a variable's name", ""),
    ("register", "- hosts: all\n  tasks:\n    - ping:\n      register: ^^a-b\n", "variable's name", ""),
    (
        "a key twice",
        "- hosts: all\n  tasks:\n    - ping:\n      when: true\n      ^^when: false\n",
        "stands twice",
        "",
    ),
    ("become_method", "- hosts: all\n  become_method: ^^su\n", "not covered", ""),
    (
        "a block's word",
        "- hosts: all\n  tasks:\n    - block: []\n      ^^resuce: []\n",
        "'resuce'",
        "'rescue'",
    ),
    ("a nameless handler", "- hosts: all\n  handlers:\n    - ^^ping:\n", "needs a name", ""),
    # Found by the walk for each host, before a connection is made.
    (
        "an undefined variable",
        '- hosts: all\n  tasks:\n    - debug:\n        msg: ^^"{{ lab_usr }}"\n',
        "'lab_usr' is not defined",
        "'lab_user'",
    ),
    (
        "mandatory",
        '- hosts: all\n  tasks:\n    - debug:\n        msg: ^^"{{ gone | mandatory }}"\n',
        "'gone' is not defined",
        "",
    ),
    (
        "a circle",
        '- hosts: all\n  vars:\n    a: ^^"{{ b }}"\n    b: "{{ a }}"\n'
        '  tasks:\n    - debug: {msg: "{{ a }}"}\n',
        "circle: a -> b -> a",
        "",
    ),
    (
        "a rendered value of the wrong kind",
        "- hosts: all\n  vars: {p: http}\n  tasks:\n    - wait_for: ^^{port: '{{ p }}'}\n",
        "not a whole number",
        "",
    ),
    (
        "a condition that is text",
        "- hosts: all\n  vars: {p: 'no'}\n  tasks:\n    - ping:\n      when: ^^p\n",
        "not true or false",
        "bool",
    ),
    (
        "a loop that gives text",
        "- hosts: all\n  vars: {p: 'no'}\n  tasks:\n    - ping:\n      loop: ^^'{{ p }}'\n",
        "not a list",
        "",
    ),
    (
        "a tag that is a template",
        "- hosts: all\n  vars: {t: danger}\n  tasks:\n    - ping:\n      tags: ^^[a, '{{ t }}']\n",
        "is a template",
        "--engine ansible",
    ),
    (
        "a loop that gives text, where nothing is to be told",
        "- hosts: all\n  vars: {p: 's3cret'}\n  tasks:\n"
        "    - ping:\n      loop: ^^'{{ p }}'\n      no_log: true\n",
        "why is hidden by no_log [for vm]",
        "without no_log",
    ),
    (
        "an undefined name, where no value is to be told",
        "- hosts: all\n  tasks:\n    - debug: {msg: ^^'{{ secrit }}'}\n      no_log: true\n",
        "'secrit' is not defined",
        "",
    ),
    ("nobody to run on", "- hosts: ^^elsewhere\n  tasks: []\n", "no play of", "elsewhere"),
]


@pytest.mark.parametrize(
    ("text", "message", "hint"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_mistake_is_named_at_its_place(tmp_path: Path, text: str, message: str, hint: str) -> None:
    before, _, after = text.partition("^^")
    path = tmp_path / "play.yml"
    path.write_text(before + after)
    made, hosts = inventory(lab_user="amy")
    with pytest.raises(PlaybookError) as caught:
        Run([load_playbook(path)], made, hosts, RunOptions()).preflight()
    err = caught.value
    assert message in err.message
    assert hint in err.hint
    if "no play of" not in message:
        assert err.place is not None
        assert (err.place.line, err.place.column) == (
            before.count("\n") + 1,
            len(before.rpartition("\n")[2]) + 1,
        )
        assert err.place.text == (before + after).split("\n")[err.place.line - 1]


def test_a_mistake_in_a_template_is_at_the_templates_own_line(tmp_path: Path) -> None:
    (tmp_path / "zone.j2").write_text("one\ntwo {{ lab_user }}\nthree {{ lab_usr }}\n")
    (tmp_path / "play.yml").write_text(
        "- hosts: all\n  tasks:\n    - template: {src: zone.j2, dest: /tmp/x}\n"
    )
    made, hosts = inventory(lab_user="amy")
    with pytest.raises(PlaybookError) as caught:
        Run([load_playbook(tmp_path / "play.yml")], made, hosts, RunOptions()).preflight()
    place = caught.value.place
    assert place is not None
    assert (place.path.name, place.line) == ("zone.j2", 3)
    assert "lab_user" in caught.value.hint


def test_a_template_that_jinja_cannot_read_is_found_when_the_playbook_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "zone.j2").write_text("fine\n{% if %}\n")
    (tmp_path / "play.yml").write_text(
        "- hosts: all\n  tasks:\n    - template: {src: zone.j2, dest: /tmp/x}\n"
    )
    with pytest.raises(PlaybookError) as caught:
        load_playbook(tmp_path / "play.yml")
    assert str(caught.value).startswith(f"{tmp_path}/zone.j2:2:")


def test_the_line_inside_a_block_of_text_is_counted(tmp_path: Path) -> None:
    text = textwrap.dedent("""\
        - hosts: all
          tasks:
            - debug:
                msg: |
                  fine
                  {{ nothing_here }}
        """)
    (tmp_path / "play.yml").write_text(text)
    made, hosts = inventory()
    with pytest.raises(PlaybookError) as caught:
        Run([load_playbook(tmp_path / "play.yml")], made, hosts, RunOptions()).preflight()
    assert caught.value.place is not None
    assert caught.value.place.line == 6


@pytest.mark.parametrize(
    "tasks",
    [
        "    - block: [{include_vars: more.yml}]\n      rescue: [{debug: }]\n"
        "    - debug: {msg: '{{ more }}'}\n",
        "    - command: id\n      register: out\n    - include_vars: '{{ out.stdout }}.yml'\n"
        "    - debug: {msg: '{{ more }}'}\n",
        "    - command: id\n      register: out\n    - set_fact: {'{{ out.stdout }}': 1}\n"
        "    - debug: {msg: '{{ more }}'}\n",
        "    - meta: flush_handlers\n    - debug: {msg: '{{ more.stdout }}'}\n"
        "  handlers:\n    - {name: h, command: id, register: more}\n",
        "    - debug: {msg: \"{{ hostvars['other'].more }}\"}\n",
    ],
)
def test_what_another_may_define_by_then_is_no_mistake_before_it(tmp_path: Path, tasks: str) -> None:
    (tmp_path / "more.yml").write_text("more: 1\n")
    path = tmp_path / "play.yml"
    path.write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
    made, hosts = inventory()
    others = Inventory({**made.hosts, "other": local_host("other")}, {})
    Run([load_playbook(path)], others, [*hosts, others.hosts["other"]], RunOptions()).preflight()
    # what nothing else is to be expected of is still found
    path.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: '{{ more }}'}\n")
    with pytest.raises(PlaybookError, match="'more' is not defined"):
        Run([load_playbook(path)], others, hosts, RunOptions()).preflight()


def test_what_only_the_vm_can_tell_is_no_mistake_before_it_was_asked(tmp_path: Path) -> None:
    text = """\
- hosts: all
  tasks:
    - command: "true"
      register: out
    - set_fact:
        later: "{{ out.stdout }}"
    - debug:
        msg: "{{ later }} {{ ansible_hostname }} {{ out.rc }}"
    - block:
        - debug: {msg: "{{ undefined_on_purpose }}"}
      rescue:
        - debug: {msg: caught}
"""
    (tmp_path / "play.yml").write_text(text)
    made, hosts = inventory()
    Run([load_playbook(tmp_path / "play.yml")], made, hosts, RunOptions()).preflight()
