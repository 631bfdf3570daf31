"""``run_once``: one host of a play does a task, and the others take over what it gave.

The hosts of a play run side by side, each as fast as it can. At a ``run_once`` task they meet: when every
host that is still in the play waits at such a task, the first of them in the play's order does its own,
after all earlier tasks of all hosts, as in Ansible; those that wait for the same task take its outcome.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.deadline import Deadline
from labctl.playbook.interrupt import Interrupted


@dataclass(frozen=True)
class Outcome:
    """What the others take over: the registered result, facts with whether a VM had a part in them, and what
    include_vars read.
    """

    host: str
    failed: bool = False
    register: Any = None
    facts: Mapping[str, tuple[Any, bool]] = field(default_factory=dict)
    included: Sequence[Mapping[str, Any]] = ()


class Once:
    """The meeting place of one play's ``hosts``; ``slots`` bounds how many of them work at a time."""

    def __init__(self, hosts: Sequence[str], slots: int) -> None:
        self._order = tuple(hosts)
        self._here = set(hosts)
        self._slots = threading.Semaphore(slots)
        self._changed = threading.Condition()
        self._waiting: dict[str, Hashable] = {}
        self._outcomes: dict[Hashable, Outcome] = {}
        self._over = False

    def enter(self) -> None:
        """Wait for a slot, before a host's work begins. Raises Interrupted when the run was cancelled."""
        self._slots.acquire()
        if self._over:
            self._slots.release()
            raise Interrupted

    def cancel(self) -> None:
        """The run is over: nobody waits any longer."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def leave(self, host: str) -> None:
        """The host's part in the play is over, however it ended."""
        with self._changed:
            self._here.discard(host)
            self._changed.notify_all()
        self._slots.release()

    def turn(self, host: str, key: Hashable, deadline: Deadline) -> Outcome | None:
        """The outcome of the task ``key``, or None: then ``host`` is to do it and to publish it.

        Raises DeadlineExceeded when the host's time is over before the others have come, Interrupted when
        the run was cancelled.
        """
        self._slots.release()
        try:
            with self._changed:
                self._waiting[host] = key
                self._changed.notify_all()
                try:
                    while key not in self._outcomes and not self._is_first(host):
                        if self._over:
                            raise Interrupted
                        deadline.check("waiting for the other VMs at a run_once task")
                        self._changed.wait(min(deadline.remaining(), 1.0))
                    return self._outcomes.get(key)
                finally:
                    del self._waiting[host]
        finally:
            self._slots.acquire()

    def publish(self, key: Hashable, outcome: Outcome) -> None:
        with self._changed:
            self._outcomes[key] = outcome
            self._changed.notify_all()

    def _is_first(self, host: str) -> bool:
        # one whose outcome is there, and that has not woken up yet, is about to go on
        waiting = {name for name, key in self._waiting.items() if key not in self._outcomes}
        return waiting == self._here and host == next(name for name in self._order if name in waiting)
