"""The meeting of a play's hosts at what one of them does for all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from labctl.deadline import Deadline
from labctl.playbook.once import Once, Outcome

ROUNDS = 300


def test_the_first_begins_when_all_have_done_what_comes_before() -> None:
    """Whoever was still waking up from one meeting was taken to be at the next, its work between undone."""
    hosts = ["a", "b", "c"]
    once, deadline = Once(hosts, len(hosts)), Deadline.after(60.0)
    done = dict.fromkeys(hosts, 0)
    early: list[tuple[int, dict[str, int]]] = []
    begin = threading.Barrier(len(hosts))

    def play(host: str) -> None:
        once.enter()
        begin.wait(10)
        for number in range(1, ROUNDS + 1):
            done[host] = number
            if once.turn(host, number, deadline) is None:
                if set(done.values()) != {number}:
                    early.append((number, dict(done)))
                once.publish(number, Outcome(host))
        once.leave(host)

    with ThreadPoolExecutor(len(hosts)) as threads:
        for one in [threads.submit(play, host) for host in hosts]:
            one.result(60)
    assert early == []
