"""group_vars and host_vars beside playbooks, in a run: who sees them, and what a mistake does."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import write

from labctl.errors import InventoryError, PlaybookError, UnknownHost
from labctl.inventory import Inventory, load_inventory
from labctl.playbook import RunOptions, load_playbook, run_playbook

INVENTORY = """\
[web]
one own=line
two
[web:vars]
ansible_connection=local
who=file
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    (tmp_path / "inv").mkdir()
    return load_inventory(write(tmp_path / "inv", INVENTORY, "hosts"))


def playbook(tmp_path: Path, name: str, message: str, hosts: str = "web", **files: str) -> Path:
    for file, text in files.items():
        path = tmp_path / name / file.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / name).mkdir(exist_ok=True)
    return write(
        tmp_path / name,
        f'- hosts: {hosts}\n  gather_facts: false\n  tasks:\n    - debug: {{msg: "{message}"}}\n',
    )


def messages(inventory: Inventory, *playbooks: Path) -> dict[str, list[str]]:
    hosts = inventory.select(["all"])
    result = run_playbook([load_playbook(path) for path in playbooks], inventory, hosts, RunOptions())
    return {host["host"]: [task["msg"] for task in host["tasks"]] for host in result.document()["hosts"]}


def test_each_playbook_sees_what_lies_beside_it(tmp_path: Path, inventory: Inventory) -> None:
    text = "{{ who }} {{ own | default('none') }} {{ hostvars['two'].who }} {{ group_names | join }}"
    files = {"group_vars__web": "who: a", "host_vars__one.yml": "own: a", "host_vars__two.yml": "who: two"}
    first = playbook(tmp_path, "a", text, **files)
    second = playbook(tmp_path, "b", text, group_vars__all="own: b")
    assert messages(inventory, first, second) == {
        "one": ["a a two web", "file line file web"],
        "two": ["two none two web", "file b file web"],
    }


def test_a_mistake_is_found_before_anything_runs(tmp_path: Path, inventory: Inventory) -> None:
    first = playbook(tmp_path, "a", "hello")
    second = playbook(tmp_path, "b", "hello", hosts="web[0]", host_vars__two="x: [")
    hosts = inventory.select(["all"])
    with pytest.raises(InventoryError) as caught:
        run_playbook([load_playbook(path) for path in (first, second)], inventory, hosts, RunOptions())
    assert str(caught.value.place) == f"{tmp_path}/b/host_vars/two:2:1"


def test_a_template_that_fails_is_shown_where_it_was_written(tmp_path: Path, inventory: Inventory) -> None:
    path = playbook(tmp_path, "a", "{{ y }}", group_vars__web="x: 1\ny: \"{{ 1 + 'a' }}\"\n")
    with pytest.raises(PlaybookError) as caught:
        messages(inventory, path)
    assert str(caught.value.place) == f"{tmp_path}/a/group_vars/web:2:4"


def test_connecting_follows_what_lies_beside_the_playbook(tmp_path: Path) -> None:
    made = load_inventory(write(tmp_path, "one ansible_host='{{ where }}'\n", "hosts"))
    path = playbook(
        tmp_path, "a", "{{ ansible_host }}", "all", group_vars__all="where: here\nansible_connection: local"
    )
    assert messages(made, path) == {"one": ["here"]}
    path = playbook(tmp_path, "b", "x", "all", group_vars__all="where: here\nansible_port: twenty")
    with pytest.raises(InventoryError, match="one: ansible_port must be a number"):
        messages(made, path)


def test_the_hosts_of_a_play_may_be_chosen_from_a_group(tmp_path: Path, inventory: Inventory) -> None:
    assert messages(inventory, playbook(tmp_path, "a", "x", hosts="'web[1],nosuch'")) == {
        "one": [],
        "two": ["x"],
    }
    with pytest.raises(UnknownHost, match="names none of the 2 hosts of 'web'"):
        messages(inventory, playbook(tmp_path, "b", "x", hosts="'web[2]'"))
