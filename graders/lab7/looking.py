"""What the checks of question 3 look at: samples of the balancer's answers, and the servers' state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labctl.grading import See, Settled, Target
from labctl.probes import (
    Proxy,
    Replies,
    Request,
    ServerState,
    config_check,
    http_sample,
    servers_in,
    sockets,
    unit,
)

from .facts import FRONTEND, STATS, STATS_PATH, WORKERS, worker_id
from .reach import LOST

#: Requests in one sample: each of six ids four times.
SAMPLE = 24
#: HAProxy's round robin gives a server that has come back its turn only when the scheduler's current round
#: ends, which is at most this many requests for each unit of weight (src/lb_fwrr.c, BE_WEIGHT_SCALE). Seen:
#: 36 requests with six servers of weight 1.
ROUND = 16
#: The most requests that one look at a VM may take.
MOST = 400
#: The most seconds for a sample from outside: over a bad link the VM's own view is there sooner.
UNHURRIED = 30.0
#: Seconds for a slow VM to notice what its health checks' own timing allows, and the most that is waited.
SLACK, LONGEST = 6.0, 40.0


def frontend_sample(vm: Target, count: int, *, outside: bool, attempt: int = 1) -> Request[Replies]:
    """GETs of / on port 7000, from outside or from the VM itself."""
    if outside:
        return http_sample(vm.address, vm.port(FRONTEND), count=count, vantage="outside", attempt=attempt)
    return http_sample("127.0.0.1", FRONTEND, count=count, attempt=attempt)


def greetings(vm: Target, see: See, count: int, attempt: int) -> tuple[Replies, bool]:
    """``count`` answers of port 7000, and whether they were got from outside.

    From outside when all of them came; else from the VM, with patience: what is lost on the way, or comes
    late, says nothing about the balancer. Never both at once: two clients would each see half of the order.
    """
    if attempt == 1 or quick(see(frontend_sample(vm, SAMPLE, outside=True)), count):
        replies = see(frontend_sample(vm, count, outside=True, attempt=attempt))
        if replies.answered and all_came(replies, count):
            return replies, True
    inside = frontend_sample(vm, count, outside=False, attempt=attempt)
    replies = see(inside)
    if not all_came(replies, count):
        replies = see(patient(inside, count))
    return replies, False


def quick(first: Replies, count: int) -> bool:
    """By the first sample from outside, ``count`` more answers will come, and soon enough."""
    whole = first.answered and all_came(first, SAMPLE)
    return whole and first.seconds * count / SAMPLE <= UNHURRIED


def greeted(replies: Replies) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The ids of the workers that greeted, in order, and the answers that were no greeting."""
    numbers = [worker_id(one.body) if one.status == 200 else None for one in replies.replies]
    errors = [str(one) for one, number in zip(replies.replies, numbers, strict=True) if number is None]
    return tuple(number for number in numbers if number is not None), tuple(errors)


def all_came(replies: Replies, count: int) -> bool:
    """Every request had its answer, right or wrong, in time."""
    late = any(one.error in LOST for one in replies.replies)
    return not late and (len(replies.replies) == count or not replies.answered)


def late_sample(vm: Target, see: See, backend: Proxy | None) -> Replies | None:
    """A sample taken when every server that is UP has its turn; None when that takes too many requests."""
    first = ROUND * sum(one.weight for one in backend.servers) if backend else 0
    if first + SAMPLE > MOST:
        return None
    whole, _ = greetings(vm, see, first + SAMPLE, attempt=2)
    return replace(whole, replies=whole.replies[-SAMPLE:])


def sample(vm: Target, see: See) -> tuple[Replies, bool]:
    """The first sample, and whether it is from outside. While servers were still coming up, a later one."""
    found = greetings(vm, see, SAMPLE, attempt=1)
    if coming_up(vm, see):
        settled_states(vm, see)
        found = greetings(vm, see, SAMPLE, attempt=4)
    return found


def balancer(see: See) -> Proxy | None:
    """The backend with the workers that port 7000 gets to, in the running configuration."""
    return see(config_check()).balancer(WORKERS, FRONTEND)


def setting(vm: Target, see: See) -> tuple[Proxy | None, tuple[int, ...], tuple[Replies, bool]]:
    """The backend, the ports of the workers that run, and the sample."""
    return balancer(see), alive(see), sample(vm, see)


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
        patient(one, count or one.args["count"])
        for one, reply in zip(requests, first, strict=True)
        if reply.trouble in LOST
    ]
    second = iter(see.all(again))
    return tuple(next(second) if reply.trouble in LOST else reply for reply in first)


def patient(request: Request[Replies], count: int) -> Request[Replies]:
    """The same once more, waiting longer for each of ``count`` answers."""
    args = {**request.args, "wait": 12.0, "attempt": 9, "count": count}
    return replace(request, args=args, deadline=max(60.0, request.deadline))


def not_haproxy(see: See, port: int) -> str:
    """The programs that listen on a port where HAProxy should; "" when it does, or nobody is known to."""
    holders = set(see(sockets()).holders(port)) - {"?"}
    return "" if not holders or "haproxy" in holders else ", ".join(sorted(holders))


def beside_the_unit(see: See, port: int) -> str:
    """Where the HAProxy belongs that has a port while the unit's own, which runs, does not; else ""."""
    own = see(unit("haproxy")).best()
    on_port = (one for one in see(sockets()).listening if one.port == port)
    holders = {one.unit for one in on_port if one.process == "haproxy"}
    if own is None or not own.is_running or own.id in holders or "" in holders:
        return ""
    return ", ".join(sorted(holders))


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


#: Where the servers' state is shown: what to ask for, and the servers in what comes back.
Source = tuple[Request[Any], Callable[[Any], tuple[ServerState, ...]]]


def _sources(vm: Target) -> tuple[Source, ...]:
    """On the statistics page, else on the admin socket."""
    return (stats_page(vm), servers_in), (stats_page(), servers_in), (config_check(), lambda one: one.state)


def reported(vm: Target, see: See) -> tuple[ServerState, ...]:
    """The workers' backend as the running HAProxy reports it."""
    backend = balancer(see)
    sources = _sources(vm)
    found = see.all([request for request, _ in sources])
    for (_, servers), one in zip(sources, found, strict=True):
        states = _of(backend, servers(one))
        if states:
            return states
    return ()


def _of(backend: Proxy | None, states: tuple[ServerState, ...]) -> tuple[ServerState, ...]:
    return tuple(one for one in states if backend is not None and one.proxy == backend.name)


def coming_up(vm: Target, see: See) -> bool:
    """Some server is not UP although its worker answers: a health check has yet to see it, or never will."""
    backend = balancer(see)
    down = {one.name for one in reported(vm, see) if one.checked and not one.status.startswith("UP")}
    ports = {one.port for one in backend.servers if one.name in down} if backend else set()
    return bool(down) and bool(ports & set(alive(see)))


def settled_states(vm: Target, see: See) -> Settled[tuple[ServerState, ...]]:
    """What :func:`reported` says once the health checks have had the time that they take by themselves."""
    states = reported(vm, see)
    backend = balancer(see)
    if backend is None or not coming_up(vm, see):
        return Settled(states, True, 1, 0.0)
    alive_ports = alive(see)
    awaited = {one.name for one in backend.servers if one.check and one.port in alive_ports}
    rises = max((one.rises for one in backend.servers if one.check), default=0.0)

    def up(states: tuple[ServerState, ...]) -> bool:
        shown = [one for one in _of(backend, states) if one.name in awaited]
        return bool(shown) and all(one.status.startswith("UP") for one in shown)

    # the VM's own view before that from outside: a look that is lost on the way shows nothing
    *sources, last_resort = (_sources(vm)[at] for at in (1, 2, 0))
    request, servers = next(
        (one for one in sources if _of(backend, one[1](see(one[0])))),
        last_resort,
    )
    last = see.until(request, lambda one: up(servers(one)), within=min(rises + SLACK, LONGEST))
    return replace(last, value=_of(backend, servers(last.value)) or states)
