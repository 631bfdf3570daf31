"""Hostile SSH servers in a class: the others' grades and times, and labctl's memory, stay the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from tiny import Course
from vms import LABCTL, environment

GOOD = 6
HOSTILE = ("silent", "drip", "endless", "line", "packet", "closed", "mute", "torrent", "window", "errors",
           "bomb", "frame", "escapes")  # fmt: skip
#: Seconds for a VM: those who never answer have to be waited for.
DEADLINE = 12
_SERVE = """
import sys, paramiko
from contextlib import ExitStack
from ssh_server import ssh_server
host, client = (paramiko.ECDSAKey.from_private_key_file(path) for path in sys.argv[1:3])
with ExitStack() as stack:
    for mode in sys.argv[3:]:
        print(stack.enter_context(ssh_server(host, client, mode))[0], flush=True)
    sys.stdin.read()
"""


class Servers:
    """The keys, a known_hosts, and an inventory's lines for servers that run in a process of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.known = directory / "known_hosts"
        self.known.touch()
        for name in ("host", "client", "other"):
            paramiko.ECDSAKey.generate().write_private_key_file(str(directory / name))

    @contextmanager
    def serve(self, names: list[str], modes: list[str]) -> Iterator[dict[str, str]]:
        argv = [sys.executable, "-c", _SERVE, str(self.directory / "host"), str(self.directory / "client")]
        where = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "connect")}
        with subprocess.Popen(
            [*argv, *modes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=where
        ) as process:
            assert process.stdout is not None
            ports = [int(process.stdout.readline()) for _ in names]
            try:
                yield {name: self._line(port) for name, port in zip(names, ports, strict=True)}
            finally:
                process.kill()

    def _line(self, port: int, key: str = "host") -> str:
        public = paramiko.ECDSAKey.from_private_key_file(str(self.directory / key))
        with self.known.open("a") as file:
            file.write(f"[127.0.0.1]:{port} {public.get_name()} {public.get_base64()}\n")
        return (
            f"ansible_host: 127.0.0.1, ansible_port: {port}, ansible_user: root, "
            f"ansible_ssh_private_key_file: {self.directory / 'client'}, labctl_known_hosts: {self.known}"
        )


def grade(course: Course, *args: str) -> tuple[dict[str, dict[str, Any]], float, int, str]:
    """What ended how, when the last of the good ones did (s), the most memory used (KiB), and stderr."""
    argv = [*LABCTL, *course.grade("all", "--forks", "50", "--deadline", str(DEADLINE), "--json-lines")]
    with (
        (course.root / "out").open("w+") as out,
        (course.root / "err").open("w+") as err,
        subprocess.Popen(argv, env=environment(), stdout=out, stderr=err) as process,
    ):
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0  # it is waited for
        out.seek(0)
        err.seek(0)
        events = [json.loads(line) for line in out]
        said = err.read()
    ended = {one["host"]: one for one in events if one["event"] == "vm-ended"}
    last = max(one["seconds"] for name, one in ended.items() if name.startswith("good"))
    return ended, last, used.ru_maxrss, said


@pytest.mark.slow
def test_the_good_ones_are_graded_as_if_the_others_were_not_there(tmp_path: Path) -> None:
    (tmp_path / "course").mkdir()
    course, servers = Course(tmp_path / "course", 0), Servers(tmp_path)
    good = [f"good{number}" for number in range(GOOD)]
    for name in good[::2]:
        course.there(name)
    with servers.serve(good, ["good"] * GOOD) as right, servers.serve(list(HOSTILE), list(HOSTILE)) as wrong:
        course.inventory(right)
        alone, usual, memory, _ = grade(course)
        course.inventory({**wrong, **right})
        together, last, more, said = grade(course)
    right_scores = {name: 5 if number % 2 == 0 else 0 for number, name in enumerate(good)}
    assert {name: alone[name]["score"] for name in good} == right_scores
    assert {name: together[name]["score"] for name in good} == right_scores
    assert {together[name]["status"] for name in HOSTILE} == {"error"}
    causes = {together[name]["error_cause"] for name in HOSTILE}
    assert causes <= {"unreachable", "timeout", "agent-fault"}, causes
    # this machine may be busy with other tests; a good one that waited for a hostile one takes the deadline
    assert last < max(1.2 * usual, usual + 5), (last, usual)
    assert more - memory < 100 << 10, f"{more} KiB, {memory} KiB without the hostile ones"
    assert "Traceback" not in said
    assert "\x1b" not in said
