"""The kernel's mount table, whatever names are in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.agent.remote import mount_table

TABLE = b"""\
22 1 254:0 / / rw,noatime shared:1 - ext4 /dev/vda rw,discard
40 22 0:35 / /mnt rw,relatime - nfs4 server:/a rw,vers=4.2
broken line
41 22 0:36 / /with\\040blank\\012and\\134more ro - tmpfs tmpfs rw
"""


def read(tmp_path: Path, table: bytes) -> list[mount_table.Row]:
    (tmp_path / "mountinfo").write_bytes(table)
    return mount_table.rows(str(tmp_path / "mountinfo"))


def test_what_is_mounted_where_and_how(tmp_path: Path) -> None:
    root, share, odd = read(tmp_path, TABLE)
    assert root == ("/", "/dev/vda", "ext4", ["rw", "noatime"], ["rw", "discard"])
    assert (share.target, share.source, share.fstype) == ("/mnt", "server:/a", "nfs4")
    assert odd.target == "/with blank\nand\\more"


@pytest.mark.parametrize("odd", ["\r", "\v", "\f", "\x1c", "\x85", "\xa0", "\u2028", "\udce4"], ids=ascii)
def test_a_mount_with_an_odd_name_is_one(tmp_path: Path, odd: str) -> None:
    """What Python takes for the end of a line or a word, and the kernel does not; bytes that are no UTF-8."""
    name = f"/mnt/a{odd}b"
    table = TABLE.replace(b" /mnt ", b" " + name.encode("utf-8", "surrogateescape") + b" ")
    assert [row.target for row in read(tmp_path, table)] == ["/", name, "/with blank\nand\\more"]


def test_this_machines_own_root_is_in_it() -> None:
    assert "/" in {row.target for row in mount_table.rows()}
