"""Many VMs booted side by side, so many at a time."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from labctl.sandbox.state import Vm

#: More that boot at a time take the processors from each other, until none is up in its time.
AT_ONCE = max(4, 2 * (os.cpu_count() or 1))


def booted(
    names: Iterable[str], start: Callable[[str], Vm], wait: Callable[[Vm], None], at_once: int = AT_ONCE
) -> Iterator[Vm]:
    """``start`` each VM, by the calling thread, and ``wait`` for it beside the others; those that are up, as
    they come. At most ``at_once`` are on their way; the first that fails ends it with its error.
    """
    pool = ThreadPoolExecutor(max_workers=at_once)
    on_the_way: dict[Future[None], Vm] = {}

    def arrived() -> Iterator[Vm]:
        for job in concurrent.futures.wait(on_the_way, return_when=concurrent.futures.FIRST_COMPLETED).done:
            one = on_the_way.pop(job)
            job.result()
            yield one

    try:
        for name in names:
            while len(on_the_way) >= at_once:
                yield from arrived()
            one = start(name)
            on_the_way[pool.submit(wait, one)] = one
        while on_the_way:
            yield from arrived()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
