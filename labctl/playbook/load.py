"""A playbook file into :class:`~labctl.playbook.model.Playbook`, or a PlaybookError at its place.

Everything that can be known without a VM is checked here: words, modules, parameters, literal
values, template syntax, filters, the files that tasks send.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from labctl.documents import Map, Seq, load_yaml
from labctl.errors import Place, PlaybookError
from labctl.playbook import keywords
from labctl.playbook.load_tasks import Inherited, load_handlers, load_items
from labctl.playbook.model import Play, Playbook, Source
from labctl.playbook.template import Templar, is_template


def load_playbook(path: Path, template_dirs: Sequence[Path] = ()) -> Playbook:
    """Read and check a playbook.

    ``template_dirs`` (a course's templates) are searched after the playbook's own directory.
    Raises PlaybookError with file, line and column.
    """
    path = Path(path)
    document = load_yaml(path, PlaybookError)
    if not isinstance(document, Seq):
        raise PlaybookError("a playbook is a list of plays: - hosts: ...", place=Place(path, 1, 1, ""))
    templar = Templar((path.parent.resolve(), *template_dirs))
    plays = tuple(_play(item, document.at(index), templar) for index, item in enumerate(document))
    if not plays:
        raise PlaybookError("there is no play in this playbook", place=document.place)
    return Playbook(path=path, plays=plays, template_dirs=tuple(template_dirs))


def _play(item: Any, place: Place, templar: Templar) -> Play:
    if not isinstance(item, Map):
        raise PlaybookError(f"a play is a mapping with hosts and tasks, not {item!r}", place=place)
    if "import_playbook" in item or "ansible.builtin.import_playbook" in item:
        raise PlaybookError("'import_playbook' is not covered", hint=keywords.ENGINE_HINT, place=place)
    keywords.check_words(item, keywords.PLAY, "a play")
    if "hosts" not in item:
        raise PlaybookError("this play does not say on which hosts it runs: hosts: ...", place=place)
    inherited = Inherited(templar=templar).under(item, keep_vars=False)
    variables = _variables(item, templar)
    sections = tuple(
        load_items(_list_of(item, word, "tasks"), inherited) for word in ("pre_tasks", "tasks", "post_tasks")
    )
    hosts = item["hosts"]
    name = item.get("name") or (hosts if isinstance(hosts, str) else ",".join(map(str, hosts or [])))
    return Play(
        name=str(name),
        hosts=Source(hosts, item.at("hosts")),
        place=place,
        gather_facts=_boolean(item, "gather_facts", default=True),
        vars=variables,
        vars_files=tuple(_vars_files(item, templar)),
        sections=sections,
        handlers=load_handlers(_list_of(item, "handlers", "handlers"), inherited),
        force_handlers=_boolean(item, "force_handlers", default=False),
    )


def _boolean(item: Map, word: str, *, default: bool) -> bool:
    value = item.get(word, default)
    if not isinstance(value, bool):
        raise PlaybookError(f"{word} takes true or false, not {value!r}", place=item.at(word))
    return value


def _list_of(item: Map, word: str, what: str) -> Seq:
    value = item.get(word)
    if value is None:
        return Seq(item.place)
    if not isinstance(value, Seq):
        raise PlaybookError(f"{word} is a list of {what}", place=item.at(word))
    return value


def _variables(item: Map, templar: Templar) -> Map:
    value = item.get("vars")
    if value is None:
        return Map(item.place)
    if not isinstance(value, Map):
        raise PlaybookError("vars is a mapping: name: value", place=item.at("vars"))
    check_variable_names(value, templar)
    return value


def check_variable_names(variables: Map, templar: Templar) -> None:
    """Variable names must be usable in a template; their values' templates must compile."""
    for name in variables:
        if not (isinstance(name, str) and name.isidentifier()):
            raise PlaybookError(
                f"{name!r} cannot be a variable's name: use letters, digits and _",
                place=variables.key_at(name),
            )
        templar.check(variables[name], variables.at(name))


def _vars_files(item: Map, templar: Templar) -> Iterable[Map]:
    value = item.get("vars_files")
    if value is None:
        return
    listed = value if isinstance(value, Seq) else [value]
    for index, name in enumerate(listed):
        place = value.at(index) if isinstance(value, Seq) else item.at("vars_files")
        if not isinstance(name, str):
            raise PlaybookError("vars_files is a list of file names", place=place)
        if is_template(name):
            raise PlaybookError(
                "a vars_files name with a template in it is not covered",
                hint=keywords.ENGINE_HINT,
                place=place,
            )
        path = place.path.parent / name
        if not path.is_file():
            raise PlaybookError(f"there is no file {path}", place=place)
        loaded = load_yaml(path, PlaybookError)
        if loaded is None:
            continue
        if not isinstance(loaded, Map):
            raise PlaybookError("a file of variables is a mapping: name: value", place=Place(path, 1, 1))
        check_variable_names(loaded, templar)
        yield loaded
