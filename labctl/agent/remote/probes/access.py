"""BIND's configuration as named-checkconf -p prints it, and what named makes of it: which view a client gets
to, what that says of a zone, and whose names are resolved.

Whoever reads what another machine printed has it made up by that machine: nothing here takes longer than in
proportion to the text, and circles end.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterator
from typing import Any

#: Beyond these it is no student's configuration: lines that are read, views, lists within lists.
MOST_LINES, MOST_VIEWS, DEEPEST = 20000, 100, 40
#: BIND's own default of allow-recursion and allow-query-cache (its manual, 8.2.16.6).
BY_DEFAULT = ("localhost", "localnets")
#: What may stand behind the name of a zone or a view.
CLASSES = frozenset({"IN", "CH", "CHAOS", "HS", "HESIOD"})
_NO = ("no", "false", "0")
#: IPv6 addresses are numbers above those of IPv4.
_V6 = 1 << 128
_EVERYBODY = (0, _V6 * 2 - 1)
_LOOPBACK = 127 << 24 | 1


class Block:
    """A statement with braces: ``head`` stands before them, ``entries`` in them, without their semicolons."""

    __slots__ = ("entries", "head")

    def __init__(self, head: str) -> None:
        self.head = head
        self.entries: list[Any] = []

    def find(self, name: str) -> Any:
        """The statement of this name: its value, or the block; None without one."""
        for one in self.entries:
            head, _, value = (one.head if isinstance(one, Block) else one).partition(" ")
            if head == name:
                return one if isinstance(one, Block) else value.strip().strip('"')
        return None

    def blocks(self, name: str) -> Iterator[tuple[str, Block]]:
        """The blocks of this name, each with the first word behind it: that of a zone, a view, a list."""
        for one in self.entries:
            if isinstance(one, Block):
                head, _, rest = one.head.partition(" ")
                if head == name:
                    yield _parted(rest)[0], one


def whole_lines(text: str) -> Iterator[str]:
    """The lines of what named-checkconf -p printed; where a line ends within a string it goes on."""
    held: list[str] = []
    within = False
    for line in text.split("\n"):
        held.append(line)
        if '"' in line and _ESCAPED.sub("", line).count('"') % 2:
            within = not within
        if not within:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def read(text: str) -> Block:
    """What named-checkconf -p printed: a line for each statement, beginning and end of a block."""
    top = Block("")
    around = [top]
    for raw in itertools.islice(whole_lines(text), MOST_LINES):
        line = raw.strip()
        if line.startswith("}") and len(around) > 1:
            around.pop()
            line = line[1:].strip()
        if line.endswith("{"):
            block = Block(line[:-1].strip())
            around[-1].entries.append(block)
            around.append(block)
        elif line.endswith(";") and line != ";":
            around[-1].entries.append(line[:-1].strip())
    return top


class Configuration:
    """``text`` is named-checkconf -p's; a part of it that is none says nothing."""

    def __init__(self, text: str) -> None:
        self._top = read(text)
        self.options = self._top.find("options")
        if not isinstance(self.options, Block):
            self.options = Block("options")
        self._named = {name.lower(): one for name, one in self._top.blocks("acl")}
        self._made: dict[int, Any] = {}
        blocks = [one for _, one in self._top.blocks("view")] or [self._top]
        # where there are no views, all of it is one; and nobody gets to those of another class than IN
        self._views = [_View(self, one) for one in blocks if _of_internet(one)][:MOST_VIEWS]
        self._blackhole = self.access_list(self.options.find("blackhole"))

    @property
    def minds_where(self) -> bool:
        """Whether it plays a part at which of the machine's addresses it is asked."""
        lists = (one for view in self._views for one in (view.destinations, *view.at))
        return any(one is not None for one in lists)

    @property
    def directory(self) -> str:
        """named's working directory, which relative names of files begin from."""
        return self.stated("directory", self.options) or "/var/cache/bind"

    def zone(self, name: str) -> Block | None:
        """The zone's statement in the view that the machine itself gets to at 127.0.0.1, else in the first
        that has it; None where none has.
        """
        own = self._view(_LOOPBACK, _LOOPBACK, {})
        found = (_zone_in(one.block, name) for one in ([own] if own else []) + self._views)
        zone = next(filter(None, found), None)
        other = self.stated("in-view", zone) if zone else ""
        view = next((one for said, one in self._top.blocks("view") if other and said == other), None)
        return (_zone_in(view, name) if view else None) or zone

    def inherited(self, name: str, zone: Block | None) -> str:
        """A statement's value in the zone, else in its view, else in the options; "" where none says it."""
        view = next((one.block for one in self._views if zone in one.block.entries), None)
        within = (self.stated(name, one) for one in (zone, view, self.options) if one)
        return next(filter(None, within), "")

    @staticmethod
    def stated(name: str, block: Block) -> str:
        value = block.find(name)
        return value if isinstance(value, str) else ""

    def resolves_for(self, address: str, at: str) -> bool:
        """Whether a client of this address that asks at the machine's address ``at`` has any name resolved.

        It takes both of BIND's lists: who may ask the cache and who may have a resolver sent out
        (lib/ns/query.c, query_setup; bin/named/server.c, configure_view). Signed queries are not made. One
        thing is not followed: named forgets that an entry let a network in when a list that is denied further
        on, and denies nothing itself, has that same network (lib/dns/iptable.c, dns_iptable_merge).
        """
        client, own = number_of(address), number_of(at)
        return client is not None and own is not None and self.resolves(client, own)

    def resolves(self, client: int, at: int) -> bool:
        """The same by the numbers of addresses, see :func:`number_of`."""
        known: dict[Any, Any] = {}
        if self._blackhole is not None and _let_in(self._blackhole, client, _is_loopback(client), known):
            return False
        view = self._view(client, at, known)
        return view is not None and view.resolves(client, at, known)

    def asked(self) -> tuple[str, ...]:
        """The entries, as they are written, of the lists that say whose names are resolved, in all views that
        resolve any.
        """
        entries = (entry for one in self._views if one.recursion for entry in one.entries)
        return tuple(dict.fromkeys(entries))

    def networks(self) -> Iterator[tuple[int, int]]:
        """First and last number of each network that any access list names."""
        yield from _networks(self._top)

    def _view(self, client: int, at: int, known: dict[Any, Any]) -> _View | None:
        """The view that such a client gets to: the first that both its lists let in."""
        for one in self._views:
            clients = _let_in(one.clients, client, _is_loopback(client), known)
            if clients and _let_in(one.destinations, at, True, known):
                return one
        return None

    def access_list(self, found: Any, depth: int = 0) -> Any:
        """An access list ready for looking addresses up; None where none is given.

        A tuple of entries (denied, own, first, last, list within): ``own`` ones are "localhost" and
        "localnets", and a list within lets in what it lets in and nothing else: what is denied there has not
        met an entry yet (lib/dns/acl.c, dns_aclelement_match).
        """
        if not isinstance(found, Block):
            return None
        if id(found) in self._made:
            return self._made[id(found)]
        self._made[id(found)] = ()  # what is left of a circle
        entries: list[Any] = []
        for one in found.entries if depth < DEEPEST else ():
            if isinstance(one, Block):
                entries.append((one.head == "!", False, 1, 0, self.access_list(one, depth + 1)))
                continue
            denied = one.startswith("!")
            written = one[denied:].strip()
            word = written.strip('"').lower()
            # a list may be called as a network is: then its name has quotation marks
            network = None if written.startswith('"') else network_of(word)
            if word in ("any", "none"):  # "none" is "!any", and "!none" is "any"
                entries.append((denied == (word == "any"), False, *_EVERYBODY, None))
            elif word in BY_DEFAULT:
                entries.append((denied, True, 1, 0, None))
            elif network is None and word in self._named:
                within = self.access_list(self._named[word], depth + 1)
                entries.append((denied, False, 1, 0, within))
            else:
                first, last = network or (1, 0)
                entries.append((denied, False, first, last, None))
        self._made[id(found)] = tuple(entries)
        return self._made[id(found)]


class _View:
    """A view's lists; statements that it leaves out are those of the options."""

    def __init__(self, found: Configuration, block: Block) -> None:
        self.block = block

        def said(name: str) -> Any:
            value = block.find(name)
            return found.options.find(name) if value is None else value

        self.recursion = str(said("recursion") or "yes") not in _NO
        self.clients = found.access_list(block.find("match-clients"))
        self.destinations = found.access_list(block.find("match-destinations"))
        written = [said(name) for name in ("allow-recursion", "allow-query-cache", "allow-query")]
        query = written.pop()
        cache = next((one for one in (written[1], written[0], query) if one is not None), None)
        recursion = cache if written[0] is None else written[0]
        default = tuple((False, True, 1, 0, None) for _ in BY_DEFAULT)
        self._from = [default if one is None else found.access_list(one) for one in (recursion, cache)]
        at = ("allow-recursion-on", "allow-query-cache-on")
        self.at = [found.access_list(said(name)) for name in at]
        shown = recursion.entries if isinstance(recursion, Block) else BY_DEFAULT
        self.entries = ["{ ... }" if isinstance(one, Block) else one.replace('"', "") for one in shown]

    def resolves(self, client: int, at: int, known: dict[Any, Any]) -> bool:
        return (
            self.recursion
            and all(_let_in(one, client, _is_loopback(client), known) for one in self._from)
            and all(_let_in(one, at, True, known) for one in self.at)
        )


def number_of(address: str) -> int | None:
    """An address as a number, those of IPv6 above all of IPv4; None for what is no address."""
    for family, above in ((socket.AF_INET, 0), (socket.AF_INET6, _V6)):
        try:
            return int.from_bytes(socket.inet_pton(family, address), "big") + above
        except (OSError, ValueError):
            continue
    return None


def network_of(word: str) -> tuple[int, int] | None:
    """First and last number of "10.0.0.0/8"; None for what is no network, as a key or a country."""
    address, _, prefix = word.partition("/")
    number = number_of(address)
    if number is None:
        return None
    bits = 128 if number >= _V6 else 32
    if prefix and not (prefix.isdecimal() and len(prefix) < 4 and int(prefix) <= bits):
        return None
    size = 1 << (bits - int(prefix or bits))
    first = number - number % size
    return first, first + size - 1


def address_of(number: int) -> str:
    """The address of a number that :func:`number_of` gives."""
    if number >= _V6:
        return socket.inet_ntop(socket.AF_INET6, (number - _V6).to_bytes(16, "big"))
    return socket.inet_ntop(socket.AF_INET, number.to_bytes(4, "big"))


def _networks(block: Block) -> Iterator[tuple[int, int]]:
    waiting = [block]
    while waiting:
        for one in waiting.pop().entries:
            if isinstance(one, Block):
                waiting.append(one)
            else:
                found = network_of(one[one.startswith("!") :].strip())
                if found:
                    yield found


def _let_in(entries: Any, number: int, own: bool, known: dict[Any, Any]) -> bool:
    """Whether an access list lets an address in; one that is not given lets everybody in. ``own``: it is one
    of the machine's. ``known``: what was found before, of the same two addresses.
    """
    return entries is None or _meets(entries, number, own, known, 2 * DEEPEST) is True


def _meets(entries: Any, number: int, own: bool, known: dict[Any, Any], depth: int) -> bool | None:
    """Whether the first entry that an address meets lets it in; None when it meets none."""
    key = (id(entries), number, own)
    if key in known or not depth:
        return known.get(key)
    answer = known[key] = None
    for denied, is_own, first, last, within in entries:
        if within is not None:
            met = _meets(within, number, own, known, depth - 1) is True
        else:
            met = (is_own and own) or first <= number <= last
        if met:
            answer = known[key] = not denied
            break
    return answer


def _is_loopback(number: int) -> bool:
    return number >> 24 == 127


_ESCAPED = re.compile(r"\\.")
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def _parted(rest: str) -> tuple[str, str]:
    """What stands behind a block's name: the first word, without its quotation marks, and the others."""
    quoted = _NAME.match(rest)
    if quoted:
        return quoted.group(1), rest[quoted.end() :].strip()
    first, _, more = rest.partition(" ")
    return first, more.strip()


def _of_internet(block: Block) -> bool:
    """Of a view, or all of the configuration: whether it is of the class that is asked for, IN."""
    head, _, rest = block.head.partition(" ")
    return head != "view" or _parted(rest)[1].upper() in ("", "IN")


def _zone_in(block: Block, name: str) -> Block | None:
    wanted = name.lower().rstrip(".")
    return next((one for said, one in block.blocks("zone") if said.lower().rstrip(".") == wanted), None)
