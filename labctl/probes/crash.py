"""What the crash experiment saw, from before the first crash until everything was back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.probes.decoding import by_shape
from labctl.probes.haproxy import Settled
from labctl.probes.http import Replies
from labctl.probes.request import Probe, Request


@dataclass(frozen=True)
class WorkerGroup:
    """How the processes behind some ports run: ``kind`` is unit, user-unit, tmux or hand; ``environ`` is a
    hash, ``comm`` what pkill calls them.
    """

    ports: tuple[int, ...]
    kind: str
    unit: str
    user: str
    gid: int
    groups: tuple[int, ...]
    argv: tuple[str, ...]
    exe: str
    cwd: str
    cgroup: str
    environ: str
    umask: int
    ignored: int
    nice: int
    nofile: tuple[int, ...]
    stdio: tuple[str, ...]
    comm: str = ""


@dataclass(frozen=True)
class CrashReport:
    """``refused`` says why the experiment was not begun; then nothing was touched and the rest is empty.
    ``broken_off`` says why it did not come to its end; then ``before``, ``after`` and what restoring said are
    all that is known.

    ``crash`` is the reply through the balancer to the path that crashes, ``down`` the state after it,
    ``rotation`` what the balancer answered then; ``last`` the replies to that path on the workers' ports,
    ``staying`` the ports that answered all the same some seconds later, ``empty`` the balancer's answers with
    nobody left; ``respawned`` the ports on which a worker had been started again before it was time.
    ``before`` and ``after`` are how the workers ran; ``up`` the state at the end.
    """

    refused: str
    before: tuple[WorkerGroup, ...]
    crash: Replies
    down: Settled
    rotation: Replies
    last: Replies
    staying: tuple[int, ...]
    empty: Replies
    restarted: tuple[str, ...]
    problems: tuple[str, ...]
    after: tuple[WorkerGroup, ...]
    up: Settled
    restored: bool
    seconds: float
    broken_off: str = ""
    respawned: tuple[int, ...] = ()

    @property
    def unfinished(self) -> str:
        """Why there is nothing to judge; "" for an experiment that came to its end."""
        if self.refused:
            return f"the experiment was not begun: {self.refused}"
        return f"the experiment was broken off: {self.broken_off}" if self.broken_off else ""

    @classmethod
    def not_begun(cls, why: str) -> CrashReport:
        none = Replies((), 0.0)
        unsettled = Settled(False, 0.0, ())
        return cls(why, (), none, unsettled, none, none, (), none, (), (), (), unsettled, True, 0.0)


CRASH = Probe("crash", CrashReport, by_shape(CrashReport))


def crash_experiment(
    *,
    workers: range,
    balancer: int,
    crash_path: str,
    crash_says: str,
    stats: int,
    stats_path: str,
    proxy: str,
    servers: int,
    down_within: float,
    up_within: float,
    config: str,
) -> Request[CrashReport]:
    """Crash one worker, then all, watch the balancer, and put everything back as it was.

    A worker that is asked for ``crash_path`` answers and ends; group 1 of the regular expression
    ``crash_says`` is its number in that answer, 0 for the first port. ``proxy`` is the backend's name in the
    statistics, ``servers`` how many it has; ``down_within`` and ``up_within`` are the seconds that its health
    checks may take; ``config`` is HAProxy's configuration, for its admin socket. Raises ``re.error`` for a
    ``crash_says`` that is no expression and ``ValueError`` for one without a group, before anything crashes.
    """
    if not re.compile(crash_says).groups:
        raise ValueError(f"crash_says has no group for the worker's number: {crash_says}")
    args = {
        "workers": list(workers),
        "balancer": balancer,
        "crash_path": crash_path,
        "crash_says": crash_says,
        "stats": stats,
        "stats_path": stats_path,
        "proxy": proxy,
        "servers": servers,
        "down_within": down_within,
        "up_within": up_within,
        "config": config,
    }
    return Request(CRASH, args, vantage="experiment", deadline=110.0, disruptive=True)
