"""The host keys on record, in the files where OpenSSH keeps them, and what ssh would say to a key.

paramiko's own reader compares each line with all those before it, and each of its lookups goes through all of
them. Where known_hosts has a line for each VM of a class, that is more than the handshake costs. And it knows
neither patterns nor ``@revoked``.
"""

from __future__ import annotations

import base64
import functools
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from labctl.errors import HostError

#: What a name begins with that only whoever knows it finds again (``HashKnownHosts yes``).
_HASHED = "|1|"
_REVOKED = "@revoked"
#: How the list begins that ``ssh-keygen -k`` makes of revoked keys.
_LIST = b"SSHKRL\n\0"

# The first of many VMs reads the file, the others wait for it.
_reading = threading.Lock()


class Record:
    """What one file says. A line is parsed when its server is asked about."""

    def __init__(self, text: str) -> None:
        # what a line says of its names: a marker or "", kind and key
        self._by_name: dict[str, list[tuple[str, str]]] = {}
        self._hashed: list[tuple[str, tuple[str, str]]] = []
        self._patterns: list[tuple[list[str], tuple[str, str]]] = []
        # not splitlines(), to which a comment may hold a line that ssh does not see
        for line in text.split("\n"):
            marker, names, key = _parts(line)
            said = marker, key
            if names.startswith(_HASHED):
                self._hashed.append((names, said))
            elif set(names) & set("*?!"):
                self._patterns.append((names.lower().split(","), said))
            elif names:
                for name in names.lower().split(","):
                    self._by_name.setdefault(name, []).append(said)

    def keys(self, name: str) -> list[paramiko.PKey]:
        """The keys of the server that is called ``name`` there."""
        found: dict[bytes, paramiko.PKey] = {}
        for marker, words in self._said(name.lower()):
            key = None if marker else _key(words)
            if key:
                found.setdefault(key.asbytes(), key)
        return list(found.values())

    def revoked(self, name: str) -> set[bytes]:
        """The keys that nobody who is called ``name`` may show."""
        return {
            key.asbytes()
            for marker, words in self._said(name.lower())
            if marker == _REVOKED and (key := _key(words))
        }

    def _said(self, name: str) -> Iterator[tuple[str, str]]:
        yield from self._by_name.get(name, ())
        yield from (said for names, said in self._patterns if _matches(name, names))
        for hashed, said in self._hashed:
            if paramiko.HostKeys.hash_host(name, hashed) == hashed:
                yield said


def _parts(line: str) -> tuple[str, str, str]:
    """Marker, names and key of a line; all of them "" when it has none."""
    words = line.strip(" \t\r").replace("\t", " ").split(" ")
    words = [word for word in words if word]
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return "", "", ""
    return marker, words[0], f"{words[1]} {words[2]}"


def _key(words: str) -> paramiko.PKey | None:
    """None, as to ssh, for one that cannot be read: it is on no record."""
    try:
        entry = HostKeyEntry.from_line(f"name {words}")
    except (InvalidHostKey, paramiko.SSHException, ValueError):
        return None
    return entry.key if entry else None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """As in ssh: one of the patterns, and none of those that begin with "!"."""
    fitting = {
        pattern[:1] == "!" for pattern in patterns if _pattern(pattern.removeprefix("!")).fullmatch(name)
    }
    return fitting == {False}


@functools.lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(letter) or re.escape(letter) for letter in text))


@dataclass(frozen=True)
class Known:
    """What is on record of one server: its ``keys``; those of the machine of its name at SSH's usual port,
    when it has none of its own; those that are ``revoked``; and a list of more of those, a file of its own.
    """

    keys: tuple[paramiko.PKey, ...] = ()
    usual_port: tuple[paramiko.PKey, ...] = ()
    revoked: frozenset[bytes] = frozenset()
    revoked_list: Path | None = None

    def state(self, key: paramiko.PKey) -> str:
        """What ``key`` is, shown by that server: revoked, on-record, new, or changed (another is on record).

        Raises :class:`HostError` when the list of revoked keys cannot be read.
        """
        if key.asbytes() in self.revoked or (self.revoked_list and _listed(key, self.revoked_list)):
            return "revoked"
        if key in (*self.keys, *self.usual_port):
            return "on-record"
        return "changed" if self.keys else "new"


def known(files: Iterable[Path], names: tuple[str, ...], revoked_list: Path | None) -> Known:
    """What ``files`` have on record of a server with these ``names``: its own, perhaps one at the usual port.

    Raises :class:`HostError` for a file that cannot be read.
    """
    records = [read(path) for path in files]
    own, *usual = ([key for record in records for key in record.keys(name)] for name in names)
    revoked = {key for record in records for key in record.revoked(names[0])}
    if own or not usual:
        return Known(tuple(own), (), frozenset(revoked), revoked_list)
    revoked |= {key for record in records for key in record.revoked(names[1])}
    return Known((), tuple(usual[0]), frozenset(revoked), revoked_list)


def _listed(key: paramiko.PKey, path: Path) -> bool:
    """Whether ``RevokedHostKeys`` names it: a text of keys, or a list that ssh-keygen made and reads."""
    try:
        content = path.read_bytes()
        if not content.startswith(_LIST):
            return base64.b64encode(key.asbytes()) in content.split()
        done = subprocess.run(
            ["ssh-keygen", "-Q", "-f", str(path), "/dev/stdin"],
            input=f"{key.get_name()} {key.get_base64()}\n".encode(),
            capture_output=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as err:
        raise HostError(
            f"cannot read the revoked host keys in {path}: {getattr(err, 'strerror', None) or err}",
            hint="with RevokedHostKeys in ssh's configuration no key is accepted until it can be read",
        ) from err
    return done.returncode != 0


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
    return Record(path.read_bytes().decode("utf-8", "replace"))
