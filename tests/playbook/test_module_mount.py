"""mount: the lines of fstab, a swap's among them, which has no mount point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playing import run_module

SWAPS = "/swap1 none swap sw 0 0\n/dev/sdb /data ext4 defaults 0 2\n/swap2 none swap sw 0 0\n"


def mounted(table: Path, **args: Any) -> Any:
    return run_module("mount", {"fstab": str(table), **args})


@pytest.mark.parametrize(
    ("args", "changed", "expected"),
    [
        ({"src": "/swap2", "fstype": "swap", "opts": "sw", "state": "present"}, False, SWAPS),
        (
            {"src": "/swap2", "fstype": "swap", "opts": "sw,pri=5", "state": "present"},
            True,
            SWAPS.replace("/swap2 none swap sw ", "/swap2 none swap sw,pri=5 "),
        ),
        (
            {"src": "/swap3", "fstype": "swap", "opts": "sw", "state": "present"},
            True,
            SWAPS + "/swap3 none swap sw 0 0\n",
        ),
        ({"src": "/swap1", "state": "absent"}, True, SWAPS.partition("\n")[2]),
        ({"src": "/swap9", "fstype": "swap", "state": "absent_from_fstab"}, False, SWAPS),
        ({"state": "absent_from_fstab"}, True, "/dev/sdb /data ext4 defaults 0 2\n"),
    ],
)
def test_a_swap_is_known_by_its_source(
    tmp_path: Path, args: dict[str, Any], changed: bool, expected: str
) -> None:
    table = tmp_path / "fstab"
    table.write_text(SWAPS)
    result = mounted(table, path="none", **args)
    assert (result["changed"], table.read_text(), result["name"]) == (changed, expected, "none")
    assert mounted(table, path="none", **args)["changed"] is False


def test_a_swap_is_not_mounted_nor_its_directory_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "fstab"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    result = mounted(table, path="none", src="/swap1", fstype="swap", state="mounted")
    assert "is no mount point" in result["msg"]
    mounted(table, path="none", src="/swap1", state="absent")
    assert (tmp_path / "none").is_dir()


@pytest.mark.parametrize(
    ("line", "args", "changed", "expected"),
    [
        ("s:/x /x nfs rw", {"opts": "rw"}, True, "s:/x /x nfs rw 0 0"),
        ("s:/x /x nfs rw 0", {"opts": "rw"}, True, "s:/x /x nfs rw 0 0"),
        ("s:/x /x nfs rw 0 0 # why", {"opts": "rw"}, False, "s:/x /x nfs rw 0 0 # why"),
        ("", {"boot": False}, True, "s:/x /x nfs defaults,noauto 0 0"),
        ("", {"opts": "ro,noauto", "boot": False}, True, "s:/x /x nfs ro,noauto 0 0"),
        ("s:/x /x nfs ro,noauto 0 0", {"opts": "ro,noauto"}, False, "s:/x /x nfs ro,noauto 0 0"),
        # what Ansible makes of the same task
        (
            "s:/x /x nfs ro,noauto,noauto 0 0",
            {"opts": "ro,noauto", "boot": False},
            False,
            "s:/x /x nfs ro,noauto,noauto 0 0",
        ),
    ],
)
def test_a_line_is_written_whole_and_once(
    tmp_path: Path, line: str, args: dict[str, Any], changed: bool, expected: str
) -> None:
    table = tmp_path / "fstab"
    table.write_text(f"{line}\n" if line else "")
    args = {"path": "/x", "src": "s:/x", "fstype": "nfs", "state": "present", **args}
    assert mounted(table, **args)["changed"] is changed
    assert table.read_text() == f"{expected}\n"
    assert mounted(table, **args)["changed"] is False


def test_a_directory_goes_with_its_line_and_not_without(tmp_path: Path) -> None:
    """As with Ansible: what was mounted or made by hand is nobody's to take away."""
    table, place = tmp_path / "fstab", tmp_path / "place"
    place.mkdir()
    table.write_text("/dev/sdb /data ext4 defaults 0 2\n")
    assert mounted(table, path=str(place), state="absent")["changed"] is False
    assert place.is_dir()
    table.write_text(f"/dev/sdc {place} ext4 defaults 0 2\n")
    assert mounted(table, path=str(place), state="absent")["changed"] is True
    assert not place.exists()
