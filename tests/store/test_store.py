"""The results database: what goes in comes out, also after a kill, and is not mixed up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from graded import document
from sqlalchemy import create_engine, text
from world import LAB, World

from labctl.cli import main
from labctl.grading import lab_document
from labctl.store import Store, StoreError, open_store
from labctl.store.packing import packed

ABOUT = lab_document(LAB)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = open_store(url, create=True)
    made.begin("20261121T080000-aaaaaa", ABOUT, "2026-11-21T08:00:00Z", ["student1", "student2"])
    yield made
    made.close()


def test_a_document_comes_back_as_it_was_and_its_evidence_beside_it(store: Store) -> None:
    given = document()
    assert store.add("20261121T080000-aaaaaa", given) == 1
    (found,) = store.kept("20261121T080000-aaaaaa")
    seen = given.pop("evidence")
    assert found.document == given
    assert store.evidence(found) == json.loads(json.dumps(seen))
    assert (found.attempt, found.kind) == (1, "grade")


def test_judging_again_is_a_new_attempt_over_the_same_evidence(store: Store) -> None:
    store.add("20261121T080000-aaaaaa", document())
    (first,) = store.kept("20261121T080000-aaaaaa")
    again = {**first.document, "score": 1.0}
    assert store.add_again([(first, again)]) == [2]
    (found,) = store.kept("20261121T080000-aaaaaa")
    assert (found.attempt, found.kind, found.document["score"]) == (2, "regrade", 1.0)
    assert store.evidence(found) == store.evidence(first)
    (row,) = store.runs()
    assert (row.hosts, row.graded, row.attempts) == (2, 1, 2)


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    store.begin("20261122T080000-bbbbbb", ABOUT, "2026-11-22T08:00:00Z", ["student1"])
    assert store.find("20261122") == "20261122T080000-bbbbbb"
    assert store.find("last") == "20261122T080000-bbbbbb"
    assert [row.run[:8] for row in store.runs()] == ["20261122", "20261121"]
    with pytest.raises(StoreError, match="beginning of 2 runs"):
        store.find("2026112")
    with pytest.raises(StoreError) as caught:
        store.find("20261121T080000-aaaaab")
    assert "did you mean 20261121T080000-aaaaaa?" in caught.value.hint


def test_no_database_and_no_database_at_all_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no results yet"):
        open_store(f"sqlite:///{tmp_path}/none.sqlite")
    (tmp_path / "text").write_text("not a database, whatever its name, and long enough to be read as one" * 9)
    with pytest.raises(StoreError, match="cannot open"):
        open_store(f"sqlite:///{tmp_path}/text")
    with pytest.raises(StoreError, match="no database's URL"):
        open_store("results.sqlite")
    with pytest.raises(
        StoreError, match=r"SQLite or PostgreSQL, and .mysql://ann:.*@host/labctl. is neither"
    ):
        open_store("mysql://ann:secret@host/labctl")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?uri=true"]
)
def test_a_url_that_names_no_file_is_refused_before_anything_is_kept_in_memory(url: str) -> None:
    with pytest.raises(StoreError, match="names no file") as caught:
        open_store(url, create=True)
    assert "empty" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://ann:secret@db..example.org/labctl", "sqlite:////tmp/\udcff/r.sqlite"]
)
def test_a_name_that_cannot_be_looked_up_is_an_error_and_not_a_crash(url: str) -> None:
    with pytest.raises(StoreError, match="cannot open the results database") as caught:
        open_store(url)
    assert "secret" not in caught.value.message


def test_a_place_where_no_file_can_be_made_is_told_with_how_to_name_another() -> None:
    with pytest.raises(StoreError, match="cannot open the results database") as caught:
        open_store("sqlite:////proc/labctl/r.sqlite", create=True)
    assert "LABCTL_DATABASE names another place" in caught.value.hint


@pytest.mark.parametrize("host", ["host:port", "[::1", "host:54 32"])
def test_a_bad_port_in_the_url_is_said_and_the_password_is_not(host: str) -> None:
    with pytest.raises(StoreError, match="no port") as caught:
        open_store(f"postgresql+psycopg://ann:sec:r@et@{host}/labctl", create=True)
    assert "ann:***@" in caught.value.message
    assert "et@" not in caught.value.message


READER = """
import ctypes, os, sys
if os.geteuid() == 0:  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root, too, may then not write
    for capability in (1, 2):
        assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-m", "labctl", *sys.argv[1:]])
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("protected", ["file", "directory", "both"])
@pytest.mark.slow
def test_results_that_may_not_be_written_are_read_all_the_same(
    tmp_path: Path, mode: str, protected: str
) -> None:
    """An archive of last year's, in either form that SQLite's versions give the file."""
    file = tmp_path / "there" / "a#b.sqlite"  # ? and # mean something in the name that SQLite is given
    file.parent.mkdir()
    url = f"sqlite:///{file}"
    store = open_store(url, create=True)
    store.begin("20261121T080000-aaaaaa", ABOUT, "2026-11-21T08:00:00Z", ["student1"])
    store.add("20261121T080000-aaaaaa", document("student1"))
    store.close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    if protected != "directory":
        file.chmod(0o400)
    if protected != "file":
        file.parent.chmod(0o500)
    before = file.read_bytes()
    for command, said in (("runs", "1 of 1 VMs graded"), ("stats", "mean 60")):
        words = [command, *(["last"] if command == "stats" else []), "--database", url]
        reader = [sys.executable, "-c", READER, *words]
        done = subprocess.run(reader, capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stdout) == (0, True), done.stderr
    reader = [sys.executable, "-c", READER, "regrade", "last", "--database", url]
    done = subprocess.run(reader, capture_output=True, text=True, check=False)
    file.parent.chmod(0o700)
    assert done.returncode == 2, done.stderr
    assert ("cannot be written" in done.stderr, "Traceback" in done.stderr) == (True, False)
    assert file.read_bytes() == before


DAMAGE = [
    b"\x00\xff",
    zlib.compress(b"[" * 200_000 + b"]" * 200_000),
    zlib.compress(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    zlib.compress(b"{}"),
    packed({**document(), "host": "another"}),
    packed({**document(), "status": 5}),
    packed({**document(), "checks": 5}),
    packed({**document(), "checks": [{"id": "a"}, 5]}),
]


@pytest.mark.parametrize("damaged", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_document_is_an_error_and_not_a_crash(store: Store, url: str, damaged: bytes) -> None:
    store.add("20261121T080000-aaaaaa", document())
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update attempts set document = :damaged"), {"damaged": damaged})
    engine.dispose()
    with pytest.raises(StoreError, match="damaged") as caught:
        list(store.kept("20261121T080000-aaaaaa"))
    assert "the run 20261121T080000-aaaaaa, VM student1" in caught.value.message
    assert create_engine(url).url.render_as_string() in caught.value.message
    assert caught.value.hint.startswith("labctl grade student1 --run 20261121T080000-aaaaaa")


@pytest.mark.parametrize("damage", ["update evidence set data = :data", "delete from evidence"])
def test_damaged_evidence_says_whose_it_is(tmp_path: Path, damage: str) -> None:
    store = open_store(f"sqlite:///{tmp_path}/results.sqlite", create=True)
    store.begin("20261121T080000-aaaaaa", ABOUT, "2026-11-21T08:00:00Z", ["student1"])
    store.add("20261121T080000-aaaaaa", document())
    (kept,) = store.kept("20261121T080000-aaaaaa")
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute(damage, {"data": b"x"})
        connection.commit()
    with pytest.raises(StoreError, match="VM student1: what was seen"):
        store.evidence(kept)
    store.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("hosts", "[1, 2"),
        ("hosts", "7"),
        ("hosts", "[null]"),
        ("asked", "{"),
        ("asked", "[]"),
        ("sections", "x"),
        ("sections", "[1]"),
        ("sections", "null"),
        ("keep", "newest"),
    ],
)
def test_a_damaged_run_is_named_and_stands_in_no_other_runs_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str, value: str
) -> None:
    url = f"sqlite:///{tmp_path}/results.sqlite"
    store = open_store(url, create=True)
    for run in ("20261121T080000-aaaaaa", "20261122T080000-bbbbbb"):
        store.begin(run, ABOUT, f"{run[:4]}-11-{run[6:8]}T08:00:00Z", ["student1"])
        store.add(run, document())
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute(f"update runs set {column} = ? where run like '20261122%'", [value])
        connection.commit()
    for words in (["runs"], ["show", "last"], ["stats", "last"], ["compare", "20261121", "last"]):
        assert main([*words, "--database", url]) == 2
        said = capsys.readouterr().err
        assert f"the run 20261122T080000-bbbbbb, as stored in {url}, is damaged" in said
        assert "20261121T080000-aaaaaa" in said
    assert main(["show", "20261121", "--database", url]) == 0


def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/results.sqlite", create=True).close()
    assert (tmp_path / "results.sqlite").stat().st_mode & 0o077 == 0


_WRITER = """
import json, sys
from labctl.store import open_store
store = open_store(sys.argv[1], create=True)
document = json.load(sys.stdin)
names = [f"vm{n}" for n in range(10000)]
store.begin("killed", {"lab": "l", "title": "t", "sections": {}}, "2026-11-21T08:00:00Z", names)
for number in range(10000):
    store.add("killed", {**document, "host": f"vm{number}"})
    print(number, flush=True)
"""


def test_what_was_said_to_be_kept_survives_a_kill(url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(document()))
        process.stdin.close()
        said = [process.stdout.readline() for _ in range(25)]
        os.kill(process.pid, signal.SIGKILL)
    store = open_store(url)
    kept = [one.host for one in store.kept("killed")]
    store.close()
    assert kept[:25] == [f"vm{line.strip()}" for line in said]
    assert len(kept) in (25, 26, 27)


@pytest.mark.slow
def test_those_that_write_at_once_do_not_lose_anything(url: str) -> None:
    store = open_store(url, create=True)
    store.begin("both", ABOUT, "2026-11-21T08:00:00Z", ["student1"])
    line = (
        "import json, sys; from labctl.store import open_store; s = open_store(sys.argv[1]); "
        "d = json.load(sys.stdin); [s.add('both', d) for _ in range(20)]"
    )
    text = json.dumps(document(world=World()))
    writers = [
        subprocess.Popen([sys.executable, "-c", line, url], stdin=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for writer in writers:
        writer.communicate(text, timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    (last,) = store.kept("both")
    store.close()
    assert last.attempt == 60
