"""``labctl sandbox``: real VMs on this machine to try labs on."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from labctl.sandbox import Progress, Sandbox, Status


def _box() -> Sandbox:
    # not at import: "labctl --help" need not load any of it
    from labctl.sandbox import Sandbox

    return Sandbox.open()


def _say(progress: Progress) -> None:
    click.echo(str(progress), err=True)


@click.group()
def sandbox() -> None:
    """Real VMs on this machine, made for trying labs: staff2 and student1, student2, ..."""


@sandbox.command()
@click.option(
    "--students", type=click.IntRange(1, 100), help="How many student VMs (default: as now, else 1)."
)
@click.option(
    "--driver",
    type=click.Choice(["qemu", "nspawn"]),
    help="qemu: real VMs, for everything (default); nspawn: containers with a real systemd that boot in a "
    "second, as root only, without NFS, and with snapshots of the disk alone.",
)
@click.option(
    "--release",
    type=click.Choice(["bookworm", "jammy"]),
    help="What all of its VMs run: bookworm is Debian 12 (default), jammy is Ubuntu 22.04.",
)
def up(students: int | None, driver: str | None, release: str | None) -> None:
    """Bring the VMs up; those that run are left alone."""
    box = _box()
    inventory = box.up(students, _say, driver=driver, release=release)
    click.echo(f"sandbox {box.name!r} is up; inventory: {inventory}", err=True)


@sandbox.command()
def down() -> None:
    """Remove the VMs: processes, disks, snapshots, keys."""
    box = _box()
    found = box.down(_say)
    if not found:
        click.echo(f"sandbox {box.name!r} is not up: nothing to remove", err=True)


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Which VMs there are and how to reach them; exit status 1 when the sandbox is not up."""
    now = _box().status()
    click.echo(json.dumps(_document(now), indent=2) if as_json else _table(now))
    ctx.exit(0 if now.up else 1)


def _document(now: Status) -> dict[str, Any]:
    vms = [
        {
            "name": one.name,
            "state": one.state,
            "address": one.address,
            "ports": {str(inside): outside for inside, outside in one.ports.items()},
            "lan_address": one.lan_address,
            "pid": one.pid or None,
        }
        for one in now.vms
    ]
    inventory = str(now.inventory) if now.inventory else None
    return {
        "schema": 1,
        "sandbox": now.name,
        "up": now.up,
        "accel": now.accel,
        "release": now.release,
        "inventory": inventory,
        "vms": vms,
    }


def _table(now: Status) -> str:
    if not now.vms:
        return f"sandbox {now.name!r} is not up (labctl sandbox up)"
    rows = [("VM", "STATE", "SSH", "PORTS", "LAN")]
    for one in now.vms:
        ports = " ".join(
            str(inside) if inside == outside else f"{inside}->{outside}"
            for inside, outside in one.ports.items()
        )
        login = f"{one.name}@{one.address}:{one.ports[22]}" if one.ports else "-"
        rows.append((one.name, one.state, login, ports or "-", one.lan_address or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    if now.inventory:
        lines.append(f"inventory: {now.inventory}")
    return "\n".join(lines)


@sandbox.command(context_settings={"ignore_unknown_options": True})
@click.argument("vm")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(vm: str, command: tuple[str, ...]) -> None:
    """A shell on VM, or COMMAND run there (as ssh does: words are joined for the VM's shell)."""
    argv = _box().ssh_argv(vm)
    sys.stdout.flush()
    os.execv(argv[0], [*argv, *command])  # noqa: S606  the program and its arguments are our own list


@sandbox.command()
@click.argument("vm")
@click.argument("name")
def snapshot(vm: str, name: str) -> None:
    """Keep VM's state (disk, memory, processes) under NAME."""
    _box().snapshot(vm, name)
    click.echo(f"{vm}: snapshot {name!r} taken", err=True)


@sandbox.command()
@click.argument("vm")
@click.argument("name")
def restore(vm: str, name: str) -> None:
    """Put VM back to the state kept under NAME."""
    _box().restore(vm, name)
    click.echo(f"{vm}: back at {name!r}", err=True)
