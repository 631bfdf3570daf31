"""Roles: ``roles:`` of a play, ``dependencies:`` of a role, import_role and include_role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.documents import load_yaml
from labctl.errors import Place, PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook import files, keywords
from labctl.playbook.inherited import Inherited, OwnRole
from labctl.playbook.model import Block, Role, Task
from labctl.playbook.template import is_template


@dataclass(frozen=True)
class RoleCall:
    """How a role is called. ``parts`` are tasks_from and its like, by part.

    ``once``: not twice in a play, unless the role allows it. ``words`` are its own when and tags.
    """

    name: str
    place: Place
    vars: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    words: tuple[Any, ...] = (None, None)

    @property
    def key(self) -> tuple[str, ...]:
        """The same for calls that Ansible takes for the same."""
        return (repr(self.params), repr(self.vars), repr(self.parts), repr(self.words), str(self.once))


@dataclass
class Loaded:
    """What roles gave: ``roles`` are those called, each after those that it depends on."""

    items: list[Task | Block] = field(default_factory=list)
    handlers: list[Task] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)

    def take(self, other: Loaded) -> None:
        self.items.extend(other.items)
        self.handlers.extend(other.handlers)
        self.roles.extend(other.roles)


def load_listed(listed: Seq, inherited: Inherited) -> Loaded:
    """The roles of a play's ``roles:`` or of a role's ``dependencies:``, in order."""
    whole = Loaded()
    for index, item in enumerate(listed):
        place = listed.at(index)
        if isinstance(item, Map):
            call, inner = _called(item, place, inherited)
        elif isinstance(item, str | int):
            call, inner = RoleCall(str(item), place, once=True), inherited
        else:
            raise PlaybookError(f"a role is a name or a mapping with role: in it, not {item!r}", place=place)
        whole.take(load_role(call, inner))
    return whole


def _called(item: Map, place: Place, inherited: Inherited) -> tuple[RoleCall, Inherited]:
    word = "role" if "role" in item else "name"
    name = item.get(word)
    if not isinstance(name, str) or not name:
        raise PlaybookError("this does not say which role: role: NAME", place=place)
    params: dict[str, Any] = {}
    for key in item:
        if key in keywords.NOT_COVERED:
            raise keywords.unknown_word(key, keywords.ROLE, "a role", item.key_at(key))
        if key not in keywords.ROLE:
            params[key] = item[key]
            inherited.templar.check(item[key], item.at(key))
    inner = inherited.under(item, keep_vars=False)
    words = tuple(item.get(word) for word in ("when", "tags"))
    return RoleCall(name, item.at(word), item.get("vars") or {}, params, once=True, words=words), inner


def load_role(call: RoleCall, inherited: Inherited) -> Loaded:
    """A role with those that it depends on. ``inherited`` is what its call stands in.

    Raises PlaybookError at the call for a role that is not there, at the role's files for what is wrong
    in them.
    """
    if is_template(call.name):
        raise PlaybookError(
            "a role's name with a template in it is only known during the run",
            hint="include_role can take one",
            place=call.place,
        )
    name = call.name.removeprefix("ansible.legacy.")
    path = inherited.files.find_role(name, (role.path for role in inherited.chain), call.place)
    if path in inherited.importing:
        chain = " -> ".join(one.name for one in (*inherited.importing, path))
        raise PlaybookError(f"roles call each other in a circle: {chain}", place=call.place)
    own = _own(Path(name).name, path, call, inherited)
    inner = replace(
        inherited,
        chain=(*inherited.chain, own),
        importing=(*inherited.importing, path),
        file=path / "tasks" / "main.yml",
    )
    meta = _meta(path, call.place)
    needed = load_listed(meta.dependencies, replace(inner, file=path / "meta" / "main.yml"))
    role = _role(own, inherited.chain, needed.roles)
    inner = replace(inner, role=role)
    whole = Loaded()
    whole.take(needed)
    whole.roles = [replace(one, needed=True) for one in whole.roles]
    items: list[Task | Block] = []
    for file in files.role_files(path, "tasks", call.parts.get("tasks"), call.place):
        items.extend(inner.read.items(files.read_tasks(file), inner.in_file(file)))
    once = call.once and not meta.allow_duplicates
    whole.items.append(Block(tuple(items), call.place, role=(path, *call.key), once=once))
    for file in files.role_files(path, "handlers", call.parts.get("handlers"), call.place):
        whole.handlers.extend(inner.read.handlers(files.read_tasks(file), inner.in_file(file)))
    whole.roles.append(role)
    return whole


def _own(name: str, path: Path, call: RoleCall, inherited: Inherited) -> OwnRole:
    templar = inherited.templar

    def variables(part: str) -> Map:
        found = files.role_files(path, part, call.parts.get(part), call.place, directory=True)
        return files.merged([files.read_variables(file, templar) for file in found], Place(path / part))

    return OwnRole(name, path, variables("defaults"), variables("vars"), call.vars, call.params)


def _role(own: OwnRole, chain: tuple[OwnRole, ...], needed: list[Role]) -> Role:
    """What the role's tasks see, in Ansible's order: see its Role.get_vars and get_default_vars."""
    inherited = tuple(one for parent in chain for one in (parent.call_vars, parent.vars))
    exported = tuple(one for role in needed for one in role.exports)
    return Role(
        name=own.name,
        path=own.path,
        defaults=(
            *(one for role in needed for one in role.own_defaults),
            *(parent.defaults for parent in chain),
            own.defaults,
        ),
        own_defaults=(*(one for role in needed for one in role.own_defaults), own.defaults),
        vars=(*inherited, *exported, own.vars, own.call_vars),
        params=(*(parent.params for parent in chain), own.params),
        exports=(*exported, own.vars),
        parents=tuple(parent.name for parent in chain),
    )


@dataclass(frozen=True)
class _Meta:
    dependencies: Seq
    allow_duplicates: bool = False


def _meta(role: Path, place: Place) -> _Meta:
    """A role's meta/main.yml: what it depends on. What only galaxy reads is let be."""
    for file in files.role_files(role, "meta", None, place):
        loaded = load_yaml(file, PlaybookError)
        if loaded is None:
            break
        if not isinstance(loaded, Map):
            raise PlaybookError("a role's meta is a mapping", place=Place(file, 1, 1))
        _refuse_specs(role, loaded)
        keywords.check_words(loaded, keywords.ROLE_META, "a role's meta")
        dependencies = loaded.get("dependencies")
        if dependencies is not None and not isinstance(dependencies, Seq):
            raise PlaybookError("dependencies is a list of roles", place=loaded.at("dependencies"))
        duplicates = loaded.get("allow_duplicates", False)
        if not isinstance(duplicates, bool):
            raise PlaybookError("allow_duplicates takes true or false", place=loaded.at("allow_duplicates"))
        return _Meta(dependencies if dependencies is not None else Seq(loaded.place), duplicates)
    _refuse_specs(role, Map(place))
    return _Meta(Seq(place))


def _refuse_specs(role: Path, meta: Map) -> None:
    """Ansible checks a role's variables against these as a task of its own: leaving it out would be quiet."""
    found = files.role_files(role, "meta", "argument_specs", meta.place) if _has_specs(role) else []
    if found or "argument_specs" in meta:
        place = Place(found[0], 1, 1) if found else meta.key_at("argument_specs")
        raise PlaybookError("a role's argument_specs are not covered", hint=keywords.ENGINE_HINT, place=place)


def _has_specs(role: Path) -> bool:
    return any((role / "meta" / f"argument_specs{ext}").is_file() for ext in (".yml", ".yaml", ".json"))
