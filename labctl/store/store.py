"""Runs and attempts, put in as they come and read back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from labctl.documents import nearest
from labctl.store.errors import StoreError
from labctl.store.schema import attempts, evidence, runs

#: A stored document never grows beyond this when it is unpacked: a database may come from elsewhere.
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class RunRow:
    """A run as ``labctl runs`` lists it. ``graded`` of ``hosts`` have a complete grade."""

    run: str
    lab: str
    title: str
    started: str
    finished: str | None
    hosts: int
    graded: int
    attempts: int
    keep: str


@dataclass(frozen=True)
class Attempt:
    """One judgement of a VM: ``document`` as in ``grade --json``, without its evidence."""

    run: str
    host: str
    attempt: int
    kind: str
    made: str
    document: Mapping[str, Any]
    evidence_id: int | None


class Store:
    """The results database. Every ``add_...`` is committed when it returns; errors are StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        self._engine.dispose()

    # -- putting in ------------------------------------------------------------------------

    def begin(self, run: str, lab: Mapping[str, Any], started: str, hosts: Sequence[str]) -> None:
        """A run of these hosts begins. ``lab`` has ``lab``, ``title`` and ``sections``."""
        with self._writing() as connection:
            connection.execute(
                insert(runs).values(
                    run=run,
                    lab=lab["lab"],
                    title=lab["title"],
                    sections=list(lab["sections"].items()),
                    started=started,
                    hosts=list(hosts),
                )
            )

    def finish(self, run: str) -> None:
        with self._writing() as connection:
            connection.execute(update(runs).where(runs.c.run == run).values(finished=_now()))

    def add(self, run: str, document: Mapping[str, Any], kind: str = "grade") -> int:
        """Keep one VM's document, its evidence apart; the attempt's number, from 1."""
        rest = {key: value for key, value in document.items() if key != "evidence"}
        seen = document.get("evidence")
        with self._writing() as connection:
            number = None
            if seen is not None:
                number = connection.execute(
                    insert(evidence).values(format=seen["format"], data=_packed(seen))
                ).inserted_primary_key[0]  # type: ignore[index]
            return self._add(connection, run, rest, kind, number)

    def add_again(self, earlier: Attempt, document: Mapping[str, Any]) -> int:
        """Keep what judging ``earlier``'s evidence once more came to."""
        with self._writing() as connection:
            return self._add(connection, earlier.run, document, "regrade", earlier.evidence_id)

    def _add(
        self, connection: Connection, run: str, document: Mapping[str, Any], kind: str, seen: int | None
    ) -> int:
        host = document["host"]
        # whoever else adds to this run waits here: the numbers have no gaps, and no two are the same
        connection.execute(select(runs.c.run).where(runs.c.run == run).with_for_update()).one()
        last = connection.execute(
            select(func.max(attempts.c.attempt)).where(attempts.c.run == run, attempts.c.host == host)
        ).scalar_one_or_none()
        number = (last or 0) + 1
        connection.execute(
            insert(attempts).values(
                run=run,
                host=host,
                attempt=number,
                kind=kind,
                made=_now(),
                status=document["status"],
                score=document["score"],
                max_score=document["max_score"],
                document=_packed(document),
                evidence=seen,
            )
        )
        return number

    # -- reading ---------------------------------------------------------------------------

    def runs(self) -> list[RunRow]:
        """All runs, the newest first."""
        latest = _latest().subquery()
        counts = (
            select(
                latest.c.run,
                func.count().label("seen"),
                func.sum(latest.c.attempt).label("attempts"),
            )
            .group_by(latest.c.run)
            .subquery()
        )
        good = (
            select(attempts.c.run, func.count().label("graded"))
            .join(latest, attempts.c.id == latest.c.id)
            .where(attempts.c.status == "graded")
            .group_by(attempts.c.run)
            .subquery()
        )
        query = (
            select(runs, counts.c.attempts, good.c.graded)
            .outerjoin(counts, counts.c.run == runs.c.run)
            .outerjoin(good, good.c.run == runs.c.run)
            .order_by(runs.c.started.desc(), runs.c.run.desc())
        )
        with self._reading() as connection:
            return [
                RunRow(
                    run=row.run,
                    lab=row.lab,
                    title=row.title,
                    started=row.started,
                    finished=row.finished,
                    hosts=len(row.hosts),
                    graded=row.graded or 0,
                    attempts=int(row.attempts or 0),
                    keep=row.keep,
                )
                for row in connection.execute(query)
            ]

    def find(self, run: str) -> str:
        """The run that ``run`` names: its id, the beginning of it when only one has it, or ``last``."""
        known = [row.run for row in self.runs()]
        if run == "last" and known:
            return known[0]
        matching = [one for one in known if one == run] or [one for one in known if one.startswith(run)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise StoreError(
                f"{run!r} is the beginning of {len(matching)} runs", hint=", ".join(matching[:5])
            )
        near = nearest(run, known)
        raise StoreError(
            f"there is no run {run!r}", hint=f"did you mean {near}?" if near else "labctl runs lists them"
        )

    def about(self, run: str) -> dict[str, Any]:
        """``run``, ``lab``, ``title``, ``sections``, ``started``, ``finished`` and ``hosts`` of a run."""
        with self._reading() as connection:
            row = connection.execute(select(runs).where(runs.c.run == run)).one()
        return {
            "run": row.run,
            "lab": row.lab,
            "title": row.title,
            "sections": dict(row.sections),
            "started": row.started,
            "finished": row.finished,
            "hosts": list(row.hosts),
        }

    def latest(self, run: str, host: str | None = None) -> Iterator[Attempt]:
        """The last attempt for every VM of a run, or for one, in the order in which they were begun."""
        newest = _latest().subquery()
        query = (
            select(attempts)
            .join(newest, attempts.c.id == newest.c.id)
            .where(attempts.c.run == run)
            .order_by(attempts.c.id)
        )
        if host is not None:
            query = query.where(attempts.c.host == host)
        with self._reading() as connection:
            rows = list(connection.execute(query))
        for row in rows:
            yield _attempt(row)

    def evidence(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """What was seen for an attempt, as :meth:`labctl.grading.Evidence.to_json` gives it."""
        if attempt.evidence_id is None:
            return None
        with self._reading() as connection:
            data = connection.execute(
                select(evidence.c.data).where(evidence.c.id == attempt.evidence_id)
            ).scalar_one()
        found: Mapping[str, Any] = _unpacked(data)
        return found

    # -- connections -----------------------------------------------------------------------

    def _writing(self) -> _Guarded:
        return _Guarded(self._engine, write=True)

    def _reading(self) -> _Guarded:
        return _Guarded(self._engine, write=False)


class _Guarded:
    """A connection in a transaction; what the database says against it becomes a StoreError."""

    def __init__(self, engine: Engine, *, write: bool) -> None:
        self._context = engine.execution_options(writes=True).begin() if write else engine.connect()

    def __enter__(self) -> Connection:
        try:
            return self._context.__enter__()
        except SQLAlchemyError as err:
            raise StoreError(f"the results database: {getattr(err, 'orig', err)}") from err

    def __exit__(self, kind: Any, err: Any, trace: Any) -> None:
        try:
            self._context.__exit__(kind, err, trace)
        except SQLAlchemyError as failed:
            raise StoreError(f"the results database: {getattr(failed, 'orig', failed)}") from failed
        if isinstance(err, SQLAlchemyError):
            raise StoreError(f"the results database: {getattr(err, 'orig', err)}") from err


def _latest() -> Any:
    return select(
        attempts.c.run,
        attempts.c.host,
        func.max(attempts.c.id).label("id"),
        func.max(attempts.c.attempt).label("attempt"),
    ).group_by(attempts.c.run, attempts.c.host)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(row.run, row.host, row.attempt, row.kind, row.made, _unpacked(row.document), row.evidence)


def _packed(document: Any) -> bytes:
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 6)


def _unpacked(data: bytes) -> Any:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise StoreError("a stored document is larger than any that labctl writes")
        return json.loads(text)
    except (zlib.error, ValueError) as err:
        raise StoreError(f"a stored document is damaged: {err}") from err


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
