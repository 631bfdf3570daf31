"""Connections to PostgreSQL that wait for its answers so long, and no longer."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg import waiting

#: Seconds without a byte of an answer after which a server is given up.
ANSWER_SECONDS = 60.0
#: Seconds between two looks whether it is time, or Ctrl-C was typed.
_INTERVAL = 0.1


class Timed(psycopg.Connection[Any]):
    """Is closed when the server falls silent, and by Ctrl-C: psycopg itself would ask the server to cancel,
    and wait for that as long as for anything else."""

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        if not args:
            options.setdefault("interval", _INTERVAL)
        try:
            return waiting.wait(self._in_time(gen), self.pgconn.socket, *args, **options)
        except KeyboardInterrupt:
            self.close()
            raise

    def _in_time(self, gen: Any) -> Generator[Any, Any, Any]:
        """The steps of ``gen``. Raises OperationalError."""
        until = time.monotonic() + ANSWER_SECONDS
        try:
            step = next(gen)
            while True:
                ready = yield step
                if ready:
                    until = time.monotonic() + ANSWER_SECONDS
                elif time.monotonic() > until:
                    self.close()
                    raise psycopg.OperationalError(f"no answer within {ANSWER_SECONDS:g} s")
                step = gen.send(ready)
        except StopIteration as end:
            return end.value
