"""Question 3, parts 1 and 2: six workers, a balancer in front of them, health checks."""

from __future__ import annotations

from dataclasses import replace

from labctl.grading import Judgement, See, Target, check, failed, passed
from labctl.probes import (
    Haproxy,
    Proxy,
    Replies,
    Request,
    Server,
    ServerState,
    config_check,
    http_sample,
    packages,
    servers_in,
    ufw_status,
    unit,
)

from .facts import FRONTEND, STATS, STATS_PATH, WORKERS, worker_id
from .rotation import ALWAYS_ONE, CYCLES, observe

#: Requests in one sample: each of six ids four times.
SAMPLE = 24


@check("lb.package", question="3c", points=1)
def package(_vm: Target, see: See) -> Judgement:
    """HAProxy is installed."""
    if see(packages("haproxy")).installed("haproxy"):
        return passed("haproxy is installed")
    return failed(
        expected="the package haproxy, installed",
        seen="it is not installed",
        hint="the load balancing section begins with installing a package",
    )


@check("lb.config", question="3c", points=1, after=("lb.package",))
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


@check("lb.active", question="3c", points=1, after=("lb.package",))
def active(_vm: Target, see: See) -> Judgement:
    """HAProxy is running, and starts at boot."""
    found = see(unit("haproxy")).best()
    if found and found.is_active and found.starts_at_boot:
        return passed(f"{found.active}, {found.enabled}")
    return failed(
        expected="the unit haproxy, active and enabled",
        seen=f"{found.active}, {found.enabled or 'not enabled'}" if found else "there is no such unit",
        hint="systemctl status haproxy shows both, and its log says why it is not running",
        share=0.5 if found and found.is_active else 0.0,
    )


@check("lb.workers", question="3a", points=2)
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


@check("lb.servers", question="3c", points=2, after=("lb.config",))
def servers(_vm: Target, see: See) -> Judgement:
    """One backend has all six workers."""
    found = see(config_check())
    backend = found.balancer(WORKERS)
    ports = configured(backend)
    if len(ports) == len(WORKERS):
        return passed(f"{backend.kind} {backend.name}" if backend else "")
    missing = [str(port) for port in WORKERS if port not in ports]
    return failed(
        expected="six server lines, one for each worker's port",
        seen=f"no server for {', '.join(missing)}" if backend else "no backend with the workers in it",
        hint="a backend lists its servers, each with a name and an address with port",
        share=len(ports) / len(WORKERS),
    )


@check("lb.frontend", question="3c", points=2, after=("lb.package",))
def frontend(vm: Target, see: See) -> Judgement:
    """Port 7000 is answered by the workers."""
    replies, _ = sample(vm, see)
    if any(worker_id(reply.body) is not None and reply.status == 200 for reply in replies.replies):
        return passed("a worker's greeting on port 7000")
    first = str(replies.replies[0]) if replies.replies else "no answer"
    # with all workers down a 503 is the balancer's right answer: that is lost in lb.workers and nowhere else
    if any(reply.status == 503 for reply in replies.replies) and not alive(see):
        return passed("503: the balancer is there, and no worker is")
    if replies.trouble == "refused":
        hint = "nobody listens on 7000: is there a frontend that binds it, and has HAProxy read it since?"
    elif any(reply.status == 503 for reply in replies.replies):
        hint = "503: the balancer has no server that works; compare its server lines with the workers' ports"
    else:
        hint = "which section binds port 7000, and which backend does it use?"
    return failed(expected="the workers' greetings on port 7000", seen=first, hint=hint)


@check("lb.shares", question="3a", points=2, after=("lb.frontend",))
def shares(vm: Target, see: See) -> Judgement:
    """Requests are shared among all workers as your configuration says."""
    backend, up, (replies, _) = setting(vm, see)
    expected = tuple(port - WORKERS.start for port in up if port in configured(backend)) or tuple(
        port - WORKERS.start for port in up
    )
    if not expected:
        return passed("no worker is up to share anything")
    verdict = observe(replies, expected)
    algorithm = backend.algorithm if backend else "roundrobin"
    if verdict.errors:
        return failed(
            expected="a worker's greeting every time",
            seen=f"{verdict.errors} of {len(replies.replies)} requests failed: {verdict.first_error}",
            hint="a server in the backend that does not work is used all the same unless something checks it",
        )
    if algorithm in ALWAYS_ONE and len(verdict.counts) == 1:
        return passed(f"always the same worker, as balance {algorithm} has it")
    if algorithm not in CYCLES:
        (more,) = (see(frontend_sample(vm, 120, outside=see_outside(vm, see), attempt=3)),)
        verdict = observe(more, expected)
    elif not verdict.even:
        # somebody else's request in between shifts the count: look again before saying anything
        verdict = observe(see(frontend_sample(vm, SAMPLE, outside=see_outside(vm, see), attempt=2)), expected)
    missing = [str(one) for one in expected if one not in verdict.counts]
    if missing:
        return failed(
            expected="every worker that runs has its turn",
            seen=f"never: ID {', '.join(missing)}",
            hint="compare the ids that come with the server lines of your backend, and their addresses",
        )
    if algorithm in CYCLES and not verdict.even and not weighted(backend):
        return failed(
            expected="equal shares",
            seen=", ".join(f"ID {one}: {n}" for one, n in sorted(verdict.counts.items())),
            hint="what makes one server get more than another?",
        )
    return passed(", ".join(f"ID {one}: {n}" for one, n in sorted(verdict.counts.items())))


@check("lb.order", question="3b", points=2, after=("lb.frontend",))
def order(vm: Target, see: See) -> Judgement:
    """The order of the answers is that of the algorithm in your configuration."""
    backend, up, (replies, _) = setting(vm, see)
    algorithm = backend.algorithm if backend else "roundrobin"
    expected = tuple(port - WORKERS.start for port in up if port in configured(backend))
    verdict = observe(replies, expected)
    if len(expected) < 2 or weighted(backend):
        return passed(f"balance {algorithm}; {verdict.name}")
    if not verdict.fits(algorithm):
        again = see(frontend_sample(vm, SAMPLE, outside=see_outside(vm, see), attempt=2))
        verdict = observe(again, expected)
    luck = f" (by luck: p = {verdict.luck:.1g})" if verdict.luck < 1 else ""
    if verdict.fits(algorithm):
        return passed(f"observed: {verdict.name}{luck}; configured: {algorithm}")
    return failed(
        expected=f"what balance {algorithm} does",
        seen=f"{verdict.name}{luck}: {' '.join(str(one) for one in verdict.ids[:12])}",
        hint="does the running HAProxy know the configuration that is in the file?",
    )


@check("lb.stats", question="3d", points=1, after=("lb.package",))
def stats(vm: Target, see: See) -> Judgement:
    """The statistics page is on port 7001 under /stats."""
    inside, outside = patiently(see, [stats_page(), stats_page(vm)])
    if servers_in(inside) or servers_in(outside) or has_header(inside) or has_header(outside):
        return passed("port 7001, /stats")
    return failed(
        expected="HAProxy's statistics on port 7001 under /stats",
        seen=str(inside.replies[0]) if inside.replies else "no answer",
        hint="the lab gives a listen section for it: its port, its mode and its uri must all be there",
    )


@check("lb.health-checks", question="3d", points=2, after=("lb.frontend",))
def health_checks(vm: Target, see: See) -> Judgement:
    """Every server has a health check."""
    found, states = running(vm, see)
    backend = found.balancer(WORKERS)
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


@check("lb.all-up", question="3d", points=1, after=("lb.health-checks",))
def all_up(vm: Target, see: See) -> Judgement:
    """HAProxy sees every server UP."""
    _, states = running(vm, see)
    down = [f"{one.name} {one.status}" for one in states if not one.status.startswith("UP")]
    if states and not down:
        return passed(f"{len(states)} servers UP")
    return failed(
        expected="UP for every server",
        seen=", ".join(down[:6]) or "HAProxy does not show its servers' state",
        hint="a server is DOWN when its health check fails: does something listen on its address and port?",
    )


@check("lb.reach-frontend", question="3a", points=1, after=("lb.frontend",))
def reach_frontend(vm: Target, see: See) -> Judgement:
    """Port 7000 can be reached from outside."""
    (replies,) = patiently(see, [frontend_sample(vm, SAMPLE, outside=True)], count=1)
    firewall = see(ufw_status())
    return _reach(replies, 7000, firewall.active)


@check("lb.reach-stats", question="3d", points=1, after=("lb.stats",))
def reach_stats(vm: Target, see: See) -> Judgement:
    """Port 7001 can be reached from outside."""
    (replies,) = patiently(see, [stats_page(vm)])
    firewall = see(ufw_status())
    return _reach(replies, 7001, firewall.active)


def _reach(replies: Replies, port: int, firewall: bool) -> Judgement:
    if replies.answered:
        return passed(f"port {port} answers from outside")
    where = (
        "ufw is on: which of its rules lets this port in?" if firewall else "on which address is it bound?"
    )
    return failed(
        expected=f"an answer on port {port} from outside",
        seen=replies.trouble,
        hint=f"it answers on the VM and not from elsewhere; {where}",
    )


def frontend_sample(vm: Target, count: int, *, outside: bool, attempt: int = 1) -> Request[Replies]:
    """GETs of / on port 7000, from outside or from the VM itself."""
    if outside:
        return http_sample(vm.address, vm.port(FRONTEND), count=count, vantage="outside", attempt=attempt)
    return http_sample("127.0.0.1", FRONTEND, count=count, attempt=attempt)


def see_outside(vm: Target, see: See) -> bool:
    """Port 7000 answers from outside."""
    return see(frontend_sample(vm, SAMPLE, outside=True)).answered


def sample(vm: Target, see: See) -> tuple[Replies, bool]:
    """The first sample: from outside when 7000 answers there, else from the VM. Never both: two clients at
    once would each see half of the order.
    """
    replies = see(frontend_sample(vm, SAMPLE, outside=True))
    if replies.answered:
        return replies, True
    (replies,) = patiently(see, [frontend_sample(vm, SAMPLE, outside=False)])
    return replies, False


def setting(vm: Target, see: See) -> tuple[Proxy | None, tuple[int, ...], tuple[Replies, bool]]:
    """The backend, the ports of the workers that run, and the sample."""
    found = see(config_check())
    return found.balancer(WORKERS), alive(see), sample(vm, see)


def alive(see: See) -> tuple[int, ...]:
    """The ports on which the right worker answers, asked without the balancer."""
    replies = patiently(see, [http_sample("127.0.0.1", port) for port in WORKERS])
    return tuple(
        port
        for port, one in zip(WORKERS, replies, strict=True)
        if one.replies
        and one.replies[0].status == 200
        and worker_id(one.replies[0].body) == port - WORKERS.start
    )


def patiently(see: See, requests: list[Request[Replies]], count: int = 0) -> tuple[Replies, ...]:
    """The replies; where the time was over, those of a second look that waits longer (for ``count`` of them).

    A slow VM is not a wrong one.
    """
    first = see.all(requests)
    again = [
        replace(
            one,
            args={**one.args, "wait": 12.0, "attempt": 9, "count": count or one.args["count"]},
            deadline=60.0,
        )
        for one, reply in zip(requests, first, strict=True)
        if reply.trouble == "timeout"
    ]
    second = iter(see.all(again))
    return tuple(next(second) if reply.trouble == "timeout" else reply for reply in first)


def configured(backend: Proxy | None) -> tuple[int, ...]:
    """The workers' ports that a backend has, each once."""
    return tuple(sorted({one.port for one in backend.servers} & set(WORKERS))) if backend else ()


def weighted(backend: Proxy | None) -> bool:
    """Its servers have different weights: equal shares are not to be had."""
    return backend is not None and len({one.weight for one in backend.servers}) > 1


def stats_page(vm: Target | None = None) -> Request[Replies]:
    """The statistics as CSV: from outside for a VM given, else on the VM itself."""
    if vm is None:
        return http_sample("127.0.0.1", STATS, STATS_PATH, body=65536)
    return http_sample(vm.address, vm.port(STATS), STATS_PATH, body=65536, vantage="outside")


def has_header(replies: Replies) -> bool:
    return bool(replies.replies) and replies.replies[0].body.startswith("# pxname,svname,")


def running(vm: Target, see: See) -> tuple[Haproxy, tuple[ServerState, ...]]:
    """The configuration, and the workers' backend as the running HAProxy reports it: on its page, else its
    socket.
    """
    found = see(config_check())
    inside, outside = see(stats_page(), stats_page(vm))
    backend = found.balancer(WORKERS)
    name = backend.name if backend else ""
    for source in (servers_in(outside), servers_in(inside), found.state):
        states = tuple(one for one in source if one.proxy == name)
        if states:
            return found, states
    return found, ()


CHECKS = (
    package, config, active, workers, servers, frontend, shares, order, stats, health_checks, all_up,
    reach_frontend, reach_stats,
)  # fmt: skip
