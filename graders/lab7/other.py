"""The optional part of question 3: other algorithms, weights, cookies; held to what is configured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from labctl.grading import (
    Judgement,
    See,
    Target,
    check,
    failed,
    only_from_elsewhere,
    passed,
    unjudged,
)
from labctl.probes import Haproxy, Proxy, config_check, dns_query, http_shots

from .facts import FRONTEND, ZONE, worker_id
from .looking import SAMPLE, frontend_sample, greeted, greetings, setting, weighted
from .naming import ALWAYS_ONE
from .reach import lost_on_the_way
from .trial import ENOUGH, NAMEABLE, look, observed, returning, serving

#: Requests in which chance passes nobody over: one of six, 120 times, once in 3 thousand million.
MANY = 120

NOT_READ = "does the running HAProxy know the configuration that is in the file?"


def other_shares(
    vm: Target, see: See, backend: Proxy, up: Sequence[int], sampled: Sequence[int]
) -> Judgement:
    """Who has a turn, where not all have the same share or the same clients.

    ``sampled`` are the ids of the first sample.
    """
    turns = serving(backend, up)
    if len(set(sampled)) == 1 and (backend.algorithm in ALWAYS_ONE or backend.sticks):
        return passed(f"always the same worker for one client, as balance {backend.algorithm} has it")
    if weighted(backend):
        ids = look(see, backend, up)[1].ids
        # where chance decides, or a round is too long to be seen, a small share may be none
        if backend.algorithm == "random" or 3 * sum(turns.values()) > len(ids):
            return passed(_counted(ids))
    else:
        more, _ = greetings(vm, see, MANY, attempt=3)
        ids, _ = greeted(more)
    missing = [one for one in turns if one not in ids]
    return no_turn(missing) if missing else passed(_counted(ids))


def no_turn(missing: Sequence[int]) -> Judgement:
    return failed(
        expected="every worker that runs has its turn",
        seen=f"never: ID {', '.join(str(one) for one in missing)}",
        hint="compare the ids that come with the server lines of your backend, and their addresses",
    )


def _counted(ids: Sequence[int]) -> str:
    return ", ".join(f"ID {one}: {count}" for one, count in sorted(Counter(ids).items()))


def other_order(see: See, backend: Proxy, up: Sequence[int]) -> Judgement:
    """What the balancing experiment shows, against what the configuration says."""
    turns = serving(backend, up)
    first, found = look(see, backend, up)
    told = f"observed: {found}; configured: {_configured(backend, turns)}"
    if len(found.ids) < ENOUGH:
        seen = found.errors[0] if found.errors else "no answer"
        return unjudged(f"{len(found.ids)} answers from workers, then: {seen}", "grade it again")
    if backend.algorithm not in NAMEABLE or not found.named.names:
        return passed(told)
    if found.fits(backend):
        if found.has_weights(turns) or first.named.weights != found.named.weights:
            return passed(told)
    elif runs_with(see(config_check()), backend) == backend.algorithm:
        return unjudged(told, "staff: HAProxy says that it balances so, and the answers do not")
    return failed(
        expected=f"what balance {_configured(backend, turns)} does",
        seen=f"{found}: {' '.join(str(one) for one in found.ids[:12])}",
        hint=NOT_READ,
    )


def _configured(backend: Proxy, turns: dict[int, int]) -> str:
    weights = f", weights {':'.join(str(one) for one in turns.values())}" if weighted(backend) else ""
    return f"{backend.balance or 'roundrobin'}{weights}"


def runs_with(found: Haproxy, backend: Proxy) -> str:
    """The algorithm that the HAProxy that runs says it has; "" when it does not say or has no name for it."""
    return next((one.algorithm for one in found.running if one.proxy == backend.name), "")


def runs_otherwise(found: Haproxy, backend: Proxy) -> bool:
    """The HAProxy that runs says that it has another algorithm than the file, which has one with a name."""
    return any(one.proxy == backend.name and one.algorithm != backend.algorithm for one in found.running)


@check("lb.algorithm", question="3b", layer="answer on the VM", after=("lb.frontend",), optional=True)
def algorithm(vm: Target, see: See) -> Judgement:
    """The algorithm that the answers show."""
    backend, up, _ = setting(vm, see)
    turns = serving(backend, up)
    if backend is None or len(turns) < 2:
        return unjudged("fewer than two workers can be chosen")
    found = observed(vm, see, backend, up)
    if not found.named.names:
        return unjudged("too few answers")
    running = runs_with(see(config_check()), backend)
    says = f"configured: {_configured(backend, turns)}"
    if running not in ("", backend.algorithm):
        says += f" in the file, {running} in the HAProxy that runs"
    return passed(f"{found}; {says}")


@check("lb.cookie", question="3b", layer="answer on the VM", after=("lb.frontend",), optional=True)
def cookie(vm: Target, see: See) -> Judgement:
    """A cookie brings a client back to its server."""
    backend, up, _ = setting(vm, see)
    if backend is None or not backend.cookie:
        return failed(
            expected="a cookie that names the server",
            seen="no cookie is set",
            hint="for the curious: how would one browser always meet the same worker?",
        )
    found, _ = look(see, backend, up)
    if len(found.cookies) < 2:
        return failed(
            expected="a cookie that names the server",
            seen=f"cookies of {len(found.cookies)} servers",
            hint="what value does each server line give to the cookie?",
        )
    shots = returning(found.cookies)
    replies = see(http_shots("127.0.0.1", FRONTEND, [shot for shot, _ in shots])).replies
    ids = [worker_id(one.body) for one in replies]
    right = sum(one == wanted for one, (_, wanted) in zip(ids, shots, strict=False))
    luck = (1 / len(serving(backend, up))) ** len(shots)
    if right == len(shots):
        return passed(f"{backend.cookie}: {right} of {right} came back to their server (by luck: {luck:.0e})")
    return failed(
        expected="the server that had set the cookie, every time",
        seen=f"{right} of {len(shots)} came back to their server",
        hint="what value does each server line give to the cookie?",
    )


@check(
    "lb.by-own-dns",
    question="3f",
    layer="answer from outside",
    after=("dns.answers", "lb.frontend"),
    applies=only_from_elsewhere,
    optional=True,
)
def by_own_dns(vm: Target, see: See) -> Judgement:
    """Whoever asks your DNS server finds your load balancer."""
    ask = partial(dns_query, kind="A", at=vm.address, port=vm.port(53), vantage="outside")
    apex, test = see(ask(ZONE), ask(f"test.{ZONE}"))
    found = apex.data("A")
    expected = f"{ZONE} with the VM's address, and an answer there on port {FRONTEND}"
    if lost := lost_on_the_way(vm, see, 53, "udp", apex.status):
        return lost
    if not found or (vm.lab_address and vm.lab_address not in found):
        return failed(
            expected=expected,
            seen=f"from outside {ZONE} is: {apex}",
            hint="first see to port 53 from outside",
        )
    replies = see(frontend_sample(vm, SAMPLE, outside=True))
    if lost := lost_on_the_way(vm, see, FRONTEND, "tcp", replies.trouble):
        return lost
    if not replies.answered:
        seen = f"{ZONE} is {', '.join(found)}, and nobody answers there on port {FRONTEND}"
        return failed(expected=expected, seen=seen, hint="first see to the port from outside")
    others = "resolved for where this is asked from" if apex.recursion else "not resolved for outside"
    return passed(
        f"{ZONE} is {', '.join(found)}, and port {FRONTEND} answers there; "
        f"test.{ZONE} is {test}, which is not your VM; other names are {others}"
    )


CHECKS = (algorithm, cookie, by_own_dns)
