"""Playing playbooks on this machine, and calling modules without a playbook."""

from __future__ import annotations

import importlib
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.agent.remote.outcome import Context, Failed
from labctl.inventory import Host, Inventory
from labctl.inventory.model import local_host
from labctl.playbook import RunOptions, load_playbook, run_playbook
from labctl.playbook.modules import BY_NAME
from labctl.playbook.schema import complete


def inventory(**variables: Any) -> tuple[Inventory, list[Host]]:
    """This machine as the only host, called ``vm``."""
    host = local_host("vm", **variables)
    return Inventory({"vm": host}, {}), [host]


def write(tmp_path: Path, text: str, name: str = "play.yml") -> Path:
    path = tmp_path / name
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return path


def play(
    tmp_path: Path, tasks: str, head: str = "", variables: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """Run tasks (YAML, dedented) in one play here; the document of the only host."""
    body = textwrap.indent(textwrap.dedent(tasks).strip("\n"), "    ")
    top = textwrap.indent(textwrap.dedent(head).strip("\n"), "  ")
    path = tmp_path / "play.yml"
    path.write_text(f"- hosts: all\n{top}\n  tasks:\n{body}\n")
    made, hosts = inventory(**(variables or {}))
    result = run_playbook(load_playbook(path), made, hosts, RunOptions(**options))
    (host,) = result.document()["hosts"]
    return host


def statuses(host: Any) -> list[str]:
    return [task["status"] for task in host["tasks"]]


def messages(host: Any) -> list[str]:
    return [task["msg"] for task in host["tasks"]]


def run_module(
    name: str, args: Mapping[str, Any], *, check: bool = False, diff: bool = False, seconds: float = 10.0
) -> Any:
    """A module's result document, its arguments completed as the controller does it."""
    module = importlib.import_module(f"labctl.agent.remote.modules.{BY_NAME[name].remote or name}")
    known = {key: value for key, value in args.items() if BY_NAME[name].canonical(key)}
    others = {key: value for key, value in args.items() if not BY_NAME[name].canonical(key)}
    completed = {**complete(BY_NAME[name], known), **others}
    try:
        return module.run(completed, Context(time.monotonic() + seconds, check, diff))
    except Failed as err:
        return {**err.fields, "failed": True, "msg": err.msg}
