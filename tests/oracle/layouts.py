"""Whole playbooks made at random, whose variables have values at every level that may hold one.

A :class:`Layout` writes an inventory, ``group_vars`` and ``host_vars``, roles with dependencies, task files
and a playbook of two plays. Its points of view are tasks that write down every variable as they see it:
in a play, in blocks, in roles and their dependencies, in what is imported and included, in handlers.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Choose = Callable[[Sequence[Any]], Any]

#: Every level of Ansible's order that labctl covers, by where a variable of it is written.
LEVELS = (
    *("dependency_defaults", "role_defaults", "task_role_defaults"),
    *("inventory_all", "inventory_outer", "inventory_inner", "all_beside_inventory", "all_beside_playbook"),
    *("outer_beside_inventory", "inner_beside_inventory", "outer_beside_playbook", "inner_beside_playbook"),
    *("inventory_host", "host_beside_inventory", "host_beside_playbook"),
    *("play", "vars_file", "last_vars_file", "dependency_vars", "role_vars", "task_role_vars", "call_vars"),
    *("import_vars", "import_role_vars", "outer_block", "block", "task", "include_vars", "included_later"),
    *("set_fact", "registered", "dependency_params", "role_params", "include_params", "include_role_params"),
    "extra",
)
HOST = "here"
#: One in so many pairs of levels has a variable, and so many larger sets: ansible-core is slow with each.
PAIRS = 4
MANY = 60
REGISTERED = 8
_UNSET = "<none>"


class Layout:
    """``names`` are the variables: one for some pairs of levels, and one for larger sets of them.

    ``bases`` are the levels that have a value for the variable ``base``, which many of the others mention.
    """

    def __init__(self, choose: Choose, top: Path) -> None:
        self.choose = choose
        self.top = top
        pairs = [set(pair) for pair in itertools.combinations(LEVELS, 2) if choose(range(PAIRS)) == 0]
        many = [{choose(LEVELS) for _ in range(choose((3, 4, 6, 9, 14)))} for _ in range(MANY)]
        sets = [*pairs, *many]
        # a task each
        for levels in [one for one in sets if "registered" in one][REGISTERED:]:
            levels.discard("registered")
        self.levels_of = {f"v{number}": levels for number, levels in enumerate(sets)}
        self.bases = {"inventory_all", *(choose(LEVELS) for _ in range(12))}
        self.points: list[str] = []

    @property
    def names(self) -> list[str]:
        return list(self.levels_of)

    # -- values ----------------------------------------------------------------------------------

    def values(self, level: str) -> dict[str, Any]:
        """What ``level`` says of the variables that have a value there."""
        said = {name: self._value(name, level) for name, levels in self.levels_of.items() if level in levels}
        if level in self.bases:
            said["base"] = f"base of {level}"
        return said

    def _value(self, name: str, level: str) -> Any:
        # a variable refers to ones of a lower number: never in a circle
        number = int(name.removeprefix("v"))
        other = f"v{self.choose(range(number))}" if number else "base"
        return self.choose(
            (
                *(level, level, f"{level} on {{{{ base }}}}", f"{{{{ {other} | default('-') }}}}"),
                *(
                    [level, "{{ base }}"],
                    {"level": level, level: "{{ base | upper }}"},
                    None,
                    number,
                    "",
                    "é 1",
                ),
            )
        )

    # -- tasks -----------------------------------------------------------------------------------

    def point(self, name: str, **words: Any) -> dict[str, Any]:
        """A task that writes down every variable as it sees it."""
        self.points.append(name)
        template = {"src": str(self.top / "show.j2"), "dest": str(self.top / "out" / f"{name}.json")}
        return {"name": name, "template": template, **words}

    def _registered(self) -> list[dict[str, Any]]:
        names = [name for name, levels in self.levels_of.items() if "registered" in levels]
        return [{"debug": {"msg": "{{ base }} said"}, "register": name} for name in names]

    def _steps(self) -> list[dict[str, Any]]:
        """A play's tasks, in an order of their own each time."""
        steps: list[list[dict[str, Any]]] = [
            [{"set_fact": self.values("set_fact")}],
            self._registered(),
            [{"include_vars": "later.yml"}],
            [
                {
                    "vars": self.values("outer_block"),
                    "block": [
                        self.point("in_a_block"),
                        {
                            "vars": self.values("block"),
                            "block": [
                                self.point("in_an_inner_block", vars=self.values("task")),
                                {"include_tasks": "included.yml", "vars": self.values("include_params")},
                                {"import_tasks": "imported.yml", "vars": self.values("import_vars")},
                            ],
                        },
                    ],
                }
            ],
            [{"import_role": {"name": "of_tasks"}, "vars": self.values("import_role_vars")}],
            [
                {
                    "include_role": {"name": "included", "public": self.choose((True, False))},
                    "vars": self.values("include_role_params"),
                }
            ],
            [{"command": "true", "notify": ["in_a_handler", "in_a_roles_handler"]}],
            [self.point("in_a_task")],
        ]
        ordered = []
        while steps:
            step = self.choose(steps)
            steps.remove(step)
            ordered += step
        return ordered

    # -- files -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Every file below ``top``; ``site.yml`` is the playbook."""
        (self.top / "out").mkdir(parents=True)
        self._write_inventory()
        self._write_roles()
        for file, level in (
            ("first", "vars_file"),
            ("last", "last_vars_file"),
            ("now", "include_vars"),
            ("later", "included_later"),
            ("extra", "extra"),
        ):
            self._yaml(f"{file}.yml", self.values(level))
        self._yaml("included.yml", [self.point("in_included_tasks")])
        self._yaml("imported.yml", [self.point("in_imported_tasks")])
        called = {**self.values("role_params"), "role": "called", "vars": self.values("call_vars")}
        play = {
            "name": "first",
            "hosts": "all",
            "gather_facts": False,
            "vars": self.values("play"),
            "vars_files": ["first.yml", "last.yml"],
            "pre_tasks": [self.point("before_all"), {"include_vars": "now.yml"}, self.point("before_roles")],
            "roles": [called, {"role": "plain"}],
            "tasks": self._steps(),
            "post_tasks": [self.point("after_all", vars=self.values("task"))],
            "handlers": [self.point("in_a_handler")],
        }
        second = {"name": "second", "hosts": "all", "gather_facts": False}
        second["tasks"] = [
            self.point("in_another_play"),
            self.point("there_with_vars", vars={"base": "task"}),
        ]
        self._yaml("site.yml", [play, second])
        seen = ", ".join(
            f"'{name}': {name}.msg | default({name}) | default('{_UNSET}')" for name in self.names
        )
        (self.top / "show.j2").write_text(f"{{{{ {{{seen}}} | to_json }}}}\n")

    def _write_inventory(self) -> None:
        host = {
            **self.values("inventory_host"),
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }
        inner = {"vars": self.values("inventory_inner"), "hosts": {HOST: None}}
        outer = {"vars": self.values("inventory_outer"), "children": {"inner": inner}}
        everything = {
            "vars": self.values("inventory_all"),
            "hosts": {HOST: host},
            "children": {"outer": outer},
        }
        self._yaml("inventory/hosts.yml", {"all": everything})
        for folder, beside in (("inventory/", "inventory"), ("", "playbook")):
            for group in ("all", "outer", "inner"):
                self._yaml(f"{folder}group_vars/{group}.yml", self.values(f"{group}_beside_{beside}"))
            self._yaml(f"{folder}host_vars/{HOST}.yml", self.values(f"host_beside_{beside}"))

    def _write_roles(self) -> None:
        """``called`` depends on ``needed``; ``of_tasks`` and ``included`` are called by tasks."""
        needed = {"role": "needed", **self.values("dependency_params")}
        self._role("called", "role", {"dependencies": [needed]})
        self._role("needed", "dependency")
        self._role("of_tasks", "task_role")
        self._role("included", "task_role")
        self._yaml("roles/plain/tasks/main.yml", [self.point("in_a_plain_role")])
        self._yaml("roles/plain/handlers/main.yml", [self.point("in_a_roles_handler")])

    def _role(self, name: str, level: str, meta: Mapping[str, Any] | None = None) -> None:
        self._yaml(f"roles/{name}/defaults/main.yml", self.values(f"{level}_defaults"))
        self._yaml(f"roles/{name}/vars/main.yml", self.values(f"{level}_vars"))
        tasks = [
            self.point(f"in_{name}"),
            {
                "vars": self.values("block"),
                "block": [self.point(f"in_{name}_with_vars", vars=self.values("task"))],
            },
            {"include_tasks": "more.yml", "vars": self.values("include_params")},
        ]
        self._yaml(f"roles/{name}/tasks/main.yml", tasks)
        self._yaml(f"roles/{name}/tasks/more.yml", [self.point(f"in_{name}_included")])
        if meta:
            self._yaml(f"roles/{name}/meta/main.yml", meta)

    def _yaml(self, path: str, content: Any) -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000))
