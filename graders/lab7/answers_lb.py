"""Question 3, what is written down: the pattern, the algorithm, the configuration, what a crash changes."""

from __future__ import annotations

import re
from dataclasses import replace

from labctl.grading import Judgement, See, Target, failed, passed, unjudged
from labctl.grading.answers import answer, denied, find_ideas, in_own_words, lines_of, negated, offered
from labctl.probes import Proxy, Section, candidate_check, config_check, sections_of

from .facts import FRONTEND, WORKERS, answer_of
from .looking import reported, setting
from .naming import ALWAYS_ONE, IN_TURN
from .other import runs_with
from .trial import NAMEABLE, Found, in_plain, observed, serving

#: Names of ``balance``, as people write them.
_ALGORITHMS = {
    "static-rr": r"static[\s_-]*(?:rr|round[\s_-]*robb?in)",
    "roundrobin": r"(?<!static)(?<!static[\s_-])(?:round[\s_-]*robb?in|\brr\b)",
    "leastconn": r"least[\s-]*conn(?:ections?)?",
    "first": r"\bfirst\b",
    "source": r"\bsource\b|\bip[\s-]*hash",
    "random": r"\brandom\b",
    "uri": r"\buri\b",
    "url_param": r"\burl[_\s-]param",
    "hdr": r"\bhdr\b",
    "rdp-cookie": r"\brdp[\s-]cookie",
    "hash": r"\bhash\b",
}
#: What is to be said of an order that does not go round.
_NO_PATTERN = r"\brandom|\bno (?:\w+ ){0,2}(?:pattern|order)"
_ONE_ANSWER = r"\balways\b|\bsame\b|\bonly one\b"
#: Names that are not also everyday words; and how long an answer is that is a name and no sentence.
_NAMES = frozenset({"static-rr", "roundrobin", "leastconn", "url_param", "rdp-cookie"})
_FEW_WORDS = 4
#: What an algorithm is said not to be.
_NOT = re.compile(r"\b(?:not|rather than|instead of|unlike)\b[^.;,()]*|\bthan\b[^.;,()]*", re.IGNORECASE)
_STATUS = re.compile(r"(?<!\d)[1-5]\d\d(?!\d)")
#: Numbers that are no status: addresses, ports, lengths, and the status that it was not.
_NO_STATUS = re.compile(
    r"(?<!\d)\d+(?:\.\d+){3}|:\d+|\b(?:content-length|port|id)\W{0,3}\d+"
    r"|\b(?:not|instead\s+of|rather\s+than)\s+(?:(?:an?|the|HTTP|status)\s+)*\d{3}",
    re.IGNORECASE,
)
_UNAVAILABLE = re.compile(
    r"service\s+(?:is\s+)?(?:un|not[\s_]+)available|no\s+server\s+(?:is\s+)?available", re.IGNORECASE
)
#: What 3d and 3e say of health checks: whoever answers in order has written 3c down before.
_CHECKING = re.compile(r"\s(?:check|(?:inter|fastinter|downinter|rise|fall)\s+\S+)(?=\s|$)")
#: In front of a line: its number, what diff and quoting put there.
_MARKED = re.compile(r"^\s*(?:\d{1,4}[:|]?\s+|[+>|]+\s*)")


@answer("3a")
def pattern(vm: Target, see: See, text: str) -> Judgement:
    """You can say which pattern the answers follow."""
    found = _one_client(vm, see)
    beside = " ".join(str(one) for one in found.ids[:12]) or "no answers"
    # with another algorithm than the lab's there is another pattern, or none
    names = set(found.named.names)
    forms = [_NO_PATTERN] if "random" in names else [_ONE_ANSWER] if names & ALWAYS_ONE else []
    for one in () if names & IN_TURN else forms:
        rest, count = re.subn(one, " ", text, flags=re.IGNORECASE)
        if count:
            return passed(beside, for_staff=negated(rest))
    return in_own_words(find_ideas(text, answer_of("3a")), beside)


@answer("3b", after=("lb.frontend",))
def algorithm(vm: Target, see: See, text: str) -> Judgement:
    """The algorithm that you name is the one that is at work."""
    named, sure = algorithms_in(text)
    if not named or (sure and len(named) > 1):
        return failed(
            expected="the name of one algorithm",
            seen=f"several: {', '.join(named)}" if named else "no algorithm of HAProxy's",
            hint="HAProxy's manual lists them under `balance`, and says which one it takes without that line",
            for_staff=True,
        )
    backend, up, _ = setting(vm, see)
    found = observed(vm, see, backend, up) if backend else _one_client(vm, see)
    told = f"observed: {found}" + (f"; configured: {backend.algorithm}" if backend else "")
    right = next((one for one in named if _fits(one, found, backend)), "")
    if right:
        return passed(f"{right}; {told}", for_staff=not sure)
    if (
        backend
        and backend.algorithm in named
        and runs_with(see(config_check()), backend) == backend.algorithm
    ):
        return unjudged(told, "staff: HAProxy says that it balances so, and the answers do not")
    return failed(
        expected="the algorithm that your load balancer uses",
        seen=f"you wrote {' and '.join(named)}; {told}",
        hint="compare the order in which the workers answer with the `balance` line of your backend",
        for_staff=not sure,
    )


def _fits(name: str, found: Found, backend: Proxy | None) -> bool:
    """Whether an algorithm is the one at work: by what was observed, and by what is configured."""
    if backend is None:
        return found.named.fits(name)
    configured = name == backend.algorithm
    if not found.named.names or backend.algorithm not in NAMEABLE:
        # fewer than two workers, or what no answers can show: the file is all that is known
        return configured
    # what cannot be told from the configured one is the configured one
    return found.fits(backend) if configured else found.named.fits(name) and not found.fits(backend)


@answer("3c", after=("lb.config",), read=lines_of)
def configuration(_vm: Target, see: See, text: str) -> Judgement:
    """The lines that you say you added are in use, and HAProxy accepts them."""
    live = see(config_check())
    text = _without_headings(text)
    absent = _absent(text, live.text)
    if absent:
        return failed(
            expected="lines as they stand in the configuration that HAProxy uses",
            seen=f"not there: {absent[0]}" + (f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""),
            hint="copy the lines from the file on your VM, with the line that begins each section",
            for_staff=True,
        )
    mine = replace(live, text=text)
    backend = mine.balancer(WORKERS, FRONTEND)
    ports = {one.port for one in backend.servers} & set(WORKERS) if backend else set()
    door = any(FRONTEND in one.binds for one in mine.proxies())
    share = (int(door) + len(ports) / len(WORKERS)) / 2
    if share < 1:
        return failed(
            expected="all that you added: what listens on port 7000, and a backend with six servers",
            seen="nothing that binds port 7000"
            if not door
            else f"a backend with {len(ports)} of the workers",
            hint="part of what you added is not in your answer: copy all of its lines",
            share=share,
        )
    said = see(candidate_check(in_place(text, live.text)))
    if said.valid:
        return passed("in the configuration, and accepted")
    return failed(
        expected="a configuration that haproxy -c accepts",
        seen=said.message,
        hint="with your answer in the place of its sections HAProxy does not start: are lines missing?",
    )


def algorithms_in(text: str) -> tuple[list[str], bool]:
    """The algorithms that an answer names, and whether it is sure that they are meant. In a sentence, words
    that are no names by themselves (first, source, random) may be, and may be everyday words, beside a real
    name.
    """
    said = _NOT.sub(" ", text)
    starts = {
        name: [at.start() for at in re.finditer(form, said, re.IGNORECASE)]
        for name, form in _ALGORITHMS.items()
    }
    named = [name for name in starts if starts[name]]
    meant = [name for name in named if not denied(said, starts[name])]
    sure = bool(meant) and not offered(said)
    named = meant or named
    if len(named) > 1 and "hash" in named:
        named.remove("hash")  # of the source, of the uri: how those work
    plain = [name for name in named if name in _NAMES]
    if len(plain) > 1 or (len(named) > 1 and len(text.split()) <= _FEW_WORDS):
        return named, True
    return named, sure and len(named) == 1


def _without_headings(text: str) -> str:
    """The answer without lines that only say what follows ("My frontend:"), and lines without what numbers or
    marks them.
    """
    lines = [line for line in text.split("\n") if not line.rstrip().endswith(":")]
    return "\n".join(_MARKED.sub("", line) for line in lines)


def _absent(text: str, live: str) -> list[str]:
    """Lines of an answer that are not in the same section of the configuration."""
    have: dict[str, set[str]] = {}
    for one in sections_of(live):
        have.setdefault(one.header, set()).update(map(_unchecked, one.normal))
    have[""] = {line for lines in have.values() for line in lines}
    absent = []
    mine = sections_of(text)
    for one in mine[1:] if len(mine) > 1 and not mine[0].header else mine:  # words before the first section
        if one.header not in have:
            absent.append(one.header)
        absent += [line for line in one.normal if _unchecked(line) not in have.get(one.header, set())]
    return absent


def _unchecked(line: str) -> str:
    """A line without what the lab adds to it later."""
    return _CHECKING.sub("", line) if line.startswith(("server ", "default-server ")) else line


def in_place(text: str, live: str) -> str:
    """The configuration with the answer's sections in the place of its own sections of the same names."""
    mine: dict[str, list[Section]] = {}
    for one in reversed(sections_of(text)):
        if one.header:
            mine.setdefault(one.header, []).append(one)
    whole = [mine[one.header].pop() if mine.get(one.header) else one for one in sections_of(live)]
    return "".join(f"{one.header}\n" + "".join(f"    {line}\n" for line in one.lines) for one in whole)


@answer("3d")
def statistics(vm: Target, see: See, text: str) -> Judgement:
    """You can say what the health checks change on the statistics page."""
    states = reported(vm, see)
    shown = ", ".join(f"{one.name} {one.status}" for one in states[:8]) or "HAProxy shows no servers"
    return in_own_words(find_ideas(text, answer_of("3d")), shown)


@answer("3e")
def crash(vm: Target, see: See, text: str) -> Judgement:
    """You can say what a crashed worker changes."""
    backend, up, _ = setting(vm, see)
    checked = sum(one.check for one in backend.servers) if backend else 0
    return in_own_words(
        find_ideas(text, answer_of("3e")),
        f"{_one_client(vm, see).named}, {len(up)} workers up, {checked} servers checked",
    )


def _one_client(vm: Target, see: See) -> Found:
    """What somebody sees who loads the page again and again."""
    backend, up, (replies, _) = setting(vm, see)
    turns = serving(backend, up) or {port - WORKERS.start: 1 for port in up}
    return in_plain(replies, turns)


@answer("3f")
def status(_vm: Target, _see: See, text: str) -> Judgement:
    """You know the status when no worker is left."""
    told = _NO_STATUS.sub(" ", text.replace("_", " "))
    numbers = set(_STATUS.findall(told))
    failures = {one for one in numbers if one >= "400"}
    if failures == {"503"} or (not numbers and _UNAVAILABLE.search(told)):
        said = [*re.finditer("503", told), *_UNAVAILABLE.finditer(told)]
        doubt = offered(told) or denied(told, (one.start() for one in said))
        return passed("503 Service Unavailable", for_staff=doubt)
    return failed(
        expected="one HTTP status",
        seen=", ".join(sorted(numbers)) or "no status",
        hint="crash all six workers and ask once more with curl -i: the status is in the first line",
        for_staff="503" in text or not numbers,
    )


CHECKS = (pattern, algorithm, configuration, statistics, crash, status)
