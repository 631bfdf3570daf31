"""Jinja's errors as the user's: what is wrong, the nearest right name, file, line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, NoReturn

from jinja2 import nodes
from jinja2.exceptions import TemplateError, TemplateNotFound, TemplateSyntaxError, UndefinedError

from labctl.documents import nearest
from labctl.errors import Place, PlaybookError
from labctl.playbook.lookups import LOOKUPS, LookupFailed
from labctl.playbook.values import Used

if TYPE_CHECKING:
    from labctl.playbook.variables import Scope


def check_names(tree: nodes.Template, place_of: Callable[[int], Place]) -> None:
    """Unknown filters, tests and lookups are found before anything runs, wherever they stand."""
    environment = tree.environment
    if environment is None:
        return
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        kind = "filter" if isinstance(node, nodes.Filter) else "test"
        known = environment.filters if kind == "filter" else environment.tests
        if node.name not in known and node.name.removeprefix("ansible.builtin.") not in known:
            raise PlaybookError(
                f"there is no {kind} {node.name!r}",
                hint=_did_you_mean(node.name, known),
                place=place_of(node.lineno),
            )
    for call in tree.find_all(nodes.Call):
        named = isinstance(call.node, nodes.Name) and call.node.name in ("lookup", "query", "q")
        if named and call.args and isinstance(call.args[0], nodes.Const):
            name = str(call.args[0].value)
            if name.removeprefix("ansible.builtin.") not in LOOKUPS:
                covered = ", ".join(sorted(LOOKUPS))
                raise PlaybookError(
                    f"there is no lookup {name!r}",
                    hint=_did_you_mean(name, LOOKUPS) or f"these are covered: {covered}",
                    place=place_of(call.lineno),
                )


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f"did you mean {near!r}?" if near else ""


def text_place(source: str, place: Place, line: int) -> Place:
    """Where line ``line`` of a template string stands in its file.

    A block scalar (``|`` or ``>``) starts one line below its indicator.
    """
    if not place.line:
        return place
    block = place.text[place.column - 1 : place.column] in ("|", ">")
    if not block and (line <= 1 or "\n" not in source):
        return place
    return file_place(place.path, place.line + line - (0 if block else 1))


def file_place(path: Path, line: int | None) -> Place:
    """A line of a template: Jinja knows no columns, so it is where the line's first template begins."""
    number = line or 1
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    text = lines[number - 1] if 0 < number <= len(lines) else ""
    begins = re.search(r"\{[{%]", text) or re.search(r"\S", text)
    return Place(path, number, begins.start() + 1 if begins else 1, text)


def syntax_error(err: TemplateSyntaxError, source: str, place: Place) -> PlaybookError:
    return PlaybookError(
        f"the template {_shown(source)} is wrong: {err.message}", place=text_place(source, place, err.lineno)
    )


def _shown(source: str) -> str:
    first = source.strip().splitlines()[0] if source.strip() else source
    return repr(first if len(first) <= 60 else first[:57] + "...")


#: What Jinja calls a value of ours, and what it is to the user.
_OWN_KINDS = {
    "labctl.playbook.variables.ScopeView object": "that host in hostvars",
    "labctl.documents.Secret object": "a text from a vault",
}


def _message(err: BaseException, scope: Scope) -> tuple[str, str]:
    if isinstance(err, UndefinedError):
        message = str(err.message or err)
        parts = message.split("'")
        if message.endswith("is undefined") and len(parts) > 1:
            return f"the variable {parts[1]!r} is not defined", _did_you_mean(parts[1], scope.names())
        for kind, shown in _OWN_KINDS.items():
            message = message.replace(f"'{kind}'", shown)
        return message, ""
    if isinstance(err, TemplateNotFound):
        return f"the template {err.name!r} is nowhere to be found", ""
    if isinstance(err, TemplateError | LookupFailed):
        return str(err), ""
    if isinstance(err, RecursionError):
        return "nested too deeply", ""
    return f"{type(err).__name__}: {err}", ""


def fail(err: BaseException, source: str, place: Place, scope: Scope) -> NoReturn:
    *_uses, origin = _chain(err)
    message, hint = _message(origin, scope)
    line = _deepest_line(err, in_file=False)[1]
    raise PlaybookError(
        f"{message} (in {_shown(source)})", hint=hint, place=text_place(source, place, line)
    ) from origin


def fail_in_file(err: BaseException, path: Path, scope: Scope) -> NoReturn:
    *_uses, origin = _chain(err)
    message, hint = _message(origin, scope)
    where, line = _deepest_line(err, in_file=True)
    raise PlaybookError(
        message, hint=hint, place=file_place(Path(where) if where else path, line)
    ) from origin


def _chain(err: BaseException) -> list[BaseException]:
    """The error, what left behind the value whose use it was, and so on.

    Raises the last one if it is told at its own place already.
    """
    chain = [err]
    while isinstance(chain[-1], Used) and chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    if isinstance(chain[-1], PlaybookError):
        raise chain[-1]
    return chain


def _deepest_line(err: BaseException, *, in_file: bool) -> tuple[str, int]:
    """The innermost line of a template that an error went through, and the file that it is in."""
    if isinstance(err, TemplateSyntaxError):
        return err.filename or "", err.lineno
    found = ("", 1)
    for one in _chain(err):
        for frame, number in walk_tb(one.__traceback__):
            template = frame.f_globals.get("__jinja_template__")
            if template is not None and (template.filename != "<template>") == in_file:
                found = (template.filename, template.get_corresponding_lineno(number))
    return found
