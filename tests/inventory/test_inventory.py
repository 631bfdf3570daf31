"""Inventories: what Ansible would read, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from mistakes import Mistake, is_shown

from labctl.errors import InventoryError, RequestError, UnknownHost
from labctl.inventory import Inventory, load_inventory

COURSE = """\
all:
  vars: {tier: all, ansible_user: admin, port_base: 1}
  children:
    staff:
      hosts:
        staff2: {ansible_host: 192.0.2.1}
    students:
      vars: {tier: students}
      children:
        section_a:
          vars: {tier: a}
          hosts:
            student[01:03]:
              ansible_port: 2222
        section_b:
          hosts:
            student04: {tier: mine}
            student05:
"""


def read(tmp_path: Path, text: str) -> Inventory:
    path = tmp_path / "inventory.yml"
    path.write_text(text)
    return load_inventory(path)


@pytest.fixture
def course(tmp_path: Path) -> Inventory:
    return read(tmp_path, COURSE)


def names(inventory: Inventory, *patterns: str) -> list[str]:
    return [host.name for host in inventory.select(patterns)]


def test_groups_of_groups_and_ranges(course: Inventory) -> None:
    assert names(course, "students") == [f"student0{n}" for n in range(1, 6)]
    assert names(course, "all") == ["staff2", *names(course, "students")]
    assert course.hosts["student02"].groups == ("students", "section_a")


@pytest.mark.parametrize(
    ("host", "tier"),
    [("staff2", "all"), ("student01", "a"), ("student04", "mine"), ("student05", "students")],
)
def test_the_nearest_group_wins_and_the_host_most_of_all(course: Inventory, host: str, tier: str) -> None:
    assert course.hosts[host].variables["tier"] == tier


def test_connection_variables(course: Inventory) -> None:
    host = course.hosts["staff2"]
    assert (host.address, host.port, host.user) == ("192.0.2.1", 22, "admin")
    assert course.hosts["student03"].port == 2222
    assert course.hosts["student03"].address == "student03"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("all:!staff", "student01 student02 student03 student04 student05"),
        ("student*:!student04", "student01 student02 student03 student05"),
        ("students:&section_b", "student04 student05"),
        ("!students", "staff2"),
        ("section_*", "student01 student02 student03 student04 student05"),
        ("student0[!1-3]", "student04 student05"),
        ("student05,staff2", "staff2 student05"),
    ],
)
def test_patterns(course: Inventory, pattern: str, expected: str) -> None:
    assert " ".join(names(course, pattern)) == expected


def test_a_host_in_no_inventory(course: Inventory) -> None:
    (host,) = course.select(["kim@203.0.113.9:2200"])
    assert (host.name, host.user, host.port) == ("203.0.113.9:2200", "kim", 2200)
    assert (host.address, host.short_name) == ("203.0.113.9", "203.0.113.9")
    (host,) = course.select(["kim@203.0.113.9"])
    assert (host.name, host.port) == ("203.0.113.9", 22)
    (known,) = course.select(["root@192.0.2.1"])
    assert (known.name, known.user) == ("staff2", "root")


def test_two_vms_behind_one_address_are_two(course: Inventory) -> None:
    named = ["root@127.0.0.1:2201", "root@127.0.0.1:2202", "root@[::1]:2201", "ta@vm.example.org:2201"]
    hosts = course.select([*named, named[0]])
    assert [host.name for host in hosts] == [
        *("127.0.0.1:2201", "127.0.0.1:2202"),
        *("[::1]:2201", "vm.example.org:2201"),
    ]
    assert [host.address for host in hosts] == ["127.0.0.1", "127.0.0.1", "::1", "vm.example.org"]
    assert [host.short_name for host in hosts] == ["127.0.0.1", "127.0.0.1", "::1", "vm"]
    assert [host.login for host in hosts] == named


@pytest.mark.parametrize(
    "patterns",
    [["root@203.0.113.9", "kim@203.0.113.9"], ["root@h:22", "kim@h:22"], ["staff2", "other@192.0.2.1"]],
)
def test_two_hosts_of_one_name_are_not_one(course: Inventory, patterns: list[str]) -> None:
    with pytest.raises(RequestError, match=r"is named twice, as .*@.* and as (kim|other)@"):
        course.select(patterns)


@pytest.mark.parametrize("name", ["a,b", "!a", "&a", "a#b", "joe@web1", "web*", "~a", "a b"])
def test_what_one_host_is_called_means_that_host(tmp_path: Path, name: str) -> None:
    inventory = read(tmp_path, f'all: {{hosts: {{web1: , web2: , "{name}": }}}}')
    assert [host.name for host in inventory.select([name])] == [name]


def test_a_host_named_in_two_ways_is_one(course: Inventory) -> None:
    assert [host.name for host in course.select(["staff2", "admin@192.0.2.1:22"])] == ["staff2"]


def test_a_port_that_is_none_is_said(course: Inventory) -> None:
    with pytest.raises(UnknownHost, match="99999 is not a port"):
        course.select(["root@h:99999"])


def test_an_unknown_name_gets_the_nearest(course: Inventory) -> None:
    with pytest.raises(UnknownHost) as caught:
        course.select(["student1"])
    assert "did you mean student0" in caught.value.hint


MISTAKES: dict[str, Mistake] = {
    "no mapping": ("- a\n", 1, 1, "must be a mapping"),
    "empty": ("", 0, 0, "empty"),
    "hosts as a list": ("all:\n  hosts:\n    - a\n", 3, 5, "hosts: must be a mapping"),
    "a misspelt key": ("all:\n  host:\n    a:\n", 2, 3, "'host'"),
    "bad YAML": ("all:\n  hosts: {a: [}\n", 2, 15, "not valid YAML"),
    "a tab": ("all:\n\thosts:\n", 2, 1, "not valid YAML"),
    "a key twice": ("all:\n  hosts:\n    a: {x: 1, x: 2}\n", 3, 15, "stands twice"),
    "a backward range": ("all:\n  hosts:\n    web[9:1]:\n", 3, 5, "not a range"),
    "a range with a digit too many": (
        "all:\n  hosts:\n    h[1:99999999]:\n",
        3,
        5,
        "more than 100000 hosts",
    ),
    "a loop": ("a:\n  children:\n    b:\n      children:\n        a:\n", 3, 5, "a -> b -> a"),
    "a host that is text": ("all:\n  hosts:\n    a: text\n", 3, 8, "must be a mapping"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_where_it_is(tmp_path: Path, name: str) -> None:
    is_shown(read, tmp_path, MISTAKES[name])


def test_files_that_notepad_saved_are_read_and_their_columns_are_right(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("\ufefftier: 1\n")
    inventory = read(tmp_path, "\ufeffall: {hosts: {a: {x: 1}}}\n")
    assert inventory.hosts["a"].variables == {"tier": 1, "x": 1}
    with pytest.raises(InventoryError) as caught:
        read(tmp_path, "\ufeffall: []\n")
    assert str(caught.value.place).endswith(":1:6")


@pytest.mark.parametrize("port", ["twenty", "99999", "0", "-1", "22.9", "true", "[22]", '"{{ 22 * 22000 }}"'])
def test_a_bad_port_names_the_host(tmp_path: Path, port: str) -> None:
    host = read(tmp_path, f"all: {{hosts: {{web1: {{ansible_port: {port}}}}}}}").hosts["web1"]
    with pytest.raises(InventoryError, match="web1: ansible_port must be a number from 1 to 65535"):
        _ = host.port


TEMPLATED = """\
all:
  vars:
    domain: example.org
    lab_fqdn: "{{ inventory_hostname }}.{{ domain }}"
    ansible_host: "{{ lab_fqdn }}"
  hosts:
    web1: {lab_user: "{{ inventory_hostname | upper }}", loop_a: "{{ loop_b }}", loop_b: "{{ loop_a }}"}
    web2: {ansible_host: "{{ nowhere }}", ansible_user: "{{ 1 + }}"}
"""


def test_what_is_marked_unsafe_is_no_template(tmp_path: Path) -> None:
    inventory = read(tmp_path, "all: {hosts: {vm: {ansible_user: !unsafe '{{ x }}'}}}\n")
    assert inventory.hosts["vm"].user == "{{ x }}"


def test_templates_in_variables_are_rendered(tmp_path: Path) -> None:
    host = read(tmp_path, TEMPLATED).hosts["web1"]
    assert host.address == "web1.example.org"
    assert host.value("lab_user") == "WEB1"


@pytest.mark.parametrize(
    ("host", "name", "message"),
    [
        ("web1", "loop_a", "refers to itself"),
        ("web2", "ansible_host", "web2: ansible_host cannot be rendered: 'nowhere' is undefined"),
        ("web2", "ansible_user", "web2: ansible_user cannot be rendered"),
    ],
)
def test_a_template_that_cannot_be_rendered_names_host_and_variable(
    tmp_path: Path, host: str, name: str, message: str
) -> None:
    with pytest.raises(InventoryError, match=message):
        read(tmp_path, TEMPLATED).hosts[host].value(name)
