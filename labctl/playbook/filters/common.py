"""What the filters share: text of a value, regular expressions, the errors they raise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import FilterArgumentError

from labctl.playbook import values

__all__ = ["FilterArgumentError", "as_text", "compiled", "is_list"]


def compiled(pattern: Any, *, ignorecase: bool = False, multiline: bool = False) -> re.Pattern[str]:
    """A pattern with Ansible's two flags. Raises FilterArgumentError for what is no pattern."""
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(pattern, flags)
    except re.error as err:
        raise FilterArgumentError(f"{pattern!r} is not a regular expression: {err}") from err


def as_text(value: Any) -> str:
    """Any value as the text that a filter works on."""
    return str(value) if isinstance(value, tuple) else values.as_text(value)


def is_list(value: Any) -> bool:
    """Whether Ansible takes ``value`` for a list: any sequence that is not text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
