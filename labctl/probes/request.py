"""A request for an observation, and what may come instead of one.

Three things can happen to a :class:`Request`. It yields its observation, which also holds what the student
did wrong (nothing listens, no such name, not installed). Or something prevented the observing (the agent was
lost, the probe's own deadline passed): an :class:`Unobserved`, which can never become a lost point.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from labctl.probes.kept import kept

T = TypeVar("T")

#: Where an observation is made: by a process on the VM, from the grader's machine through the VM's firewall,
#: on the staff's server, or by an experiment that acts on several of these; "answers" are what the student
#: wrote, which is there before anything is observed.
Vantage = Literal["vm", "outside", "staff", "experiment", "answers"]
Json = Mapping[str, Any]


# made once: every look of every check at a request begins with its key
_key = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True)
class Probe(Generic[T]):
    """What can be observed: ``shape`` is the dataclass of its observations.

    ``interpret`` turns what the agent sent (untrusted) into the shape; it raises ``ValueError`` when that is
    not possible. ``outside`` makes the observation from the grader's machine, within a number of seconds.
    ``alters``: making the observation changes the process on the VM that makes it, which then makes no other.
    """

    name: str
    shape: type[T]
    interpret: Callable[[Json], T]
    outside: Callable[[Json, float], T] | None = None
    alters: bool = False


@dataclass(frozen=True)
class Request(Generic[T]):
    """One observation to make. ``deadline`` is in seconds; ``disruptive`` ones change the VM for a while.

    ``alone``: others at the same time would falsify it.
    """

    probe: Probe[T]
    args: Json = field(hash=False)
    vantage: Vantage = "vm"
    deadline: float = 45.0
    disruptive: bool = False
    alone: bool = False

    @cached_property
    def key(self) -> str:
        """The same for requests that ask for the same thing."""
        return _key([self.probe.name, self.vantage, self.args])

    @cached_property
    def id(self) -> str:
        """A short name for evidence, the same in every run that asks the same (a nonce in the arguments
        aside).
        """
        return f"{self.probe.name}-{hashlib.sha256(self.key.encode()).hexdigest()[:10]}"


#: For functions that give a :class:`Request`: checks ask for a thing again and again, on each VM of a class,
#: and what names it is made once.
made_once = kept(most=1024, small=1024)


@dataclass(frozen=True)
class Unobserved:
    """Why there is no observation. ``cause`` is a word: timeout, crashed, agent-fault, unreachable, malformed
    ...
    """

    cause: str
    message: str


@dataclass(frozen=True)
class Observed(Generic[T]):
    """An observation (or why there is none) and how many seconds it took.

    Of a state that had to settle it is the last of so many ``looks``, ``waited`` seconds after the first.
    """

    value: T | Unobserved
    seconds: float = 0.0
    looks: int = 1
    waited: float = 0.0
