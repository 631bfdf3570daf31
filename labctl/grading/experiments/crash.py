"""The crash experiment: one worker ends, then all, and everything is put back as it was.

Nothing is broken before the undo is armed on the VM, and every step that breaks something renews the undo's
lease in the same call: when the undo is gone, the call stops. See ``labctl/agent/remote/services/guard.py``.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from labctl.agent import Op
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.grading.experiments.bench import Bench, Interrupted
from labctl.probes import CrashReport, Malformed, Replies, Settled, WorkerGroup, decode, parse_state

#: Seconds without word from the grader after which the VM heals itself. Starting six workers takes a slow VM
#: another ten or so, and the whole is promised within 60.
LEASE = 20.0
#: Seconds after which the VM heals itself whatever the grader says.
LIMIT = 150.0
#: How long one call may wait for the health checks: well within the lease.
SLICE = 4.0
#: Requests after the crash: five ids three times over.
ROTATION = 15
#: How long workers that said they crash may take to be gone. The lab's own need 0.05 s after their answer.
ENDING = 8.0
#: Kept for restoring at the end, out of the experiment's own time.
RESERVE = 40.0

#: Groups of workers, and lines about restoring them, that a VM is heard out for.
MOST_GROUPS, MOST_LINES = 100, 100

log = logging.getLogger(__name__)


def crash(bench: Bench, args: Mapping[str, Any], deadline: Deadline) -> CrashReport:
    """Run it. What could not be observed to its end is a report too, of how the workers ran before and after.

    Raises :class:`HostError` when it could not be begun, or the user interrupted it. The VM is restored in
    any case.
    """
    began = time.monotonic()
    ports = [int(port) for port in args["workers"]]
    if deadline.remaining() < RESERVE + 25:
        return CrashReport.not_begun("there is too little time left on this VM for the experiment")
    (armed,) = bench.call(
        [Op("services.arm", {"ports": ports, "lease": LEASE, "limit": LIMIT}, deadline=10.0)],
        deadline.sooner(15),
    )
    if armed["refused"]:
        return CrashReport.not_begun(str(armed["refused"])[:300])
    work = Deadline(deadline.at - RESERVE)
    bench.restored = False
    before: tuple[WorkerGroup, ...] = ()
    seen: _Seen | None = None
    broken_off = ""
    try:
        before = _groups(armed)
        seen = _Steps(bench, args, ports, before, work).run()
    except Interrupted:
        raise
    except HostError as err:
        broken_off = f"{err.cause}: {err.message}"
    finally:
        # Also when a step failed or the user interrupted: the undo now, not when its lease ends.
        restored = _restore(bench, Deadline.after(RESERVE))
        spare = RESERVE if seen is None else max(10.0, min(RESERVE, deadline.remaining() - 10.0))
        after = _prove(bench, before, ports, Deadline.after(spare))
        bench.restored = bool(before) and before == after
    up = Settled(False, 0.0, ())
    if seen is not None:
        within = float(args["up_within"])
        servers = int(args["servers"])
        try:
            up = _settle(bench, args, up=servers, down=0, within=within, deadline=deadline, armed=False)
        except Interrupted:
            raise
        except HostError as err:
            broken_off = f"{err.cause}: {err.message}"
    seen = seen or _Seen()
    return CrashReport(
        refused="",
        before=before,
        crash=seen.crash,
        down=seen.down,
        rotation=seen.rotation,
        last=seen.last,
        staying=seen.staying,
        respawned=tuple(sorted(seen.respawned)),
        empty=seen.empty,
        restarted=_lines(restored.get("restarted", [])),
        problems=_lines(restored.get("problems", [])),
        after=after,
        up=up,
        restored=bench.restored,
        seconds=round(time.monotonic() - began, 2),
        broken_off=broken_off,
    )


class _Seen:
    """What the steps observed, as far as they came."""

    def __init__(self) -> None:
        none = Replies((), 0.0)
        self.crash = self.rotation = self.last = self.empty = none
        self.down = Settled(False, 0.0, ())
        self.staying: tuple[int, ...] = ()
        self.respawned: set[int] = set()


class _Steps:
    """The steps that break something, in order."""

    def __init__(
        self,
        bench: Bench,
        args: Mapping[str, Any],
        ports: list[int],
        groups: tuple[WorkerGroup, ...],
        work: Deadline,
    ) -> None:
        self.bench = bench
        self.args = args
        self.ports = ports
        self.groups = groups
        self.work = work
        self.seen = _Seen()

    def run(self) -> _Seen:
        seen = self.seen
        balancer = int(self.args["balancer"])
        if any(group.kind in ("hand", "tmux") for group in self.groups):
            # before: a supervisor may wait for one worker alone, or for all of them
            self.hold([], roots=True)
        (seen.crash,) = self.get([(balancer, str(self.args["crash_path"]), 1)])
        said = seen.crash.replies[0].body if seen.crash.replies else ""
        crashed = re.search(str(self.args["crash_says"]), said)
        if crashed:
            # a unit per worker would bring this one back before the health checks notice
            port = {str(number): port for number, port in enumerate(self.ports)}.get(crashed[1])
            alone = [g.unit for g in self.groups if g.kind == "unit" and g.ports == (port,)]
            if alone:
                self.hold(alone)
            seen.down = self.settle(down=1)
            if seen.down.reached:
                seen.rotation = self.rotate(balancer)
            seen.respawned |= self.came_back()
        seen.last = self.crash_others()
        seen.staying = self.ended()
        seen.empty = self.empty(balancer)
        if seen.staying or any(reply.status != 503 for reply in seen.empty.replies):
            seen.respawned |= self.came_back()
        return seen

    def rotate(self, balancer: int) -> Replies:
        """What comes once the state has settled: every server that is left, and no error.

        Looked at again before anything else counts: a server that came back a moment ago has no turn until
        HAProxy's scheduler begins its next round, after up to 16 requests for each server.
        """
        servers, errors = int(self.args["servers"]), 0
        for _ in range(2 + 16 * servers // ROTATION):
            (replies,) = self.get([(balancer, "/", ROTATION)])
            good = len(replies.replies) == ROTATION and all(one.status == 200 for one in replies.replies)
            errors += not good
            if errors > 1 or (good and len({one.body for one in replies.replies}) >= servers - 1):
                break
        return replies

    def ended(self) -> tuple[int, ...]:
        """The ports on which workers still answer once all had time to end: a worker ends a moment after its
        answer, and until then the balancer's 200 is right.
        """
        until = self.work.sooner(ENDING)
        while True:
            found = self.get([(port, "/", 1) for port in self.ports], wait=2.0)
            alive = tuple(port for port, one in zip(self.ports, found, strict=True) if one.replies[0].status)
            if not alive or until.expired:
                return alive
            time.sleep(min(0.2, until.remaining()))

    def empty(self, balancer: int) -> Replies:
        """With nobody left HAProxy tries for some seconds before it answers: both requests with patience, and
        side by side.
        """
        return _joined(self.get([(balancer, "/", 1)] * 2, wait=12.0, parallel=2))

    def crash_others(self) -> Replies:
        """End the workers that are left, and keep units from starting them again."""
        found = self.get([(port, str(self.args["crash_path"]), 1) for port in self.ports])
        units = [group.unit for group in self.groups if group.kind == "unit"]
        if units:
            self.hold(units)
        return _joined(found)

    def get(self, wanted: list[tuple[int, str, int]], wait: float = 6.0, parallel: int = 1) -> list[Replies]:
        """GETs on the VM, in one call; the lease is renewed before each."""
        self.bench.check_stop()
        ops = []
        for port, path, count in wanted:
            args = {
                "address": "127.0.0.1",
                "port": port,
                "path": path,
                "count": count,
                "wait": wait,
                "body": 200,
            }
            ops += [_renew(), Op("probes.http", args, deadline=15.0, isolated=True)]
        values = self.bench.call(ops, self.work.sooner(18.0 * len(wanted)), parallel)
        return [decode(Replies, value) for value in values[1::2]]

    def hold(self, units: list[str], *, roots: bool = False) -> None:
        args = {"units": sorted(set(units)), "roots": roots}
        self.bench.call(
            [_renew(), Op("services.hold", args, deadline=15.0, isolated=True)], self.work.sooner(25.0)
        )

    def came_back(self) -> set[int]:
        """The workers' ports on which others listen than before."""
        op = Op("services.came_back", {}, deadline=10.0, isolated=True)
        _, told = self.bench.call([_renew(), op], self.work.sooner(25.0))
        return {port for port in self.ports if port in told["ports"]}

    def settle(self, *, down: int) -> Settled:
        within = float(self.args["down_within"])
        return _settle(self.bench, self.args, up=0, down=down, within=within, deadline=self.work, armed=True)


def _joined(found: Sequence[Replies]) -> Replies:
    return Replies(tuple(reply for one in found for reply in one.replies), sum(one.seconds for one in found))


def _renew() -> Op:
    """First in every call: when the undo is not armed any more, the rest of the call is not run."""
    return Op("services.renew", {}, deadline=5.0, stop_on_failure=True)


def _settle(
    bench: Bench,
    args: Mapping[str, Any],
    *,
    up: int,
    down: int,
    within: float,
    deadline: Deadline,
    armed: bool,
) -> Settled:
    """Wait on the VM for so many servers up or down, in slices that renew the lease."""
    began = time.monotonic()
    until = deadline.sooner(within)
    while True:
        bench.check_stop()
        wanted = {
            "proxy": args["proxy"], "up": up, "down": down, "port": args["stats"], "path": args["stats_path"],
            "config": args["config"],
        }  # fmt: skip
        wait = Op("probes.await_servers", wanted, deadline=min(SLICE, until.remaining()) + 2.0, isolated=True)
        # as long as the lease allows, where there is one: an answer may be on its way for long
        patience = LEASE - 2.0 if armed else RESERVE
        values = bench.call([_renew(), wait] if armed else [wait], deadline.sooner(patience))
        told = values[-1]
        if told["reached"] or until.expired:
            servers = parse_state(str(told["state"]))
            mine = tuple(one for one in servers if one.proxy == args["proxy"])
            return Settled(bool(told["reached"]), round(time.monotonic() - began, 2), mine)


def _restore(bench: Bench, deadline: Deadline) -> Mapping[str, Any]:
    """Have the VM's watcher restore. When the agent is lost it does so by itself."""
    try:
        (told,) = bench.call([Op("services.restore", {}, deadline=35.0)], deadline)
    except HostError as err:
        return {"back": False, "problems": [f"restoring was left to the VM's own watcher: {err.message}"]}
    return told


def _prove(
    bench: Bench, before: tuple[WorkerGroup, ...], ports: list[int], deadline: Deadline
) -> tuple[WorkerGroup, ...]:
    """How the workers run now, looked at until that is as before or the time is over.

    When the agent is lost or out of step it is left, which makes the watcher restore, and another one looks.
    """
    after: tuple[WorkerGroup, ...] = ()
    while True:
        try:
            if bench.observer.agent is None:
                bench.reconnect(deadline)
            capture = Op("services.capture", {"ports": ports}, deadline=10.0)
            (now,) = bench.call([capture], deadline.sooner(15))
            after = _groups(now)
        except HostError as err:
            log.debug("looking whether the workers are back: %s", err)
            bench.leave()
        if after == before or deadline.expired:
            return after
        time.sleep(min(1.0, deadline.remaining()))


def _groups(told: Mapping[str, Any]) -> tuple[WorkerGroup, ...]:
    """How the workers run. It is looked at again and again: no more groups than processes that run by
    themselves on a few ports.
    """
    if len(told["groups"]) > MOST_GROUPS:
        raise Malformed(f"{len(told['groups'])} groups of workers")
    return tuple(decode(WorkerGroup, group) for group in told["groups"])


def _lines(told: Any) -> tuple[str, ...]:
    return tuple(str(line)[:300] for line in itertools.islice(told, MOST_LINES))
