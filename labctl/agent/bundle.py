"""The agent as it is sent over a channel: its core to start with, other modules when a call needs them.

A whole agent is 300 kB of source, of which a run uses a third: to send and unpack all of it would take a VM
longer than to observe most of what is asked of it. And to compile what is used takes longer than both: to a
VM that has our version of Python, modules go compiled.
"""

from __future__ import annotations

import functools
import importlib.util
import marshal
import re
import secrets
import shlex
import struct
import threading
import zlib
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from labctl.agent.remote.wire import MODULES, SOURCE

_ROOT = Path(__file__).parent / "remote"
_PACKAGE = "labctl_agent"
_CORE = "main"
#: ``from .x import y`` and ``from . import y, z``: a module of the agent's names the others that it needs.
_IMPORT = re.compile(r"^\s*from (\.+)([\w.]*) import (?:\(([^)]*)\)|(.*))", re.MULTILINE)
#: Of marshal's format: every Python that the agent runs on reads it.
_MARSHAL = 4
#: What compiled code of ours begins with in files: a Python with another number does not read it.
MAGIC = importlib.util.MAGIC_NUMBER.hex()
# Packing takes longer than connecting: the first of many hosts does it, the others wait for it.
_lock = threading.Lock()


class Launch:
    """One start of the agent by ``python``: the bytes that it reads first, and what it writes before its
    first frame.
    """

    def __init__(self, python: str, become: bool) -> None:
        self.become = become
        self.marker = f"\x00labctl-agent:{secrets.token_hex(8)}\x00".encode("ascii")
        first = packed(core())
        code = zlib.compress(f"marker = {self.marker!r}\n{_loader()}".encode(), 6)
        self.payload = first + code
        boot = (
            "import sys,zlib;r=sys.stdin.buffer.read;d=zlib.decompress;"
            f"payload=d(r({len(first)}));exec(d(r({len(code)})))"
        )
        self._argv = [python, "-IS", "-c", boot]

    def command(self, is_root: bool) -> str:
        """The shell command, for a login that is root already or is not.

        ``python -I`` ignores the environment, the user's site directory and the working directory: a
        student's ``json.py`` must not be what the agent imports. ``-S`` leaves out the installed packages
        too, which the agent does not need. ``sudo -n`` never asks.
        """
        sudo = ["sudo", "-n", "--"] if self.become and not is_root else []
        # in the words of every login shell, tcsh included
        return "exec env LC_ALL=C " + shlex.join([*sudo, *self._argv])


@functools.cache
def core() -> frozenset[str]:
    """The modules that an agent has from its start."""
    return needed([_CORE])


def needed(modules: Iterable[str]) -> frozenset[str]:
    """The modules of the agent that these import, and they themselves; names that are none are left out."""
    return _needed(frozenset(modules))


@functools.lru_cache(maxsize=256)
def _needed(modules: frozenset[str]) -> frozenset[str]:
    with _lock:
        found: set[str] = set()
        waiting = list(modules)
        while waiting:
            name = waiting.pop()
            if name not in found and _source(name) is not None:
                found.add(name)
                waiting += _imports(name)
        return frozenset(found)


def frame(modules: frozenset[str], magic: str) -> bytes:
    """The frame that brings an agent these modules: compiled, which a Python with another magic number than
    ours passes over, when ``magic`` is ours.
    """
    ours = magic == MAGIC
    body = (bytes.fromhex(MAGIC) if ours else SOURCE) + packed(modules, compiled=ours)
    return struct.pack(">I", len(body) | MODULES) + body


def packed(modules: frozenset[str], *, compiled: bool = False) -> bytes:
    """zlib over marshal, ``{"modules": {name: code or source}, "packages": [name, ...]}``."""
    with _lock:
        return _packed(modules, compiled=compiled)


@functools.cache
def _packed(modules: frozenset[str], *, compiled: bool) -> bytes:
    content = {_full(name): (_code if compiled else _source)(name) for name in sorted(modules)}
    packages = [_full(name) for name in sorted(modules) if _file(name).name == "__init__.py"]
    return zlib.compress(marshal.dumps({"modules": content, "packages": packages}, _MARSHAL), 6)


@functools.cache
def _loader() -> str:
    return (_ROOT / "loader.py").read_text(encoding="utf-8")


def _full(name: str) -> str:
    return f"{_PACKAGE}.{name}" if name else _PACKAGE


def _file(name: str) -> Path:
    """Where a module's source is, if there is one of that name; the package itself is ""."""
    place = _ROOT.joinpath(*name.split(".")) if name else _ROOT
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@functools.cache
def _source(name: str) -> str | None:
    try:
        return _file(name).read_text(encoding="utf-8")
    except OSError:
        return None


def _code(name: str) -> CodeType | None:
    """From the cache that Python keeps beside the source, when it is there; without the numbers of lines,
    which are half of it.
    """
    code = SourceFileLoader(_full(name), str(_file(name))).get_code(_full(name))
    return code and _lean(code, f"<{_full(name)}>")


def _lean(code: CodeType, name: str) -> CodeType:
    inner = (_lean(one, name) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_filename=name, co_linetable=b"", co_consts=tuple(inner))


@functools.cache
def _imports(name: str) -> frozenset[str]:
    """The modules that one imports by name, the packages around it among them; some that are none too."""
    parts = name.split(".") if name else []
    package = parts if _file(name).name == "__init__.py" else parts[:-1]
    found = {".".join(parts[:length]) for length in range(len(parts))}
    for dots, path, several, one in _IMPORT.findall(_source(name) or ""):
        base = [*package[: len(package) - len(dots) + 1], *filter(None, path.split("."))]
        found.add(".".join(base))
        found.update(".".join([*base, *word.split()[:1]]) for word in (several or one).split(","))
    return frozenset(found)
