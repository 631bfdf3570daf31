"""Rosters: a class list from a spreadsheet as hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mistakes import Mistake, is_shown

from labctl.errors import InventoryError
from labctl.inventory import Inventory, RosterSettings, load_inventory

SETTINGS = RosterSettings("{user}.example.org", variables={"tier": "roster", "size": 3})
ROSTER = (
    b"\xef\xbb\xbfName,E-mail 2,SID,Email,user\r\n"
    b'"Doe, Kim ""K""",,0012,kim@example.org,kim\r\n'
    b"\r\n,,,,\r\n"
    b" Lee Ng ,,13,lee@example.org, lee \r\n"
)


def read(tmp_path: Path, roster: bytes | str, inventory: str = "", settings: Any = SETTINGS) -> Inventory:
    path = tmp_path / "roster.csv"
    path.write_bytes(roster if isinstance(roster, bytes) else roster.encode())
    paths = [path]
    if inventory:
        paths.append(tmp_path / "hosts")
        paths[1].write_text(inventory)
    return load_inventory(*paths, roster=settings)


def test_a_spreadsheets_export(tmp_path: Path) -> None:
    made = read(tmp_path, ROSTER)
    assert made.groups["students"].hosts == ("kim.example.org", "lee.example.org")
    assert made.hosts["kim.example.org"].variables == {
        "tier": "roster",
        "size": 3,
        "student_name": 'Doe, Kim "K"',
        "student_email": "kim@example.org",
        "student_sid": "0012",
        "student_user": "kim",
    }
    assert made.hosts["lee.example.org"].variables["student_name"] == "Lee Ng"


def test_what_nobody_sees_in_a_cell_stops_nobody(tmp_path: Path) -> None:
    persian = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    made = read(tmp_path, f"{HEAD}Kim\u00a0Doe\u200b,kim@example.org\u00a0,1,kim\n{persian},a,2,ali\n")
    kim, ali = (made.hosts[f"{user}.example.org"].variables for user in ("kim", "ali"))
    assert (kim["student_name"], kim["student_email"]) == ("Kim Doe", "kim@example.org")
    assert ali["student_name"] == persian


def test_the_inventorys_own_variables_win(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        ROSTER,
        "[late]\nkim.example.org student_name=Kimberly ansible_host=192.0.2.9\n"
        "[students]\nother\n[students:vars]\ntier=inventory\n",
    )
    kim = made.hosts["kim.example.org"]
    assert (kim.variables["student_name"], kim.variables["student_sid"]) == ("Kimberly", "0012")
    assert (kim.variables["tier"], kim.variables["size"], kim.address) == ("inventory", 3, "192.0.2.9")
    assert kim.groups == ("late", "students")
    assert set(made.groups["students"].hosts) == {"other", "kim.example.org", "lee.example.org"}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_separators_of_other_languages(tmp_path: Path, separator: str) -> None:
    roster = "name,email,sid,user\nKim,k@x,1,kim\n".replace(",", separator)
    assert list(read(tmp_path, roster).hosts) == ["kim.example.org"]


HEAD = "name,email,sid,user\n"
MISTAKES: dict[str, Mistake] = {
    "a missing column": ("name,email,login,sid\n", 1, 1, "column user is missing"),
    "a column twice": ("name,email,sid,user,User\n", 1, 1, "column user stands twice"),
    "a user twice": (
        HEAD + 'A,a,1,kim\n\n"Kim, B",Kim,2,Kim\n',
        4,
        16,
        "user Kim stands twice .first in line 2",
    ),
    "an email twice": (
        HEAD + "A,kim@x,1,kim\nB,,2,lee\nC,Kim@X,3,ann\n",
        4,
        3,
        "email Kim@X stands twice .first in line 2",
    ),
    "a SID twice": (HEAD + "A,a,0012,kim\nB,b,0012,lee\n", 3, 5, "sid 0012 stands twice .first in line 2"),
    "no user": (HEAD + "A,a,1,\n", 2, 7, "has no user"),
    "a user that is no host": (HEAD + "A,a,1,k m\n", 2, 7, "which is no host's name"),
    "a comma too many": (HEAD + "Doe, Kim,a,1,kim\n", 2, 1, "5 cells in a row under 4 columns"),
    "a quote": (HEAD + '"Kim "K" Doe",a,1,kim\n', 2, 1, "not valid CSV"),
    "an open quote": (HEAD + 'A,a,1,ka\n"Kim,a,1,kim\nB,b,2,kb\n', 3, 1, "not valid CSV"),
    "a template": (HEAD + "{{ lookup('pipe') }},a,1,kim\n", 2, 1, "the name cannot be"),
    "two lines in a cell": (HEAD + 'A,a,1,ka\n"Kim\nDoe",a,1,kim\n', 3, 1, "the name cannot be"),
    "empty": ("\n\n", 0, 0, "the roster is empty"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_where_it_is(tmp_path: Path, name: str) -> None:
    is_shown(read, tmp_path, MISTAKES[name])


def test_students_without_an_email_or_a_sid_may_be_several(tmp_path: Path) -> None:
    assert len(read(tmp_path, HEAD + "A,,,kim\nB,,,lee\nC,,,ann\n").hosts) == 3


@pytest.mark.parametrize("name", ["all", "ungrouped", "students", "staff", "ta"])
def test_a_student_never_stands_in_the_place_of_a_group(tmp_path: Path, name: str) -> None:
    """Also of one that only playbooks name: ``hosts: staff`` would run on the student's VM."""
    with pytest.raises(InventoryError, match=f"the host '{name}', which is the name of a group") as caught:
        read(tmp_path, f"{HEAD}A,a,1,kim\nB,b,2,{name}\n", "[ta]\nta1\n", RosterSettings("{user}"))
    assert caught.value.place
    assert (caught.value.place.line, caught.value.place.column) == (3, 7)


def test_two_rows_that_make_one_host(tmp_path: Path) -> None:
    roster = HEAD + "A,a,7,kim\nB,b,7,lee\n"
    with pytest.raises(InventoryError, match=r"host vm7 stands twice \(first in line 2\)"):
        read(tmp_path, roster, settings=RosterSettings("vm{sid}"))


@pytest.mark.parametrize("host", ["vm", "{login}", "{}", "{user", "{user!r}", "{user:>9}"])
def test_a_pattern_that_names_no_column(host: str) -> None:
    with pytest.raises(InventoryError, match=r"roster\.host"):
        RosterSettings(host)


def test_a_roster_without_settings(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="what its hosts are called"):
        read(tmp_path, ROSTER, settings=None)


def test_a_spreadsheet_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="not UTF-8") as caught:
        read(tmp_path, ROSTER.decode("utf-8-sig").encode("utf-16"))
    assert "CSV UTF-8" in caught.value.hint
