"""YAML files as their author wrote them: every value knows its line and column.

PyYAML's composer keeps marks on nodes; this module builds plain Python values from the nodes and
keeps the marks beside them, in subclasses of ``dict`` and ``list`` (scalars cannot carry any).
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import yaml

from labctl import vault
from labctl.errors import Place, RequestError
from labctl.placed import Map, Seq, stands_twice

if TYPE_CHECKING:
    from pydantic import TypeAdapter

M = TypeVar("M")

#: For a dataclass that is read from a file: a key that it does not know is a mistake.
STRICT = {"extra": "forbid"}
#: What pydantic calls one.
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")

#: How nothing is written where text is wanted: Null may be somebody's name.
_NULLS = ("", "~", "null")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Verbatim(str):
    """Text that is never a template: YAML's ``!unsafe``."""

    __slots__ = ()


class Secret(Verbatim):
    """Text that stood in the file as ``!vault``: as in Ansible, never a template. Hidden when shown."""

    __slots__ = ()


def start_of(document: Any, path: Path) -> Place:
    """Where the whole document of a file begins."""
    return document.place if isinstance(document, (Map, Seq)) else Place(path, 1, 1)


class _Builder:
    """Turns composed nodes into values, with the scalar rules of PyYAML's safe loader (YAML 1.1)."""

    def __init__(
        self, path: Path, lines: list[str], loader: Any, error: type[RequestError], text_keys: str
    ) -> None:
        self.path = path
        self.lines = lines
        self.loader = loader
        self.error = error
        self.text_keys = text_keys

    def place(self, mark: Any) -> Place:
        text = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Place(self.path, mark.line + 1, mark.column + 1, text)

    def build(self, node: Any) -> Any:
        if node.tag == "!unsafe":
            return self._verbatim(node)
        if isinstance(node, yaml.MappingNode):
            return self._map(node)
        if isinstance(node, yaml.SequenceNode):
            seq = Seq(self.place(node.start_mark))
            for item in node.value:
                seq.put(self.build(item), self.place(item.start_mark))
            return seq
        if node.tag in ("!vault", "!vault-encrypted"):
            return self._opened(node)
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as err:
            message = f"{node.tag} is not a kind of value that is understood here"
            if isinstance(err, ValueError):
                message = f"{node.value!r} is not a valid value: {err}"
            raise self.error(message, place=self.place(node.start_mark)) from err

    def _verbatim(self, node: Any) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(
                "!unsafe marks text here, not lists or mappings", place=self.place(node.start_mark)
            )
        tag = self.loader.resolve(yaml.ScalarNode, node.value, (not node.style, bool(node.style)))
        if tag == "tag:yaml.org,2002:str":
            return Verbatim(node.value)
        return self.build(yaml.ScalarNode(tag, node.value, node.start_mark, node.end_mark))

    def _opened(self, node: Any) -> Secret:
        place = self.place(node.start_mark)
        try:
            text = Secret(vault.open_vault(node.value.encode(), place, self.error).decode("utf-8"))
        except UnicodeDecodeError as err:
            raise self.error("the vault does not hold UTF-8 text", place=place) from err
        vault.hide(text)
        return text

    def _map(self, node: Any) -> Map:
        built = Map(self.place(node.start_mark))
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                self._merge(built, value_node)
                continue
            key = self.build(key_node)
            key_place = self.place(key_node.start_mark)
            if isinstance(key, (Map, Seq)):
                raise self.error(
                    "a mapping cannot be a key here",
                    hint='quote a value that starts with {{ }}: key: "{{ value }}"',
                    place=key_place,
                )
            if built.writes(key):
                raise stands_twice(built, key, key_place, self.error)
            built.put(key, self._value(key, value_node), key_place, self.place(value_node.start_mark))
        return built

    def _value(self, key: Any, node: Any) -> Any:
        """A mapping's value: a plain one's own text where the key wants text, and it is not null."""
        if (
            self.text_keys
            and str(key).startswith(self.text_keys)
            and isinstance(node, yaml.ScalarNode)
            and node.style not in ("'", '"', "|", ">")
            and node.tag == self.loader.resolve(yaml.ScalarNode, node.value, (True, False))
            and node.value not in _NULLS
        ):
            return node.value
        return self.build(node)

    def _merge(self, built: Map, node: Any) -> None:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            merged = self.build(source)
            if not isinstance(merged, Map):
                raise self.error("<<: takes a mapping", place=self.place(source.start_mark))
            built.merge(merged)


def load_yaml(path: Path, error: type[RequestError] = RequestError, *, text_keys: str = "") -> Any:
    """Read one document of YAML, or of JSON.

    ``text_keys`` is how the keys begin whose plain values are text as they stand: 0123, No and 1:30 too.
    A file that ansible-vault encrypted is opened. Returns scalars as PyYAML's safe loader makes them
    (``!vault`` as :class:`Secret`, ``!unsafe`` as :class:`Verbatim`), mappings as :class:`Map`,
    sequences as :class:`Seq`, and None for an empty file. Raises ``error`` with the place for a file
    that cannot be read or opened, or is not YAML.
    """
    try:
        data = path.read_bytes()
        shut = vault.is_vaulted(data)
        text = (vault.open_vault(data, Place(path, 1, 1), error) if shut else data).decode("utf-8-sig")
    except OSError as err:
        raise error(f"cannot read the file: {err.strerror}", place=Place(path)) from err
    except UnicodeDecodeError as err:
        raise error("the file is not UTF-8 text", place=Place(path)) from err
    if not shut:
        return parse_yaml(text, path, error, text_keys=text_keys)
    document = parse_yaml(text, path, error, quote=False, text_keys=text_keys)
    vault.hide(document)
    return document


def parse_yaml(
    text: str,
    path: Path,
    error: type[RequestError] = RequestError,
    *,
    quote: bool = True,
    text_keys: str = "",
) -> Any:
    """Like :func:`load_yaml` for text already read from ``path``.

    ``quote``: whether places show the line of the text; those of a vault must not.
    """
    if text.lstrip()[:1] in ("{", "["):
        from labctl.json_documents import NoJson, parse_json

        try:
            return parse_json(text, path, error, quote=quote, text_keys=text_keys)
        except NoJson:
            pass  # flow style of YAML, or what is neither: YAML's error has the place
        except RecursionError as err:
            raise error("nested too deeply", place=Place(path)) from err
    lines = text.splitlines() if quote else []
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Builder(path, lines, loader, error, text_keys).build(node)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = mark.line if mark else 0
        excerpt = lines[line] if line < len(lines) else ""
        place = Place(path, line + 1, (mark.column if mark else 0) + 1, excerpt)
        raise error(
            f"not valid YAML: {err.problem or err.context}",
            hint=_yaml_hint(excerpt, place.column),
            place=place,
        ) from err
    except yaml.YAMLError as err:
        raise error(f"not valid YAML: {err}", place=Place(path)) from err
    except RecursionError as err:
        raise error("nested too deeply", place=Place(path)) from err
    finally:
        loader.dispose()


def _yaml_hint(excerpt: str, column: int) -> str:
    if "\t" in excerpt:
        return "indent with spaces: YAML does not allow tabs there"
    if "{{" in excerpt:
        return 'quote a value that holds {{ }}: key: "{{ value }}"'
    first = ":" not in excerpt[: column - 1]
    if excerpt.count(": ") > 1 and not first:
        return "quote a value that holds a colon followed by a space"
    return "check the indentation of this line and of the one before it"


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str = "") -> str:
    """The hint for a word that is none of ``candidates``: the nearest of them, else ``otherwise``."""
    near = nearest(word, candidates)
    return f"did you mean {near}?" if near else otherwise


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like ``word``, or None when none is near."""
    close = difflib.get_close_matches(str(word), list(candidates), n=1, cutoff=0.6)
    return close[0] if close else None


def validated(model: type[M], document: Any, path: Path, error: type[RequestError] = RequestError) -> M:
    """The document that was read from ``path`` as ``model``, a pydantic model or a dataclass.

    Raises ``error`` for the first thing that does not fit, at its place in the file; a misspelt key before
    what it leaves out. A dataclass refuses keys that it does not know when its ``__pydantic_config__`` is
    :data:`STRICT`.
    """
    from pydantic import ValidationError

    if not isinstance(document, Map):
        raise error(f"a mapping is wanted: {', '.join(_names(model))}", place=start_of(document, path))
    try:
        made: M = _adapter(model).validate_python(document)  # type: ignore[arg-type]  # a class is hashable
    except ValidationError as err:
        errors = err.errors(include_url=False)
        first = next((one for one in errors if one["type"] in _UNKNOWN), errors[0])
        where = first["loc"]
        name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
        hint = ""
        if first["type"] == "missing":
            message = f"{name} is missing"
        elif first["type"] in _UNKNOWN:
            known = _names(_model_at(model, where[:-1]))
            message = f"{name} is not known here"
            hint = did_you_mean(str(where[-1]), known, f"it takes {', '.join(known)}")
        else:
            said = first["msg"].removeprefix("Value error, ")
            message = f"{name}: {said[:1].lower()}{said[1:]}"
        raise error(message, hint=hint, place=_place_of(document, where)) from err
    return made


@functools.lru_cache(maxsize=32)
def _adapter(model: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(model)


def _place_of(document: Map, where: tuple[int | str, ...]) -> Place:
    """The place of a value, or of what should hold it when it is not there."""
    place: Place = document.place
    value: Any = document
    for step in where:
        at: Any = step
        if isinstance(value, Map):  # pydantic tells of a key that is no text by its text
            at = next((key for key in value if str(key) == step), step)
        inside = at in value if isinstance(value, Map) else isinstance(value, Seq)
        if not inside:
            break
        place, value = value.at(at), value[at]
    return place


def _names(model: type[Any]) -> list[str]:
    """The keys that ``model`` takes."""
    return [one.name for one in fields(model)] if is_dataclass(model) else list(model.model_fields)


def _model_at(model: type[Any], where: tuple[int | str, ...]) -> type[Any]:
    """The model that describes the value at ``where``."""
    for step in where:
        if step in _names(model):
            model = _inner(get_type_hints(model)[str(step)]) or model
    return model


def _inner(annotation: Any) -> type[Any] | None:
    if isinstance(annotation, type) and (is_dataclass(annotation) or hasattr(annotation, "model_fields")):
        return annotation
    return next((model for one in get_args(annotation) if (model := _inner(one))), None)
