"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: str | bytes, mode: int = 0o600) -> None:
    """Write a file under another name beside it, to the disk, and rename it: who reads ``path`` finds what
    was there before or all of this. Text is UTF-8. Raises ``OSError``.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
