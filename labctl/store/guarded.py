"""A connection for one transaction, whose every refusal is a StoreError."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from labctl.store.database import BUSY_SECONDS
from labctl.store.refusal import refused


class Guarded:
    """A connection in a transaction; what the database says against it becomes a StoreError, also when
    ``connect`` finds no database any more.

    ``turn`` is held meanwhile; when it does not come in time, the database itself says why.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Connection]],
        url: URL,
        turn: threading.Lock | None = None,
    ) -> None:
        self._connect = connect
        self._url = url
        self._turn = turn
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Connection:
        if self._turn is not None and self._turn.acquire(timeout=BUSY_SECONDS):
            self._held.callback(self._turn.release)
        try:
            self._context = self._connect()
            return self._context.__enter__()
        except BaseException as err:
            self._held.close()
            if isinstance(err, SQLAlchemyError):
                raise refused(err, self._url) from err
            raise

    def __exit__(self, kind: Any, err: Any, trace: Any) -> None:
        with self._held:
            try:
                self._context.__exit__(kind, err, trace)
            except SQLAlchemyError as failed:
                raise refused(failed, self._url) from failed
        if isinstance(err, SQLAlchemyError):
            raise refused(err, self._url) from err
