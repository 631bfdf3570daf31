"""What a command writes where its user says."""

from __future__ import annotations

from pathlib import Path

from labctl.errors import RequestError


def write_output(path: Path, data: str | bytes) -> None:
    """Write the file of an ``-o``: all of it or, on a full disk say, nothing, and what was there stays.

    A pipe or a device (``/dev/stdout``) is written to as it is. Raises RequestError.
    """
    from labctl.files import write_whole

    if path.is_dir():
        raise RequestError(f"{path} is a directory", hint=f"name a file: -o {path}/FILE")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        else:
            write_whole(path, data)
    except OSError as err:
        raise RequestError(f"cannot write {path}: {err.strerror}") from err
