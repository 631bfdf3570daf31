"""What is known about each host during a run, and the scope that a task on it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.inventory import Host, Inventory, VarsDirectory
from labctl.playbook.model import Play, Role, Task
from labctl.playbook.template import Templar
from labctl.playbook.variables import FACT_NAMES, HostVars, Layer, Scope

_DEFAULTS = {"ansible_managed": "Ansible managed"}
_FACTS_WANTED: dict[str, Any] = dict.fromkeys([*FACT_NAMES, "ansible_facts"])


@dataclass
class HostState:
    """One host's variables that the run itself made.

    ``results`` are registered results and facts set from a VM's data; ``facts_set`` are facts set
    from the playbook's own data. A name is in one of them only, the one set last.
    """

    host: Host
    facts: dict[str, Any] | None = None
    results: dict[str, Any] = field(default_factory=dict)
    facts_set: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Any] = field(default_factory=dict)
    #: What include_vars read, the last one strongest.
    included: list[Mapping[str, Any]] = field(default_factory=list)
    #: Roles that an include made public in the play under way, and the names of all that it brought.
    public: list[Role] = field(default_factory=list)
    role_names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group_names = sorted(self.host.groups)

    def learn_facts(self, facts: Mapping[str, Any]) -> None:
        """Keep gathered facts under both of Ansible's spellings."""
        bare = {str(name).removeprefix("ansible_"): value for name, value in facts.items()}
        self.facts = {f"ansible_{name}": value for name, value in bare.items()}
        self.facts["ansible_facts"] = bare

    def register(self, name: str, value: Any) -> None:
        self.facts_set.pop(name, None)
        self.results[name] = value

    def knows(self, name: str) -> bool:
        return name in self.results or name in self.facts_set

    def value_of(self, name: str) -> tuple[Any, bool]:
        """A fact or result, and whether data from a VM took part in it."""
        return (self.results[name], True) if name in self.results else (self.facts_set[name], False)

    def set_fact(self, name: str, value: Any, *, remote: bool) -> None:
        """``remote``: data from a VM took part in it."""
        self.register(name, value)
        if not remote:
            del self.results[name]
            self.facts_set[name] = value


class World:
    """Everything that scopes are made of: the inventory, every host's state, the run's options.

    The ``group_vars`` and ``host_vars`` in ``playbook_dirs`` are read at once: raises InventoryError.
    """

    def __init__(
        self,
        inventory: Inventory,
        hosts: Sequence[Host],
        extra: Mapping[str, Any],
        run: Mapping[str, Any],
        playbook_dirs: Iterable[Path] = (),
    ) -> None:
        self.inventory = inventory
        self.extra = extra
        self.run = run
        self.states = {host.name: HostState(host) for host in inventory.hosts.values()}
        # The chosen ones may have variables from the command line (user@host).
        self.states.update((host.name, HostState(host)) for host in hosts)
        beside = [VarsDirectory(directory) for directory in dict.fromkeys(playbook_dirs)]
        self._seen = {
            directory.directory: {name: state.host.beside(directory) for name, state in self.states.items()}
            for directory in beside
        }
        groups = {name: list(group.hosts) for name, group in inventory.groups.items()}
        groups.setdefault("all", list(self.states))
        grouped = {name for key, names in groups.items() if key not in ("all", "ungrouped") for name in names}
        groups["ungrouped"] = [name for name in self.states if name not in grouped]
        self.groups = groups

    def host(self, name: str, playbook_dir: Path | None) -> Host:
        """A host with the variables that lie beside the playbooks in ``playbook_dir``."""
        if playbook_dir is None or playbook_dir not in self._seen:
            return self.states[name].host
        return self._seen[playbook_dir][name]

    def scope(
        self,
        host: str,
        templar: Templar,
        *,
        play: Play | None = None,
        task: Task | None = None,
        play_hosts: Sequence[str] = (),
        includes: Sequence[Layer] = (),
        directory: Path | None = None,
    ) -> Scope:
        """What a task sees, strongest first, in Ansible's order of precedence.

        ``directory`` is that of the playbook whose variables beside it count when there is no play.
        ``includes`` are the variables of the includes that the task stands in, the innermost last.
        """
        state = self.states[host]
        roles = (*play.roles, *state.public) if play is not None else ()
        role = task.role if task is not None else None
        seen = self.host(host, play.directory if play is not None else directory)
        layers = [
            Layer("magic", self._magic(state, templar, play, task, play_hosts), "final"),
            Layer("-e", self.extra),
        ]
        if task is not None and task.params:
            layers.append(Layer("vars", task.params))
        layers.extend(reversed(includes))
        if role is not None:
            layers.extend(Layer("role parameters", values) for values in reversed(role.params))
        layers += [
            Layer("results not known yet", state.pending, "pending"),
            Layer("results", state.results, "remote"),
            Layer("set_fact", state.facts_set, "final"),
        ]
        layers.extend(Layer("include_vars", values) for values in reversed(state.included))
        if task is not None:
            layers.extend(Layer("vars", variables) for variables in reversed(task.vars))
        if role is not None:
            layers.extend(Layer("role vars", values) for values in reversed(role.vars))
        for one in reversed(roles):
            layers.extend(Layer("role vars", values) for values in reversed(one.exports))
        if play is not None:
            layers.extend(Layer("vars_files", variables) for variables in reversed(play.vars_files))
            layers.append(Layer("vars", play.vars))
        if state.facts is not None:
            layers.append(Layer("facts", state.facts, "remote"))
        elif play is None or play.gather_facts:
            layers.append(Layer("facts", _FACTS_WANTED, "facts"))
        layers.append(Layer("inventory", seen.variables))
        if role is not None:
            layers.extend(Layer("role defaults", values) for values in reversed(role.defaults))
        for one in reversed(roles):
            layers.extend(Layer("role defaults", values) for values in reversed(one.own_defaults))
        layers.append(Layer("defaults", {**seen.connection_variables, **_DEFAULTS}, "final"))
        return Scope(templar, layers)

    def _magic(
        self,
        state: HostState,
        templar: Templar,
        play: Play | None,
        task: Task | None,
        play_hosts: Sequence[str],
    ) -> dict[str, Any]:
        host = state.host
        magic: dict[str, Any] = {
            "inventory_hostname": host.name,
            "inventory_hostname_short": host.short_name,
            "group_names": state.group_names,
            "groups": self.groups,
            "hostvars": HostVars(
                self.states.keys(),
                lambda name: self.scope(name, templar, directory=play.directory if play else None),
            ),
            **self.run,
        }
        if host.file is not None:
            magic["inventory_file"] = str(host.file)
            magic["inventory_dir"] = str(host.file.parent)
        if task is not None and task.role is not None:
            magic["role_name"] = magic["ansible_role_name"] = task.role.name
            magic["role_path"] = str(task.role.path)
            if task.role.parents:
                magic["ansible_parent_role_names"] = list(reversed(task.role.parents))
        if play is not None:
            magic["playbook_dir"] = str(play.directory)
            direct = [*(role.name for role in play.roles if not role.needed), *state.role_names]
            magic["role_names"] = magic["ansible_play_role_names"] = direct
            magic["ansible_play_name"] = play.name
            for word in ("ansible_play_hosts", "ansible_play_hosts_all", "ansible_play_batch", "play_hosts"):
                magic[word] = play_hosts
        return magic
