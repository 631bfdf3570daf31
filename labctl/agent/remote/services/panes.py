"""Workers that are a terminal's own program: the terminal closes with them, unless it is asked to wait.

``tmux new-session -d 'python3 server.py'`` makes the server the program of a pane. When it ends the pane
goes, with the session and tmux itself if it was the last. tmux can keep the pane (remain-on-exit) and run its
command in it again (respawn-pane): that puts everything back. Other terminals cannot, and what runs in them
is left alone.
"""

from __future__ import annotations

import re
import shutil
from typing import Any

from ..command import run_command

SOCKET = re.compile(r"TMUX=(/[^,\0]+),(\d+),")
PANE = re.compile(r"TMUX_PANE=(%\d+)\Z")


def pane_of(environ: list[str], lineage: list[int]) -> dict[str, str] | None:
    """Socket and id of the tmux pane that a process runs in; None when the tmux of its environment is no
    ancestor.

    The variables alone prove little: whatever was ever started from tmux has them.
    """
    socket = next((found for found in map(SOCKET.match, environ) if found), None)
    pane = next((found for found in map(PANE.match, environ) if found), None)
    if socket is None or pane is None or int(socket.group(2)) not in lineage:
        return None
    return {"socket": socket.group(1), "pane": pane.group(1)}


def tmux(state: dict[str, Any], *words: str) -> str:
    """Run a tmux command as the user whose server it is; what went wrong, or ""."""
    argv = ["setpriv", "--reuid=%d" % state["uid"], "--regid=%d" % state["gid"], "--clear-groups", "env"]
    # tmux gives a command that it runs the PATH of whoever asks. Root itself must not look anything up there:
    # that is the user's to fill
    argv += [entry for entry in state["environ"] if entry.startswith("PATH=")][:1]
    argv += [shutil.which("tmux") or "tmux", "-S", state["pane"]["socket"], *words]
    done = run_command(argv, timeout=10.0)
    return "" if done.rc == 0 else (done.err or done.out).strip()[:200] or "tmux failed"


def keep(state: dict[str, Any]) -> str:
    """Have the pane stay when its program ends."""
    return tmux(state, "set-option", "-p", "-t", state["pane"]["pane"], "remain-on-exit", "on")


def respawn(state: dict[str, Any]) -> str:
    """Run the pane's command in it again."""
    return tmux(state, "respawn-pane", "-k", "-t", state["pane"]["pane"])


def let_go(state: dict[str, Any]) -> str:
    """The pane's option as it was."""
    return tmux(state, "set-option", "-p", "-u", "-t", state["pane"]["pane"], "remain-on-exit")
