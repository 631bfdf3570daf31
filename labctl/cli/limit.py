"""Which VMs a command works on: those named, narrowed by --limit; and those a run did not get through."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import click

from labctl.cli.context import Setting
from labctl.errors import Place, RequestError, UnknownHost
from labctl.inventory import Host
from labctl.inventory.model import bracketed


def chosen(setting: Setting, vms: Sequence[str], limit: Sequence[str]) -> tuple[Host, ...]:
    """The hosts of ``vms`` (all when none is named) that a ``--limit`` names too.

    Their variables are not looked at yet: a playbook may bring more. A limit is a pattern,
    or ``@FILE`` with a name or pattern per line and ``#`` comments. Raises
    UnknownHost, with the file's line, for a name that is none, and when no VM is left.
    """
    hosts = setting.inventory.some(vms or ["all"])
    if not limit:
        return hosts
    kept: set[str] = set()
    for one in limit:
        kept |= _of_file(setting, Path(one[1:])) if one.startswith("@") else _names(setting, one)
    left = tuple(host for host in hosts if host.name in kept)
    if not left:
        raise RequestError(f"--limit {' '.join(limit)} leaves none of the VMs named")
    return left


def _names(setting: Setting, pattern: str) -> set[str]:
    return {host.name for host in setting.inventory.select([pattern])}


def _of_file(setting: Setting, path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise RequestError(f"cannot read the file of --limit: {err.strerror}", place=Place(path)) from err
    except UnicodeDecodeError as err:
        raise RequestError("the file of --limit is not UTF-8 text", place=Place(path)) from err
    kept: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        # a VM may be called so that a comment would begin in its name
        named = line.strip() in setting.inventory.hosts
        pattern = (line if named else line.split("#", 1)[0]).strip()
        if not pattern:
            continue
        try:
            kept |= _names(setting, pattern)
        except UnknownHost as err:
            place = Place(path, number, line.index(pattern) + 1, line)
            raise UnknownHost(err.message, hint=err.hint, place=place) from err
    if not kept:
        raise RequestError(
            "the file of --limit names no VM", hint="it takes a name or pattern a line", place=Place(path)
        )
    return kept


def remember_failed(
    setting: Setting,
    command: str,
    failed: Sequence[Host],
    *,
    instead: Mapping[str, bool] = MappingProxyType({}),
    more: Sequence[str] = (),
) -> None:
    """Keep the names of the VMs that this run of ``command`` did not get through, and say how to go on: by
    the command that was given, with ``more`` in place of the options ``instead`` (which of them has a value).

    The file is always the last run's: without failures it is removed. One for each course and command,
    under the user's state directory.
    """
    from labctl.sandbox.paths import state_dir

    root = setting.course.root
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    path = state_dir() / "failed" / f"{root.name}-{digest}" / command
    try:
        if not failed:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"# VMs that the last labctl {command} did not get through",
            *(selecting(setting, host) for host in failed),
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as err:
        click.echo(f"cannot keep the names of the failed VMs in {path}: {err.strerror}", err=True)
        return
    click.echo(f"{vm_count(len(failed))} not done, named in {path}. To go on with only:", err=True)
    click.echo(f"  {again(sys.argv[1:], path, instead, more)}", err=True)


def again(
    arguments: Sequence[str],
    path: Path,
    instead: Mapping[str, bool] = MappingProxyType({}),
    more: Sequence[str] = (),
) -> str:
    """The command line that was given, with ``path`` in place of any ``--limit`` of its own, and ``more`` in
    place of the options ``instead``.
    """
    valued = {"--limit": True, **instead}
    kept: list[str] = []
    # behind -- stand VMs alone, whatever they are called
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = iter(arguments[:end])
    for word in rest:
        if word in valued:
            if valued[word]:
                next(rest, None)
        elif word.split("=", 1)[0] not in valued:
            kept.append(word)
    return shlex.join(["labctl", *kept, *more, "--limit", f"@{path}", *arguments[end:]])


def selecting(setting: Setting, host: Host) -> str:
    """What names the host on a command line: one that no inventory holds, by user and address."""
    if host.name in setting.inventory.hosts:
        return host.name
    # without a port it is called by its address alone, and is to be found by that name again
    return host.login if "ansible_port" in host.variables else f"{host.user}@{bracketed(host.address)}"


def vm_count(count: int) -> str:
    """``1 VM``, ``3 VMs``."""
    return f"{count} VM{'' if count == 1 else 's'}"
