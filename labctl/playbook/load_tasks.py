"""Tasks, handlers and blocks of a playbook: words, module, parameters, inheritance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labctl.documents import nearest
from labctl.errors import PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook import keywords, load_includes
from labctl.playbook.inherited import Inherited, checked, conditions_of, source_of
from labctl.playbook.load_args import args_of, canonical, check_args
from labctl.playbook.model import Block, Loop, Source, Task
from labctl.playbook.modules import BY_NAME
from labctl.playbook.schema import Module
from labctl.playbook.template import Templar, is_template


def load_items(items: Seq, inherited: Inherited) -> tuple[Task | Block, ...]:
    """A list of tasks and blocks. Blocks that catch nothing are folded into their tasks."""
    loaded: list[Task | Block] = []
    for index, item in enumerate(items):
        place = items.at(index)
        if not isinstance(item, Map):
            raise PlaybookError(f"a task is a mapping with a module's name in it, not {item!r}", place=place)
        if "hosts" in item:
            raise PlaybookError(
                "a play stands where a task should be: this one names no module",
                hint="a whole playbook is taken in with import_playbook, beside the plays",
                place=place,
            )
        if "block" in item:
            loaded.extend(_block(item, inherited))
        else:
            loaded.extend(_tasks(item, inherited, handlers=False))
    return tuple(loaded)


def load_handlers(items: Seq, inherited: Inherited) -> tuple[Task, ...]:
    """The handlers of a play or role."""
    handlers: list[Task] = []
    for index, item in enumerate(items):
        if not isinstance(item, Map) or "block" in item:
            raise PlaybookError(
                "a handler is one task: a mapping with a module's name", place=items.at(index)
            )
        handlers.extend(_tasks(item, inherited, handlers=True))
    for handler in handlers:
        if handler.name is None and not handler.listen:
            raise PlaybookError("a handler needs a name, or nothing can notify it", place=handler.place)
    return tuple(handlers)


def _block(item: Map, inherited: Inherited) -> tuple[Task | Block, ...]:
    keywords.check_words(item, keywords.BLOCK, "a block")
    inner = inherited.under(item)
    parts = []
    for word in ("block", "rescue", "always"):
        value = item.get(word)
        if value is not None and not isinstance(value, Seq):
            raise PlaybookError(f"{word} is a list of tasks", place=item.at(word))
        parts.append(load_items(value, inner) if value else ())
    body, rescue, always = parts
    if not (rescue or always):
        return body
    return (Block(body, item.place, rescue, always),)


def _tasks(item: Map, inherited: Inherited, *, handlers: bool) -> tuple[Any, ...]:
    """The task that ``item`` is, or those that it imports."""
    known, what = (keywords.HANDLER, "a handler") if handlers else (keywords.TASK, "a task")
    word, module = _module_of(item, known, what)
    kind = module.name
    if kind in load_includes.IMPORTS:
        known, what = keywords.IMPORT, kind
    elif kind in load_includes.INCLUDES:
        known, what = keywords.INCLUDE | (known - keywords.TASK), kind
    _check_words(item, known | {word}, what)
    args = args_of(item, word, module)
    check_args(module, args, item.key_at(word), inherited.templar)
    args = canonical(module, args)
    if kind in load_includes.IMPORTS:
        return load_includes.imported(kind, args, item, inherited, handlers=handlers)
    return (_task(item, word, module, args, inherited),)


def _check_words(item: Map, known: frozenset[str], what: str) -> None:
    for key in item:
        if key not in known and what in load_includes.IMPORTS and str(key).startswith(("loop", "with_")):
            raise PlaybookError(
                f"{what} is carried out before the run and cannot loop",
                hint=f"use include_{what.removeprefix('import_')}",
                place=item.key_at(key),
            )
        if key not in known and what in load_includes.INCLUDES and key in keywords.TASK:
            raise PlaybookError(
                f"{key!r} is not a word that {what} may hold: it is for what is included",
                hint=f"write it under apply:, or use import_{what.removeprefix('include_')}",
                place=item.key_at(key),
            )
    keywords.check_words(item, known, what)


def _task(item: Map, word: str, module: Module, args: Map, inherited: Inherited) -> Task:
    templar = inherited.templar
    include = None
    if module.name in load_includes.INCLUDES:
        include = load_includes.include(module.name, args, item, inherited)
    inner = inherited.under(item, keep_vars=include is None)
    register = item.get("register")
    if register is not None and not (isinstance(register, str) and register.isidentifier()):
        raise PlaybookError(f"register takes a variable's name, not {register!r}", place=item.at("register"))
    name = item.get("name")
    return Task(
        name=None if name is None else checked(Source(str(name), item.at("name")), templar),
        module=module,
        args=Source(args, item.at(word)),
        place=item.place,
        templar=templar,
        role=inner.role,
        include=include,
        params=item.get("vars") or {} if include else {},
        when=inner.when,
        loop=_loop(item, templar),
        register=register,
        notify=tuple(_texts(item, "notify", templar)),
        listen=tuple(str(source.value) for source in _texts(item, "listen", templar)),
        tags=inner.tags,
        vars=inner.vars,
        privilege=inner.privilege,
        changed_when=conditions_of(item, "changed_when", templar),
        failed_when=conditions_of(item, "failed_when", templar),
        ignore_errors=inner.words.get("ignore_errors"),
        check_mode=inner.words.get("check_mode"),
        diff=inner.words.get("diff"),
        no_log=inner.words.get("no_log"),
        timeout=inner.words.get("timeout"),
        environment=inner.environment,
        until=conditions_of(item, "until", templar),
        retries=source_of(item, "retries", templar),
        delay=source_of(item, "delay", templar),
        delegate_to=inner.words.get("delegate_to"),
        run_once=inner.words.get("run_once"),
    )


def _module_of(item: Map, known: frozenset[str], what: str) -> tuple[str, Module]:
    """The key that names the module. Raises the most helpful error when it is not exactly one."""
    for word in ("action", "local_action"):
        if word in item:
            raise PlaybookError(
                f"write the module as a key of its own instead of {word!r}: apt: ...", place=item.key_at(word)
            )
    others = [key for key in item if key not in known]
    modules = [key for key in others if key in BY_NAME]
    if len(modules) == 1:
        return modules[0], BY_NAME[modules[0]]
    if len(modules) > 1:
        raise PlaybookError(
            f"a task has one module, and this one names {' and '.join(map(repr, modules))}",
            hint="start the second with a dash of its own",
            place=item.key_at(modules[1]),
        )
    for key in others:
        collection, _, name = str(key).rpartition(".")
        if name in keywords.MODULES_NOT_COVERED or (collection.count(".") == 1 and collection not in _OURS):
            raise PlaybookError(
                f"the module {key!r} is not covered", hint=keywords.ENGINE_HINT, place=item.key_at(key)
            )
        if key in keywords.NOT_COVERED:
            raise keywords.unknown_word(key, known, what, item.key_at(key))
    if not others:
        raise PlaybookError(f"this {what.rpartition(' ')[2]} names no module", place=item.place)
    for key in others:
        near = nearest(str(key), BY_NAME)
        if near:
            raise PlaybookError(
                f"there is no module {key!r}", hint=f"did you mean {near!r}?", place=item.key_at(key)
            )
    for key in others:
        if nearest(str(key), known):
            raise keywords.unknown_word(key, known, what, item.key_at(key))
    key = others[0]
    covered = ", ".join(sorted(name for name in BY_NAME if "." not in name))
    raise PlaybookError(f"there is no module {key!r}", hint=f"these are: {covered}", place=item.key_at(key))


#: Collections of which some modules are covered: a name that they lack may be a typing error.
_OURS = frozenset(name.rpartition(".")[0] for name in BY_NAME if "." in name)


def _loop(item: Map, templar: Templar) -> Loop | None:
    words = [word for word in ("loop", "with_items", "with_list") if word in item]
    if len(words) > 1:
        raise PlaybookError(f"a task has one loop, not {' and '.join(words)}", place=item.key_at(words[1]))
    control = item.get("loop_control")
    if not words:
        if control is not None:
            raise PlaybookError("loop_control stands without a loop", place=item.key_at("loop_control"))
        return None
    source = source_of(item, words[0], templar)
    if source is None:
        raise PlaybookError(f"{words[0]} takes a list", place=item.at(words[0]))
    one = words[0] == "with_items" and not isinstance(source.value, Map)
    if not one and not isinstance(source.value, list) and not is_template(str(source.value)):
        raise PlaybookError(
            f"{words[0]} takes a list, or a template that gives one, not {source.value!r}", place=source.place
        )
    loop = Loop(items=source, flatten=words[0] == "with_items")
    if control is None:
        return loop
    if not isinstance(control, Map):
        raise PlaybookError("loop_control is a mapping", place=item.at("loop_control"))
    keywords.check_words(control, ("loop_var", "index_var", "label", "pause"), "loop_control")
    for word in ("loop_var", "index_var"):
        if word in control and not str(control[word]).isidentifier():
            raise PlaybookError(f"{word} takes a variable's name", place=control.at(word))
    pause = control.get("pause", 0)
    if not isinstance(pause, int | float):
        raise PlaybookError(f"pause takes seconds, not {pause!r}", place=control.at("pause"))
    return replace(
        loop,
        variable=str(control.get("loop_var", "item")),
        index=control.get("index_var"),
        label=source_of(control, "label", templar),
        pause=float(pause),
    )


def _texts(item: Map, word: str, templar: Templar) -> list[Source]:
    value = item.get(word)
    if value is None:
        return []
    if isinstance(value, Seq):
        sources = [Source(one, value.at(index)) for index, one in enumerate(value)]
    else:
        sources = [Source(value, item.at(word))]
    for source in sources:
        if not isinstance(source.value, str):
            raise PlaybookError(f"{word} takes text, not {source.value!r}", place=source.place)
    return [checked(source, templar) for source in sources]
