"""BIND's configuration, and one zone of it as it stands on disk."""

from __future__ import annotations

import os
import re
from typing import Any

from ..outcome import Context
from .asking import ask

CONFIG = "/etc/bind/named.conf"
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
    # as named reads it: with its journal, $INCLUDE from its directory, and nobody else's names looked up
    reading = ["-j", "-w", directory(text), "-i", "local"]
    if path:
        said = ask(["named-checkzone", *reading, zone, path], ctx)
        result["zone_valid"] = said.rc == 0
        result["zone_message"] = (said.out + said.err).strip()[:2000]
    if result["zone_valid"]:
        dump = ask(["named-compilezone", *reading, "-q", "-o", "-", zone, path], ctx, cap=TEXT_CAP)
        result["records"] = dump.out if dump.rc == 0 else ""
    return result


def config_in_use() -> str:
    """The -c of the named that runs, else Debian's place."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        argv = argv_of(int(pid))
        if argv and os.path.basename(argv[0]) == "named":
            for at, word in enumerate(argv):
                if word == "-c" and at + 1 < len(argv):
                    return argv[at + 1]
    return CONFIG


def argv_of(pid: int) -> list[str]:
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as handle:
            return handle.read().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def zone_file(text: str, zone: str) -> str:
    """The zone's file in named-checkconf -p's output, made absolute; "" when there is no such zone.

    That output is regular: a zone statement starts in column one or two with its name in double quotes and
    ends with a brace at the same indentation.
    """
    block = re.search(
        r'^(\s*)zone "%s\.?"[^\n]*\{\n(.*?)^\1\};' % re.escape(zone),
        text,
        re.MULTILINE | re.DOTALL | re.IGNORECASE,
    )
    if block is None:
        return ""
    named = re.search(r'^\s*file "([^"]+)"', block.group(2), re.MULTILINE)
    if named is None:
        return ""
    return os.path.join(directory(text), named.group(1))


def directory(text: str) -> str:
    """named's working directory, which relative names of files begin from."""
    found = re.search(r'^\s*directory "([^"]+)"', text, re.MULTILINE)
    return found.group(1) if found else "/var/cache/bind"
