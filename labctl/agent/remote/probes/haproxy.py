"""HAProxy's configuration as it stands on disk, and the state that the running one reports on its socket."""

from __future__ import annotations

import os
import socket
from typing import Any

from ..outcome import Context
from .asking import ask
from .running import argv_in_use

CONFIG = "/etc/haproxy/haproxy.cfg"
UNITS = ("haproxy.service",)
TEXT_CAP = 131072
SOCKET = "/run/haproxy/admin.sock"
#: Seconds for its answer: who is slow to give one is not somebody who has none to give.
PATIENCE = 10.0


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """Out: ``files``, their ``text``, what ``haproxy -c`` says, and ``show stat`` from the admin socket (""
    without).
    """
    files = files_in_use()
    text = ""
    for path in [one for given in files for one in written_in(given)]:
        try:
            with open(path, "rb") as handle:
                text += handle.read(TEXT_CAP).decode("utf-8", "replace") + "\n"
        except OSError:
            pass
    argv = ["haproxy", "-c"]
    for path in files:
        argv += ["-f", path]
    check = ask(argv, ctx)
    return {
        "installed": not check.missing,
        "files": files,
        "text": text[:TEXT_CAP],
        "valid": check.rc == 0,
        "message": (check.out + check.err).strip()[:2000],
        "state": ask_socket(text, "show stat\n", min(PATIENCE, ctx.remaining() / 2)),
    }


def files_in_use() -> list[str]:
    """Every -f of the HAProxy that counts and what follows its --, else Debian's place."""
    argv = argv_in_use("haproxy", UNITS)
    ends = argv.index("--") if "--" in argv else len(argv)
    files = [argv[at + 1] for at, word in enumerate(argv[: ends - 1]) if word == "-f"] + argv[ends + 1 :]
    return files[:8] if files and all(os.path.isabs(path) for path in files) else [CONFIG]


def written_in(path: str) -> list[str]:
    """The files that HAProxy reads for one -f: of a directory those that end in .cfg and are not hidden, in
    their order.
    """
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".cfg") and name[0] != ".")
    except OSError:
        return [path]
    return [os.path.join(path, name) for name in names]


def socket_in(text: str) -> str:
    """The UNIX socket that a configuration names, else Debian's."""
    for line in text.split("\n"):
        words = line.replace('"', "").replace("'", "").split(None, 3)
        if words[:2] == ["stats", "socket"] and words[2:]:
            path = words[2][5:] if words[2].startswith("unix@") else words[2]
            if path.startswith("/"):
                return path
    return SOCKET


def ask_socket(text: str, command: str, wait: float) -> str:
    """What HAProxy answers on the UNIX socket that its configuration names; "" when there is none."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(max(0.1, wait))
    try:
        link.connect(socket_in(text))
        link.sendall(command.encode())
        answer = b""
        while len(answer) < TEXT_CAP:
            piece = link.recv(65536)
            if not piece:
                break
            answer += piece
    except OSError:
        return ""
    finally:
        link.close()
    return answer.decode("utf-8", "replace")
