"""What -o writes, and where: files whole, links and the machine's devices left as they are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from labctl.cli.output import write_output
from labctl.errors import RequestError

_WRITE = "import sys; from pathlib import Path; from labctl.cli.output import write_output; "


def test_a_link_to_standard_output_is_written_to_and_stays_a_link(tmp_path: Path) -> None:
    """/dev/stdout is such a link: replaced by a file, all programs of the machine would have lost theirs."""
    out, link, further = tmp_path / "out", tmp_path / "stdout", tmp_path / "further"
    link.symlink_to("/proc/self/fd/1")
    further.symlink_to("stdout")
    with out.open("w") as file:
        print("before", file=file, flush=True)
        for name in (link, further):
            code = _WRITE + "write_output(Path(sys.argv[1]), 'told\\n')"
            subprocess.run([sys.executable, "-c", code, name], stdout=file, check=True)
        file.seek(0, os.SEEK_END)
        print("after", file=file)
    assert out.read_text() == "before\ntold\ntold\nafter\n"
    assert (link.readlink(), further.readlink()) == (Path("/proc/self/fd/1"), Path("stdout"))


def test_the_file_that_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "grades.csv", tmp_path / "grades.csv"
    link.symlink_to("there/grades.csv")
    write_output(link, "new")  # there is no such file yet
    assert real.read_text() == "new"
    before = real.stat().st_ino
    write_output(link, b"newer")
    assert (link.is_symlink(), real.read_text(), real.stat().st_ino == before) == (True, "newer", False)
    assert os.listdir(tmp_path / "there") == ["grades.csv"]


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("pipe")
    writer = threading.Thread(target=write_output, args=(link, "told"))
    writer.start()
    assert pipe.read_text() == "told"
    writer.join()
    assert pipe.is_fifo()


def test_what_cannot_be_written_is_a_bad_request(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(RequestError, match="loop: Too many levels of symbolic links"):
        write_output(loop, "x")
    with pytest.raises(RequestError, match="File name too long"):
        write_output(tmp_path / ("x" * 300), "x")
    with pytest.raises(RequestError, match="is a directory"):
        write_output(tmp_path, "x")
