"""The host keys on record, in the files where OpenSSH keeps them.

paramiko's own reader compares each line with all those before it, and each of its lookups goes through all of
them. Where known_hosts has a line for each VM of a class, that is more than the handshake costs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from labctl.errors import HostError

#: What a name begins with that only whoever knows it finds again (``HashKnownHosts yes``).
_HASHED = "|1|"

# The first of many VMs reads the file, the others wait for it.
_reading = threading.Lock()


class Record:
    """What one file says. A line is parsed when its server is asked about."""

    def __init__(self, text: str) -> None:
        self._by_name: dict[str, list[str]] = {}
        for line in map(str.strip, text.splitlines()):
            if line and not line.startswith("#"):
                for name in line.split(maxsplit=1)[0].split(","):
                    self._by_name.setdefault(name, []).append(line)
        self._hashed = [name for name in self._by_name if name.startswith(_HASHED)]

    def keys(self, name: str) -> list[paramiko.PKey]:
        """The keys of the server that is called ``name`` there, the first of each kind."""
        found: dict[str, paramiko.PKey] = {}
        for line in self._lines(name):
            try:
                entry = HostKeyEntry.from_line(line)
            except (InvalidHostKey, paramiko.SSHException, ValueError):
                continue  # as ssh does: a key that cannot be read is on no record
            if entry is not None and entry.key is not None:
                found.setdefault(entry.key.get_name(), entry.key)
        return list(found.values())

    def _lines(self, name: str) -> Iterator[str]:
        yield from self._by_name.get(name, ())
        for hashed in self._hashed:
            if paramiko.HostKeys.hash_host(name, hashed) == hashed:
                yield from self._by_name[hashed]


def read(path: Path) -> Record:
    """What ``path`` has on record, read again only when it has changed. A missing file has nothing.

    Raises :class:`HostError` when it is there and cannot be read.
    """
    try:
        version = path.stat().st_mtime_ns
        with _reading:
            return _read(path, version)
    except FileNotFoundError:
        return Record("")
    except OSError as err:
        raise HostError(f"cannot read the host keys in {path}: {err.strerror or err}") from err


@functools.lru_cache(maxsize=8)
def _read(path: Path, _version: int) -> Record:
    return Record(path.read_text(encoding="utf-8", errors="replace"))
