"""labctl hosts trust: recording VMs' host keys once they have been compared."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.batch import fan_out
from labctl.cli.context import Setting
from labctl.cli.leaving import PATIENCE
from labctl.cli.options import course_option, forks_option, inventory_option, json_option, vault_options
from labctl.connect import record_key, shown_key
from labctl.deadline import Deadline
from labctl.errors import HostError, Place, RequestError
from labctl.inventory import Host
from labctl.report.text import plain

if TYPE_CHECKING:
    from labctl.connect.trust import Shown

_SECONDS = 30.0


@click.command("trust")
@click.argument("patterns", metavar="VM...", nargs=-1, required=True)
@inventory_option
@course_option
@vault_options
@click.option(
    "--fingerprints",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="What the VMs' own consoles say: a line for each, its name and SHA256:... Nothing is asked then.",
)
@click.option("--replace", is_flag=True, help="Also for VMs that were reinstalled: in place of the old key.")
@forks_option
@json_option
def trust(
    patterns: tuple[str, ...],
    inventory: tuple[Path, ...],
    course: Path | None,
    fingerprints: Path | None,
    replace: bool,
    forks: int,
    as_json: bool,
) -> int:
    """Record the host keys of VMs, once each has been compared with what the VM's console says.

    On the console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub. A key that another VM has, too, is
    not recorded: one of them is a copy, or leads to the other.
    """
    hosts = Setting.current(inventory, course).select(patterns)
    expected = _expected(fingerprints, [host.name for host in hosts]) if fingerprints else None

    def ask(host: Host) -> Shown:
        if host.is_local:
            raise HostError("this machine has no host key to record")
        return shown_key(host, Deadline.after(_SECONDS), (expected or {}).get(host.name, ""))

    found = fan_out(hosts, ask, forks=forks, patience=PATIENCE)
    rows = [_decide(name, outcome, found, expected, replace) for name, outcome in found.items()]
    if as_json:
        click.echo(json.dumps({"schema": 1, "hosts": rows}, indent=2))
    else:
        for row in rows:
            click.echo(
                plain(f"{row['host']}: {row['state']}{': ' if row['message'] else ''}{row['message']}")
            )
    return 0 if all(row["state"] in ("on-record", "recorded") for row in rows) else 3


def _decide(
    name: str,
    outcome: Shown | HostError,
    found: Mapping[str, Shown | HostError],
    expected: Mapping[str, str] | None,
    replace: bool,
) -> dict[str, Any]:
    """What becomes of one VM's key; ``state`` is recorded, on-record, refused, or why there is none."""
    if isinstance(outcome, HostError):
        return {"host": name, "state": outcome.cause, "fingerprint": None, "message": outcome.message}
    row = {"host": name, "state": outcome.state, "fingerprint": outcome.fingerprint, "message": ""}
    refusal = _refusal(outcome, found, expected, replace)
    if refusal:
        return {**row, "state": "refused", "message": refusal}
    if outcome.state == "on-record":
        return row
    if expected is None and not _agreed(outcome):
        return {**row, "state": "refused", "message": "not confirmed"}
    try:
        record_key(outcome)
    except HostError as err:
        message = f"{err.message}; {err.hint}" if err.hint else err.message
        return {**row, "state": "refused", "message": message}
    return {**row, "state": "recorded", "message": f"{outcome.fingerprint} in {outcome.record}"}


def _refusal(
    shown: Shown, found: Mapping[str, Shown | HostError], expected: Mapping[str, str] | None, replace: bool
) -> str:
    same = [
        name
        for name, other in found.items()
        if not isinstance(other, HostError)
        and name != shown.host
        and set(other.fingerprints) & set(shown.fingerprints)
    ]
    if same:
        return f"{', '.join(same)} shows the same key ({shown.fingerprint})"
    if expected is not None and expected.get(shown.host) != shown.fingerprint:
        said = expected.get(shown.host) or "not in the file"
        return f"it shows {shown.fingerprint}, and its console says: {said}"
    if shown.state == "changed" and not replace:
        return f"another key is on record in {shown.record}: if the VM was reinstalled, --replace"
    return ""


def _agreed(shown: Shown) -> bool:
    """Whether the user has compared the fingerprint. Who is not there to be asked has not."""
    if not sys.stdin.isatty():
        raise RequestError(
            f"nobody is there to compare {shown.host}'s fingerprint {shown.fingerprint}",
            hint="give --fingerprints FILE with what the VMs' consoles say",
        )
    kind = shown.kind.removeprefix("ssh-")
    click.echo(plain(f"{shown.host} ({shown.name}) shows the {kind} key\n  {shown.fingerprint}"), err=True)
    return click.confirm("Does its console say the same?", err=True)


def _expected(path: Path, hosts: Sequence[str]) -> dict[str, str]:
    """``VM SHA256:...`` a line."""
    found: dict[str, str] = {}
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 2 or not words[1].startswith("SHA256:"):
            raise RequestError("a line is: VM SHA256:...", place=Place(path, number, 1, line))
        if words[0] in hosts:
            found[words[0]] = words[1].rstrip("=")
    return found
