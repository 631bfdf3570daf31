"""labctl services: what listens on VMs, and who can reach it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from labctl.cli.context import Setting
from labctl.cli.leaving import PATIENCE
from labctl.cli.options import course_option, forks_option, inventory_option, json_option, vault_options
from labctl.deadline import Deadline
from labctl.errors import AgentFault, HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.inventory import Host
    from labctl.probes import Observed, Request

T = TypeVar("T")

_SECONDS = 60.0


@click.command()
@click.argument("vms", metavar="[VM]...", nargs=-1)
@inventory_option
@course_option
@vault_options
@forks_option
@json_option
def services(
    vms: tuple[str, ...], inventory: tuple[Path, ...], course: Path | None, forks: int, as_json: bool
) -> int:
    """Show what listens on VMs: process, unit, name in /etc/services, and who can reach it.

    Without a VM: this machine.
    """
    from labctl.batch import fan_out
    from labctl.inventory import local_host
    from labctl.report.services_console import render_services

    hosts = Setting.current(inventory, course).select(vms) if vms else (local_host(),)
    outcomes = fan_out(hosts, _look, forks=forks, patience=PATIENCE)
    document = {
        "schema": 1,
        "hosts": [
            {"host": name, "error": f"{found.cause}: {found.message}", "hint": found.hint, "services": []}
            if isinstance(found, HostError)
            else {"host": name, "error": None, **found}
            for name, found in outcomes.items()
        ],
    }
    click.echo(json.dumps(document, indent=2) if as_json else render_services(document), nl=as_json)
    return 3 if any(isinstance(found, HostError) for found in outcomes.values()) else 0


def _look(host: Host) -> dict[str, Any]:
    from labctl.agent import start_agent
    from labctl.probes import Observer, StaffLink, sockets, ufw_status

    deadline = Deadline.after(_SECONDS)
    with start_agent(host, deadline) as agent:
        found = Observer(agent, StaffLink(None)).fetch((sockets(), ufw_status()), deadline)
    firewall = _value(found, ufw_status())
    rows = sorted(
        {
            (one.port, one.proto, one.address, one.process, one.unit, one.service, firewall.reach(one))
            for one in _value(found, sockets()).listening
        }
    )
    names = ("port", "proto", "address", "process", "unit", "service", "reach")
    return {"firewall": firewall.active, "services": [dict(zip(names, row, strict=True)) for row in rows]}


def _value(found: Mapping[str, Observed[Any]], request: Request[T]) -> T:
    from labctl.probes import Unobserved

    value: T | Unobserved = found[request.key].value
    if isinstance(value, Unobserved):
        raise AgentFault(f"{value.cause}: {value.message}")
    return value
