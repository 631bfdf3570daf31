"""``#jinja2: trim_blocks: False``, the first line that a template file may have: options for it alone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from jinja2 import nodes

from labctl.documents import nearest
from labctl.errors import PlaybookError
from labctl.playbook.template_errors import file_place

HEADER = "#jinja2:"
_OPTIONS: dict[str, type] = {
    **{f"{what}_{end}_string": str for what in ("block", "variable", "comment") for end in ("start", "end")},
    "line_statement_prefix": str,
    "line_comment_prefix": str,
    "trim_blocks": bool,
    "lstrip_blocks": bool,
    "keep_trailing_newline": bool,
    "newline_sequence": str,
}


def without_header(source: str, path: Path) -> tuple[str, dict[str, Any]]:
    """The template below its header, and the header's options."""
    if not source.startswith(HEADER):
        return source, {}
    line, newline, below = source.partition("\n")
    if not newline:
        raise _wrong("there is no template below it", path)
    options: dict[str, Any] = {}
    for pair in line[len(HEADER) :].split(","):
        name, colon, written = pair.partition(":")
        name = name.strip()
        if not colon or name not in _OPTIONS:
            near = nearest(name, _OPTIONS)
            raise _wrong(f"{pair.strip()!r} is no option" + (f", {near} is one" if near else ""), path)
        try:
            value = ast.literal_eval(written.strip())
        except (ValueError, SyntaxError) as err:
            raise _wrong(f"{name} takes a Python value, not {written.strip()}", path) from err
        if not isinstance(value, _OPTIONS[name]):
            raise _wrong(f"{name} takes {_OPTIONS[name].__name__}, not {value!r}", path)
        options[name] = value
    if options.get("newline_sequence", "\n") not in ("\n", "\r", "\r\n"):
        raise _wrong(r"newline_sequence is one of '\n', '\r' and '\r\n'", path)
    return below, options


def below_header(tree: nodes.Template) -> nodes.Template:
    """The lines of what stands below a header, as its file counts them."""
    for node in tree.find_all(nodes.Node):
        node.lineno += 1
    return tree


def _wrong(what: str, path: Path) -> PlaybookError:
    return PlaybookError(f"the line {HEADER} of the template: {what}", place=file_place(path, 1))
