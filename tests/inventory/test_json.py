"""Inventories in JSON, as programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import Mistake, is_shown

from labctl.documents import parse_yaml
from labctl.errors import InventoryError
from labctl.inventory import Inventory, load_inventory
from labctl.placed import Map, Seq

HERE = Path("hosts.json")


def read(tmp_path: Path, text: str) -> Inventory:
    path = tmp_path / "hosts.json"
    path.write_text(text)
    return load_inventory(path)


def test_an_emoji_as_json_dumps_writes_it(tmp_path: Path) -> None:
    text = json.dumps({"all": {"hosts": {"vm": {"student_name": "Kim \U0001f600"}}}})
    assert "ud83d" in text
    assert read(tmp_path, text).hosts["vm"].variables["student_name"] == "Kim \U0001f600"


def test_every_value_knows_its_line_and_column() -> None:
    text = '{\n\t"\\ud83d\\ude00": 1, "b": [true,\r\n  {"c": 1e3}],\n "d" : {}}\n'
    document = parse_yaml(text, HERE)
    assert document == {"\U0001f600": 1, "b": [True, {"c": 1000.0}], "d": {}}
    assert isinstance(document, Map)
    assert isinstance(document["b"], Seq)
    places = [document.key_at("b"), document.at("b"), document["b"].at(1), document["b"][1].at("c")]
    assert [(one.line, one.column) for one in places] == [(2, 21), (2, 26), (3, 3), (3, 9)]
    assert places[3].text == '  {"c": 1e3}],'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.slow
@given(
    document=st.dictionaries(st.text(), VALUES) | st.lists(VALUES), indent=st.sampled_from([None, 2, "\t"])
)
def test_what_json_dumps_writes_is_read(document: Any, indent: Any) -> None:
    assert parse_yaml(json.dumps(document, indent=indent), HERE) == document


@given(text=st.text(alphabet='{}[]:,"\\ \n-0a1e.u'))
def test_what_is_no_json_is_left_to_yaml(text: str) -> None:
    """Nothing but the errors that the user is to see, whatever stands there."""
    try:
        document = parse_yaml("{" + text, HERE, InventoryError)
    except InventoryError:
        return
    assert isinstance(document, Map)


def test_yaml_in_flow_style_is_yaml() -> None:
    assert parse_yaml("{a: 010, 'b': No, c: [x, y]}", HERE) == {"a": 8, "b": False, "c": ["x", "y"]}
    assert parse_yaml("[a, 'b'] # no JSON", HERE) == ["a", "b"]


MISTAKES: dict[str, Mistake] = {
    "half a character": ('{"all": {"hosts":\n {"vm": {"x": "\\ud83d"}}}}\n', 2, 15, "half a character"),
    "a key twice": (
        '{"all": {"hosts": {"a": {"x": 1,\n"x": 2}}}}',
        2,
        1,
        "'x' stands twice .first in line 1",
    ),
    "hosts as a list": ('{"all": {"hosts": ["a"]}}', 1, 19, "hosts: must be a mapping"),
    "no end": ('{"all": {"hosts": {"a": 1}\n', 2, 1, "not valid YAML"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_where_it_is(tmp_path: Path, name: str) -> None:
    if name == "no end":
        with pytest.raises(InventoryError, match="not valid YAML"):
            read(tmp_path, MISTAKES[name][0])
    else:
        is_shown(read, tmp_path, MISTAKES[name])


def test_one_nested_too_deeply(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="nested too deeply"):
        read(tmp_path, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}")
