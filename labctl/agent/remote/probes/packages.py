"""Which of some Debian packages are installed, in which version."""

from __future__ import annotations

from typing import Any

from ..outcome import Context
from .asking import ask


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``names`` in, ``packages`` out: name, dpkg's status word ("installed", "config-files", "absent" ...),
    version.
    """
    names = [str(name) for name in args["names"]]
    done = ask(["dpkg-query", "-W", "-f=${Package}\\t${db:Status-Status}\\t${Version}\\n", "--"] + names, ctx)
    found: dict[str, list[str]] = {}
    for line in done.out.splitlines():
        fields = line.split("\t")
        if len(fields) == 3 and (fields[0] not in found or fields[1] == "installed"):
            found[fields[0]] = fields[1:]
    packages = []
    for name in names:
        status, version = found.get(name, ["absent", ""])
        packages.append(
            {"name": name, "status": "absent" if status == "not-installed" else status, "version": version}
        )
    return {"packages": packages}
