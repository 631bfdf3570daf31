"""labctl hosts: the inventory in use, whether its VMs answer, and the host keys on record."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from labctl.batch import fan_out
from labctl.cli.context import Setting
from labctl.cli.leaving import PATIENCE
from labctl.cli.options import course_option, forks_option, inventory_option, json_option, vault_options
from labctl.cli.trust import trust
from labctl.connect import Server, way_to
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.inventory import Host
from labctl.report.text import plain


@click.group()
def hosts() -> None:
    """Show the inventory, whether its VMs answer, and record their host keys."""


hosts.add_command(trust)


@hosts.command("list")
@click.argument("patterns", metavar="[VM]...", nargs=-1)
@inventory_option
@course_option
@vault_options
@json_option
def list_hosts(
    patterns: tuple[str, ...], inventory: tuple[Path, ...], course: Path | None, as_json: bool
) -> None:
    """List the hosts of the inventory in use, and the way to each of them."""
    setting = Setting.current(inventory, course)
    chosen = setting.select(patterns or ("all",))
    # ssh is asked about each of them: side by side.
    ways = fan_out(chosen, way_to)
    if as_json:
        rows = [_row(host, ways[host.name]) for host in chosen]
        read = setting.inventory.name or None
        click.echo(json.dumps({"schema": 1, "inventory": read, "hosts": rows}, indent=2))
        return
    click.echo(f"inventory: {setting.inventory.name or 'none'}", err=True)
    width = max((len(h.name) for h in chosen), default=0)
    for host in chosen:
        row = _row(host, ways[host.name])
        via = f"  via {', '.join(row['via'])}" if row["via"] else ""
        where = f"{row['user']}@{row['address']}:{row['port']}"
        click.echo(plain(f"{host.name:{width}}  {where:28}  {', '.join(host.groups)}{via}"))


def _row(host: Host, way: tuple[Server, ...] | HostError) -> dict[str, Any]:
    """Where connecting to ``host`` leads; ``via`` are the jump hosts, the first one first."""
    if isinstance(way, HostError):
        raise way
    server = way[-1] if way else host
    return {
        "host": host.name,
        "address": server.address,
        "port": server.port,
        "user": server.user,
        "via": [jump.login for jump in way[:-1]],
        "groups": list(host.groups),
    }


@hosts.command("ping")
@click.argument("patterns", metavar="[VM]...", nargs=-1)
@inventory_option
@course_option
@vault_options
@forks_option
@json_option
def ping(
    patterns: tuple[str, ...], inventory: tuple[Path, ...], course: Path | None, forks: int, as_json: bool
) -> int:
    """Connect to each VM, start the agent there, and say how long it took."""
    from labctl.agent import start_agent

    chosen = Setting.current(inventory, course).select(patterns or ("all",))

    def greet(host: Host) -> tuple[float, str]:
        started = time.monotonic()
        with start_agent(host, Deadline.after(30)) as agent:
            return time.monotonic() - started, agent.hello.python

    results = fan_out(chosen, greet, forks=forks, patience=PATIENCE)
    rows = []
    for name, outcome in results.items():
        if isinstance(outcome, HostError):
            rows.append({"host": name, "ok": False, "error": outcome.cause, "message": outcome.message})
        else:
            rows.append({"host": name, "ok": True, "seconds": round(outcome[0], 3), "python": outcome[1]})
    if as_json:
        click.echo(json.dumps({"schema": 1, "hosts": rows}, indent=2))
    else:
        for row in rows:
            said = (
                f"ok, {row['seconds']} s, python {row['python']}"
                if row["ok"]
                else f"{row['error']}: {row['message']}"
            )
            click.echo(plain(f"{row['host']}: {said}"))
    return 0 if all(row["ok"] for row in rows) else 3
