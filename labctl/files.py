"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A file to write that takes ``path``'s place when the block ends, after it has reached the disk.

    Who reads ``path`` finds what was there before or all of the new; so it is too when the block raises.
    ``mode`` None: that of the file it replaces, or what the umask leaves of 0666. Raises ``OSError``.
    """
    beside = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            if mode is not None:
                os.fchmod(number, mode)
            elif path.exists():
                os.fchmod(number, path.stat().st_mode & 0o7777)
            os.fsync(number)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: str | bytes, mode: int = 0o600) -> None:
    """Write a file in one go, as :func:`replacing` does. Text is UTF-8. Raises ``OSError``."""
    with replacing(path, mode) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)
