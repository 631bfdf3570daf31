"""Which line of a lab's Python files something is about."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path
from types import CodeType

from labctl.errors import Place

#: How the names begin under which labs are imported.
PACKAGE = "labctl_lab_"


def place_in_lab(err: BaseException) -> Place | None:
    """The last line of a lab that an exception came through, or what it could not read; None for none."""
    if isinstance(err, SyntaxError) and err.filename and err.lineno:
        return Place(Path(err.filename), err.lineno, err.offset or 1, (err.text or "").rstrip())
    found = None
    for frame, line in traceback.walk_tb(err.__traceback__):
        if str(frame.f_globals.get("__name__", "")).startswith(PACKAGE):
            found = _line(frame.f_code, line)
    return found


def place_of(function: object) -> Place | None:
    """Where a function, with its decorators, begins; None for what was not written as one."""
    code = getattr(function, "__code__", None)
    return _line(code, code.co_firstlineno) if isinstance(code, CodeType) else None


def _line(code: CodeType, line: int) -> Place:
    text = linecache.getline(code.co_filename, line).rstrip()
    return Place(Path(code.co_filename), line, len(text) - len(text.lstrip()) + 1, text)
