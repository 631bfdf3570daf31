"""systemctl command lines (systemctl(1))."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.grading.answers.shell import Command, Unreadable, options

_SHORT = "aCfH:hiln:M:No:p:P:qrs:t:Tv"
_LONG = (
    "after", "all", "before", "check-inhibitors=", "dry-run", "failed", "force", "full", "global", "help",
    "host=", "image=", "job-mode=", "kill-value=", "kill-whom=", "legend=", "lines=", "machine=",
    "no-ask-password", "no-block", "no-legend", "no-pager", "no-reload", "no-wall", "no-warn", "now",
    "output=", "plain", "preset-mode=", "property=", "quiet", "recursive", "reverse", "root=", "runtime",
    "show-transaction", "show-types", "signal=", "state=", "system", "timestamp=", "type=", "user", "value",
    "version", "wait", "what=", "with-dependencies",
)  # fmt: skip
_LIMITS = {"-t": "types", "--type": "types", "--state": "states"}


@dataclass(frozen=True)
class SystemctlCommand:
    """``verb`` is "" when there is none (systemctl then lists units). ``units`` have ".service" where they
    have no suffix; ``properties`` are those of ``-p``; ``manager`` is "user" for the user's own. ``types``
    and ``states`` of units are those to which ``-t`` and ``--state`` limit what is shown.
    """

    verb: str
    units: tuple[str, ...]
    properties: tuple[str, ...] = ()
    manager: str = "system"
    types: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


def read_systemctl(command: Command) -> SystemctlCommand:
    """Raises :class:`Unreadable`."""
    given, rest = options(command, _SHORT, _LONG)
    names = {name for name, _ in given}
    if names & {"-h", "--help", "--version"}:
        raise Unreadable("this shows systemctl's own help or version")
    if names & {"-H", "--host", "-M", "--machine", "--root", "--image"}:
        raise Unreadable("this asks another machine than the VM itself")
    properties = tuple(
        one for name, value in given if name in ("-p", "-P", "--property") for one in value.split(",")
    )
    limits: dict[str, list[str]] = {"types": [], "states": ["failed"] if "--failed" in names else []}
    for name, value in given:
        if name in _LIMITS:
            limits[_LIMITS[name]] += value.lower().split(",")
    verb, units = (rest[0], rest[1:]) if rest else ("", [])
    verb = verb.lower() if verb.istitle() else verb  # as at the beginning of a sentence
    named = tuple(one if "." in one or "*" in one else f"{one}.service" for one in units)
    manager = "user" if names & {"--user", "--global"} else "system"
    return SystemctlCommand(verb, named, properties, manager, *map(tuple, limits.values()))
