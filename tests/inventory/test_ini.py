"""Inventories in INI: what ansible-core's documentation shows, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import Mistake, is_shown

from labctl.errors import InventoryError, Place
from labctl.inventory import Inventory, load_inventory

COURSE = """\
; hosts before any section are in no group
gateway ansible_host=192.0.2.1   # the way in

[web]  # a comment
student[01:03] color=red
alias ansible_host=203.0.113.9 note='two words' "quoted=a b"
other:2222
[2001:db8::1]:2200
2001:db8::2

[db]
db-[a:c]
host[0:8:4]

[everything:children]
web
db

[everything:vars]
tier = it is = the rest of the line # with this
size = 4
listed = [1, 'two', (3, None)]
ansible_group_priority = 5
"""


def read(tmp_path: Path, text: str, name: str = "hosts") -> Inventory:
    path = tmp_path / name
    path.write_text(text)
    return load_inventory(path)


@pytest.fixture
def course(tmp_path: Path) -> Inventory:
    return read(tmp_path, COURSE)


def test_sections_ranges_and_children(course: Inventory) -> None:
    assert course.groups["ungrouped"].hosts == ("gateway",)
    assert course.groups["web"].hosts == (
        *("student01", "student02", "student03", "alias", "other"),
        *("2001:db8::1", "2001:db8::2"),
    )
    assert course.groups["db"].hosts == ("db-a", "db-b", "db-c", "host0", "host4", "host8")
    assert course.groups["everything"].hosts == (*course.groups["web"].hosts, *course.groups["db"].hosts)
    assert course.hosts["db-a"].groups == ("everything", "db")


def test_ports(course: Inventory) -> None:
    assert [course.hosts[name].port for name in ("other", "2001:db8::1", "2001:db8::2")] == [2222, 2200, 22]


def test_values(course: Inventory) -> None:
    alias = course.hosts["alias"].variables
    assert (alias["note"], alias["quoted"], alias["ansible_host"]) == ("two words", "a b", "203.0.113.9")
    assert alias["tier"] == "it is = the rest of the line # with this"
    assert (alias["size"], alias["listed"]) == (4, [1, "two", [3, None]])
    assert "ansible_group_priority" not in alias


def test_a_variable_knows_where_it_was_written(course: Inventory, tmp_path: Path) -> None:
    variables = course.hosts["student02"].variables
    assert str(variables.at("color")) == f"{tmp_path}/hosts:5:16"  # type: ignore[attr-defined]
    assert str(variables.at("size")) == f"{tmp_path}/hosts:21:8"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("0644", "0644"),
        ("yes", "yes"),
        ("True", True),
        ("'0644'", "0644"),
        ("{'a': {1}}", {"a": [1]}),
        ("b'bytes'", "bytes"),
        ("2j", "2j"),
        ("...", "..."),
        ("{{ other }}", "{{ other }}"),
        ("", ""),
        ('"{{ 1 }}"', "{{ 1 }}"),
    ],
)
def test_a_value_is_a_literal_or_text(tmp_path: Path, written: str, value: object) -> None:
    host = read(tmp_path, f"[g]\na\n[g:vars]\nx={written}\n").hosts["a"]
    assert host.variables["x"] == value
    assert type(host.variables["x"]) is type(value)


MISTAKES: dict[str, Mistake] = {
    "an undefined child": ("[g:children]\n  none # x\n", 2, 3, "no section defines: none"),
    "variables of an undefined group": ("a\n[g:vars]\nx=1\n", 2, 2, "no section defines"),
    "a kind of section": ("[g:childs]\n", 1, 4, r"not \[g:childs\]"),
    "a section with spaces": ("[a group]\n", 1, 1, "not a section"),
    "a word that is no variable": ("a x=1 b y=2\n", 1, 7, "'b' is not a host's variable"),
    "no variable": ("[all:vars]\n\n x\n", 3, 2, "not a variable"),
    "a variable's name": ("web1  my-var=1\n", 1, 7, "'my-var' cannot be a variable's name"),
    "a variable's name in vars": ("[all:vars]\nnot = 1\n", 2, 1, "'not' cannot be"),
    "an open quote": ("a x='1\n", 1, 3, "no closing quotation"),
    "a backward range": ("web[9:1]\n", 1, 1, r"\[9:1\] is not a range"),
    "unequal widths": ("web[01:100]\n", 1, 1, r"\[01:100\] is not a range"),
    "half a range": ("a\nweb[1:\n", 2, 1, "not a host's name"),
    "brackets without a range": ("web[3]\n", 1, 1, "not a range"),
    "a step of nothing": ("web[1:3:0]\n", 1, 1, "not a range"),
    "a range with a digit too many": ("a\nweb[1:99999999] x=1\n", 2, 1, "more than 100000 hosts"),
    "ranges of ranges": ("web[1:999]-[0:99]-[a:f]\n", 1, 1, "more than 100000 hosts"),
    "a number without an end": (f"web[1:{'9' * 5000}]\n", 1, 1, "not a range"),
    "a colon at the end": ("web1: x=1\n", 1, 7, "group web1 must be a mapping"),
    "a colon and no port": ("[g]\nweb1:\n", 2, 1, "'web1:' is not a host's name"),
    "a port too large": ("web1:70000\n", 1, 1, "not a port"),
    "no name": ("'' x=1\n", 1, 1, "not a host's name"),
    "a priority": ("[g]\n[g:vars]\nansible_group_priority = high\n", 3, 26, "must be a number"),
    "a template that Python reads": ("a x='{{ 1 }}'\n", 1, 3, "is not a value: unhashable"),
    "a loop": ("[a:children]\nb\n[b:children]\na\n", 4, 1, "b -> a -> b"),
    "a group in itself": ("[a:children]\na\n", 2, 1, "a -> a"),
    "a child that is no group's name": ("[a:children]\nb c\n", 2, 1, "not the name of a group"),
    "empty": ("# nothing\n\n", 0, 0, "empty"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_where_it_is(tmp_path: Path, name: str) -> None:
    is_shown(read, tmp_path, MISTAKES[name])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts", "---\nall: {hosts: {a: }}\n"),
        ("hosts", "# comment\n\nall:\n  hosts:\n    a:\n"),
        ("hosts.ini", "all: {hosts: {a: }}\n"),
        ("hosts.json", '{"all": {"hosts": {"a": null}}}'),
        ("hosts", '{"all": {"hosts": {"a": null}}}'),
        ("hosts.yaml", "all: {hosts: a}\n"),
        ("hosts", "a\n"),
        ("hosts.ini", "[web]\na\n"),
        ("hosts.ini", "a:22\n"),
        ("hosts.ini", "\ufeffa\n"),
    ],
)
def test_the_format_is_seen(tmp_path: Path, name: str, text: str) -> None:
    assert list(read(tmp_path, text, name).hosts) == ["a"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("hosts.toml", "", "TOML are not covered"),
        ("plugin.yml", "plugin: aws_ec2\n", "inventory plugins are not covered"),
        ("numbers.yml", "all: {hosts: {12: }}\n", "a host's name is text, not 12"),
    ],
)
def test_what_is_not_covered_says_so(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InventoryError, match=message):
        read(tmp_path, text, name)


def test_a_script_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("#!/bin/sh\ntouch ran\n")
    path.chmod(0o755)
    with pytest.raises(InventoryError, match="scripts are not covered"):
        load_inventory(path)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("h\xf6st".encode("latin-1"))
    for path, message in ((tmp_path / "latin", "not UTF-8"), (tmp_path / "none", "cannot read the file")):
        with pytest.raises(InventoryError, match=message):
            load_inventory(path)


def test_a_host_called_as_a_group_gives_it_its_variables(tmp_path: Path) -> None:
    """As in ansible-core, which warns of it."""
    made = read(tmp_path, "[web1]\nweb1 x=1\nb\n")
    assert made.hosts["b"].variables == {"x": 1}


def test_several_inventories_and_directories(tmp_path: Path) -> None:
    course = tmp_path / "course"
    for name, text in {
        "course/01.ini": "[web]\na x=1 y=1\n",
        "course/02.yml": "web: {hosts: {a: {x: 2}, b: }}",
        "course/more/hosts": "[db]\nc",
        "course/readme.md": "what this is",
        "course/old.yml~": "[",
        "course/.hidden": "[",
        "course/group_vars/web.yml": "{color: red}",
        "last": "[web:vars]\ncolor=blue\n[db:children]\nweb\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    made = load_inventory(course, tmp_path / "last")
    assert list(made.hosts) == ["c", "a", "b"]
    assert made.hosts["a"].variables == {"x": 2, "y": 1, "color": "red"}
    assert made.hosts["a"].groups == ("db", "web")
    assert (made.hosts["b"].file, made.hosts["c"].file) == (course / "02.yml", course / "more" / "hosts")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InventoryError, match="no inventory in this directory"):
        load_inventory(tmp_path / "empty")


@given(st.text(alphabet="ab[]:=#;'\"\\ \n\t{}(),1-.é\x00", max_size=60))
def test_any_text_is_an_inventory_or_an_error_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.ini"
    path.write_text(text)
    try:
        made = load_inventory(path)
    except InventoryError as err:
        place = err.place
    else:
        place = Place(path)
        assert set(made.groups["all"].hosts) == set(made.hosts)
    assert place is not None
    assert place.path == path
