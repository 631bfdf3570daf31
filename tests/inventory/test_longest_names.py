"""Names that no result could be kept by are refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import CourseError, InventoryError
from labctl.grading.lab import LONGEST_LAB, Lab
from labctl.grading.rubric import LONGEST_TITLE, load_rubric
from labctl.inventory import Inventory, load_inventory
from labctl.inventory.names import LONGEST_NAME
from labctl.store.schema import attempts, leases, runs

RUBRIC = "title: {title}\nsections: {{box: The box}}\nquestions: [{{id: '1', section: box}}]\nchecks: {{}}\n"


def test_the_limits_are_the_databases() -> None:
    kept = (runs.c.title, runs.c.lab, leases.c.lab, attempts.c.host)
    limits = [getattr(column.type, "length", None) for column in kept]
    assert limits == [LONGEST_TITLE, LONGEST_LAB, LONGEST_LAB, LONGEST_NAME]


@pytest.mark.parametrize("name", ["root@h\udcff", "ro\udcffot@h", "root@h\0", "root@" + "h" * 256])
def test_on_the_command_line(name: str) -> None:
    with pytest.raises(InventoryError, match=r"name") as caught:
        Inventory({}, {}).select([name])
    assert str(caught.value).encode()


@pytest.mark.parametrize("name", ["h" * 256, r"h\0", r"h\ud800"])
def test_in_an_inventory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(f'all:\n  hosts:\n    "{name}":\n')
    with pytest.raises(InventoryError):
        load_inventory(path)


def test_a_lab_and_its_title(tmp_path: Path) -> None:
    path = tmp_path / "rubric.yml"
    path.write_text(RUBRIC.format(title="t" * LONGEST_TITLE))
    rubric = load_rubric(path)
    with pytest.raises(CourseError, match="at most 60 letters"):
        Lab.of("l" * 61, rubric, ())
    path.write_text(RUBRIC.format(title="t" * 201))
    with pytest.raises(CourseError, match="at most 200 letters"):
        load_rubric(path)
