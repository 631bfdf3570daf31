"""Made-up inventories, read by ansible-core's own classes and by labctl: the same hosts, groups, variables.

Nothing is run: this is quick and needs no machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from core import load_plugins
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from labctl.errors import UnknownHost
from labctl.inventory import Inventory, VarsDirectory, load_inventory

pytestmark = pytest.mark.slow

GROUPS = ["web", "db", "north", "south", "lab_a"]
HOSTS = ["192.0.2.1", "one", "two.example.org", "h[1:3]", "n[01:10:4]", "x[a:c]y", "h2", "n05", "2001:db8::7"]
NAMES = ["color", "size", "tier", "ansible_user"]
#: Variables that ansible-core makes itself and labctl keeps elsewhere.
MAGIC = {"inventory_hostname", "inventory_hostname_short", "group_names", "inventory_file", "inventory_dir"}


@pytest.fixture(autouse=True, scope="module")
def ansible_is_set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """ansible-core reads its configuration when it is imported; deprecations of its own are not ours."""
    before = dict(os.environ)
    home = tmp_path_factory.mktemp("ansible")
    (home / "empty.cfg").touch()
    os.environ.update(
        ANSIBLE_HOME=str(home),
        ANSIBLE_DEPRECATION_WARNINGS="0",
        ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="1",
        ANSIBLE_CONFIG=str(home / "empty.cfg"),
    )
    yield
    os.environ.clear()
    os.environ.update(before)


def ansible_inventory(sources: list[Path], basedir: Path) -> tuple[Any, Any]:
    """ansible-core's InventoryManager and VariableManager, with nothing left of an earlier one."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import vars_loader
    from ansible.plugins.vars import host_group_vars
    from ansible.vars.manager import VariableManager

    if vars_loader._paths is None:
        load_plugins()
    for cache in (host_group_vars.FOUND, host_group_vars.NAK, host_group_vars.CANONICAL_PATHS):
        cache.clear()
    loader = DataLoader()
    loader.set_basedir(str(basedir))
    inventory = InventoryManager(loader=loader, sources=[str(source) for source in sources])
    return inventory, VariableManager(loader=loader, inventory=inventory)


def by_ansible(sources: list[Path], playbooks: Path) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Each host's variables, and each group's hosts, as a play in ``playbooks`` sees them."""
    inventory, manager = ansible_inventory(sources, playbooks)
    hosts = {}
    for host in inventory.hosts.values():
        found = manager.get_vars(host=host, include_hostvars=False)
        names = found.keys() & {*NAMES, *MAGIC, "ansible_port"}
        hosts[host.name] = json.loads(json.dumps({name: found[name] for name in names}))
    return hosts, {name: [h.name for h in group.get_hosts()] for name, group in inventory.groups.items()}


def by_labctl(sources: list[Path], playbooks: Path) -> tuple[dict[str, Any], Inventory]:
    inventory = load_inventory(*sources)
    beside = VarsDirectory(playbooks)
    hosts = {}
    for host in inventory.hosts.values():
        seen = host.beside(beside)
        assert seen.file is not None
        hosts[host.name] = {
            **seen.variables,
            "inventory_hostname": host.name,
            "inventory_hostname_short": host.short_name,
            "group_names": sorted(seen.groups),
            "inventory_file": str(seen.file),
            "inventory_dir": str(seen.file.parent),
        }
    return hosts, inventory


def assert_the_same(sources: list[Path], playbooks: Path) -> None:
    theirs, their_groups = by_ansible(sources, playbooks)
    ours, inventory = by_labctl(sources, playbooks)
    assert ours == theirs
    assert {name: set(group.hosts) for name, group in inventory.groups.items()} == {
        name: set(hosts) for name, hosts in their_groups.items()
    }
    for name, group in inventory.groups.items():
        # Below grandchildren ansible-core walks a set: its order there is nobody's.
        if not any(inventory.groups[child].children for child in group.children):
            assert list(group.hosts) == their_groups[name]


values = st.one_of(
    st.integers(-3, 99),
    st.booleans(),
    st.sampled_from(["plain", "two words", "yes", "0644", "a#b", "x=y", "1.5", "None", "[1, 2]", "{'a': 1}"]),
    st.lists(st.integers(0, 3), max_size=2),
)
variables = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)


@dataclass
class Made:
    """One group: its hosts with their variables, its children, its variables and priority."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    priority: int | None = None


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Made]:
    """Groups without loops: a child stands later in GROUPS than its parent."""
    found = {}
    names = draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=5))
    for name in names:
        hosts = draw(st.lists(st.sampled_from(HOSTS), unique=True, max_size=3))
        below = [other for other in names if GROUPS.index(other) > GROUPS.index(name)]
        found[name] = Made(
            {host: draw(variables) for host in hosts},
            draw(st.lists(st.sampled_from(below), unique=True)) if below else [],
            draw(variables),
            draw(st.none() | st.integers(0, 20)),
        )
    found["all"] = Made({host: draw(variables) for host in draw(st.sets(st.sampled_from(HOSTS), max_size=2))})
    found["all"].variables = draw(variables)
    return found


def as_yaml(made: dict[str, Made]) -> str:
    document = {}
    for name, group in made.items():
        body: dict[str, Any] = {
            "hosts": {host: values or None for host, values in group.hosts.items()},
            "children": dict.fromkeys(group.children),
            "vars": {**group.variables},
        }
        if group.priority is not None:
            body["vars"]["ansible_group_priority"] = group.priority
        document[name] = {key: value for key, value in body.items() if value} or None
    return yaml.safe_dump(document, sort_keys=False)


def as_ini(made: dict[str, Made]) -> str:
    """The order of sections is drawn with the groups; a value is written as its author would."""
    lines = ["; made up"]
    for name, group in made.items():
        if name == "all":
            lines[1:1] = [_host_line(host, values) for host, values in group.hosts.items()]
        else:
            lines += [f"[{name}]  # hosts", *(_host_line(h, v) for h, v in group.hosts.items()), ""]
        if group.children:
            lines += [f"[{name}:children]", *group.children]
        settings = dict(group.variables)
        if group.priority is not None:
            settings["ansible_group_priority"] = group.priority
        if settings:
            lines += [f"[{name}:vars]", *(f"{key} = {value}" for key, value in settings.items())]
    return "\n".join(lines if len(lines) > 1 else ["lonely"]) + "\n"


def _host_line(host: str, values: dict[str, Any]) -> str:
    words = []
    for name, value in values.items():
        text = str(value).replace("'", '"') if isinstance(value, str) else str(value)
        words.append(f"{name}='{text}'")
    return f"{host} {' '.join(words)}  # a comment"


vars_paths = st.sampled_from(
    [
        *(
            f"group_vars/{name}{end}"
            for name in ("all", "ungrouped", *GROUPS[:3])
            for end in ("", ".yml", ".json")
        ),
        *(f"group_vars/{name}/{file}" for name in ("all", "web") for file in ("b", "a.yml", "sub/c.yaml")),
        *(f"group_vars/web/{file}" for file in (".hidden", "old~", "note.txt", "d.yml/inner.yml")),
        *(
            f"host_vars/{name}{end}"
            for name in ("one", "h1", "h2", "n05")
            for end in ("", ".yaml", "/x.json")
        ),
        "host_vars/two.example.org.yml",
        "host_vars/two.example.org",
    ]
)
beside = st.dictionaries(vars_paths, variables, max_size=6)


def lay_out(directory: Path, files: dict[str, dict[str, Any]]) -> None:
    for name, content in files.items():
        path = directory / name
        if any(parent.is_file() for parent in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content) if content else "")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    sources=st.lists(
        st.tuples(groups(), st.sampled_from(["yml", "json", "ini", "", "yaml in a file without ending"])),
        min_size=1,
        max_size=2,
    ),
    as_directory=st.booleans(),
    near_inventory=beside,
    near_playbook=beside,
)
def test_a_made_up_inventory_reads_the_same(
    sources: list[tuple[dict[str, Made], str]],
    as_directory: bool,
    near_inventory: dict[str, dict[str, Any]],
    near_playbook: dict[str, dict[str, Any]],
) -> None:
    with TemporaryDirectory() as scratch:
        root = Path(scratch).resolve()
        playbooks, inventories = root / "playbooks", root / "inventories"
        playbooks.mkdir()
        inventories.mkdir()
        paths = []
        for index, (made, kind) in enumerate(sources):
            path = inventories / (f"{index}.{kind}" if kind in ("yml", "json", "ini") else str(index))
            path.write_text(as_yaml(made) if kind and kind != "ini" else as_ini(made))
            paths.append(path)
            event(kind or "INI in a file without ending")
        lay_out(inventories, near_inventory)
        lay_out(playbooks, near_playbook)
        assert_the_same([inventories] if as_directory else paths, playbooks)


PATTERNS = """\
lonely
[web]
web[1:4]
db1
[db]
db[1:2]
db1.example.org
[empty]
[both:children]
web
empty
db
"""
terms = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "!", "&"]),
        st.sampled_from(
            [
                *(
                    "all",
                    "*",
                    "web",
                    "db",
                    "both",
                    "empty",
                    "ungrouped",
                    "web1",
                    "db1",
                    "web*",
                    "d*",
                    "*[12]",
                ),
                *("[wd]*", "web[!1]", "none", "~web[13]", "~.*1", "~d|w", "db1.example.org", "???1"),
            ]
        ),
        st.sampled_from(
            ["", "", "", "[0]", "[1]", "[-1]", "[0:1]", "[1:]", "[2:9]", "[0:0]", "[3]", "[1-2]"]
        ),
    ),
)


@pytest.fixture(scope="module")
def both_read(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Inventory]:
    path = tmp_path_factory.mktemp("patterns") / "hosts"
    path.write_text(PATTERNS)
    return ansible_inventory([path], path.parent)[0], load_inventory(path)


@settings(max_examples=500)
@given(parts=st.lists(terms, min_size=1, max_size=3), joint=st.sampled_from([":", ",", ", "]))
def test_a_pattern_names_the_same_hosts(
    both_read: tuple[Any, Inventory], parts: list[str], joint: str
) -> None:
    from ansible.errors import AnsibleError

    pattern = joint.join(parts)
    try:
        theirs: Any = {host.name for host in both_read[0].get_hosts(pattern)}
    except AnsibleError as err:
        theirs = "an error" if "No hosts matched the subscripted pattern" in str(err) else err
    try:
        ours: Any = both_read[1].named_by(pattern)
    except UnknownHost:
        ours = "an error"
    assert ours == theirs
