"""Commands that ask DNS servers: dig and those that take its arguments, host, nslookup.

How dig reads its arguments is taken from dig itself (9.18): what stands before the first name holds for all
queries, what stands after a name for that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl.grading.answers.shell import Command, Unreadable, options
from labctl.probes import record_type

DIG_LIKE = frozenset({"dig", "kdig", "drill", "delv"})
ASKING = DIG_LIKE | {"host", "nslookup"}

_CLASSES = frozenset({"IN", "CH", "HS", "CHAOS", "HESIOD"})
_ALONE, _VALUED = "46hmruv", "bcfiklpqtxy"


@dataclass(frozen=True)
class Query:
    """One question to a DNS server. ``name`` has no dot at its end, ``server`` is "" for the VM's resolver.

    ``complete``: the name is taken as it stands, without the resolver's search list.
    """

    name: str
    type: str
    server: str = ""
    port: int = 53
    complete: bool = True


def read_queries(command: Command) -> tuple[Query, ...]:
    """What a command of :data:`ASKING` asks. Raises :class:`Unreadable`."""
    if command.name == "host":
        return _host(command)
    if command.name == "nslookup":
        return _nslookup(command)
    return _dig(command)


@dataclass
class _Lookup:
    name: str = ""
    type: str = ""
    server: str = ""
    search: bool = False


@dataclass
class _Dig:
    first: _Lookup = field(default_factory=_Lookup)
    named: list[_Lookup] = field(default_factory=list)
    port: int = 53

    @property
    def now(self) -> _Lookup:
        return self.named[-1] if self.named else self.first

    def name(self, name: str, type: str = "") -> None:
        base = self.first
        self.named.append(_Lookup(name, type or base.type, base.server, base.search))


def _dig(command: Command) -> tuple[Query, ...]:
    state = _Dig()
    words = iter(command.args)
    for word in words:
        if word.startswith("@"):
            if len(word) == 1:
                raise Unreadable("there is no server after the @")
            state.now.server = _name(word[1:].strip("[]"))
        elif word.startswith("+"):
            if word in ("+search", "+defname"):
                state.now.search = True
            elif word in ("+trace", "+nssearch"):
                raise Unreadable(f"with {word} dig asks other servers than the one that is named")
        elif word.startswith("-") and len(word) > 1:
            _dig_option(state, word, words)
        elif record_type(word):
            state.now.type = record_type(word)
        elif word.upper() not in _CLASSES:
            state.name(word)
        elif word.upper() != "IN":
            raise Unreadable(f"records are of class IN, and {word} is another")
    if not state.named:
        raise Unreadable(f"{command.name} is not told which name to ask for")
    return tuple(
        Query(_name(one.name), one.type or "A", one.server, state.port, not one.search) for one in state.named
    )


def _dig_option(state: _Dig, word: str, words: object) -> None:
    letter, value = word[1], word[2:]
    if letter in _ALONE:
        if letter in "hv":
            raise Unreadable(f"{word} shows dig's own help or version")
        return
    if letter not in _VALUED:
        raise Unreadable(f"{word} is no option of dig")
    value = value or next(words, "")  # type: ignore[call-overload]
    if not value:
        raise Unreadable(f"-{letter} needs something after it")
    if letter == "f":
        raise Unreadable("the queries are in a file (-f), which is not here")
    if letter == "t":
        state.now.type = _type(value)
    elif letter == "q":
        state.name(value)
    elif letter == "x":
        state.name(_reversed(value), "PTR")
    elif letter == "p":
        state.port = _port(value)


def _host(command: Command) -> tuple[Query, ...]:
    given, rest = options(command, "aACc:dilm:N:p:rR:sTt:UvVwW:46")
    if not rest:
        raise Unreadable("host is not told which name to ask for")
    types: tuple[str, ...] = ("A", "AAAA", "MX")
    port, complete = 53, "." in rest[0]
    for name, value in given:
        if name == "-t":
            types = (_type(value),)
        elif name in ("-a", "-A"):
            types = ("ANY",)
        elif name == "-l":
            types = ("AXFR",)
        elif name == "-p":
            port = _port(value)
    server = _name(rest[1]) if len(rest) > 1 else ""
    return tuple(Query(_name(rest[0]), one, server, port, complete) for one in types)


def _nslookup(command: Command) -> tuple[Query, ...]:
    type, port = "A", 53
    rest = []
    for word in command.args:
        name, _, value = word.lstrip("-").lower().partition("=")
        if not word.startswith("-"):
            rest.append(word)
        elif name in ("type", "querytype", "query", "q", "ty") and value:
            type = _type(value)
        elif name == "port":
            port = _port(value)
    if not rest:
        raise Unreadable("nslookup is not told which name to ask for")
    return (Query(_name(rest[0]), type, _name(rest[1]) if len(rest) > 1 else "", port, "." in rest[0]),)


def _type(word: str) -> str:
    kind = record_type(word)
    if not kind:
        raise Unreadable(f"{word} is no type of record")
    return kind


def _port(word: str) -> int:
    number = word.lstrip("0")
    # int() refuses thousands of digits
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) < 65536):
        raise Unreadable(f"{word} is no port")
    return int(number)


def _name(word: str) -> str:
    return word.lower().rstrip(".") or "."


def _reversed(address: str) -> str:
    import ipaddress

    try:
        return ipaddress.ip_address(address).reverse_pointer
    except ValueError as err:
        raise Unreadable(f"{address} after -x is no address") from err
