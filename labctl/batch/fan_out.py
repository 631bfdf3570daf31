"""Fan-out over hosts by threads: the work waits for VMs most of the time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from labctl.errors import HostError, RequestError
from labctl.inventory import Host

R = TypeVar("R")

DEFAULT_FORKS = 25
#: What the names of the threads that work on hosts begin with.
THREAD_NAME = "host"

log = logging.getLogger(__name__)


def fan_out(
    hosts: Sequence[Host],
    work: Callable[[Host], R],
    *,
    forks: int = DEFAULT_FORKS,
    on_done: Callable[[Host, R | HostError], None] | None = None,
    patience: float | None = None,
) -> dict[str, R | HostError]:
    """Run ``work`` for every host, at most ``forks`` at a time.

    Returns, by host name in the order given, what ``work`` returned or the :class:`HostError` it
    raised: one host's failure never touches another. Any other exception of one host becomes a
    HostError too, except a :class:`RequestError`, which is the user's mistake and ends the run.
    ``on_done`` is called in the calling thread as each host ends. On KeyboardInterrupt no further
    host is begun and the interrupt is raised again once those under way have ended, or after
    ``patience`` seconds: then their threads are left behind, and the process must not wait for them.
    """
    results: dict[str, R | HostError] = {}
    pool = ThreadPoolExecutor(max_workers=max(1, min(forks, len(hosts) or 1)), thread_name_prefix=THREAD_NAME)
    waiting: dict[Future[R | HostError], Host] = {}
    try:
        waiting = {pool.submit(_contained, work, host): host for host in hosts}
        while waiting:
            # A timeout, so that Ctrl-C is noticed by this thread.
            done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                host = waiting.pop(future)
                results[host.name] = outcome = future.result()
                if on_done:
                    on_done(host, outcome)
    except BaseException as err:
        pool.shutdown(wait=False, cancel_futures=True)
        # A future that was cancelled before it began would never count as done.
        under_way = [future for future in waiting if not future.cancelled()]
        wait(under_way, timeout=patience if isinstance(err, KeyboardInterrupt) else None)
        raise
    pool.shutdown()
    return {host.name: results[host.name] for host in hosts}


def _contained(work: Callable[[Host], R], host: Host) -> R | HostError:
    """The one broad except of the package: here a host's failure ends."""
    try:
        return work(host)
    except HostError as err:
        return err
    except RequestError:
        raise
    except Exception as err:
        log.debug("unexpected failure on %s", host.name, exc_info=True)
        return HostError(
            f"labctl failed on this VM: {type(err).__name__}: {err}",
            hint="this is a fault of labctl's own: please report it with the output of -vv",
        )
