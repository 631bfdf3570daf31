"""copy: directories with all that may be in them, and files of the VM itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playing import messages, play, run_module, statuses

OLD = 1_600_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with links of every kind, and directories with nothing in them."""
    top = tmp_path / "files" / "top"
    for name in ("sub/deep", "empty", "elsewhere"):
        (top / name).mkdir(parents=True)
    (top / "elsewhere").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "e").write_text("e")
    (top / "a").write_text("a")
    (top / "sub" / "b").write_text("b")
    (top / "to-a").symlink_to("a")
    (top / "to-elsewhere").symlink_to("../../elsewhere")
    (top / "to-sub").symlink_to("sub")
    (top / "lost").symlink_to("nowhere")
    (top / "sub" / "up").symlink_to("..")
    (top / "sub" / "deep" / "round").symlink_to("../../sub")
    return top


def held(where: Path) -> dict[str, str]:
    """What is below ``where``: a file's text, ``/`` for a directory, where a link leads."""
    found = {}
    for path in sorted(where.rglob("*")):
        name = str(path.relative_to(where))
        found[name] = (
            f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        )
    return found


SUB = {"": "/", "/b": "b", "/deep": "/", "/deep/round": "-> ../../sub", "/up": "-> .."}


def test_links_are_followed_but_where_they_lead_nowhere_or_round(tmp_path: Path, source: Path) -> None:
    task = f"- copy: {{src: top/, dest: {tmp_path}/out}}"
    host = play(tmp_path, task)
    assert statuses(host) == ["changed"], messages(host)
    assert held(tmp_path / "out") == {
        "a": "a",
        "empty": "/",
        "lost": "-> nowhere",
        **{f"sub{name}": what for name, what in SUB.items()},
        "to-a": "a",
        "to-elsewhere": "/",
        "to-elsewhere/e": "e",
        **{f"to-sub{name}": what for name, what in SUB.items()},
    }
    assert statuses(play(tmp_path, task)) == ["ok"]
    assert statuses(play(tmp_path, task, check=True)) == ["ok"]
    (tmp_path / "out" / "lost").unlink()
    (tmp_path / "out" / "empty").rmdir()
    assert statuses(play(tmp_path, task, check=True)) == ["changed"]
    assert statuses(play(tmp_path, task)) == ["changed"]
    assert held(tmp_path / "out")["lost"] == "-> nowhere"
    assert (tmp_path / "out" / "empty").is_dir()


def test_every_directory_gets_directory_mode(tmp_path: Path, source: Path) -> None:
    for name in ("out/top/sub", "out/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name).chmod(0o777)
    task = f"- copy: {{src: top, dest: {tmp_path}/out, mode: '0640', directory_mode: '0750'}}"
    assert statuses(play(tmp_path, task)) == ["changed"]
    modes = {
        name: f"{(tmp_path / 'out' / name).stat().st_mode & 0o777:o}"
        for name in ("top/sub", "top/sub/deep", "top/empty", "other", "top/a")
    }
    assert modes == {
        "top/sub": "750",
        "top/sub/deep": "750",
        "top/empty": "750",
        "other": "777",
        "top/a": "640",
    }
    assert statuses(play(tmp_path, task)) == ["ok"]


@pytest.mark.parametrize("target", ["held", "nowhere"])
def test_a_link_makes_way_for_a_file_unless_it_is_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "held").write_text("x")
    (tmp_path / "held").chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    args = {"content": "x", "text": "x", "dest": str(link)}
    assert not run_module("copy", args | {"force": False})["changed"]
    assert link.is_symlink()
    assert run_module("copy", args)["changed"]
    assert (link.is_symlink(), link.read_text(), link.stat().st_mode & 0o777) == (False, "x", 0o644)
    assert not run_module("copy", args)["changed"]


def test_a_copy_on_the_vm_has_the_mode_and_the_time_of_what_it_is_a_copy_of(tmp_path: Path) -> None:
    one, other, new = (tmp_path / name for name in ("one", "other", "new"))
    one.write_text("x")
    other.write_text("y")
    one.chmod(0o751)
    other.chmod(0o604)
    os.utime(one, (OLD, OLD))
    for dest, mode in ((other, 0o751), (new, 0o644)):
        args = {"src": str(one), "remote_src": True, "dest": str(dest), "remote_path": str(one)}
        assert run_module("copy", args)["changed"]
        assert (dest.read_text(), dest.stat().st_mode & 0o777) == ("x", mode)
        assert dest.stat().st_mtime == OLD
        assert not run_module("copy", args)["changed"]
        assert run_module("copy", args | {"mode": "0600"})["changed"]
        assert dest.stat().st_mode & 0o777 == 0o600
