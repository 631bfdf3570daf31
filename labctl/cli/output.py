"""What a command writes where its user says."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from labctl.errors import RequestError

#: As many links in a row as Linux itself follows.
_LINKS = 40
#: An open file of a process, by its number: /dev/stdout, /dev/fd/3 and /proc/self/fd/1 all lead to one.
_DESCRIPTOR = re.compile(r"/proc/(\d+)(?:/task/\d+)?/fd/(\d+)")


def write_output(path: Path, data: str | bytes) -> None:
    """Write the file of an ``-o``: all of it or, on a full disk say, nothing, and what was there stays.

    A link stays and the file that it leads to is replaced. What is no file of its own (a pipe, a device, all
    of /dev and /proc) is written to as it is: who replaced ``/dev/stdout`` would take it from the whole
    machine. Raises RequestError, and BrokenPipeError when nobody reads the pipe any more.
    """
    from labctl.files import write_whole

    try:
        if path.is_dir():
            raise RequestError(f"{path} is a directory", hint=f"name a file: -o {path}/FILE")
        target, in_place = _target(path)
        if in_place:
            _write_in_place(target, data.encode("utf-8") if isinstance(data, str) else data)
        else:
            write_whole(target, data)
    except BrokenPipeError:
        raise
    except OSError as err:
        raise RequestError(f"cannot write {path}: {err.strerror}") from err


def remove_output(path: Path) -> None:
    """Remove what an earlier ``-o`` wrote, if it is there and a file. Raises RequestError."""
    try:
        target, in_place = _target(path)
        if not in_place and target.is_file():
            target.unlink()
    except OSError as err:
        raise RequestError(f"cannot remove {path}, which an earlier run left: {err.strerror}") from err


def _target(path: Path) -> tuple[Path, bool]:
    """Where a path leads over its links, and whether what is there is written to as it is.

    Links of /proc are left as they are: they say what is open, and its name may be another file's by now.
    """
    in_place = False
    for _ in range(_LINKS):
        path = Path(os.path.realpath(path.parent), path.name)
        in_place = in_place or path.is_relative_to("/dev")
        if path.is_relative_to("/proc"):
            return path, True
        if not path.is_symlink():
            return path, in_place or (path.exists() and not path.is_file())
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _write_in_place(path: Path, data: bytes) -> None:
    target: Path | int = path
    found = _DESCRIPTOR.fullmatch(str(path))
    if found and int(found[1]) == os.getpid():
        # opened anew it would begin at 0 again, over what others have written to it
        target = os.dup(int(found[2]))
    with open(target, "wb") as file:  # noqa: PTH123 - it may be a descriptor
        file.write(data)
