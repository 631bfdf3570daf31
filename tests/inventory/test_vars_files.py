"""group_vars and host_vars beside an inventory and beside a playbook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labctl.errors import InventoryError
from labctl.inventory import Inventory, VarsDirectory, load_inventory


def lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_the_order(tmp_path: Path) -> None:
    """Name number n is set in the place number n and in every weaker one: the strongest is seen."""
    places = [
        *("inv/group_vars/all", "play/group_vars/all.yml", "inv/group_vars/web.yaml"),
        *("play/group_vars/web.json", "<host line>", "inv/host_vars/one", "play/host_vars/one/main.yml"),
    ]
    files = {
        place: "{" + ", ".join(f'"v{m}": "{place}"' for m in range(n, len(places))) + "}"
        for n, place in enumerate(places)
        if place != "<host line>"
    }
    strength = places.index("<host line>")
    line = " ".join(f"v{m}='<host line>'" for m in range(strength, len(places)))
    files["inv/hosts"] = f"[web]\none {line}\n[web:vars]\nv0=a group in the file\n"
    lay_out(tmp_path, files)
    host = load_inventory(tmp_path / "inv" / "hosts").hosts["one"].beside(VarsDirectory(tmp_path / "play"))
    assert host.variables == {f"v{n}": place for n, place in enumerate(places)}


def read(tmp_path: Path, files: dict[str, str]) -> Inventory:
    lay_out(tmp_path, {"hosts": "[web]\none\n", **files})
    return load_inventory(tmp_path / "hosts")


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({"web": "{x: 1}", "web.yml": "{x: 2}"}, {"x": 1}),
        ({"web/a.yml": "{x: 1, y: 1}", "web/b": "{x: 2}", "web.yml": "{x: 3}"}, {"x": 2, "y": 1}),
        ({"web.yml": "{x: 1}", "web.yaml": "{x: 2}", "web.json": "{x: 3}"}, {"x": 1}),
        (
            {
                "web/.a.yml": "{x: 1}",
                "web/a.yml~": "{x: 1}",
                "web/a.txt": "{x: 1}",
                "web/d.d/a.yml": "{x: 1}",
            },
            {},
        ),
        ({"web/z/deep/a.yml": "{x: 1}", "web/a.json": '{"x": 2}'}, {"x": 1}),
        ({"web.yml": "# nothing\n", "all": "---\n"}, {}),
        ({"nosuch.yml": "{x: 1}", "ungrouped.yml": "{x: 1}"}, {}),
        ({"web.txt": "{x: 1}"}, {}),
    ],
)
def test_which_files_are_read(tmp_path: Path, files: dict[str, str], variables: dict[str, Any]) -> None:
    made = read(tmp_path, {f"group_vars/{name}": text for name, text in files.items()})
    assert made.hosts["one"].variables == variables


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nmy-var: 2\n", 2, 1, "'my-var' cannot be a variable's name"),
        ("1: 2\n", 1, 1, "1 cannot be"),
        ("- a\n", 1, 1, "a file of variables is a mapping"),
        ("text\n", 1, 1, "a file of variables is a mapping"),
        ("a: [\n", 2, 1, "not valid YAML"),
    ],
)
def test_a_mistake_is_shown_where_it_is(
    tmp_path: Path, text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(InventoryError, match=message) as caught:
        read(tmp_path, {"host_vars/one.yml": text})
    place = caught.value.place
    assert place is not None
    assert (place.path, place.line, place.column) == (tmp_path / "host_vars" / "one.yml", line, column)


def test_a_host_of_no_inventory_has_what_lies_beside_the_playbook(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        {
            "play/group_vars/all.yml": "{x: 1, ansible_user: nobody, ansible_port: 2200}",
            "host_vars/one.yml": "{ansible_host: 192.0.2.7, ansible_user: staff}",
        },
    )
    beside = VarsDirectory(tmp_path / "play")
    (direct,) = made.select(["kim@203.0.113.9"])
    seen = direct.beside(beside)
    assert (seen.variables["x"], seen.user, seen.port) == (1, "kim", 2200)
    (known,) = made.select(["kim@192.0.2.7"])
    seen = known.beside(beside)
    assert (seen.name, seen.user, seen.variables["x"]) == ("one", "kim", 1)
