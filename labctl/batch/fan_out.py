"""Fan-out over hosts by threads: the work waits for VMs most of the time."""

from __future__ import annotations

import logging
import queue
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from labctl.errors import DeadlineExceeded, HostError, RequestError
from labctl.inventory import Host

R = TypeVar("R")

#: Once each, 50 containers, experiment included, beside other work on the same two cores: 142 s by 25 at a
#: time, 123 s by 50.
DEFAULT_FORKS = 50
#: At most, of one host at a time: its connection, its agent's start, what is asked of it from outside.
_DESCRIPTORS = 16
#: What else this process has open.
_OTHERS = 128
#: What the names of the threads that work on hosts begin with.
THREAD_NAME = "host"
#: How often this thread looks at the clock, and lets Ctrl-C through, in seconds.
_TICK = 0.25

log = logging.getLogger(__name__)


def fan_out(
    hosts: Sequence[Host],
    work: Callable[[Host], R],
    *,
    forks: int = DEFAULT_FORKS,
    on_done: Callable[[Host, R | HostError], None] | None = None,
    patience: float | None = None,
    waited_for: Callable[[Host], bool] = lambda _: True,
    limit: float | None = None,
) -> dict[str, R | HostError]:
    """Run ``work`` for every host, at most ``forks`` at a time.

    Returns, by host name in the order given, what ``work`` returned or the :class:`HostError` it
    raised: one host's failure never touches another. Any other exception of one host becomes a
    HostError too, except a :class:`RequestError`, which is the user's mistake and ends the run.
    Work that takes more than ``limit`` seconds for one host is not waited for: the host's outcome is
    :class:`DeadlineExceeded`, and another is begun in its place.
    ``on_done`` is called in the calling thread as each host ends. On KeyboardInterrupt no further
    host is begun and the interrupt is raised again once those under way have ended, or after
    ``patience`` seconds; those that are not ``waited_for`` are left at once. Threads that are left behind
    do not keep the process from ending.
    """
    _make_room(min(forks, len(hosts)))
    results: dict[str, R | HostError] = {}
    waiting = deque(hosts)
    # by thread, as two hosts may have the same name
    running: dict[threading.Thread, tuple[Host, float]] = {}
    ended: queue.SimpleQueue[tuple[threading.Thread, R | HostError | RequestError]] = queue.SimpleQueue()

    def run(host: Host) -> None:
        ended.put((threading.current_thread(), _contained(work, host)))

    def begin() -> None:
        while waiting and len(running) < max(1, forks):
            host = waiting.popleft()
            thread = threading.Thread(
                target=run, args=(host,), name=f"{THREAD_NAME}-{host.name}", daemon=True
            )
            running[thread] = (host, time.monotonic())
            thread.start()

    def done(host: Host, outcome: R | HostError) -> None:
        results[host.name] = outcome
        if on_done:
            on_done(host, outcome)

    try:
        begin()
        while running:
            try:
                thread, outcome = ended.get(timeout=_TICK)
            except queue.Empty:
                for late in _late(running, limit):
                    host, _ = running.pop(late)
                    done(host, DeadlineExceeded(f"the work on it did not end within {limit:.0f} s"))
            else:
                if thread not in running:
                    continue  # too late: it has its outcome
                host, _ = running.pop(thread)
                if isinstance(outcome, RequestError):
                    raise outcome
                done(host, outcome)
            begin()
    except BaseException as err:
        interrupted = isinstance(err, KeyboardInterrupt)
        until = time.monotonic() + patience if interrupted and patience is not None else None
        for thread, (host, _) in running.items():
            if not interrupted or waited_for(host):
                thread.join(None if until is None else max(0.0, until - time.monotonic()))
        raise
    return {host.name: results[host.name] for host in hosts}


def _make_room(forks: int) -> None:
    """As many file descriptors as ``forks`` hosts may take, as far as this process is allowed to: many start
    with 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = forks * _DESCRIPTORS + _OTHERS
    if soft == resource.RLIM_INFINITY or wanted <= soft:
        return
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )


def _late(running: dict[threading.Thread, tuple[Host, float]], limit: float | None) -> list[threading.Thread]:
    now = time.monotonic()
    return [thread for thread, (_, since) in running.items() if limit is not None and now - since > limit]


def _contained(work: Callable[[Host], R], host: Host) -> R | HostError | RequestError:
    """Here a host's failure ends, whatever it is."""
    try:
        return work(host)
    except (HostError, RequestError) as err:
        return err
    except BaseException as err:  # SystemExit would end this thread without a word
        log.debug("unexpected failure on %s", host.name, exc_info=True)
        return HostError(
            f"labctl failed on this VM: {type(err).__name__}: {err}",
            hint="this is a fault of labctl's own: please report it with the output of -vv",
        )
