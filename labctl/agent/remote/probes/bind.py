"""BIND's configuration, and one zone of it as it stands on disk."""

from __future__ import annotations

import os
import re
from typing import Any

from ..outcome import Context, Failed
from .asking import ask
from .running import argv_in_use

CONFIG = "/etc/bind/named.conf"
#: Debian's two names for the unit.
UNITS, PORT = ("named.service", "bind9.service"), 53
TEXT_CAP = 262144
#: How each statement begins in named-checkconf's output. Its warnings begin with a file's name and a line.
STATEMENT = re.compile(r"^[a-z][a-z-]*(?: .*)? \{$", re.MULTILINE)


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``zone`` in. Out: the check of the whole configuration, its normal form, and the zone's file and
    records.

    ``records`` is the zone as ``named-compilezone`` prints it, one record a line; empty when it does not
    load.
    """
    zone = str(args["zone"])
    config = config_in_use()
    # -p: what it accepts it prints, after its warnings; -x: keys as question marks, so no secret travels
    check = ask(["named-checkconf", "-p", "-x", config], ctx, cap=TEXT_CAP)
    begins = STATEMENT.search(check.out) if check.rc == 0 else None
    told, text = (check.out[: begins.start()], check.out[begins.start() :]) if begins else (check.out, "")
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
    path = zone_file(text, zone)
    result["zone_file"] = path
    reading = reading_of(text, zone)
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


def config_in_use() -> str:
    """The -c of the named that counts, else Debian's place."""
    argv = argv_in_use("named", UNITS, PORT)
    return next((argv[at + 1] for at, word in enumerate(argv[:-1]) if word == "-c"), CONFIG)


def zone_file(text: str, zone: str) -> str:
    """The zone's file in named-checkconf -p's output, made absolute; "" when there is no such zone."""
    named = stated("file", statement(text, zone))
    return os.path.join(directory(text), named) if named else ""


def reading_of(text: str, zone: str) -> list[str]:
    """Options with which BIND's programs read the zone as named does: with its journal, $INCLUDE from its
    directory, in its format, and nobody else's names looked up.
    """
    body, base = statement(text, zone), directory(text)
    journal = stated("journal", body)
    options = re.search(r"^options \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL)
    form = stated("masterfile-format", body) or stated(
        "masterfile-format", options.group(1) if options else ""
    )
    reading = ["-J", os.path.join(base, journal)] if journal else ["-j"]
    return [*reading, "-w", base, "-i", "local", "-f", form or "text"]


def statement(text: str, zone: str) -> str:
    """What stands in the braces of the zone's statement in named-checkconf -p's output; "" without one.

    That output is regular: a zone statement starts in column one or two with its name in double quotes and
    ends with a brace at the same indentation.
    """
    block = re.search(
        r'^(\s*)zone "%s\.?"[^\n]*\{\n(.*?)^\1\};' % re.escape(zone),
        text,
        re.MULTILINE | re.DOTALL | re.IGNORECASE,
    )
    return block.group(2) if block else ""


def stated(name: str, body: str) -> str:
    found = re.search(r'^\s*%s "?([^"\n;]+)"?;' % name, body, re.MULTILINE)
    return found.group(1) if found else ""


def directory(text: str) -> str:
    """named's working directory, which relative names of files begin from."""
    return stated("directory", text) or "/var/cache/bind"
