"""What the filters share: regular expressions, what is a list, the errors they raise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import FilterArgumentError, UndefinedError

__all__ = ["FilterArgumentError", "compiled", "is_list", "shown"]


def compiled(pattern: Any, *, ignorecase: bool = False, multiline: bool = False) -> re.Pattern[str]:
    """A pattern with Ansible's two flags. Raises FilterArgumentError for what is no pattern."""
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(pattern, flags)
    except re.error as err:
        raise FilterArgumentError(f"{pattern!r} is not a regular expression: {err}") from err


def is_list(value: Any) -> bool:
    """Whether Ansible takes ``value`` for a list: any sequence that is not text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def shown(value: Any) -> str:
    """``value`` in an error message: what is wrong with it is told even if it holds something undefined."""
    try:
        return repr(value)
    except UndefinedError:
        return "one that is partly undefined"
