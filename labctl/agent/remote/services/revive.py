"""Put captured processes back the way they were running."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from ..command import run_command
from ..probes.sockets import listeners
from . import cgroups, panes, streams
from .processes import alive, kill_family, user_manager
from .supervision import comes_back

#: How long a unit or a server may take until all its ports listen, on a slow VM.
START_SECONDS = 25.0


def revive(states: list[dict[str, Any]]) -> dict[str, Any]:
    """Restore every root that is not as it was; none is held any more. ``back`` is true when all ports listen
    again.
    """
    problems: list[str] = []
    touched = []
    for state in states:
        if untouched(state):
            if state["pane"]:
                panes.let_go(state)
            continue
        touched.append(state["unit"] or " ".join(state["argv"][:2]))
        try:
            if state["kind"] == "hand":
                by_hand(state)
            elif state["kind"] == "tmux":
                by_pane(state, problems)
            else:
                by_unit(state, problems)
        except OSError as err:
            problems.append("%s: %s" % (touched[-1], err))
    wanted = {port for state in states for port in state["ports"]}
    back = wait_for(wanted, START_SECONDS)
    if not back:
        problems.append("not listening again: %s" % sorted(wanted - listening(wanted)))
    return {"back": back, "restarted": touched, "problems": problems}


def untouched(state: dict[str, Any]) -> bool:
    """Nothing happened to this root: it and its whole family run, and its ports listen."""
    whole = all(alive(pid, started) for pid, started in state["family"])
    return whole and set(state["ports"]) <= listening(set(state["ports"]))


def listening(ports: set[int]) -> set[int]:
    return {row["port"] for row in listeners() if row["proto"] == "tcp"} & ports


def wait_for(ports: set[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not ports <= listening(ports):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def by_unit(state: dict[str, Any], problems: list[str]) -> None:
    """``systemctl restart``; the start limit is lifted first, or quick restarts would be refused."""
    argv = ["systemctl"]
    if state["kind"] == "user-unit":
        argv = user_manager(state["uid"]) + ["systemctl", "--user"]
    run_command(argv + ["reset-failed", "--", state["unit"]], timeout=10.0)
    # --no-block: a unit that is slow to start is waited for by its ports, not by this call
    done = run_command(argv + ["restart", "--no-block", "--", state["unit"]], timeout=20.0)
    if done.rc != 0:
        problems.append("systemctl restart %s: %s" % (state["unit"], done.err.strip()[:300]))


def by_pane(state: dict[str, Any], problems: list[str]) -> None:
    """Have tmux run the command again in its pane, which was told to wait for that."""
    kill_family(state)
    if not comes_back(state):
        free(set(state["ports"]))
        said = panes.respawn(state)
        if said:
            problems.append("tmux respawn-pane: %s" % said)
    panes.let_go(state)


def free(ports: set[int]) -> None:
    """Wait for a moment until nobody has the ports any more."""
    until = time.monotonic() + 5.0
    while listening(ports) and time.monotonic() < until:
        time.sleep(0.1)


def by_hand(state: dict[str, Any]) -> None:
    """End what is left, give a supervisor of its own the first turn, then start the root again."""
    kill_family(state)
    if comes_back(state):
        return
    free(set(state["ports"]))
    start(state)


def start(state: dict[str, Any]) -> None:
    """Fork twice, so that the server belongs to init and to no session of ours, and become it."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        cgroups.move(0, state["cgroup"])
        become(state)
    finally:
        os._exit(127)


def become(state: dict[str, Any]) -> None:
    """In the last child: everything that exec keeps, in the order in which permissions allow it."""
    for number, handle in enumerate([streams.reopen(one) for one in state["stdio"]]):
        os.dup2(handle, number)
    os.closerange(3, 4096)
    limit(state["limits"])
    os.setpriority(os.PRIO_PROCESS, 0, state["nice"])
    for number in range(1, signal.NSIG):
        if number in (signal.SIGKILL, signal.SIGSTOP):
            continue
        ignored = state["ignored"] >> (number - 1) & 1
        try:
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        except (OSError, ValueError):
            pass
    os.setgroups(state["groups"])
    os.setgid(state["gid"])
    os.setuid(state["uid"])
    os.umask(state["umask"])
    os.chdir(state["cwd"])
    entries = (entry.partition("=") for entry in state["environ"])
    environ = {exact(key): exact(value) for key, _, value in entries}
    path, words = program(state)
    argv = [exact(word) for word in words]
    if os.path.exists(path):
        os.execve(path, argv, environ)  # noqa: S606  the very argv that ran before
    os.execvpe(argv[0], argv, environ)  # noqa: S606


def program(state: dict[str, Any]) -> tuple[str, list[str]]:
    """What to run, and its argv, so that the process is called as before: pkill goes by that name, which the
    kernel takes from the path that is run (/usr/bin/python3 is a link to python3.11; a script's first line).
    """
    exe, argv = state["exe"], state["argv"]
    first = argv[0] if argv else ""
    search = next((entry[5:] for entry in state["environ"] if entry.startswith("PATH=")), "")
    folders = [""] if "/" in first else search.split(":")
    for place in [os.path.join(folder, first) for folder in folders] + [
        os.path.join(os.path.dirname(exe), state["comm"])
    ]:
        if called(place, state) and os.path.realpath(place) == os.path.realpath(exe):
            return place, argv
    for number in (1, 2):
        if argv[number:] and called(argv[number], state) and os.access(argv[number], os.X_OK):
            return argv[number], argv[number:]
    return exe, argv


def called(path: str, state: dict[str, Any]) -> bool:
    return bool(os.path.basename(path)[:15] == state["comm"])


#: The kernel's names for limits, and Python's.
LIMITS = {
    "Max cpu time": "CPU",
    "Max file size": "FSIZE",
    "Max data size": "DATA",
    "Max stack size": "STACK",
    "Max core file size": "CORE",
    "Max processes": "NPROC",
    "Max open files": "NOFILE",
    "Max locked memory": "MEMLOCK",
    "Max address space": "AS",
    "Max pending signals": "SIGPENDING",
    "Max msgqueue size": "MSGQUEUE",
    "Max nice priority": "NICE",
    "Max realtime priority": "RTPRIO",
}


def limit(wanted: dict[str, list[int]]) -> None:
    """This process's limits as they were: ours differ, sudo for one allows no core files."""
    import resource

    for name, word in LIMITS.items():
        if name in wanted:
            try:
                soft, hard = wanted[name]
                resource.setrlimit(getattr(resource, "RLIMIT_" + word), (soft, hard))
            except (OSError, ValueError):
                pass  # root in a container may not raise them; a worker without is better than none


def exact(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
