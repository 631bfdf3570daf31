"""A playbook file into :class:`~labctl.playbook.model.Playbook`, or a PlaybookError at its place.

Everything that can be known without a VM is checked here: words, modules, parameters, literal
values, template syntax, filters, the files that tasks send.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.documents import load_yaml
from labctl.errors import Place, PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook import keywords, load_roles
from labctl.playbook.files import PlayFiles, check_variable_names, merged, read_variables
from labctl.playbook.inherited import Inherited, Readers, conditions_of, tags_of
from labctl.playbook.load_tasks import load_handlers, load_items
from labctl.playbook.model import Play, Playbook, Source
from labctl.playbook.template import Templar, is_template

_READERS = Readers(load_items, load_handlers)


@dataclass(frozen=True)
class _Importing:
    """What the plays of an imported playbook take over; ``paths`` are the playbooks that led there."""

    paths: tuple[Path, ...]
    vars: tuple[Map, ...] = ()
    when: tuple[Source, ...] = ()
    tags: frozenset[str] = frozenset()


def load_playbook(path: Path, template_dirs: Sequence[Path] = ()) -> Playbook:
    """Read and check a playbook, with those that it imports.

    ``template_dirs`` (a course's templates) are searched after the playbook's own directory.
    Raises PlaybookError with file, line and column.
    """
    path = Path(path)
    return Playbook(path, tuple(_plays(path, template_dirs, _Importing((path.resolve(),)))))


def _plays(path: Path, template_dirs: Sequence[Path], importing: _Importing) -> list[Play]:
    document = load_yaml(path, PlaybookError)
    if not isinstance(document, Seq):
        raise PlaybookError("a playbook is a list of plays: - hosts: ...", place=Place(path, 1, 1, ""))
    plays: list[Play] = []
    for index, item in enumerate(document):
        place = document.at(index)
        if not isinstance(item, Map):
            raise PlaybookError(f"a play is a mapping with hosts and tasks, not {item!r}", place=place)
        if "import_playbook" in item or "ansible.builtin.import_playbook" in item:
            plays.extend(_imported(item, template_dirs, importing))
        else:
            plays.append(_play(item, place, PlayFiles(path.parent, template_dirs), importing))
    if not plays:
        raise PlaybookError("there is no play in this playbook", place=document.place)
    return plays


def _imported(item: Map, template_dirs: Sequence[Path], importing: _Importing) -> list[Play]:
    keywords.check_words(item, keywords.IMPORT_PLAYBOOK, "import_playbook")
    word = next(key for key in item if str(key).endswith("import_playbook"))
    name, place = item[word], item.at(word)
    if not isinstance(name, str):
        raise PlaybookError(f"import_playbook takes a file's name, not {name!r}", place=place)
    if is_template(name):
        raise PlaybookError("import_playbook cannot depend on a variable here", place=place)
    path = place.path.parent / name
    if not path.is_file():
        raise PlaybookError(f"there is no playbook {path}", place=place)
    if path.resolve() in importing.paths:
        chain = " -> ".join(one.name for one in (*importing.paths, path))
        raise PlaybookError(f"playbooks import each other in a circle: {chain}", place=place)
    templar = PlayFiles(place.path.parent, template_dirs).templar()
    return _plays(
        path,
        template_dirs,
        _Importing(
            paths=(*importing.paths, path.resolve()),
            vars=(_variables(item, templar), *importing.vars),
            when=(*importing.when, *conditions_of(item, "when", templar)),
            tags=importing.tags | tags_of(item),
        ),
    )


def _play(item: Map, place: Place, files: PlayFiles, importing: _Importing) -> Play:
    keywords.check_words(item, keywords.PLAY, "a play")
    if "hosts" not in item:
        raise PlaybookError("this play does not say on which hosts it runs: hosts: ...", place=place)
    templar = files.templar()
    inherited = Inherited(files, place.path, _READERS, when=importing.when, tags=importing.tags)
    inherited = inherited.under(item, keep_vars=False)
    # The importing playbook's variables win over the play's own, as in Ansible.
    variables = merged([_variables(item, templar), *importing.vars], item.at("vars"))
    roles = load_roles.load_listed(_list_of(item, "roles", "roles"), inherited)
    pre, own, post = (
        load_items(_list_of(item, word, "tasks"), inherited) for word in ("pre_tasks", "tasks", "post_tasks")
    )
    handlers = load_handlers(_list_of(item, "handlers", "handlers"), inherited)
    hosts = item["hosts"]
    name = item.get("name") or (hosts if isinstance(hosts, str) else ",".join(map(str, hosts or [])))
    return Play(
        name=str(name),
        hosts=Source(hosts, item.at("hosts")),
        place=place,
        directory=files.directory,
        templar=templar,
        gather_facts=_boolean(item, "gather_facts", default=True),
        vars=variables,
        vars_files=tuple(_vars_files(item, templar)),
        sections=(pre, (*roles.items, *own), post),
        handlers=(*roles.handlers, *handlers, *files.found.handlers),
        roles=(*roles.roles, *files.found.roles),
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


def _vars_files(item: Map, templar: Templar) -> Iterable[Map]:
    value = item.get("vars_files")
    if value is None:
        return
    listed = value if isinstance(value, Seq) else [value]
    for index, one in enumerate(listed):
        place = value.at(index) if isinstance(value, Seq) else item.at("vars_files")
        # a list in the list: the first of them that is there
        names = list(one) if isinstance(one, Seq) else [one]
        if not names or not all(isinstance(name, str) for name in names):
            raise PlaybookError("vars_files is a list of file names", place=place)
        if any(map(is_template, names)):
            raise PlaybookError(
                "a vars_files name with a template in it is not covered",
                hint=keywords.ENGINE_HINT,
                place=place,
            )
        folder = place.path.parent
        paths = [path for name in names for path in (folder / name, folder / "vars" / name)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise PlaybookError(f"there is no file {paths[0]}, nor in vars/", place=place)
        yield read_variables(path, templar)
