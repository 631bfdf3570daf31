"""Jinja as Ansible uses it, in a sandbox, with every error at its place in the user's file.

A template string is rendered once, and what came out is data: it is never looked at for templates
again. So text from a VM cannot become a template, however it reaches a variable. A string that is
one expression keeps the expression's type (``"{{ 5 }}"`` is a number), as in ansible-core 2.19.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import FileSystemLoader, Template, pass_context
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.lexer import Lexer
from jinja2.runtime import Context, Macro
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import missing

from labctl import vault
from labctl.documents import Verbatim
from labctl.errors import Place, PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook.codegen import Codegen
from labctl.playbook.filters import FAILURES, filters_for, tests_for, undefined_through
from labctl.playbook.lookups import LookupFailed, look_up
from labctl.playbook.template_errors import (
    check_names,
    fail,
    fail_in_file,
    file_place,
    syntax_error,
    text_place,
)
from labctl.playbook.template_header import below_header, without_header
from labctl.playbook.values import (
    OMIT,
    Broken,
    Missing,
    NoValue,
    Used,
    as_text,
    check_defined,
    check_parts_defined,
    finished,
    given,
    guarded,
)

if TYPE_CHECKING:
    from labctl.playbook.variables import Scope

# The scope travels through Jinja under a name that no template can write.
SCOPE = " scope"
# And so does it that a variable is made: what is undefined in a list or mapping may stay so.
_VARIABLE = " variable"

_RENDER_ERRORS = (
    TemplateError,
    LookupFailed,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)


@pass_context
def _defined(context: Context, value: Any) -> Any:
    """Called by compiled templates for every output: an undefined one fails at its own line."""
    check = check_defined if _VARIABLE in context.parent else check_parts_defined
    check(value)
    return value


def _concat(chunks: Iterable[Any]) -> Any:
    kept = [chunk for chunk in chunks if chunk is not None]
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else "".join(map(as_text, kept))


class _Context(Context):
    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        scope: Scope | None = self.parent.get(SCOPE)
        if scope is not None:
            value = scope.lookup(key)
            if value is not missing:
                return value
        return self.parent.get(key, missing)


class _Environment(SandboxedEnvironment):
    code_generator_class = Codegen
    context_class = _Context
    concat = staticmethod(_concat)
    guarded = staticmethod(guarded)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Jinja's chain of two mappings is slow to go through, which each rendering does."""
        return super().make_globals(d) if d else self.globals

    def getitem(self, obj: Any, argument: Any) -> Any:
        """As Jinja's, and for a filter that reads a list's or mapping's parts through it no undefined one."""
        return given(super().getitem(obj, argument))

    def getattr(self, obj: Any, attribute: str) -> Any:
        return given(super().getattr(obj, attribute))

    def call(self, context: Context, called: Any, /, *args: Any, **options: Any) -> Any:
        """What has no value has none when it is called; what fails has none either, and fails its user."""
        if isinstance(called, NoValue):
            return called
        call = partial(super().call, context, called)
        if isinstance(called, Macro):
            return _called_macro(call, args, options)
        direct = called in (_lookup, _query, _undef)
        result = undefined_through(call, args, options, strict=not direct, takes_undefined=direct)
        return list(result) if isinstance(result, range) and called is not self.globals["range"] else result


def _called_macro(call: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What a macro gives; if it failed, a value that fails its user at the macro's own line."""
    try:
        return call(*map(guarded, args), **{word: guarded(value) for word, value in options.items()})
    except Used as err:
        return err.value._after(err)
    except (PlaybookError, *FAILURES) as err:
        return Broken(err)


class _StringLexer(Lexer):
    r"""Ansible's rule for playbooks: in text inside {{ }} a backslash is a backslash.

    So ``{{ x | regex_replace('a\.b', '\1') }}`` means what its author sees. Template files and bare
    conditions keep Jinja's own rule.
    """

    def tokeniter(self, *args: Any, **options: Any) -> Iterator[tuple[int, str, str]]:
        inside = False
        for line, kind, text in super().tokeniter(*args, **options):
            if kind in ("variable_begin", "variable_end"):
                inside = kind == "variable_begin"
            yield line, kind, text.replace("\\", "\\\\") if inside and kind == "string" else text


class _StringEnvironment(_Environment):
    @cached_property
    def lexer(self) -> Lexer:
        return _StringLexer(self)


@pass_context
def _lookup(context: Context, name: str, *terms: Any, **options: Any) -> Any:
    return look_up(context.parent[SCOPE], name, terms, options)


@pass_context
def _query(context: Context, name: str, *terms: Any, **options: Any) -> Any:
    return look_up(context.parent[SCOPE], name, terms, options, as_list=True)


def _now(utc: bool = False, fmt: str | None = None) -> Any:
    now = datetime.now(UTC).replace(tzinfo=None) if utc else datetime.now()
    return now.strftime(fmt) if fmt else now


def _undef(hint: Any = None) -> Missing:
    if not isinstance(hint, str | None):
        raise TypeError("undef takes a text that says what is missing")
    return Missing(hint or "Mandatory variable has not been overridden")


def is_template(text: str) -> bool:
    """Whether Jinja has anything to do in ``text``."""
    return ("{{" in text or "{%" in text or "{#" in text) and not isinstance(text, Verbatim)


class Templar:
    """Renders strings, expressions and files; one per playbook, shared by the hosts' threads."""

    def __init__(self, directories: Sequence[Path] = ()) -> None:
        self.directories = tuple(directories)
        self._environment = _make_environment(self.directories, trim_blocks=True, lstrip_blocks=False)
        self._strings = _make_environment(self.directories, _StringEnvironment, trim_blocks=True)
        self._compiled: dict[str, Template] = {}
        self._expressions: dict[str, Any] = {}
        self._files: dict[tuple[Path, bool, bool], tuple[Template, str | None]] = {}

    # -- rendering -------------------------------------------------------------------------

    def render(self, value: Any, place: Place, scope: Scope) -> Any:
        """``value`` with every template string in it rendered, as plain dicts and lists."""
        if isinstance(value, str):
            return self.render_text(value, place, scope) if is_template(value) else value
        if isinstance(value, Mapping):
            at = value.at if isinstance(value, Map) else lambda _key: place
            return {
                self.render(key, place, scope): self.render(item, at(key), scope)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            where = value.at if isinstance(value, Seq) else lambda _index: place
            items = [self.render(item, where(index), scope) for index, item in enumerate(value)]
            return [item for item in items if item is not OMIT]
        return value

    def render_text(self, source: str, place: Place, scope: Scope) -> Any:
        """One template string; the native value when it is a single expression."""
        return self._render_text(source, place, scope, {SCOPE: scope}, finished)

    def variable(self, value: Any, place: Place, scope: Scope) -> Any:
        """A variable, or a part that is no container, for the templates that read it.

        Not finished: a tuple stays one, and what is undefined in a list is so for whom it is read by.
        """
        if not isinstance(value, str) or not is_template(value):
            return value
        return self._render_text(value, place, scope, {SCOPE: scope, _VARIABLE: True}, guarded)

    def _render_text(
        self, source: str, place: Place, scope: Scope, names: dict[str, Any], finish: Callable[[Any], Any]
    ) -> Any:
        template = self._compile(source, place)
        try:
            rendered = finish(_concat(template.root_render_func(template.new_context(names))))
        except _RENDER_ERRORS as err:
            fail(err, source, place, scope)
        return _same_end(source, rendered)

    def evaluate(self, expression: Any, place: Place, scope: Scope) -> Any:
        """The value of a bare expression, as ``when`` and ``that`` hold it."""
        if not isinstance(expression, str):
            return expression
        if is_template(expression):
            return self.render_text(expression, place, scope)
        compiled = self._compile_expression(expression, place)
        try:
            return finished(compiled({SCOPE: scope}))
        except _RENDER_ERRORS as err:
            fail(err, expression, place, scope)

    def truth(self, expression: Any, place: Place, scope: Scope) -> bool:
        """A condition. Ansible's rule since 2.19: it must be true or false, not merely something."""
        value = self.evaluate(expression, place, scope)
        if isinstance(value, bool):
            return value
        raise PlaybookError(
            f"the condition {expression!r} gave {type(value).__name__} {value!r}, not true or false",
            hint="compare it with something, or write  | bool  for text, | length > 0  for a list",
            place=place,
        )

    def render_file(
        self,
        path: Path,
        scope: Scope,
        *,
        trim_blocks: bool = True,
        lstrip_blocks: bool = False,
        newline: str = "\n",
    ) -> str:
        """A template file as text; errors are at the template's own line."""
        template, own = self.load_file(path, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks)
        source, rendered = self._render_file(template, path, scope, {SCOPE: scope}, finished)
        text = str(_same_end(source, "" if rendered is None else str(rendered)))
        newline = own or newline
        return text if newline == "\n" else text.replace("\n", newline)

    def value_of_file(self, path: Path, scope: Scope, *, trim_blocks: bool = True) -> Any:
        """The same for the lookup, as a variable: the native value when the template gives a single one."""
        template, _newline = self.load_file(path, trim_blocks=trim_blocks)
        names = {SCOPE: scope, _VARIABLE: True}
        return _same_end(*self._render_file(template, path, scope, names, guarded))

    def _render_file(
        self,
        template: Template,
        path: Path,
        scope: Scope,
        names: dict[str, Any],
        finish: Callable[[Any], Any],
    ) -> tuple[str, Any]:
        try:
            rendered = finish(_concat(template.root_render_func(template.new_context(names))))
        except _RENDER_ERRORS as err:
            fail_in_file(err, path, scope)
        return vault.read_file(path, PlaybookError).decode("utf-8"), rendered

    # -- compiling -------------------------------------------------------------------------

    def load_file(
        self, path: Path, *, trim_blocks: bool = True, lstrip_blocks: bool = False
    ) -> tuple[Template, str | None]:
        """A template file, read and compiled, and the end of lines that its header asks for.

        Raises PlaybookError at the template's line.
        """
        key = (path, trim_blocks, lstrip_blocks)
        if key in self._files:
            return self._files[key]
        try:
            source = vault.read_file(path, PlaybookError).decode("utf-8")
        except OSError as err:
            raise PlaybookError(f"cannot read the template: {err.strerror}", place=Place(path)) from err
        except UnicodeDecodeError as err:
            raise PlaybookError("the template is not UTF-8 text", place=Place(path)) from err
        text, own = without_header(source, path)
        newline = own.pop("newline_sequence", None)
        options = {"trim_blocks": trim_blocks, "lstrip_blocks": lstrip_blocks, **own}
        environment = self._environment
        if options != {"trim_blocks": True, "lstrip_blocks": False}:
            environment = _make_environment(self.directories, **options)
        try:
            tree = environment.parse(text)
            tree = tree if text == source else below_header(tree)
            check_names(tree, lambda line: file_place(path, line))
            code = environment.compile(tree, name=path.name, filename=str(path))
        except TemplateSyntaxError as err:
            line = err.lineno + (text != source)
            raise PlaybookError(
                f"the template is wrong: {err.message}", place=file_place(path, line)
            ) from err
        template = environment.template_class.from_code(environment, code, environment.globals)
        self._files[key] = template, newline
        return self._files[key]

    def check(self, value: Any, place: Place) -> None:
        """Compile every template string in ``value``: what is wrong shows before anything runs."""
        if isinstance(value, str):
            if is_template(value):
                self._compile(value, place)
        elif isinstance(value, Mapping):
            at = value.at if isinstance(value, Map) else lambda _key: place
            for key, item in value.items():
                self.check(item, at(key))
        elif isinstance(value, list):
            where = value.at if isinstance(value, Seq) else lambda _index: place
            for index, item in enumerate(value):
                self.check(item, where(index))

    def check_expression(self, expression: Any, place: Place) -> None:
        """The same for a bare expression."""
        if isinstance(expression, str) and is_template(expression):
            self._compile(expression, place)
        elif isinstance(expression, str):
            self._compile_expression(expression, place)

    def _compile(self, source: str, place: Place) -> Template:
        if source not in self._compiled:
            try:
                check_names(self._strings.parse(source), lambda line: text_place(source, place, line))
                self._compiled[source] = self._strings.from_string(source)
            except TemplateSyntaxError as err:
                raise syntax_error(err, source, place) from err
        return self._compiled[source]

    def _compile_expression(self, source: str, place: Place) -> Any:
        if source not in self._expressions:
            try:
                tree = self._environment.parse("{{ (" + source + ") }}")
                check_names(tree, lambda line: text_place(source, place, line))
                self._expressions[source] = self._environment.compile_expression(
                    source, undefined_to_none=False
                )
            except TemplateSyntaxError as err:
                raise syntax_error(err, source, place) from err
        return self._expressions[source]


def _make_environment(
    directories: Sequence[Path],
    kind: type[_Environment] = _Environment,
    **options: Any,
) -> _Environment:
    environment = kind(
        undefined=Missing,
        **options,
        # what a template includes is searched as Ansible does: <directory>/templates, then <directory>
        loader=FileSystemLoader([path for where in directories for path in (where / "templates", where)]),
        autoescape=False,  # configuration files, not HTML
        finalize=_defined,
    )
    # Constant parts are not worked out by the compiler: an error there belongs to whoever needs the value.
    environment.optimized = False
    environment.filters.update(filters_for(JINJA_FILTERS))
    environment.tests.update(tests_for(JINJA_TESTS))
    environment.globals.update(lookup=_lookup, query=_query, q=_query, omit=OMIT, now=_now, undef=_undef)
    return environment


def _same_end(source: str, rendered: Any) -> Any:
    """Jinja drops a template's last newline; text gets as many at its end as its template has."""
    if not isinstance(rendered, str):
        return rendered
    missing_newlines = _newlines_at_end(source) - _newlines_at_end(rendered)
    return rendered + "\n" * max(0, missing_newlines)


def _newlines_at_end(text: str) -> int:
    return len(text) - len(text.rstrip("\n"))
