"""file: links, what is at their other end, and times."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playing import run_module

OLD = 1_600_000_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "lost").symlink_to("nowhere")
    for name in ("file", "directory"):
        (tmp_path / name).chmod(0o755)
        os.utime(tmp_path / name, (OLD, OLD))
    return tmp_path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "args",
    [
        {"path": "link"},
        {"path": "link", "state": "link"},
        {"path": "link", "state": "link", "src": "file"},
        {"path": "link", "state": "file"},
        {"path": "new", "state": "link", "src": "file"},
    ],
)
def test_a_links_mode_is_that_of_its_target(place: Path, args: dict[str, Any]) -> None:
    args = {**args, "path": str(place / args["path"]), "mode": "0600"}
    assert run_module("file", args, check=True)["changed"]
    assert mode(place / "file") == 0o755
    assert run_module("file", args)["changed"]
    assert mode(place / "file") == 0o600
    assert not run_module("file", args)["changed"]
    assert Path(args["path"]).is_symlink()


@pytest.mark.parametrize("args", [{"follow": False}, {"src": "nowhere", "force": True, "state": "link"}])
def test_a_link_that_is_not_followed_gives_its_target_nothing(place: Path, args: dict[str, Any]) -> None:
    name = "lost" if "src" in args else "link"
    assert not run_module("file", {"path": str(place / name), "mode": "0600", **args})["changed"]
    assert mode(place / "file") == 0o755


def test_what_a_link_led_to_is_in_the_diff(place: Path) -> None:
    args = {"path": str(place / "link"), "state": "link", "src": "directory"}
    result = run_module("file", args, diff=True)
    assert result["diff"]["before"]["src"] == "file"
    assert result["diff"]["after"]["src"] == "directory"


def test_a_directory_is_made_where_a_link_leads_to_nothing(place: Path) -> None:
    args = {"path": str(place / "lost"), "state": "directory", "mode": "0700"}
    assert run_module("file", args)["changed"]
    assert (place / "lost").is_symlink()
    assert mode(place / "nowhere") == 0o700
    assert not run_module("file", args)["changed"]


@pytest.mark.parametrize("state", ["file", "directory", "link", "hard", "touch"])
@pytest.mark.parametrize("word", ["modification_time", "access_time"])
def test_times_are_set_when_the_task_names_them(place: Path, state: str, word: str) -> None:
    os.link(place / "file", place / "hard")
    name = state if state != "touch" else "file"
    other = {"modification_time": "access_time", "access_time": "modification_time"}[word]
    args = {"path": str(place / name), "state": state, word: "now", other: "preserve"}
    assert run_module("file", args, check=True)["changed"]
    assert (place / name).stat().st_mtime == OLD
    assert run_module("file", args)["changed"]
    found = (place / name).stat()
    set_, kept = (found.st_mtime, found.st_atime)[:: 1 if word == "modification_time" else -1]
    assert set_ > OLD
    assert kept == OLD
    assert not run_module("file", args | {word: "preserve"})["changed"]


@pytest.mark.parametrize("state", ["absent", "file", "directory", "touch", None])
def test_src_belongs_to_links_alone(place: Path, state: str | None) -> None:
    args = {"path": str(place / "file"), "src": str(place / "other")} | ({"state": state} if state else {})
    result = run_module("file", args)
    assert result["failed"]
    assert "src is for state: link or hard" in result["msg"]
    assert (place / "file").read_text() == "x"


@pytest.mark.parametrize("state", ["absent", "file", "touch", "link", None])
def test_recurse_belongs_to_directories_alone(place: Path, state: str | None) -> None:
    args = {"path": str(place / "file"), "recurse": True} | ({"state": state} if state else {})
    assert "recurse is for state: directory" in run_module("file", args)["msg"]
    assert (place / "file").read_text() == "x"


def test_hard_links(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = place / "file", place / "other"
    args = {"path": str(other), "src": "file", "state": "hard"}
    monkeypatch.chdir(place / "directory")
    assert "there is no file" in run_module("file", args)["msg"]
    monkeypatch.chdir(place)
    assert run_module("file", args)["changed"]
    assert other.samefile(file)
    assert not run_module("file", args)["changed"]
    # each name of a file is one that is there already
    itself = {"path": str(file), "src": str(file), "state": "hard", "force": True}
    assert not run_module("file", itself)["changed"]
    assert sorted(os.listdir(place)) == ["directory", "file", "link", "lost", "other"]
    # a link to the file is replaced, without a leftover
    assert run_module("file", itself | {"path": str(place / "link")})["changed"]
    assert not (place / "link").is_symlink()
    assert sorted(os.listdir(place)) == ["directory", "file", "link", "lost", "other"]


def test_a_hard_link_into_a_directory_and_never_in_place_of_one(place: Path) -> None:
    args = {"path": str(place / "directory"), "src": str(place / "file"), "state": "hard", "force": True}
    assert run_module("file", args)["dest"] == str(place / "directory" / "file")
    assert (place / "directory" / "file").samefile(place / "file")
    (place / "directory" / "file").unlink()
    (place / "directory" / "file").mkdir()
    assert "it is not replaced by a hard link" in run_module("file", args)["msg"]
