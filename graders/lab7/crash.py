"""Question 3, part 3: workers crash, and the balancer copes. All of it is one experiment on the VM, undone
after.
"""

from __future__ import annotations

from labctl.grading import Judgement, See, Target, check, failed, passed, unjudged
from labctl.probes import CrashReport, Proxy, config_check, crash_experiment

from .facts import CRASHED, FRONTEND, STATS, STATS_PATH, WORKERS, worker_id
from .looking import LONGEST, SLACK, balancer, configured, sample, weighted
from .naming import IN_TURN

#: Seconds in which six workers start again and answer.
START = 15.0
#: Health checks that take longer than this to notice do not notice: nobody watches the page for so long.
PATIENT = 120.0


@check(
    "lb.crash-down",
    question="3e",
    layer="answer on the VM",
    after=("lb.workers", "lb.frontend", "lb.all-up"),
    disruptive=True,
)
def crash_down(_vm: Target, see: See) -> Judgement:
    """A crashed worker is noticed: its server goes DOWN."""
    report = experiment(see)
    if report.unfinished:
        return _not_run(report)
    number = crashed(report)
    if number is None and report.crash.trouble == "timeout":
        return unjudged("no answer to /crash in time", "the VM is very slow just now: grade it again")
    if number is None:
        said = str(report.crash.replies[0]) if report.crash.replies else "no answer"
        return failed(
            expected="Crashing ID ...! when /crash is asked for on port 7000",
            seen=said,
            hint="the balancer must pass every path on to the workers, and they must be the lab's server.py",
        )
    if report.down.reached:
        names = ", ".join(one.name for one in report.down.servers if one.status.startswith("DOWN"))
        return passed(f"ID {number} crashed; {names} DOWN after {report.down.seconds:.0f} s")
    if WORKERS.start + number in report.respawned:
        return _came_back((WORKERS.start + number,), "the balancer had no time to notice")
    return _too_short(_falls(balancer(see)), SLACK, report.down.seconds) or failed(
        expected="DOWN for its server, within the time of your health checks",
        seen=f"not DOWN after {report.down.seconds:.0f} s",
        hint="how often does HAProxy look, and how often must a check fail before it counts (inter, fall)?",
    )


@check(
    "lb.crash-rotation", question="3e", layer="answer on the VM", after=("lb.crash-down",), disruptive=True
)
def crash_rotation(vm: Target, see: See) -> Judgement:
    """The other workers carry on without errors."""
    report = experiment(see)
    if report.unfinished:
        return _not_run(report)
    gone = crashed(report)
    replies = report.rotation.replies
    bad = [str(one) for one in replies if one.status != 200 or worker_id(one.body) is None]
    ids = {worker_id(one.body) for one in replies} - {None}
    backend = balancer(see)
    rest = {port - WORKERS.start for port in configured(backend)} - {gone}
    # who had no turn before the crash has none after it, and that was lost elsewhere
    before = {worker_id(one.body) for one in sample(vm, see)[0].replies}
    # Only an algorithm that goes round promises that each of the others is seen in so few requests.
    rounds = (
        backend is not None and backend.algorithm in IN_TURN and not (weighted(backend) or backend.sticks)
    )
    # one worker for all of an address's requests goes round nowhere, whatever the file says: lost elsewhere
    rounds = rounds and len(before) > 1
    if not bad and ids and ids <= rest and (not rounds or ids >= rest & before):
        return passed(f"{len(replies)} requests, IDs {', '.join(str(one) for one in sorted(rest))}")
    if gone is not None and gone in ids and WORKERS.start + gone in report.respawned:
        return _came_back((WORKERS.start + gone,), "it had its turn again")
    return failed(
        expected="answers from all workers that are left, and nothing else",
        seen=f"{len(bad)} of {len(replies)} failed: {bad[0]}" if bad else f"only IDs {sorted(map(str, ids))}",
        hint="requests went to a server that does not answer: which servers are checked, and how?",
    )


@check(
    "lb.crash-503",
    question="3f",
    layer="answer on the VM",
    after=("lb.workers", "lb.frontend"),
    disruptive=True,
)
def crash_503(_vm: Target, see: See) -> Judgement:
    """With every worker crashed the balancer answers 503."""
    report = experiment(see)
    if report.unfinished:
        return _not_run(report)
    replies = report.empty.replies
    if any(one.status == 503 for one in replies) and all(one.status == 503 for one in replies if one.status):
        return passed("503 Service Unavailable")
    if report.empty.trouble == "timeout":
        return unjudged("no answer in time", "the VM is very slow just now: grade it again")
    greeted = any(worker_id(one.body) is not None for one in replies)
    if (report.staying and report.down.reached) or (report.respawned and (report.staying or greeted)):
        return _came_back(report.respawned or report.staying, "the balancer never was without one")
    hint = "HAProxy can only give an HTTP status where it speaks HTTP: which mode is the frontend in?"
    if greeted:
        hint = "a worker that is asked for /crash must end: are they the lab's server.py?"
    return failed(
        expected="HTTP status 503 from the balancer",
        seen=", ".join(str(one) for one in replies) or "no answer",
        hint=hint,
    )


@check(
    "lb.recovered",
    question="3e",
    layer="answer on the VM",
    after=("lb.all-up", "lb.crash-503"),
    disruptive=True,
)
def recovered(_vm: Target, see: See) -> Judgement:
    """When the workers are back, every server goes UP again."""
    report = experiment(see)
    if report.unfinished:
        return _not_run(report)
    if not report.restored:
        problems = "; ".join(report.problems) or "they do not run as they did before"
        return unjudged(
            f"the workers could not be put back as they were: {problems}", "staff: look at this VM"
        )
    if report.up.reached:
        return passed(f"all UP {report.up.seconds:.0f} s after the workers were back, each as it was before")
    return _too_short(_rises(balancer(see)), START, report.up.seconds) or failed(
        expected="UP for every server once its worker is back",
        seen=", ".join(f"{one.name} {one.status}" for one in report.up.servers if one.status[:2] != "UP"),
        hint="how often must a check succeed before a server counts as UP again (inter, rise)?",
    )


def experiment(see: See) -> CrashReport:
    """The one experiment that all these checks look at."""
    backend = balancer(see)
    servers = backend.servers if backend else ()
    checked = [one for one in servers if one.check]
    return see(
        crash_experiment(
            workers=WORKERS,
            balancer=FRONTEND,
            crash_path="/crash",
            crash_says=CRASHED.pattern,
            stats=STATS,
            stats_path=STATS_PATH,
            proxy=backend.name if backend else "",
            servers=len(servers),
            down_within=min(_falls(backend) + SLACK, LONGEST) if checked else 1.0,
            up_within=min(_rises(backend) + START, LONGEST) if checked else 1.0,
            config=see(config_check()).admin_socket(),
        )
    )


def _falls(backend: Proxy | None) -> float:
    """Seconds in which health checks notice, by their own settings."""
    checked = [one for one in backend.servers if one.check] if backend else []
    return max((one.falls for one in checked), default=0.0)


def _rises(backend: Proxy | None) -> float:
    """Seconds in which health checks see that a worker is back, by their own settings."""
    checked = [one for one in backend.servers if one.check] if backend else []
    return max((one.rises for one in checked), default=0.0)


def _too_short(slowest: float, spare: float, waited: float) -> Judgement | None:
    """ERROR when health checks had not the seconds that they may take, and ``spare`` ones for a slow VM."""
    if not slowest or waited >= slowest + spare - 1.0 or slowest + spare > PATIENT:
        return None
    return unjudged(
        f"its health checks may take {slowest:.0f} s to notice, and {waited:.0f} s was waited",
        "let them look more often (inter, fall, rise), and grade it again",
    )


def crashed(report: CrashReport) -> int | None:
    """The id of the worker that /crash through the balancer ended."""
    found = CRASHED.search(report.crash.replies[0].body) if report.crash.replies else None
    return int(found.group(1)) if found else None


def _came_back(ports: tuple[int, ...], so: str) -> Judgement:
    """Something here starts workers again that could not be held meanwhile."""
    told = ", ".join(str(port) for port in ports)
    return unjudged(
        f"what serves port {told} was started again at once, so {so}",
        "end what does that (a loop at a prompt, a program), start server.py by itself, and grade it again",
    )


def _not_run(report: CrashReport) -> Judgement:
    if report.refused:
        return unjudged(report.unfinished, "nothing was touched")
    if report.restored:
        return unjudged(report.unfinished, "the workers are back as they were: grade it again")
    return unjudged(report.unfinished, "staff: look whether this VM's workers are back")


CHECKS = (crash_down, crash_rotation, crash_503, recovered)
