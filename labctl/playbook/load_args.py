"""Checking a task's arguments as written: names, literal values, and the files they name."""

from __future__ import annotations

import re
import shlex
from typing import Any

from labctl.documents import nearest
from labctl.errors import Place, PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook.kv import BadSplit, parse_free_form, parse_pairs, split_words
from labctl.playbook.lookups import LookupFailed, find_file
from labctl.playbook.schema import BadValue, Module, coerce_param, relations
from labctl.playbook.template import Templar, is_template

# With a command stand only these parameters, as in Ansible: what else looks like one is the command's own.
_COMMANDS = ("command", "raw", "script", "shell")
_WITH_COMMAND = (
    *("creates", "removes", "chdir", "executable", "warn"),
    *("stdin", "stdin_add_newline", "strip_empty_ends"),
)


def args_of(item: Map, word: str, module: Module) -> Map:
    """The task's arguments as one mapping with places, from the module's value and ``args``."""
    value, place = item[word], item.at(word)
    args = Map(place)
    if isinstance(value, Map):
        for key in value:
            args.put(key, value[key], value.key_at(key), value.at(key))
    elif isinstance(value, str):
        for key, text in _written(value, place, module).items():
            args.put(key, text, place, place)
    elif value is not None:
        raise PlaybookError(f"{module.name} takes its parameters as a mapping, not {value!r}", place=place)
    extra = item.get("args")
    if extra is not None:
        if not isinstance(extra, Map):
            raise PlaybookError("args is a mapping of parameters", place=item.at("args"))
        for key in extra:
            if key not in args:
                args.put(key, extra[key], extra.key_at(key), extra.at(key))
    return args


def _written(text: str, place: Place, module: Module) -> dict[str, str]:
    try:
        if module.free_form is None:
            return parse_pairs(text)
        command, found = parse_free_form(text, _WITH_COMMAND if module.name in _COMMANDS else module.params)
    except BadSplit as err:
        hint = "write the parameters as a mapping below the module's name"
        raise PlaybookError(f"{module.name}: {err}", hint=hint, place=place) from err
    return {module.free_form: command, **found} if command else dict(found)


def canonical(module: Module, args: Map) -> Map:
    """``args`` under the parameters' own names, for what is read before the run."""
    named = Map(args.place)
    for word, value in args.items():
        named.put(module.canonical(word) or word, value, args.key_at(word), args.at(word))
    return named


def check_args(module: Module, args: Map, place: Place, templar: Templar) -> None:
    """Raise PlaybookError for the first thing that is wrong in ``args``.

    ``place`` is where the module is named: what is missing is reported there.
    """
    given: set[str] = set()
    dynamic = False
    for word in args:
        name = module.canonical(word) if isinstance(word, str) else None
        if name is None:
            if module.open_ended and isinstance(word, str) and (word.isidentifier() or is_template(word)):
                templar.check(word, args.key_at(word))
                templar.check(args[word], args.at(word))
                continue
            raise _unknown(module, word, args.key_at(word))
        if name in given:
            raise PlaybookError(f"{module.name}: {name!r} is given twice", place=args.key_at(word))
        given.add(name)
        dynamic = _check_value(module, name, args, word, templar) or dynamic
    wrong = relations(module, given)
    if wrong and not (dynamic and "only one of" in wrong):
        # With a template, one of two rival parameters may still turn out as `omit`.
        raise PlaybookError(wrong, place=place)
    if module.name == "assert":
        _check_assertions(args, templar)
    _check_source_file(module, args, templar)


def _unknown(module: Module, word: Any, place: Place) -> PlaybookError:
    near = nearest(str(word), module.spelled)
    hint = f"did you mean {near!r}?" if near else f"covered are: {', '.join(sorted(module.params))}"
    hint += "; --engine ansible runs what Ansible's own has besides"
    return PlaybookError(f"{module.name} has no parameter {word!r}", hint=hint, place=place)


def _check_value(module: Module, name: str, args: Map, word: str, templar: Templar) -> bool:
    """Check one literal value; returns whether it is (or holds) a template, known only later."""
    value, place = args[word], args.at(word)
    if module.name == "assert" and name == "that":
        return False
    templar.check(value, place)
    if _is_dynamic(value):
        return True
    if value is None:
        return False
    try:
        coerce_param(module.params[name], value)
        if module.params[name].kind in ("mode", "copied_mode"):
            _check_mode_literal(value, place)
    except BadValue as err:
        raise PlaybookError(f"{module.name}: {word}: {err}", place=place) from err
    return False


def _is_dynamic(value: Any) -> bool:
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, dict):
        return any(_is_dynamic(item) for item in value.values())
    return isinstance(value, list) and any(_is_dynamic(item) for item in value)


def _check_mode_literal(value: Any, place: Place) -> None:
    """``mode: 644`` is a decimal number in YAML, and 01204 in octal: nobody means that."""
    written = re.sub(r"^[&*]\S*\s*", "", place.text[place.column - 1 :])
    # of a vault's text and where an alias stands nobody sees how it was written
    if isinstance(value, int) and place.line and written and not written.startswith("0"):
        raise BadValue(f'{value} is a decimal number here: write it in quotes, mode: "{value:04d}"')


def _check_assertions(args: Map, templar: Templar) -> None:
    that = args.get("that")
    if isinstance(that, Seq):
        for index, one in enumerate(that):
            templar.check_expression(one, that.at(index))
    else:
        templar.check_expression(that, args.at("that"))


def _check_script_file(args: Map, templar: Templar) -> None:
    word = next(word for word in ("cmd", "_raw_params") if word in args)
    try:
        first = split_words(str(args[word]))[:1]
        if not first:
            raise PlaybookError("script names no file", place=args.at(word))
        if is_template(first[0]):
            return
        (name,) = shlex.split(first[0])
    except ValueError as err:
        raise PlaybookError(f"script: {err}", place=args.at(word)) from err
    try:
        find_file(name, templar.directories, "files")
    except LookupFailed as err:
        raise PlaybookError(f"script: {err}", place=args.at(word)) from err


def _check_source_file(module: Module, args: Map, templar: Templar) -> None:
    """A template or file that a task sends must be there, and a template must compile."""
    if module.name == "script":
        _check_script_file(args, templar)
        return
    source = args.get("src")
    if module.name not in ("template", "copy") or not isinstance(source, str) or is_template(source):
        return
    remote = args.get("remote_src", False)
    if module.name == "copy" and (remote is not False and str(remote).lower() not in ("no", "false")):
        return
    try:
        found = find_file(source, templar.directories, "templates" if module.name == "template" else "files")
    except LookupFailed as err:
        raise PlaybookError(f"{module.name}: {err}", place=args.at("src")) from err
    if module.name == "template":
        templar.load_file(found)
