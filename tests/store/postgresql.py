"""A PostgreSQL server of the tests' own: an ordinary user's, at a socket in a temporary directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: PostgreSQL does not run as root; Debian's package brings this user.
_USER = "postgres"


class Postgresql:
    """``url`` makes a database, empty and new each time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def url(self) -> str:
        name = f"results_{uuid.uuid4().hex[:12]}"
        self._program("createdb", "-h", str(self.directory), "-U", "labctl", name)
        return f"postgresql+psycopg://labctl@/{name}?host={self.directory}"

    def run(self) -> subprocess.Popen[bytes]:
        data = self.directory / "data"
        self._program("initdb", "-D", str(data), "-A", "trust", "-U", "labctl", "--no-sync", "-E", "UTF8")
        return subprocess.Popen(
            [_path("postgres"), "-D", str(data), "-k", str(self.directory), "-c", "listen_addresses=", "-F"],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_user(),
        )

    def wait(self) -> None:
        until = time.monotonic() + 30
        while subprocess.run([_path("pg_isready"), "-q", "-h", str(self.directory)], check=False).returncode:
            assert time.monotonic() < until, "PostgreSQL does not start"
            time.sleep(0.1)

    def _program(self, name: str, *args: str) -> None:
        subprocess.run(
            [_path(name), *args], cwd=self.directory, check=True, capture_output=True, timeout=120, **_user()
        )


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    directory = Path(tempfile.mkdtemp(prefix="labctl-pg-"))
    if os.getuid() == 0:
        shutil.chown(directory, _USER, _USER)
    server = Postgresql(directory)
    try:
        process = server.run()
        try:
            server.wait()
            yield server
        finally:
            # SIGINT: also the sessions of clients that are still connected end
            process.send_signal(signal.SIGINT)
            process.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _path(name: str) -> str:
    """Debian keeps the server's programs by version, off PATH."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4].split(".")[0])
    )
    assert versions, f"there is no {name}: scripts/machine.sh tests"
    return str(versions[-1])


def _user() -> dict[str, Any]:
    return {} if os.getuid() else {"user": _USER, "group": _USER, "extra_groups": []}
