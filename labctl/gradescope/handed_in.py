"""The files of a submission: an archive of anything, made by anybody."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

#: So many are looked at.
_MOST = 20_000


def files_in(directory: Path) -> list[Path]:
    """The files at and below ``directory``, the topmost first, each directory's sorted. Links are not
    followed, and what cannot be read is passed over.
    """
    # os.walk and rglob call themselves for each level, and a student's archive may be thousands deep
    found: list[Path] = []
    waiting = deque([directory])
    while waiting and len(found) < _MOST:
        with suppress(OSError), os.scandir(waiting.popleft()) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry))
                elif entry.is_file(follow_symlinks=False):
                    found.append(Path(entry))
    return found[:_MOST]
