"""service and systemd: a unit's state, from one ``systemctl show``."""

from __future__ import annotations

import os
from typing import Any

from ..command import Finished, run_command
from ..outcome import Context, Failed

_PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,NeedDaemonReload,MainPID,Result"
_ENABLED = (
    "enabled",
    "enabled-runtime",
    "static",
    "alias",
    "indirect",
    "generated",
    "linked",
    "linked-runtime",
)


# What one look found of the units of a loop; only until anything is changed.
_foreseen: dict[str, dict[str, str]] = {}


def foresee(rounds: list[dict[str, Any]], ctx: Context) -> None:
    """Look at all units of a loop by one systemctl: starting it takes longer than its answer."""
    units = [_unit(args["name"]) for args in rounds if args.get("name")]
    done = _systemctl(["show", "--no-pager", "-p", _PROPERTIES, "--", *units], ctx)
    blocks = done.out.strip().split("\n\n")
    if done.ok and len(blocks) == len(units):
        _foreseen.update(zip(units, map(parse_show, blocks)))


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    name = args.get("name")
    result: dict[str, Any] = {"changed": False, "name": name}
    status: dict[str, str] = {}
    if name:
        status = show(_unit(name), ctx)
    if args.get("daemon_reexec") and not ctx.check:
        _systemctl(["daemon-reexec"], ctx)
    if args.get("daemon_reload") and not ctx.check and _reload_needed(status):
        # Nothing is lost by leaving it out when systemd itself says that it has read the newest files.
        _systemctl(["daemon-reload"], ctx)
        if name:
            status = show(_unit(name), ctx)
    if not name:
        return result
    unit = status.get("Id") or _unit(name)
    result["status"] = status
    if status.get("LoadState") in ("not-found", "bad-setting", "error"):
        return _not_there(name, status, args, ctx, result)
    changes = []
    for work in (_mask, _enable, _state):
        change = work(unit, status, args, ctx)
        if change:
            changes.append(change)
    if ctx.diff and changes:
        before = {name: old for name, old, _new in changes}
        result["diff"] = {
            "before_header": unit,
            "after_header": unit,
            "before": before,
            "after": {name: new for name, _old, new in changes},
        }
    result["changed"] = bool(changes)
    for word in ("state", "enabled"):
        if args.get(word) is not None:
            result[word] = args[word]
    return result


def _unit(name: str) -> str:
    return name if "." in name.rpartition("/")[2] or name.endswith(("@",)) else name + ".service"


def _reload_needed(status: dict[str, str]) -> bool:
    return not status or status.get("LoadState") != "loaded" or status.get("NeedDaemonReload") == "yes"


def _systemctl(words: list[str], ctx: Context) -> Finished:
    if words[0] != "show":
        _foreseen.clear()
    done = run_command(["systemctl", *words], timeout=ctx.remaining())
    if done.missing or "not been booted with systemd" in done.err or "Failed to connect to bus" in done.err:
        raise Failed("this VM does not run systemd: services cannot be managed", rc=done.rc, stderr=done.err)
    return done


def parse_show(text: str) -> dict[str, str]:
    """``systemctl show``'s key=value lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def show(unit: str, ctx: Context) -> dict[str, str]:
    """A unit's properties. An alias (bind9) gives those of the unit behind it (named)."""
    if unit in _foreseen:
        return _foreseen.pop(unit)
    done = _systemctl(["show", "--no-pager", "-p", _PROPERTIES, "--", unit], ctx)
    status = parse_show(done.out)
    if not status:
        raise Failed("systemctl show %s said nothing: %s" % (unit, done.err.strip()), rc=done.rc)
    return status


def _not_there(
    name: str, status: dict[str, str], args: dict[str, Any], ctx: Context, result: dict[str, Any]
) -> dict[str, Any]:
    load = status.get("LoadState")
    gone = args.get("state") in (None, "stopped") and not args.get("enabled") and not args.get("masked")
    if load == "not-found" and gone and (args.get("state") == "stopped" or args.get("enabled") is False):
        # What is not there is stopped and not enabled.
        return dict(result, msg="there is no unit %s" % name)
    if ctx.check and load == "not-found":
        return dict(result, changed=True, msg="there is no unit %s yet" % name)
    if load == "not-found":
        raise Failed(
            "there is no unit %s on the VM: is its package installed, "
            "and its name right (systemctl list-unit-files)?" % name,
            status=status,
        )
    raise Failed("systemd cannot load %s (%s): see systemctl status %s" % (name, load, name), status=status)


def _mask(unit: str, status: dict[str, str], args: dict[str, Any], ctx: Context) -> Any:
    wanted = args.get("masked")
    masked = status.get("LoadState") == "masked"
    if wanted is None or wanted == masked:
        return None
    if not ctx.check:
        _do(["mask" if wanted else "unmask", unit], unit, ctx)
        status.update(show(unit, ctx))
    return ("masked", str(masked), str(wanted))


def _enable(unit: str, status: dict[str, str], args: dict[str, Any], ctx: Context) -> Any:
    wanted = args.get("enabled")
    if wanted is None:
        return None
    state = status.get("UnitFileState", "")
    if not state:
        # A unit without a file of its own: a SysV script, or a runtime unit.
        state = _systemctl(["is-enabled", unit], ctx).out.strip()
    enabled = state in _ENABLED
    if enabled == wanted or (not wanted and state in ("static", "alias", "generated", "indirect")):
        return None
    if not ctx.check:
        _do(["enable" if wanted else "disable", unit], unit, ctx)
    return ("enabled", str(enabled), str(wanted))


def _state(unit: str, status: dict[str, str], args: dict[str, Any], ctx: Context) -> Any:
    wanted = args.get("state")
    if wanted is None:
        return None
    active = status.get("ActiveState", "")
    running = active in ("active", "activating", "reloading")
    verb = ""
    if wanted == "started" and not running:
        verb = "start"
    elif wanted == "stopped" and (running or active == "deactivating"):
        verb = "stop"
    elif wanted == "restarted":
        verb = "restart"
    elif wanted == "reloaded":
        verb = "reload" if running else "start"
    if not verb:
        return None
    if not ctx.check:
        words = [verb, unit]
        if args.get("no_block"):
            words.insert(1, "--no-block")
        if verb in ("start", "restart") and active == "failed":
            # The start limit of earlier failures must not refuse a start that would now succeed.
            _systemctl(["reset-failed", unit], ctx)
        _do(words, unit, ctx)
    return ("state", active, wanted)


def _do(words: list[str], unit: str, ctx: Context) -> None:
    done = _systemctl(words, ctx)
    if done.ok:
        return
    journal = ""
    if words[0] in ("start", "restart", "reload") and os.path.exists("/usr/bin/journalctl"):
        journal = run_command(
            ["journalctl", "--no-pager", "-o", "cat", "-n", "15", "-u", unit],
            timeout=min(10.0, ctx.remaining()),
        ).out
    why = "no end of it in time" if done.timed_out else done.err.strip()
    raise Failed(
        "systemctl %s: %s" % (" ".join(words), why or "status %d" % done.rc),
        rc=done.rc,
        stdout=journal,
        stderr=done.err,
    )
