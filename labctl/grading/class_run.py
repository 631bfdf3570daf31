"""Grading many VMs: a lease for each, its grade, and its result kept before anybody is told."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from labctl.batch import fan_out
from labctl.connect.ssh_config import ARGUMENT_VARIABLES
from labctl.errors import HostError, RequestError
from labctl.grading.document import host_document, lost_document
from labctl.grading.grade import Plan, grade_host
from labctl.inventory import Host
from labctl.probes import StaffLink

if TYPE_CHECKING:  # labctl.pyz keeps nothing, and has no database
    from labctl.store import Store
    from labctl.store.leases import Lease

#: Added to a VM's deadline: what was changed is put back, and the result is kept.
_GRACE = 60.0


class Observer(Protocol):
    """Told what happens; ``began`` by the thread that works on the VM, the rest by the calling one."""

    def began(self, host: str) -> None: ...

    def ended(self, host: str, document: Mapping[str, Any]) -> None:
        """The VM's document, kept already where results are kept."""

    def lost(self, host: str, why: str) -> None:
        """The VM's result could not be kept. Its end is told next."""


@dataclass(frozen=True)
class Book:
    """Where a run's results go. ``once``: a VM that has an attempt in the run by now is left alone.

    ``whole``: what was seen of a VM is in its document here too, and not only in the results: of a class it
    is 0.1 MB a VM.
    """

    store: Store
    run: str
    once: bool = False
    whole: bool = True


class AlreadyGraded(HostError):
    """Somebody who resumed the same run was quicker: the VM's result is in the results."""

    cause = "already-graded"


class NotBegun(HostError):
    """The results took no more when it was this VM's turn: what is seen of it could not be kept."""

    cause = "not-begun"


def grade_hosts(
    hosts: Sequence[Host], plan: Plan, staff: StaffLink, observer: Observer, *, forks: int, book: Book | None
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Grade ``hosts`` side by side: their documents by name, and those whose result could not be kept.

    Without a ``book`` nothing is kept and no lease taken, as for a student's own machine. A VM that
    somebody else grades now, or has graded, gets a document that says so and no attempt. Once a result
    cannot be written no further VM is begun, and those under way are ended in order.
    """
    refused: list[RequestError] = []
    leases: dict[str, Lease] = {}
    documents: dict[str, dict[str, Any]] = {}
    lost: list[str] = []

    def claim(book: Book, host: Host) -> Lease:
        if not refused:
            try:
                return _claim(book, plan, host)
            except RequestError as err:
                refused.append(err)
        raise NotBegun(f"not begun: {refused[0].message}", hint=refused[0].hint)

    def work(host: Host) -> dict[str, Any]:
        observer.began(host.name)
        if book is not None:
            leases[host.name] = claim(book, host)
        return host_document(host.name, plan.lab, grade_host(host, plan, staff))

    def done(host: Host, outcome: dict[str, Any] | HostError) -> None:
        document = lost_document(host.name, outcome) if isinstance(outcome, HostError) else outcome
        lease = leases.pop(host.name, None)
        if book is not None and lease is not None:
            try:
                document = _keep(book, document, lease)
                if not book.whole:
                    document.pop("evidence", None)
            except (RequestError, HostError) as err:
                if isinstance(err, RequestError):
                    refused.append(err)
                lost.append(host.name)
                observer.lost(host.name, err.message)
        documents[host.name] = document
        observer.ended(host.name, document)

    try:
        fan_out(
            hosts,
            work,
            forks=forks,
            on_done=done,
            # nothing has been done yet on one that does not answer
            waited_for=lambda host: host.name in plan.reached,
            limit=plan.deadline + _GRACE,
        )
    finally:
        # an interrupt leaves some: those VMs are as they were, and free
        if book is not None:
            # those that stay are free when this process has ended: a database that is gone is asked once
            with contextlib.suppress(RequestError):
                for lease in leases.values():
                    book.store.give_back(lease)
    return {host.name: documents[host.name] for host in hosts}, lost


def _keep(book: Book, document: dict[str, Any], lease: Lease) -> dict[str, Any]:
    """Keep a VM's document; gives back what was kept: without its points where what was seen is too large,
    as nothing would show what they rest on."""
    from labctl.store.errors import TooLarge

    try:
        book.store.add(book.run, document, lease=lease)
    except TooLarge as err:
        about = ("started", "seconds", "restored", "tries")
        lost = lost_document(document["host"], err)
        document = lost | {key: document[key] for key in about if key in document}
        book.store.add(book.run, document, lease=lease)
    return document


def _claim(book: Book, plan: Plan, host: Host) -> Lease:
    seconds = plan.deadline + 2 * _GRACE
    lease = book.store.take(plan.lab.name, identity(host), book.run, seconds)
    if book.once and host.name not in book.store.waiting(book.run):
        book.store.give_back(lease)
        raise AlreadyGraded("it has been graded by another who resumed this run")
    return lease


def identity(host: Host) -> str:
    """What two of the staff call the same VM, whatever their inventories call it."""
    if host.is_local:
        return f"{host.name} on {socket.gethostname()}"
    # behind jump hosts of different rooms, different VMs may have the same address
    through = [str(host.value(name)) for name in ARGUMENT_VARIABLES if host.value(name)]
    return " ".join([f"{host.address.lower().rstrip('.')}:{host.port}", *through])[:500]
