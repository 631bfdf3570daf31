"""Runs and attempts, put in as they come and read back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.engine import Connection, Engine, Row

from labctl.documents import nearest
from labctl.store import keep, leases
from labctl.store.errors import StoreError, Unreadable
from labctl.store.guarded import Guarded
from labctl.store.holder import this_process
from labctl.store.leases import Lease, LeaseLost
from labctl.store.packing import UNREADABLE, Damaged, check, check_result, packed, unpacked
from labctl.store.schema import attempts, evidence, runs
from labctl.store.whose import gone_on, not_to_resume

# Those that a class repeats are made once.
_LOCK_RUN = select(runs.c.run).where(runs.c.run == bindparam("of_run")).with_for_update()
_LAST_ATTEMPT = select(func.max(attempts.c.attempt)).where(
    attempts.c.run == bindparam("of_run"), attempts.c.host == bindparam("of_host")
)
_NEWEST = (runs.c.started.desc(), runs.c.run.desc())
_ADD_ATTEMPT, _ADD_EVIDENCE = insert(attempts), insert(evidence)


@dataclass(frozen=True)
class RunRow:
    """A run as ``labctl runs`` lists it. ``graded`` of ``hosts`` have a complete grade, ``waiting`` have no
    attempt at all. ``keep`` is the rule that says which of a VM's attempts counts."""

    run: str
    lab: str
    title: str
    started: str
    finished: str | None
    hosts: int
    graded: int
    attempts: int
    waiting: int
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


#: Told of a result that is damaged; the document to take its place, or None to leave it out.
Instead = Callable[[Unreadable], Mapping[str, Any] | None]


class Store:
    """The results database. Every ``add_...`` is committed when it returns; errors are StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        # SQLite's writers look again and again whether it is their turn; the threads of a class take turns
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else None

    def close(self) -> None:
        self._engine.dispose()

    # -- putting in ------------------------------------------------------------------------

    def begin(
        self,
        run: str,
        lab: Mapping[str, Any],
        started: str,
        hosts: Sequence[str],
        *,
        keep: str = "last",
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        """A run of these hosts begins. ``lab`` has ``lab``, ``title`` and ``sections``.

        ``keep`` is the rule (``labctl.store.keep.RULES``), ``asked`` what :meth:`about` gives back, together
        with ``by``: the processes that work or worked on it, the latest last.
        """
        with self._writing() as connection:
            connection.execute(
                insert(runs).values(
                    run=run,
                    lab=lab["lab"],
                    title=lab["title"],
                    sections=list(lab["sections"].items()),
                    started=started,
                    hosts=list(hosts),
                    keep=keep,
                    asked={**(asked or {}), "by": [this_process()]},
                )
            )

    def go_on(
        self,
        run: str,
        hosts: Sequence[str],
        keep: str | None = None,
        *,
        asked: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """More attempts are to come: of VMs of the run, or of further ones. ``keep`` changes its rule;
        ``asked`` is added to the mappings of these names that the run was begun with."""
        with self._writing() as connection:
            row = self._row(connection, run, lock=True)
            values = {
                "hosts": list(dict.fromkeys([*row.hosts, *hosts])),
                "keep": keep or row.keep,
                "finished": None,
                "asked": gone_on(row.asked or {}, asked or {}),
            }
            connection.execute(update(runs).where(runs.c.run == run).values(values))

    def describe(self, run: str, lab: Mapping[str, Any]) -> None:
        """What the lab is called today, and its sections; those that only earlier results name stay."""
        with self._writing() as connection:
            row = self._row(connection, run, lock=True)
            sections = {
                **lab["sections"],
                **{key: it for key, it in row.sections if key not in lab["sections"]},
            }
            values = {"title": lab["title"], "sections": list(sections.items())}
            connection.execute(update(runs).where(runs.c.run == run).values(values))

    def finish(self, run: str) -> bool:
        """The run is over, if every VM of it has an attempt; whether it is."""
        waiting = self.waiting(run)
        if not waiting:
            with self._writing() as connection:
                connection.execute(update(runs).where(runs.c.run == run).values(finished=_now()))
        return not waiting

    def take(self, lab: str, vm: str, run: str, seconds: float) -> Lease:
        """The lease for a VM, for so long. Raises :class:`Held`, which says who has it."""
        with self._writing() as connection:
            return leases.take(connection, lab, vm, run, seconds)

    def give_back(self, lease: Lease) -> None:
        """The lease of a VM that there is no result of."""
        with self._writing() as connection:
            leases.release(connection, lease)

    def add(
        self, run: str, document: Mapping[str, Any], kind: str = "grade", lease: Lease | None = None
    ) -> int:
        """Keep one VM's document, its evidence apart; the attempt's number, from 1.

        A ``lease`` is given back in the same moment. Raises :class:`LeaseLost`, and keeps nothing, when
        another has taken it: the two may have disturbed each other. Raises :class:`TooLarge`, and keeps
        nothing, for what could not be read again.
        """
        rest = {key: value for key, value in document.items() if key != "evidence"}
        seen = document.get("evidence")
        row = None if seen is None else {"format": seen["format"], "data": packed(seen)}
        with self._writing() as connection:
            if lease is not None and not leases.release(connection, lease):
                raise LeaseLost(
                    "this took so long that somebody else has begun to grade it",
                    hint="nothing of it was kept: labctl show has their result",
                )
            number = None
            if row is not None:
                number = connection.execute(_ADD_EVIDENCE, row).inserted_primary_key[0]  # type: ignore[index]
            return self._add(connection, run, rest, kind, number)

    def add_again(self, judged: Iterable[tuple[Attempt, Mapping[str, Any]]]) -> list[int]:
        """Keep what judging the evidence of each attempt once more came to: all of it, or nothing."""
        with self._writing() as connection:
            return [
                self._add(connection, earlier.run, document, "regrade", earlier.evidence_id)
                for earlier, document in judged
            ]

    def _add(
        self, connection: Connection, run: str, document: Mapping[str, Any], kind: str, seen: int | None
    ) -> int:
        host = document["host"]
        # whoever else adds to this run waits here: the numbers have no gaps, and no two are the same
        connection.execute(_LOCK_RUN, {"of_run": run}).one()
        last = connection.execute(_LAST_ATTEMPT, {"of_run": run, "of_host": host}).scalar_one_or_none()
        number = (last or 0) + 1
        row = {
            "run": run,
            "host": host,
            "attempt": number,
            "kind": kind,
            "made": _now(),
            "status": document["status"],
            "score": document["score"],
            "max_score": document["max_score"],
            "document": packed(document),
            "evidence": seen,
        }
        connection.execute(_ADD_ATTEMPT, row)
        return number

    # -- reading ---------------------------------------------------------------------------

    def runs(self) -> list[RunRow]:
        """All runs, the newest first."""
        query = select(runs).order_by(*_NEWEST)
        with self._reading() as connection:
            try:
                rows = list(connection.execute(query))
                for row in rows:
                    check(row)
            except (*UNREADABLE, Damaged):  # which one?
                rows = [self._row(connection, run) for run, _ in _listed(connection)]
            marks = _marks(connection)
        return [
            RunRow(
                run=row.run,
                lab=row.lab,
                title=row.title,
                started=row.started,
                finished=row.finished,
                hosts=len(row.hosts),
                graded=sum(
                    keep.kept(row.keep, mine).status == "graded" for mine in marks.get(row.run, {}).values()
                ),
                attempts=sum(len(mine) for mine in marks.get(row.run, {}).values()),
                waiting=len(set(row.hosts) - set(marks.get(row.run, {}))),
                keep=row.keep,
            )
            for row in rows
        ]

    def waiting(self, run: str) -> tuple[str, ...]:
        """The VMs of a run that have no attempt yet, in its order."""
        with self._reading() as connection:
            hosts = self._row(connection, run).hosts
            done = set(connection.execute(select(attempts.c.host).where(attempts.c.run == run)).scalars())
        return tuple(host for host in hosts if host not in done)

    def unfinished(self) -> str:
        """The newest run that was broken off and is this user's, or nobody's that is known.

        Raises :class:`StoreError` when there is none, which says what there is of others.
        """
        with self._reading() as connection:
            listed = _listed(connection)
        others = []
        for run, finished in listed:
            if not finished and self.waiting(run):
                by = self.about(run)["asked"].get("by", ())
                with self._reading() as connection:
                    why = not_to_resume(connection, run, by)
                if why is None:
                    return run
                others.append((run, why))
        if others:
            run, why = others[0]
            raise StoreError(
                f"nothing of yours is left to resume; the run {run} {why}",
                hint=f"labctl grade --resume --run {run} grades what is left of that one all the same",
            )
        raise StoreError("every run is finished: there is nothing to resume", hint="labctl runs lists them")

    def find(self, run: str) -> str:
        """The run that ``run`` names: its id, the beginning of it when only one has it, or ``last``."""
        with self._reading() as connection:
            known = [one for one, _ in _listed(connection)]
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
        """``run``, ``lab``, ``title``, ``sections``, ``started``, ``finished``, ``hosts``, ``keep`` and
        ``asked`` of a run."""
        with self._reading() as connection:
            row = self._row(connection, run)
        return {
            "run": row.run,
            "lab": row.lab,
            "title": row.title,
            "sections": dict(row.sections),
            "started": row.started,
            "finished": row.finished,
            "hosts": list(row.hosts),
            "keep": row.keep,
            "asked": dict(row.asked or {}),
        }

    def kept(self, run: str, host: str | None = None, unreadable: Instead | None = None) -> Iterator[Attempt]:
        """The attempt that counts by the run's rule, for each VM that has any or for one, in its order.

        ``unreadable`` is told of what is damaged, which otherwise ends it, and may give a document instead.
        """
        about = self.about(run)
        hosts = about["hosts"] if host is None else [host]
        yield from self._chosen(run, hosts, lambda mine: [keep.kept(about["keep"], mine)], unreadable)

    def counting(self, run: str) -> dict[str, int]:
        """The number of the attempt that counts, by VM; whether it can be read or not."""
        rule = self.about(run)["keep"]
        with self._reading() as connection:
            marks = _marks(connection, run).get(run, {})
        return {host: keep.kept(rule, mine).attempt for host, mine in marks.items()}

    def judgements(self, run: str, unreadable: Instead | None = None) -> Iterator[Attempt]:
        """The latest judgement of each time that a VM was looked at: what judging again is to replace.

        ``unreadable`` as for :meth:`kept`.
        """
        yield from self._chosen(run, self.about(run)["hosts"], keep.judgements, unreadable)

    def _chosen(
        self,
        run: str,
        hosts: Sequence[str],
        choose: Callable[[list[_Mark]], list[_Mark]],
        unreadable: Instead | None = None,
    ) -> Iterator[Attempt]:
        with self._reading() as connection:
            marks = _marks(connection, run).get(run, {})
            ids = [one.id for host in hosts if host in marks for one in choose(marks[host])]
            # one document at a time: a class's together are large
            for number in ids:
                row = connection.execute(select(attempts).where(attempts.c.id == number)).one()
                document: Mapping[str, Any] | None
                try:
                    document = self._document(row)
                except Unreadable as err:
                    if unreadable is None:
                        raise
                    document = unreadable(err)
                if document is not None:
                    yield Attempt(row.run, row.host, row.attempt, row.kind, row.made, document, row.evidence)

    def evidence(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """What was seen for an attempt, as :meth:`labctl.grading.Evidence.to_json` gives it."""
        if attempt.evidence_id is None:
            return None
        with self._reading() as connection:
            data = connection.execute(
                select(evidence.c.data).where(evidence.c.id == attempt.evidence_id)
            ).scalar_one_or_none()
        try:
            found: Mapping[str, Any] = unpacked(data)
        except Damaged as err:
            raise self._damaged(attempt, "what was seen", err) from err
        return found

    def _document(self, row: Row[Any]) -> Mapping[str, Any]:
        try:
            document = unpacked(row.document)
            check_result(document, row.host)
            return document
        except Damaged as err:
            raise self._damaged(row, "the result", err) from err

    def _damaged(self, attempt: Attempt | Row[Any], what: str, why: Exception) -> Unreadable:
        return Unreadable(
            f"the run {attempt.run}, VM {attempt.host}: {what}, as stored in {self._name}, is damaged: {why}",
            hint=f"labctl grade {attempt.host} --run {attempt.run} grades it again",
            host=attempt.host,
            attempt=attempt.attempt,
        )

    def _row(self, connection: Connection, run: str, *, lock: bool = False) -> Row[Any]:
        """A run's row, whose parts are what they should be."""
        query = select(runs).where(runs.c.run == run)
        try:
            row = connection.execute(query.with_for_update() if lock else query).one()
            check(row)
        except (*UNREADABLE, Damaged) as err:
            others = [one for one, _ in _listed(connection) if one != run][:5]
            raise StoreError(
                f"the run {run}, as stored in {self._name}, is damaged: {err}",
                hint="of it a copy of the database from before helps; other runs can be shown by their ids: "
                + (", ".join(others) or "there are none"),
            ) from err
        return row

    @property
    def _name(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    # -- connections -----------------------------------------------------------------------

    def _writing(self) -> Guarded:
        return Guarded(self._writer.begin, self._engine.url, self._turn)

    def _reading(self) -> Guarded:
        return Guarded(self._engine.connect, self._engine.url)


@dataclass(frozen=True)
class _Mark:
    """What the rules need of an attempt, without its document."""

    id: int
    attempt: int
    status: str
    score: float | None
    max_score: float | None
    evidence_id: int | None


def _marks(connection: Connection, run: str | None = None) -> dict[str, dict[str, list[_Mark]]]:
    """By run and VM, oldest first."""
    of = attempts.c
    columns = (of.run, of.host, of.id, of.attempt, of.status, of.score, of.max_score, of.evidence)
    query = select(*columns).order_by(of.id)
    if run is not None:
        query = query.where(attempts.c.run == run)
    found: dict[str, dict[str, list[_Mark]]] = {}
    for row in connection.execute(query):
        mark = _Mark(row.id, row.attempt, row.status, row.score, row.max_score, row.evidence)
        found.setdefault(row.run, {}).setdefault(row.host, []).append(mark)
    return found


def _listed(connection: Connection) -> list[tuple[str, str | None]]:
    """Every run and when it was finished, the newest first; what else is stored of it is not read."""
    query = select(runs.c.run, runs.c.finished).order_by(*_NEWEST)
    return [(row.run, row.finished) for row in connection.execute(query)]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
