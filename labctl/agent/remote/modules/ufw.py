"""ufw: rules, default policies, on and off.

ufw's own files say what is configured (``/etc/ufw/user.rules`` holds a tuple for every rule), so a
rule that is there already costs no process.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed

ROOT = "/"
_ANY = {4: "0.0.0.0/0", 6: "::/0"}
_POLICIES = {"allow": "ACCEPT", "deny": "DROP", "reject": "REJECT"}
_CHAINS = {
    "in": "INPUT",
    "incoming": "INPUT",
    "out": "OUTPUT",
    "outgoing": "OUTPUT",
    "routed": "FORWARD",
}
_WORDS = {"in": "incoming", "out": "outgoing"}


class Rule:
    """One rule as ufw keeps it."""

    def __init__(self, fields: tuple[str, ...], comment: str) -> None:
        self.fields = fields
        self.comment = comment


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    if not os.path.exists(_path("usr/sbin/ufw")):
        if ctx.check:
            return {"changed": True, "msg": "ufw is not installed yet"}
        raise Failed("ufw is not installed on the VM: install the package ufw first")
    commands: list[list[str]] = []
    changes: list[tuple[str, str]] = []
    state = args.get("state")
    if state == "reset" and (_enabled() or _rules(4) or _rules(6)):
        commands.append(["--force", "reset"])
        changes.append(("firewall and its rules", "reset"))
    for work in (_logging, _default, _rule):
        work(args, commands, changes)
    if state in ("enabled", "disabled") and _enabled() != (state == "enabled"):
        commands.append(["--force", "enable"] if state == "enabled" else ["disable"])
        changes.append(("status", "active" if state == "enabled" else "inactive"))
    if state == "reloaded":
        commands.append(["reload"])
        changes.append(("rules", "reloaded"))
    if not ctx.check:
        for words in commands:
            _ufw(words, ctx)
    result: dict[str, Any] = {
        "changed": bool(commands),
        "commands": ["ufw " + " ".join(one) for one in commands],
    }
    if ctx.diff and commands:
        result["diff"] = {"prepared": "".join("+ ufw: %s: %s\n" % change for change in changes)}
    return result


def _path(name: str) -> str:
    return os.path.join(ROOT, name)


def _read(name: str) -> str:
    try:
        with open(_path(name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except PermissionError as err:
        raise Failed("the firewall can be managed by root only: add become: true") from err


def setting(text: str, name: str) -> str:
    """``NAME="value"`` or ``NAME=value`` in one of ufw's shell-like files; the last one counts."""
    found = re.findall(r"^%s=[\"']?([^\"'\n]*)" % re.escape(name), text, re.MULTILINE)
    return str(found[-1]).strip() if found else ""


def _enabled() -> bool:
    return setting(_read("etc/ufw/ufw.conf"), "ENABLED").lower() == "yes"


def parse_rules(text: str) -> list[Rule]:
    """The ``### tuple ###`` lines of user.rules."""
    rules = []
    for line in text.splitlines():
        if not line.startswith("### tuple ###"):
            continue
        words = line[len("### tuple ###") :].split()
        comment = ""
        if words and words[-1].startswith("comment="):
            comment = bytes.fromhex(words.pop()[len("comment=") :]).decode("utf-8", "replace")
        rules.append(Rule(tuple(words), comment))
    return rules


def _rules(family: int) -> list[Rule]:
    return parse_rules(_read("etc/ufw/user.rules" if family == 4 else "etc/ufw/user6.rules"))


def _ipv6() -> bool:
    return setting(_read("etc/default/ufw"), "IPV6").lower() == "yes"


def _logging(args: dict[str, Any], commands: list[list[str]], changes: list[tuple[str, str]]) -> None:
    wanted = args.get("logging")
    if not wanted:
        return
    level = setting(_read("etc/ufw/ufw.conf"), "LOGLEVEL").lower()
    if wanted == level or (wanted == "on" and level not in ("", "off")):
        return
    commands.append(["logging", wanted])
    changes.append(("logging", wanted))


def _default(args: dict[str, Any], commands: list[list[str]], changes: list[tuple[str, str]]) -> None:
    policy = args.get("default")
    if not policy:
        return
    directions = [args["direction"]] if args.get("direction") else ["incoming", "outgoing", "routed"]
    text = _read("etc/default/ufw")
    for direction in directions:
        now = setting(text, "DEFAULT_%s_POLICY" % _CHAINS[direction]).upper()
        if now != _POLICIES[policy]:
            word = _WORDS.get(direction, direction)
            commands.append(["default", policy, word])
            changes.append(("default " + word, policy))


def _network(text: str) -> tuple[str, int]:
    """An address or network as ufw writes it, and its family; 0 for any."""
    if text in ("any", ""):
        return "any", 0
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as err:
        raise Failed("%r is not an address or network" % text) from err
    alone = network.prefixlen == network.max_prefixlen
    return (str(network.network_address) if alone else str(network)), network.version


def wanted_rule(args: dict[str, Any], family: int) -> tuple[str, ...] | None:
    """The tuple that the task's rule has in ufw's file for ``family``; None when it has none there."""
    source, source_family = _network(str(args.get("from_ip", "any")))
    target, target_family = _network(str(args.get("to_ip", "any")))
    if {source_family, target_family} - {0, family}:
        return None
    direction = {"incoming": "in", "outgoing": "out"}.get(
        args.get("direction") or "in", args.get("direction") or "in"
    )
    if args.get("interface"):
        direction += "_" + args["interface"]
    port, proto = str(args.get("port") or "any"), args.get("proto") or "any"
    if "/" in port:
        port, _, proto = port.partition("/")
    return (
        args["rule"],
        proto,
        port,
        _ANY[family] if target == "any" else target,
        str(args.get("from_port") or "any"),
        _ANY[family] if source == "any" else source,
        direction,
    )


def _rule(args: dict[str, Any], commands: list[list[str]], changes: list[tuple[str, str]]) -> None:
    if not args.get("rule"):
        return
    families = [4, 6] if _ipv6() else [4]
    found = []
    for family in families:
        wanted = wanted_rule(args, family)
        if wanted is None:
            continue
        there = [rule for rule in _rules(family) if rule.fields == wanted]
        comment = args.get("comment")
        right = any(comment is None or rule.comment == comment for rule in there)
        found.append(bool(there) if args.get("delete") else right)
    needed = any(found) if args.get("delete") else not all(found)
    if needed:
        words = rule_words(args)
        commands.append(words)
        changes.append(("rule", " ".join(words)))


def rule_words(args: dict[str, Any]) -> list[str]:
    """The rule as ufw's command line takes it."""
    words = ["delete"] if args.get("delete") else []
    words.append(args["rule"])
    direction = args.get("direction")
    if direction or args.get("interface"):
        words.append({"incoming": "in", "outgoing": "out"}.get(direction or "in", direction or "in"))
    if args.get("interface"):
        words += ["on", args["interface"]]
    port, proto = str(args.get("port") or ""), args.get("proto")
    if "/" in port:
        port, _, proto = port.partition("/")
    words += ["from", str(args.get("from_ip", "any"))]
    if args.get("from_port"):
        words += ["port", str(args["from_port"])]
    words += ["to", str(args.get("to_ip", "any"))]
    if port:
        words += ["port", port]
    if proto and proto != "any":
        words += ["proto", proto]
    if args.get("comment") and not args.get("delete"):
        words += ["comment", args["comment"]]
    return words


def _ufw(words: list[str], ctx: Context) -> None:
    done = run_command(["ufw", *words], timeout=ctx.remaining())
    if not done.ok:
        said = (done.err.strip() or done.out.strip())[-1000:]
        raise Failed("ufw %s: %s" % (" ".join(words), said), rc=done.rc, stdout=done.out, stderr=done.err)
