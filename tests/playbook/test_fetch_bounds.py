"""fetch from a VM that lies: what was here stays, and what is kept has a bound."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.deadline import Deadline
from labctl.inventory import Host
from labctl.playbook.actions import fetch, link


class Liar:
    """A session whose VM gives these answers, one after the other."""

    host = Host("vm")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: Iterator[dict[str, Any]]) -> None:
        monkeypatch.setattr(link, "ask", lambda session, op, how: next(answers))


def fetched(tmp_path: Path, session: Liar) -> dict[str, Any]:
    args = {
        "src": "/etc/motd", "dest": str(tmp_path / "kept"), "_dest": str(tmp_path / "kept"), "flat": True,
        "fail_on_missing": True, "validate_checksum": True,
    }  # fmt: skip
    how = link.How(None, False, Deadline.after(5))
    return fetch.run(args, session, how)  # type: ignore[arg-type]


def part(data: bytes, checksum: str, more: bool = False) -> dict[str, Any]:
    return {"content": base64.b64encode(data).decode(), "checksum": checksum, "more": more}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_text("before")
    return path


def test_a_wrong_checksum_keeps_what_was_here(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = fetched(tmp_path, Liar(monkeypatch, iter([part(b"new", "0" * 40)])))
    assert result["failed"] is True
    assert "checksum mismatch" in result["msg"]
    assert kept.read_text() == "before"
    assert list(tmp_path.iterdir()) == [kept]
    right = hashlib.sha1(b"new", usedforsecurity=False).hexdigest()
    assert fetched(tmp_path, Liar(monkeypatch, iter([part(b"new", right)])))["changed"] is True
    assert kept.read_text() == "new"


def test_a_file_without_end_stops_at_the_bound(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 3 << 20)

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            yield part(b"x" * (1 << 20), "0" * 40, more=True)

    result = fetched(tmp_path, Liar(monkeypatch, endless()))
    assert result["failed"] is True
    assert result["msg"] == "/etc/motd has more than 3 MiB: too large to fetch"
    assert kept.read_text() == "before"
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([{"content": "%%%", "checksum": "0" * 40}], "the VM sent something that is not base64"),
        ([part(b"a", "0" * 40, more=True), {"failed": True, "msg": "gone"}], "is not any more: gone"),
        ([{}], "checksum mismatch"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], message: str
) -> None:
    result = fetched(tmp_path, Liar(monkeypatch, iter(answers)))
    assert result["failed"] is True
    assert message in result["msg"]
    assert kept.read_text() == "before"
