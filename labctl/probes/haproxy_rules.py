"""Conditions in HAProxy's configuration, as far as they are known to hold for the lab's own requests: GET of
/, with or without a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

#: None where it depends on more than is known here.
Truth = bool | None
#: What HAProxy has defined by itself (its manual, 7.4). A section may have another one of the name.
_DEFINED: Mapping[str, Sequence[str]] = {
    "TRUE": ("always_true",),
    "FALSE": ("always_false",),
    "HTTP": ("req.proto_http",),
    "HTTP_URL_SLASH": ("path_beg", "/"),
    "METH_GET": ("method", "GET"),
}
#: Criteria that hold where this is among the values.
_OF_OURS = {"path": "/", "path_beg": "/", "method": "GET"}


def holds(condition: Sequence[str], acls: Mapping[str, Truth], http: bool) -> Truth:
    """A rule's condition: "if" or "unless" and its terms; without one it always holds."""
    if not condition:
        return True
    if condition[0] not in ("if", "unless"):
        return None
    ways: list[list[Truth]] = [[]]
    words = iter(condition[1:])
    denied = False
    for word in words:
        if word in ("or", "||"):
            ways.append([])
            continue
        name = word.lstrip("!")
        denied ^= (len(word) - len(name)) % 2 == 1
        if not name:
            continue
        if name == "{":
            truth = is_so(list(iter(lambda: next(words, "}"), "}")), http)
        elif name in acls:
            truth = acls[name]
        else:
            truth = is_so(_DEFINED.get(name, ()), http)
        ways[-1].append(truth if truth is None else truth != denied)
        denied = False
    if not all(ways):
        return None
    found = any_of(not_so(any_of(not_so(one) for one in way)) for way in ways)
    return found if condition[0] == "if" else not_so(found)


def is_so(criterion: Sequence[str], http: bool) -> Truth:
    """A criterion with its values, as it is in braces or behind the name of an ACL."""
    what, values = (criterion[0], criterion[1:]) if criterion else ("", ())
    if what in ("always_true", "always_false"):
        return what == "always_true"
    if not http:
        return None
    if what == "req.proto_http":
        return True
    flags = [one for one in values if one.startswith("-") and one != "-i"]
    return True if not flags and what in _OF_OURS and _OF_OURS[what] in values else None


def with_another(acls: Iterable[tuple[str, Truth]], name: str, truth: Truth) -> tuple[tuple[str, Truth], ...]:
    """The ACLs with one more line: those of one name hold where one of them does."""
    known = dict(acls)
    known[name] = any_of((known.get(name, False), truth))
    return tuple(known.items())


def any_of(truths: Iterable[Truth]) -> Truth:
    every = set(truths)
    return True if True in every else None if None in every else False


def not_so(truth: Truth) -> Truth:
    return None if truth is None else not truth
