"""The results database, open for as long as a command runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from labctl.errors import HostError, RequestError
from labctl.report.text import plain

if TYPE_CHECKING:
    from labctl.store import Attempt, Store, Unreadable


def results(database: str | None, *, create: bool = False) -> Store:
    """The store at ``database``; see :func:`labctl.store.open_store`."""
    from labctl.store import open_store

    store = open_store(database, create=create)
    click.get_current_context().call_on_close(store.close)
    return store


def lab_of(about: Mapping[str, Any]) -> str:
    """The lab of the run that is ``about``, as ``--lab`` had it: its name in the course, or its path."""
    return str(about["asked"].get("lab", about["lab"]))


def check_vm_of(about: Mapping[str, Any], vm: str) -> None:
    """Raises RequestError when the run that is ``about`` has no such VM; with the one that was meant."""
    from labctl.documents import did_you_mean

    if vm in about["hosts"]:
        return
    hint = did_you_mean(vm, about["hosts"], f"its VMs: {', '.join(about['hosts'][:10])}")
    raise RequestError(f"the run {about['run']} has no VM {vm!r}", hint=hint)


def kept_of(store: Store, run: str, vm: str | None = None) -> list[Attempt]:
    """The attempt that counts of each VM, or of one. One that is damaged is told, and the VM has no grade.

    Raises :class:`Unreadable` where it is the one that was asked for.
    """
    from labctl.grading import lost_document

    def instead(err: Unreadable) -> Mapping[str, Any]:
        click.echo(f"not to be read: {plain(err.message, multiline=False)}", err=True)
        click.echo(f"  {plain(err.hint, multiline=False)}", err=True)
        return lost_document(err.host, DamagedResult(err.message, hint=err.hint))

    return list(store.kept(run, vm, instead if vm is None else None))


class DamagedResult(HostError):
    """What is stored of a VM cannot be read."""

    cause = "damaged"


def seen_of(store: Store, attempt: Attempt) -> dict[str, Any]:
    """A VM's ``evidence``, if it has any; an ``evidence_error``, which is told, where it is damaged."""
    from labctl.store import Unreadable

    try:
        seen = store.evidence(attempt)
    except Unreadable as err:
        click.echo(f"written without what was seen: {plain(err.message, multiline=False)}", err=True)
        click.echo(f"  {plain(err.hint, multiline=False)}", err=True)
        return {"evidence_error": err.message}
    return {} if seen is None else {"evidence": seen}
