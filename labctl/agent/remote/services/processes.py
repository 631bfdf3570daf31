"""How the processes behind some ports run, written down well enough to start them again the same way.

A *root* is the oldest process of a family with one command line (a server that forked its workers): starting
it again starts them all. It is run by a systemd unit ("unit", or "user-unit" for a user's own manager), is a
tmux pane's own program ("tmux"), or was started by "hand".
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
from typing import Any

from ..command import run_command
from ..probes.sockets import listeners
from . import cgroups, streams, unchanged, wrappers
from .panes import pane_of

# set anew by systemd at every start: they differ before and after without anything being different
VOLATILE = ("INVOCATION_ID=", "JOURNAL_STREAM=", "SYSTEMD_EXEC_PID=", "MEMORY_PRESSURE_")
UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+\.service\Z")
CONTAINED = re.compile(r"docker|containerd|libpod|lxc|machine\.slice")


class Uncapturable(Exception):
    """The processes cannot be written down well enough to promise that they come back."""


def capture(ports: list[int], timeout: float) -> list[dict[str, Any]]:
    """The roots of all listeners on ``ports``, each with the ports it serves, in the ports' order: started
    again they have other pids. Raises Uncapturable.
    """
    pids: dict[int, set[int]] = {}
    for row in listeners():
        if row["proto"] == "tcp" and row["port"] in ports and row["pid"]:
            pids.setdefault(root_of(row["pid"]), set()).add(row["port"])
    mine = ancestors(os.getpid())
    states = []
    for pid, served in sorted(pids.items(), key=lambda item: sorted(item[1])):
        if pid <= 1 or pid in mine:
            raise Uncapturable(
                "port %s is held by process %d, which must not be stopped" % (min(served), pid)
            )
        states.append(describe(pid, sorted(served), timeout))
    return states


def status_of(pid: int) -> dict[str, str]:
    fields = {}
    with open("/proc/%d/status" % pid, errors="replace") as handle:
        for line in handle:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields


def raw(pid: int, name: str) -> str:
    """A file of /proc/PID that holds bytes, kept exactly (surrogateescape) and fit for JSON."""
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as handle:
            return handle.read().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    try:
        return int(status_of(pid).get("PPid", "0"))
    except (OSError, ValueError):
        return 0


def ancestors(pid: int) -> list[int]:
    """``pid`` itself, its parent, and so on up to process 1."""
    line = []
    while pid > 0 and pid not in line:
        line.append(pid)
        pid = parent_of(pid)
    return line


def root_of(pid: int) -> int:
    """The oldest ancestor with the same command line."""
    command = raw(pid, "cmdline")
    while True:
        parent = parent_of(pid)
        if parent <= 1 or raw(parent, "cmdline") != command:
            return pid
        pid = parent


def family_of(root: int) -> list[int]:
    """``root`` and all its descendants that run now."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        children.setdefault(parent_of(int(name)), []).append(int(name))
    family = [root]
    for pid in family:
        family.extend(children.get(pid, []))
    return family


def children_of(pid: int) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(int(name)) == pid]


def started_at(pid: int) -> int:
    """The process's start in clock ticks since boot: with the pid it names a process for good. 0 when it is
    gone.
    """
    text = raw(pid, "stat")
    try:
        return int(text.rpartition(")")[2].split()[19])
    except (IndexError, ValueError):
        return 0


def describe(pid: int, ports: list[int], timeout: float) -> dict[str, Any]:
    """Everything that starting ``pid`` again takes. Raises Uncapturable."""
    try:
        status = status_of(pid)
        exe, cwd = os.readlink("/proc/%d/exe" % pid), os.readlink("/proc/%d/cwd" % pid)
        nice = os.getpriority(os.PRIO_PROCESS, pid)
    except OSError as err:
        raise Uncapturable("process %d ended while it was looked at: %s" % (pid, err))
    cgroup = cgroups.path_of(pid)
    if CONTAINED.search(cgroup):
        raise Uncapturable("the workers run in a container (%s)" % cgroup)
    exe = exe[: -len(streams.DELETED)] if exe.endswith(streams.DELETED) else exe  # an upgrade replaced it
    argv = raw(pid, "cmdline").split("\0")[:-1]
    differs = unchanged.differs(pid, started_at(pid), exe, argv, cwd)
    if differs:
        raise Uncapturable("process %d could not be started again as it was: %s" % (pid, differs))
    kind, unit = manager_of(pid, cgroup, timeout)
    environ = [entry for entry in raw(pid, "environ").split("\0") if entry]
    stdio = [streams.stdio_of(pid, number) for number in (0, 1, 2)]
    pane = None
    if kind == "hand" and ends_with(pid):
        pane = pane_of(environ, ancestors(pid))
        if pane:
            kind = "tmux"
        elif any(one["kind"] == "tty" for one in stdio):
            raise Uncapturable("the terminal of process %d would close with it" % pid)
    if kind == "hand":
        stdio = as_by_hand(pid, exe, argv, stdio)
    limits = limits_of(pid)
    uids, gids = status["Uid"].split(), status["Gid"].split()
    return {
        "pid": pid,
        "started": started_at(pid),
        "family": [[member, started_at(member)] for member in family_of(pid)],
        "ports": ports,
        "kind": kind,
        "unit": unit,
        "pane": pane,
        "uid": int(uids[1]),
        "gid": int(gids[1]),
        "groups": sorted(int(word) for word in status.get("Groups", "").split()),
        "umask": int(status.get("Umask", "0022"), 8),
        "ignored": int(status.get("SigIgn", "0"), 16),
        "nice": nice,
        "limits": limits,
        "nofile": limits.get("Max open files", []),
        "argv": argv,
        "environ": environ,
        "exe": exe,
        "comm": name_of(pid),
        "cwd": cwd,
        "cgroup": cgroup,
        "stdio": stdio,
    }


#: Fields of /proc/PID/stat after the program's name.
STATE, PARENT, GROUP, SESSION, TERMINAL = range(5)


def stat_of(pid: int) -> list[int]:
    """State (its letter's number), parent, process group, session and terminal (0: none) of a process; zeros
    when it is gone.
    """
    words = raw(pid, "stat").rpartition(")")[2].split()
    return [ord(words[0])] + [int(word) for word in words[1:5]] if len(words) > 4 else [0] * 5


#: What may have job control, and then goes on when a job ends.
SHELLS = frozenset(("ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh"))


def ends_with(pid: int) -> bool:
    """Its terminal closes with it: between it and who leads the terminal's session is no shell with job
    control, which gives each job a process group of its own and goes on when that ends.
    """
    mine = stat_of(pid)
    if not mine[TERMINAL]:
        return False
    while pid != mine[SESSION]:
        parent = parent_of(pid)
        above = stat_of(parent)
        if above[SESSION] != mine[SESSION]:
            return False  # whoever started it has ended, and the session goes on
        if above[GROUP] != stat_of(pid)[GROUP] and name_of(parent) in SHELLS:
            return False
        pid = parent
    return True


def name_of(pid: int) -> str:
    """The name of a process's program, of at most 15 letters; "" when it is gone."""
    return raw(pid, "comm").rstrip("\n")


def as_by_hand(pid: int, exe: str, argv: list[str], stdio: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The streams of a root that would be started by hand. Raises Uncapturable for what could not be had
    again: a program that it read from there, a pipe or socket whose other end would end with it, somebody
    else's lock that it holds.
    """
    there = stdio[0]["kind"] == "file" and not unchanged.written_after(stdio[0]["path"], started_at(pid))
    if unchanged.from_stdin(exe, argv) and not there:
        raise Uncapturable(
            "process %d read its program from its standard input, where it is no more: have it run a file"
            % pid
        )
    lock = streams.borrowed_lock(pid, family_of(pid))
    if lock:
        raise Uncapturable("process %d holds a lock on %s that another program took for it" % (pid, lock))
    return [still_there(pid, one, number) for number, one in enumerate(stdio)]


#: Programs that start again what they run, as they call themselves: the last is pm2's daemon.
SUPERVISORS = ("supervisord", "circusd", "PM2 ")


def still_there(pid: int, stream: dict[str, Any], number: int) -> dict[str, Any]:
    """A stream that is open to nobody any more comes to nothing. Raises Uncapturable."""
    if stream["kind"] == "closed":
        return dict(stream, kind="null", path=os.devnull)
    if stream["kind"] != "other" or name_of(parent_of(pid)).startswith(SUPERVISORS):
        return stream
    family = family_of(pid)
    others = [one for one in streams.ends(stream["pipe"], number != 0) if one not in family]
    if stream["pipe"] and not others:
        return dict(stream, kind="null", path=os.devnull)
    way = "a pipe" if stream["pipe"] else "a socket or a device"
    if others:
        way += " %s %s, which would end with it" % ("to" if number else "from", clean(name_of(others[0])))
    what, instead = ("says", "have it write to a file") if number else ("reads", "have it read /dev/null")
    raise Uncapturable("what process %d %s goes through %s: %s" % (pid, what, way, instead))


def limits_of(pid: int) -> dict[str, list[int]]:
    """Soft and hard limit by the kernel's name for it, "Max open files" for example; -1 is no limit.

    Reading them so takes no privilege (prlimit does).
    """
    limits = {}
    for line in raw(pid, "limits").splitlines()[1:]:
        words = line[26:].split()
        limits[line[:26].strip()] = [int(word) if word.isdigit() else -1 for word in words[:2]]
    return limits


#: Of a unit: those that are stopped with it, and what else is asked.
TIED = ("RequiredBy", "BoundBy", "ConsistsOf")
PROPERTIES = (
    "MainPID",
    "ActiveState",
    "Transient",
    "LoadState",
    "CanStart",
    "FragmentPath",
    "DropInPaths",
    *TIED,
)


def manager_of(pid: int, cgroup: str, timeout: float) -> tuple[str, str]:
    """("unit", name) when a unit runs ``pid`` and nothing but it; else ("hand", "").

    Being in a service's cgroup proves little: without logind a shell's children sit in ssh.service, and a
    cron job in cron.service. The unit must be the one whose main process this is (or a wrapper that is sure
    to start it again), and its cgroup must hold nothing else, or restarting it would stop what is not ours.
    Raises :class:`Uncapturable` for what ends with a unit that could not be started again as it was, would
    not start it again, or is stopped with others.
    """
    name = cgroup.rpartition("/")[2]
    if not UNIT.match(name) or re.match(r"user@\d+\.service\Z", name):
        return "hand", ""
    user = re.search(r"/user@(\d+)\.service/", cgroup)
    scope = user_manager(int(user.group(1))) if user else []
    systemctl = scope + ["systemctl"] + (["--user"] if user else [])
    done = run_command(systemctl + ["show", "-p", ",".join(PROPERTIES), "--", name], timeout=timeout)
    if done.rc != 0:
        raise Uncapturable("systemd does not say whether the unit %s runs process %d" % (name, pid))
    told = dict(line.partition("=")[::2] for line in done.out.splitlines())
    if told.get("ActiveState", "active") != "active":
        # what is left of it now is about to be ended, and started anew
        raise Uncapturable("the unit %s is just %s" % (name, clean(told["ActiveState"])))
    main = told.get("MainPID", "")
    if not main.isdigit() or int(main) not in ancestors(pid) or int(main) <= 1:
        return "hand", ""
    allowed = set(family_of(int(main)))
    mine = stat_of(pid)
    if os.getpid() in allowed or (mine[TERMINAL] and mine[SESSION] != int(main)):
        return "hand", ""  # the unit lets people in, who start what they like
    line = ancestors(pid)
    link = wrappers.broken_link([program_of(one) for one in line[line.index(int(main)) :: -1]])
    if link:
        raise Uncapturable(
            "process %d runs below %s, which may not start it again (%s): start it from a shell with nohup"
            " and &, in tmux, or by a unit of its own" % (pid, name, clean(link))
        )
    if not cgroups.members(cgroup) <= allowed:
        raise Uncapturable("the unit %s runs process %d, and others that would end with it" % (name, pid))
    if told.get("Transient") == "yes":
        raise Uncapturable("the unit %s exists only while it runs, and could not be started again" % name)
    if told.get("LoadState", "loaded") != "loaded" or told.get("CanStart") == "no":
        raise Uncapturable("the unit %s could not be started again: it is masked or gone" % name)
    files = [told.get("FragmentPath", ""), *told.get("DropInPaths", "").split()]
    # those below /run are written anew each time that systemd reads its units
    files = [path for path in files if path and not path.startswith("/run/")]
    changed = [path for path in files if unchanged.written_after(path, started_at(int(main)))]
    if changed:
        raise Uncapturable("%s was changed since the unit %s began: restart it" % (changed[0], name))
    tied = " ".join(told.get(key, "") for key in TIED).split()
    if tied:
        asked = run_command(systemctl + ["is-active", "--", *tied], timeout=timeout)
        active = [one for one, state in zip(tied, asked.out.split()) if state == "active"]
        if active:
            raise Uncapturable("with the unit %s systemd would stop %s too" % (name, active[0]))
    return ("user-unit" if user else "unit"), name


def program_of(pid: int) -> wrappers.Process:
    """Raises Uncapturable when it has ended."""
    try:
        exe, cwd = os.readlink("/proc/%d/exe" % pid), os.readlink("/proc/%d/cwd" % pid)
    except OSError as err:
        raise Uncapturable("process %d ended while it was looked at: %s" % (pid, err))
    return wrappers.Process(raw(pid, "cmdline").split("\0")[:-1], exe, cwd, started_at(pid))


def user_manager(uid: int) -> list[str]:
    """What to put before ``systemctl --user`` so that it talks to that user's own manager."""
    return [
        "setpriv",
        "--reuid=%d" % uid,
        "--clear-groups",
        "env",
        "XDG_RUNTIME_DIR=/run/user/%d" % uid,
        "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%d/bus" % uid,
    ]


def public(state: dict[str, Any]) -> dict[str, Any]:
    """What of a state may leave the VM and is compared before and after: no pids, the environment as a
    hash.
    """
    import pwd

    try:
        user = pwd.getpwuid(state["uid"]).pw_name
    except KeyError:
        user = str(state["uid"])
    kept = sorted(entry for entry in state["environ"] if not entry.startswith(VOLATILE))
    digest = hashlib.sha256("\0".join(kept).encode("utf-8", "surrogateescape")).hexdigest()
    shown = {
        key: state[key] for key in ("ports", "kind", "unit", "groups", "umask", "ignored", "nice", "nofile")
    }
    text = {key: clean(state[key]) for key in ("exe", "comm", "cwd", "cgroup")}
    streams = ["%s %s" % (one["kind"], clean(one["path"])) for one in state["stdio"]]
    if state["kind"] == "tmux":
        # a pane gets a new terminal, and under logind a new scope, each time that its command runs
        text["cgroup"] = re.sub(r"tmux-spawn-[0-9a-f-]+", "tmux-spawn", text["cgroup"])
        streams = ["tty" if one.startswith("tty ") else one for one in streams]
    return dict(
        shown,
        **text,
        user=user,
        gid=state["gid"],
        argv=[clean(word) for word in state["argv"]],
        environ=digest,
        stdio=streams,
    )


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def alive(pid: int, started: int) -> bool:
    return started != 0 and started_at(pid) == started


def kill_family(state: dict[str, Any]) -> None:
    """End what is left of a root's family, the parent first: it would start children again."""
    known = [(int(pid), int(started)) for pid, started in state["family"]]
    if alive(state["pid"], state["started"]):
        known += [(pid, started_at(pid)) for pid in family_of(state["pid"])]
    for pid, started in dict.fromkeys(known):
        if alive(pid, started):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
