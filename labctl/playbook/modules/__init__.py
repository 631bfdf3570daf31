"""The table of modules: one row each, parameters as Ansible documents them.

Adding a module is a row in one of these files and, unless it stays on the controller, a file in
``labctl/agent/remote/modules``.
"""

from __future__ import annotations

from labctl.playbook.modules import content, control, running, system
from labctl.playbook.schema import Module

ALL: tuple[Module, ...] = tuple(
    sorted(
        (*content.MODULES, *control.MODULES, *running.MODULES, *system.MODULES),
        key=lambda module: module.name,
    )
)

_LEGACY = {
    "ansible.builtin.systemd_service": "systemd",
    "systemd_service": "systemd",
}

BY_NAME: dict[str, Module] = {
    **{module.name: module for module in ALL},
    **{module.full_name: module for module in ALL},
    **{
        f"ansible.legacy.{module.name}": module
        for module in ALL
        if module.full_name.startswith("ansible.builtin.")
    },
    **{word: module for word, name in _LEGACY.items() for module in ALL if module.name == name},
}
