"""BIND's configuration, and one zone of it as it stands on disk."""

from __future__ import annotations

import os
import re
from typing import Any

from ..outcome import Context, Failed
from .access import CLASSES, Configuration, whole_lines
from .asking import ask
from .running import argv_in_use

CONFIG = "/etc/bind/named.conf"
#: Debian's two names for the unit.
UNITS, PORT = ("named.service", "bind9.service"), 53
TEXT_CAP = 262144
#: Lists of thousands of zones, against advertisements, are left out of it.
READ_CAP = 4 * 1024 * 1024
#: named's options that have a value (its manual page, BIND 9.18).
_VALUED = "cdDELmMnNpStTuUX"
#: How each statement begins in named-checkconf's output. Its warnings begin with a file's name and a line.
STATEMENT = re.compile(r"^[a-z][a-z-]*(?: .*)? \{$", re.MULTILINE)


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``zone`` in. Out: the check of the whole configuration, its normal form, and the zone's file and
    records.

    ``records`` is the zone as ``named-compilezone`` prints it, one record a line; empty when it does not
    load.
    """
    zone = str(args["zone"])
    config, root = in_use()
    jail = ["-t", root] if root else []
    # -p: what it accepts it prints, after its warnings; -x: keys as question marks, so no secret travels
    check = ask(["named-checkconf", "-p", "-x", *jail, config], ctx, cap=READ_CAP)
    begins = STATEMENT.search(check.out) if check.rc == 0 else None
    told, text = (check.out[: begins.start()], check.out[begins.start() :]) if begins else (check.out, "")
    text = without_other_zones(text, zone)[:TEXT_CAP]
    result: dict[str, Any] = {
        "installed": not check.missing,
        "config": config,
        "config_valid": check.rc == 0,
        "config_message": (told + check.err).strip()[:2000],
        "text": text,
        "zone_file": "",
        "zone_valid": False,
        "zone_message": "",
        "records": "",
    }
    if check.rc != 0:
        return result
    found = Configuration(text)
    path = zone_file(found, zone)
    result["zone_file"] = path
    reading = [*jail, *reading_of(found, zone)]
    if path:
        said = ask(["named-checkzone", *reading, zone, path], ctx)
        result["zone_valid"] = said.rc == 0
        result["zone_message"] = (said.out + said.err).strip()[:2000]
    if result["zone_valid"]:
        # what was only worth a warning now is a reason not to write the zone, unless it is told otherwise
        argv = ["named-compilezone", *reading, "-k", "ignore", "-n", "ignore", "-q", "-o", "-", zone, path]
        dump = ask(argv, ctx, cap=TEXT_CAP)
        if dump.rc != 0:
            why = (dump.out + dump.err).strip()[:200]
            raise Failed("named-compilezone did not write a zone that named-checkzone accepts: %s" % why)
        result["records"] = dump.out
    return result


def in_use() -> tuple[str, str]:
    """The configuration of the named that counts, else Debian's; and the directory that is its root, "" for
    that of everybody.
    """
    argv = argv_in_use("named", UNITS, PORT)
    return option(argv, "c") or CONFIG, option(argv, "t")


def option(argv: list[str], letter: str) -> str:
    """What follows named's ``-c`` or stands at its end, as getopt has it; "" where it was not given."""
    found, words = "", iter(argv[1:])
    for word in words:
        if not word.startswith("-"):
            break
        for at, one in enumerate(word[1:], 2):
            if one in _VALUED:
                value = word[at:] or next(words, "")
                found = value if one == letter else found
                break
    return found


def without_other_zones(text: str, zone: str) -> str:
    """named-checkconf -p's output without the statements of other zones, of which there may be thousands."""
    kept, end, wanted = [], "", zone.rstrip(".").lower()
    for line in whole_lines(text):
        if end:
            end = "" if line.startswith(end) else end
            continue
        words = line.split(None, 3)
        if words[:1] == ["zone"] and _begins(words[2:]) and _plain(words[1]) != wanted:
            end = line[: line.index("zone")] + "};"
        else:
            kept.append(line)
    return "\n".join(kept)


def _begins(words: list[str]) -> bool:
    """Whether a zone's statement begins so behind its name; lists of names of zones are other statements."""
    return words[-1:] == ["{"] and all(one.upper() in CLASSES for one in words[:-1])


def _plain(name: str) -> str:
    return name.strip('"').rstrip(".").lower()


def zone_file(found: Configuration, zone: str) -> str:
    """The zone's file, made absolute; "" when there is no such zone, or it has none."""
    statement = found.zone(zone)
    named = found.stated("file", statement) if statement else ""
    return os.path.join(found.directory, named) if named else ""


def reading_of(found: Configuration, zone: str) -> list[str]:
    """Options with which BIND's programs read the zone as named does: with its journal, $INCLUDE from its
    directory, in its format, and nobody else's names looked up.
    """
    statement, base = found.zone(zone), found.directory
    journal = found.stated("journal", statement) if statement else ""
    form = found.inherited("masterfile-format", statement) or "text"
    reading = ["-J", os.path.join(base, journal)] if journal else ["-j"]
    return [*reading, "-w", base, "-i", "local", "-f", form]
