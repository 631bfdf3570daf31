"""Tasks, handlers and blocks of a playbook: words, module, parameters, inheritance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.documents import Map, Seq, nearest
from labctl.errors import Place, PlaybookError
from labctl.playbook import keywords
from labctl.playbook.kv import BadSplit, parse_free_form, parse_pairs
from labctl.playbook.load_args import check_args
from labctl.playbook.model import Block, Loop, Privilege, Source, Task
from labctl.playbook.modules import BY_NAME
from labctl.playbook.schema import Module
from labctl.playbook.template import Templar, is_template


@dataclass(frozen=True)
class Inherited:
    """What a task takes over from its play and blocks."""

    templar: Templar
    when: tuple[Source, ...] = ()
    tags: frozenset[str] = frozenset()
    vars: tuple[Mapping[str, Any], ...] = ()
    environment: tuple[Source, ...] = ()
    privilege: Privilege = field(default_factory=Privilege)
    words: Mapping[str, Source] = field(default_factory=dict)

    def under(self, item: Map, *, keep_vars: bool = True) -> Inherited:
        """The inheritance of what stands inside ``item``."""
        templar = self.templar
        variables = item.get("vars")
        if variables is not None and not isinstance(variables, Map):
            raise PlaybookError("vars is a mapping: name: value", place=item.at("vars"))
        if variables:
            templar.check(variables, item.at("vars"))
        environment = _source(item, "environment", templar)
        method = item.get("become_method", "sudo")
        if method != "sudo":
            raise PlaybookError(
                f"become_method {method!r} is not covered: sudo is", place=item.at("become_method")
            )
        words = dict(self.words)
        for word in ("check_mode", "diff", "no_log", "ignore_errors", "timeout"):
            source = _source(item, word, templar)
            if source is not None:
                words[word] = source
        return replace(
            self,
            when=(*self.when, *_conditions(item, "when", templar)),
            tags=self.tags | _tags(item),
            vars=(*self.vars, variables) if variables and keep_vars else self.vars,
            environment=(*self.environment, environment) if environment else self.environment,
            privilege=Privilege(
                become=_source(item, "become", templar) or self.privilege.become,
                user=_source(item, "become_user", templar) or self.privilege.user,
            ),
            words=words,
        )


def load_items(items: Seq, inherited: Inherited) -> tuple[Task | Block, ...]:
    """A list of tasks and blocks. Blocks that catch nothing are folded into their tasks."""
    loaded: list[Task | Block] = []
    for index, item in enumerate(items):
        place = items.at(index)
        if not isinstance(item, Map):
            raise PlaybookError(f"a task is a mapping with a module's name in it, not {item!r}", place=place)
        if "block" in item:
            loaded.extend(_block(item, inherited))
        else:
            loaded.append(_task(item, inherited, keywords.TASK, "a task"))
    return tuple(loaded)


def load_handlers(items: Seq, inherited: Inherited) -> tuple[Task, ...]:
    """The handlers of a play."""
    handlers = []
    for index, item in enumerate(items):
        if not isinstance(item, Map) or "block" in item:
            raise PlaybookError(
                "a handler is one task: a mapping with a module's name", place=items.at(index)
            )
        handler = _task(item, inherited, keywords.HANDLER, "a handler")
        if handler.name is None and not handler.listen:
            raise PlaybookError("a handler needs a name, or nothing can notify it", place=handler.place)
        handlers.append(handler)
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
    return (Block(body=body, rescue=rescue, always=always, place=item.place),)


def _task(item: Map, inherited: Inherited, known: frozenset[str], what: str) -> Task:
    word, module = _module_of(item, known, what)
    keywords.check_words(item, known | {word}, what)
    templar = inherited.templar
    inner = inherited.under(item)
    args = _args(item, word, module)
    check_args(module, args, item.key_at(word), templar)
    register = item.get("register")
    if register is not None and not (isinstance(register, str) and register.isidentifier()):
        raise PlaybookError(f"register takes a variable's name, not {register!r}", place=item.at("register"))
    name = item.get("name")
    return Task(
        name=None if name is None else _checked(Source(str(name), item.at("name")), templar),
        module=module,
        args=Source(args, item.at(word)),
        place=item.place,
        when=inner.when,
        loop=_loop(item, templar),
        register=register,
        notify=tuple(_texts(item, "notify", templar)),
        listen=tuple(str(source.value) for source in _texts(item, "listen", templar)),
        tags=inner.tags,
        vars=inner.vars,
        privilege=inner.privilege,
        changed_when=_conditions(item, "changed_when", templar),
        failed_when=_conditions(item, "failed_when", templar),
        ignore_errors=inner.words.get("ignore_errors"),
        check_mode=inner.words.get("check_mode"),
        diff=inner.words.get("diff"),
        no_log=inner.words.get("no_log"),
        timeout=inner.words.get("timeout"),
        environment=inner.environment,
        until=_conditions(item, "until", templar),
        retries=_source(item, "retries", templar),
        delay=_source(item, "delay", templar),
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
        if str(key).rpartition(".")[2] in keywords.MODULES_NOT_COVERED:
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


def _args(item: Map, word: str, module: Module) -> Map:
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
        command, found = parse_free_form(text, [name for name in module.params if name != module.free_form])
    except BadSplit as err:
        hint = "write the parameters as a mapping below the module's name"
        raise PlaybookError(f"{module.name}: {err}", hint=hint, place=place) from err
    return {module.free_form: command, **found} if command else dict(found)


def _loop(item: Map, templar: Templar) -> Loop | None:
    words = [word for word in ("loop", "with_items", "with_list") if word in item]
    if len(words) > 1:
        raise PlaybookError(f"a task has one loop, not {' and '.join(words)}", place=item.key_at(words[1]))
    control = item.get("loop_control")
    if not words:
        if control is not None:
            raise PlaybookError("loop_control stands without a loop", place=item.key_at("loop_control"))
        return None
    source = _source(item, words[0], templar)
    if source is None:
        raise PlaybookError(f"{words[0]} takes a list", place=item.at(words[0]))
    if not isinstance(source.value, list) and not (
        isinstance(source.value, str) and is_template(source.value)
    ):
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
        label=_source(control, "label", templar),
        pause=float(pause),
    )


def _source(item: Map, word: str, templar: Templar) -> Source | None:
    value = item.get(word)
    return None if value is None else _checked(Source(value, item.at(word)), templar)


def _checked(source: Source, templar: Templar) -> Source:
    templar.check(source.value, source.place)
    return source


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
    return [_checked(source, templar) for source in sources]


def _conditions(item: Map, word: str, templar: Templar) -> tuple[Source, ...]:
    value = item.get(word)
    if value is None:
        return ()
    if isinstance(value, Seq):
        sources = [Source(one, value.at(index)) for index, one in enumerate(value)]
    else:
        sources = [Source(value, item.at(word))]
    for source in sources:
        if not isinstance(source.value, str | bool):
            raise PlaybookError(f"{word} takes an expression, not {source.value!r}", place=source.place)
        templar.check_expression(source.value, source.place)
    return tuple(sources)


def _tags(item: Map) -> frozenset[str]:
    value = item.get("tags")
    if value is None:
        return frozenset()
    listed = value if isinstance(value, Seq) else [value]
    tags: set[str] = set()
    for one in listed:
        if not isinstance(one, str | int):
            raise PlaybookError(f"tags are words, not {one!r}", place=item.at("tags"))
        tags.update(part.strip() for part in str(one).split(",") if part.strip())
    return frozenset(tags)
