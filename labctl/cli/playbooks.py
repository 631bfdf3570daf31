"""What setup and reset share: options into a run, its events onto stderr, its result onto stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.context import Setting
from labctl.cli.leaving import interruptible, leave
from labctl.cli.limit import chosen, remember_failed
from labctl.cli.playing import playing
from labctl.errors import Place, PlaybookError, RequestError
from labctl.inventory import Host
from labctl.playbook import RunOptions, load_playbook
from labctl.playbook.engine import Observer, Run
from labctl.report import setup_console as console

if TYPE_CHECKING:
    from labctl.playbook.ansible_engine import AnsibleRun


def run_playbooks(
    section: str,
    vms: Sequence[str],
    *,
    inventory: Sequence[Path],
    course: Path | None,
    forks: int,
    as_json: bool,
    names: Sequence[str] = (),
    check: bool = False,
    diff: bool = False,
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
    extra_vars: Sequence[str] = (),
    limit: Sequence[str] = (),
    engine: str = "labctl",
    verbose: int = 0,
    json_lines: bool = False,
) -> int:
    """Load, run and report; returns the exit status."""
    if as_json and json_lines:
        raise RequestError("--json and --json-lines both want stdout for themselves")
    setting = Setting.current(inventory, course)
    if not vms and not limit:
        raise RequestError(
            f"which VMs? labctl {section} VM...",
            hint="name hosts or groups of the inventory, `all`, or user@host; `labctl hosts list` shows them",
        )
    paths = (
        [setting.course.playbook(name) for name in names]
        if names
        else setting.course.default_playbooks(section)
    )
    hosts = chosen(setting, vms, limit)
    options = RunOptions(
        check=check,
        diff=diff,
        tags=tuple(tags),
        skip_tags=tuple(skip_tags),
        extra_vars=parse_extra_vars(extra_vars),
        forks=forks,
        verbosity=verbose,
    )
    with playing(
        len(hosts),
        forks,
        json_lines=json_lines,
        diff=diff,
        verbose=bool(verbose),
        counts=engine == "labctl",
    ) as observer:
        run = _run(engine, paths, setting, hosts, options, observer)
        # Ctrl-C ends the agents on every VM at once, not when their current task happens to end.
        with interruptible(run.cancel):
            try:
                result = run.execute()
            except KeyboardInterrupt:
                # A second one ends the wait for the VMs; what is known is told all the same.
                result = run.result()
        observer.over(result.summary(), result.exit_status)
    if as_json:
        click.echo(json.dumps(result.document(verbose=bool(verbose)), indent=2))
    elif not json_lines:
        colour = console.wants_colour(sys.stdout)
        click.echo(console.recap(result.summary(), colour=colour), color=colour)
    if result.interrupted:
        leave(result.exit_status)
        return result.exit_status
    failed = {record.host for record in result.hosts if record.over}
    remember_failed(setting, section, [host for host in hosts if host.name in failed])
    return result.exit_status


def _run(
    engine: str,
    paths: Sequence[Path],
    setting: Setting,
    hosts: Sequence[Host],
    options: RunOptions,
    observer: Observer,
) -> Run | AnsibleRun:
    course = setting.course
    if engine == "ansible":
        from labctl.playbook.ansible_engine import AnsibleRun

        return AnsibleRun(paths, setting.inventory, hosts, options, observer, course=course.root)
    playbooks = [load_playbook(path, [course.root, course.templates]) for path in paths]
    run = Run(playbooks, setting.inventory, hosts, options, observer)
    setting.on_the_way(run.hosts)
    return run


def parse_extra_vars(given: Sequence[str]) -> dict[str, Any]:
    """``-e`` values, later ones winning: key=value words, ``@file`` in YAML or JSON, inline JSON or YAML."""
    from labctl.documents import load_yaml, parse_yaml
    from labctl.placed import Map
    from labctl.playbook.kv import BadSplit, parse_pairs

    merged: dict[str, Any] = {}
    for text in given:
        if text.startswith("@"):
            loaded = load_yaml(Path(text[1:]), PlaybookError)
        elif text.lstrip().startswith("{"):
            loaded = parse_yaml(text, Path("<-e>"), PlaybookError)
        else:
            try:
                loaded = parse_pairs(text)
            except BadSplit as err:
                raise PlaybookError(
                    f"-e {text}: {err}", hint="-e name=value, -e @file.yml, or -e '{...}'"
                ) from err
        if loaded is None:
            continue
        if not isinstance(loaded, dict):
            raise PlaybookError(
                f"-e {text}: a mapping of names to values is wanted", place=Place(Path("<-e>"))
            )
        for name in loaded:
            if not (isinstance(name, str) and name.isidentifier()):
                where = loaded.key_at(name) if isinstance(loaded, Map) else None
                raise PlaybookError(f"-e {text}: {name!r} cannot be a variable's name", place=where)
        merged.update(loaded)
    return merged
