"""Question 3, parts 1 and 2: six workers, a balancer in front of them, health checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from labctl.grading import Judgement, See, Target, check, failed, passed, unjudged
from labctl.probes import Replies, Server, config_check, packages, servers_in, sockets, ufw_status, unit

from .facts import FRONTEND, STATS, WORKERS, worker_id
from .looking import (
    SAMPLE,
    alive,
    balancer,
    beside_the_unit,
    configured,
    frontend_sample,
    greeted,
    has_header,
    late_sample,
    not_haproxy,
    patiently,
    reported,
    sample,
    setting,
    settled_states,
    stats_page,
)
from .other import NOT_READ, no_turn, other_order, other_shares, runs_otherwise
from .reach import lost_on_the_way
from .trial import in_plain, is_plain, observed, serving

#: How far equal shares may be apart in one sample where the order goes round: others' requests take a turn
#: now and then.
TURNS = 2


@check("lb.package", question="3c", layer="package")
def package(_vm: Target, see: See) -> Judgement:
    """HAProxy is installed."""
    if see(packages("haproxy")).installed("haproxy"):
        return passed("haproxy is installed")
    return failed(
        expected="the package haproxy, installed",
        seen="it is not installed",
        hint="the load balancing section begins with installing a package",
    )


@check("lb.config", question="3c", layer="config", after=("lb.package",))
def config(_vm: Target, see: See) -> Judgement:
    """HAProxy's configuration is valid."""
    found = see(config_check())
    if found.valid:
        return passed(", ".join(found.files))
    return failed(
        expected="a configuration that haproxy -c accepts",
        seen=found.message or "haproxy -c does not accept it",
        hint="haproxy -c -f FILE names the line; with a bad file the service keeps the old one, or stops",
    )


@check(
    "lb.active",
    question="3c",
    layer="unit",
    after=("lb.package",),
    explained_by=("lb.config",),
    parts=("running", "at boot"),
)
def active(_vm: Target, see: See) -> Judgement:
    """HAProxy is running, and starts at boot."""
    found = see(unit("haproxy")).best()
    if found and found.is_running and found.starts_at_boot:
        return passed(f"{found.active}, {found.enabled}")
    return failed(
        expected="the unit haproxy, active and enabled",
        seen=f"{found.active}, {found.enabled or 'not enabled'}" if found else "there is no such unit",
        hint="systemctl status haproxy shows both, and its log says why it is not running",
        # the package enables the unit by itself: that alone is nobody's work
        done=("running",) if found and found.is_running else (),
    )


@check("lb.workers", question="3a", layer="socket")
def workers(_vm: Target, see: See) -> Judgement:
    """All six workers answer on their own ports."""
    up = alive(see)
    if len(up) == len(WORKERS):
        return passed("8080 to 8085, each with its own id")
    silent = [str(port) for port in WORKERS if port not in up]
    return failed(
        expected="a worker on each of 8080 to 8085 that says its own id",
        seen=f"no worker on {', '.join(silent)}",
        hint="one server.py starts all six; a worker that has crashed is not started again by it",
        share=len(up) / len(WORKERS),
    )


@check("lb.servers", question="3c", layer="config", after=("lb.config",))
def servers(_vm: Target, see: See) -> Judgement:
    """One backend has all six workers."""
    backend = balancer(see)
    ports = configured(backend)
    if len(ports) == len(WORKERS):
        return passed(f"{backend.kind} {backend.name}" if backend else "")
    missing = [str(port) for port in WORKERS if port not in ports]
    seen = f"no server for {', '.join(missing)}" if backend else "no backend with the workers in it"
    return failed(
        expected="six server lines, one for each worker's port",
        seen=f"{seen} in {', '.join(see(config_check()).files)}",
        hint="a backend lists its servers, each with a name and an address with port",
        share=len(ports) / len(WORKERS),
    )


@check(
    "lb.frontend",
    question="3c",
    layer="answer on the VM",
    after=("lb.package",),
    explained_by=("lb.config", "lb.active", "lb.servers"),
)
def frontend(vm: Target, see: See) -> Judgement:
    """Port 7000 is answered by the workers."""
    replies, _ = sample(vm, see)
    greeted = {worker_id(one.body) for one in replies.replies if one.status == 200} - {None}
    others = not_haproxy(see, FRONTEND)
    if greeted and others:
        return failed(
            expected="HAProxy on port 7000",
            seen=f"{others} is there, and greets",
            hint="the greetings must come from the workers, through HAProxy: who listens on 7000?",
        )
    if greeted and (stranger := beside_the_unit(see, FRONTEND)):
        return failed(
            expected="the HAProxy of the unit haproxy on port 7000",
            seen=f"another one is there, of {stranger}",
            hint="what is started by hand is gone after a reboot: end that one, and restart the unit's",
        )
    # a server that nobody asks for its state may be used a moment longer than it runs
    real = greeted & {port - WORKERS.start for port in alive(see)}
    if greeted and not real:
        return failed(
            expected="the workers' greetings on port 7000",
            seen="greetings on port 7000 of workers that do not run",
            hint="a greeting counts when a worker on 8080 to 8085 gave it: does server.py run?",
        )
    if real:
        return passed("a worker's greeting on port 7000")
    first = str(replies.replies[0]) if replies.replies else "no answer"
    # with all workers down a 503 is the balancer's right answer: that is lost in lb.workers and nowhere else
    refused = any(reply.status == 503 for reply in replies.replies)
    if refused and not alive(see) and configured(balancer(see)):
        return passed("503: the balancer is there, and no worker is")
    if replies.trouble == "refused":
        hint = "nobody listens on 7000: is there a frontend that binds it, and has HAProxy read it since?"
    elif refused:
        hint = "503: the balancer has no server that works; compare its server lines with the workers' ports"
    else:
        hint = "which section binds port 7000, and which backend does it use?"
    return failed(expected="the workers' greetings on port 7000", seen=first, hint=hint)


@check("lb.shares", question="3a", layer="answer on the VM", after=("lb.frontend",))
def shares(vm: Target, see: See) -> Judgement:
    """Requests are shared among all workers as your configuration says."""
    backend, up, (replies, _) = setting(vm, see)
    expected = tuple(port - WORKERS.start for port in up if port in configured(backend)) or tuple(
        port - WORKERS.start for port in up
    )
    if not expected:
        return passed("no worker is up to share anything")
    ids, errors = greeted(replies)
    if errors:
        return failed(
            expected="a worker's greeting every time",
            seen=f"{len(errors)} of {len(replies.replies)} requests failed: {errors[0]}",
            hint="a server in the backend that does not work is used all the same unless something checks it",
        )
    if backend is not None and not is_plain(backend):
        return other_shares(vm, see, backend, up, ids)
    if not _even(replies, expected):
        # A server that came back a moment ago has no turn yet, and somebody else's request shifts the
        # count: look again, long enough, before saying anything.
        later = late_sample(vm, see, backend)
        if later is None:
            return unjudged("unequal at first, and with these weights it takes too long to see more")
        replies = later
    counts = _turns(replies, expected)
    told = ", ".join(f"ID {one}: {n}" for one, n in sorted(counts.items()))
    if _even(replies, expected):
        return passed(told)
    # whom another algorithm passes over says nothing of the server lines
    if backend is not None and runs_otherwise(see(config_check()), backend):
        return failed(expected="equal shares", seen=told, hint=NOT_READ)
    missing = [one for one in expected if one not in counts]
    if missing:
        return no_turn(missing)
    return failed(expected="equal shares", seen=told, hint="what makes one server get more than another?")


def _turns(replies: Replies, expected: Sequence[int]) -> Counter[int]:
    """How many turns each id has in whole rounds of those ``expected``."""
    ids, _ = greeted(replies)
    whole = len(ids) // len(expected) * len(expected)
    return Counter(ids[:whole] or ids)


def _even(replies: Replies, expected: Sequence[int]) -> bool:
    counts = _turns(replies, expected)
    goes_round = in_plain(replies, dict.fromkeys(expected, 1)).named.fits("roundrobin")
    spread = max(counts.values(), default=0) - min(counts.values(), default=0)
    return set(counts) == set(expected) and spread <= (TURNS if goes_round else 0)


@check("lb.order", question="3b", layer="answer on the VM", after=("lb.frontend",))
def order(vm: Target, see: See) -> Judgement:
    """The order of the answers is that of the algorithm in your configuration."""
    backend, up, _ = setting(vm, see)
    if backend is None or len(serving(backend, up)) < 2:
        return passed("fewer than two workers can be chosen")
    if not is_plain(backend):
        return other_order(see, backend, up)
    found = observed(vm, see, backend, up)
    if found.named.fits(backend.algorithm):
        return passed(f"observed: {found}; configured: {backend.algorithm}")
    if late_sample(vm, see, backend) is None:
        return unjudged("no order at first, and with these weights it takes too long to see more")
    return failed(
        expected=f"what balance {backend.algorithm} does",
        seen=f"{found}: {' '.join(str(one) for one in found.ids[:12])}",
        hint=NOT_READ,
    )


@check(
    "lb.stats",
    question="3d",
    layer="answer on the VM",
    after=("lb.package",),
    explained_by=("lb.config", "lb.active"),
)
def stats(vm: Target, see: See) -> Judgement:
    """The statistics page is on port 7001 under /stats."""
    inside, outside = patiently(see, [stats_page(), stats_page(vm)])
    others = not_haproxy(see, STATS)
    if not others and any(servers_in(one) or has_header(one) for one in (inside, outside)):
        return passed("port 7001, /stats")
    # HAProxy asks only there where its statistics are
    locked = any(one.status == 401 for one in (*inside.replies, *outside.replies))
    if locked and not others and see(config_check()).guards_statistics():
        return passed("port 7001, /stats, with a password")
    said = str(inside.replies[0]) if inside.replies else "no answer"
    return failed(
        expected="HAProxy's statistics on port 7001 under /stats",
        seen=f"{others} listens there, not HAProxy" if others else said,
        hint="the lab gives a listen section for it: its port, its mode and its uri must all be there",
    )


@check("lb.health-checks", question="3d", layer="answer on the VM", after=("lb.frontend",))
def health_checks(vm: Target, see: See) -> Judgement:
    """Every server has a health check."""
    states = reported(vm, see)
    backend = balancer(see)
    name = f"{backend.kind} {backend.name}" if backend else "no backend with the workers"
    if states:
        bare = [one.name for one in states if not one.checked]
        count = len(states)
    else:
        listed: tuple[Server, ...] = backend.servers if backend else ()
        bare = [one.name for one in listed if not one.check]
        count = len(listed)
    if count and not bare:
        return passed(f"{name}: {count} servers, all checked")
    return failed(
        expected="a health check on every server",
        seen=f"{name}: none on {', '.join(bare[:8])}" if bare else name,
        hint="one word on a server line turns its health check on; HAProxy must then read the file again",
        share=(count - len(bare)) / count if count else 0.0,
    )


@check(
    "lb.all-up",
    question="3d",
    layer="answer on the VM",
    after=("lb.health-checks",),
    explained_by=("lb.workers", "lb.servers"),
)
def all_up(vm: Target, see: See) -> Judgement:
    """HAProxy sees every server UP."""
    settled = settled_states(vm, see)
    states, when = settled.value, f" ({settled})" if settled.looks > 1 else ""
    down = [f"{one.name} {one.status}" for one in states if not one.status.startswith("UP")]
    if states and not down:
        return passed(f"{len(states)} servers UP{when}")
    return failed(
        expected="UP for every server",
        seen=(", ".join(down[:6]) or "HAProxy does not show its servers' state") + when,
        hint="a server is DOWN when its health check fails: does something listen on its address and port?",
    )


@check("lb.reach-frontend", question="3a", layer="answer from outside", after=("lb.frontend",))
def reach_frontend(vm: Target, see: See) -> Judgement:
    """Port 7000 can be reached from outside."""
    (replies,) = patiently(see, [frontend_sample(vm, SAMPLE, outside=True)], count=3)
    return _reach(vm, see, replies, FRONTEND)


@check("lb.reach-stats", question="3d", layer="answer from outside", after=("lb.stats",))
def reach_stats(vm: Target, see: See) -> Judgement:
    """Port 7001 can be reached from outside."""
    (replies,) = patiently(see, [stats_page(vm)], count=3)
    return _reach(vm, see, replies, STATS)


def _reach(vm: Target, see: See, replies: Replies, port: int) -> Judgement:
    if replies.answered:
        return passed(f"port {port} answers from outside")
    if lost := lost_on_the_way(vm, see, port, "tcp", replies.trouble):
        return lost
    found, firewall = see(sockets(), ufw_status())
    listening = [one for one in found.listening if one.port == port]
    if listening and all(one.loopback for one in listening):
        where = "on which address is it bound?"
    elif firewall.active:
        where = "ufw is on: which of its rules lets this port in?"
    else:
        where = "which firewall is between?"
    return failed(
        expected=f"an answer on port {port} from outside",
        seen=replies.trouble,
        hint=f"it answers on the VM and not from elsewhere; {where}",
    )


CHECKS = (
    package, config, active, workers, servers, frontend, shares, order, stats, health_checks, all_up,
    reach_frontend, reach_stats,
)  # fmt: skip
