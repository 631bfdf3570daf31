"""How a host's tasks are sent: by its own agent, over its bare connection, or by a delegate's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labctl.agent import OpResult
from labctl.errors import HostError, InventoryError
from labctl.playbook import plan
from labctl.playbook.actions import link
from labctl.playbook.prepare import Prepared
from labctl.playbook.session import Delegates, Session

Sent = Iterable[tuple[Prepared | None, OpResult | None]]


class Sender:
    """Sends for one host. ``delegates`` are the sessions with those that its tasks are delegated to."""

    def __init__(self, session: Session, delegates: Delegates) -> None:
        self._session = session
        self._delegates = delegates

    def send(self, entries: list[Prepared], *, facts: bool = False) -> Sent:
        """The entries with their results, as :func:`labctl.playbook.plan.send` gives them.

        Raises HostError when the VM is lost.
        """
        return _by(self._session, entries, facts=facts)

    def once(self, prepared: Prepared) -> tuple[list[Mapping[str, Any]], float]:
        """Do one task, each round of its loop where it is delegated to: its items' values, and seconds.

        Raises HostError when a VM is lost; one of a delegate's names it.
        """
        values: list[Mapping[str, Any]] = []
        seconds = 0.0
        for item in prepared.items if prepared.delegated else (None,):
            one = prepared if item is None else replace(prepared, items=(item,))
            for _entry, result in self._where(one):
                values.extend(plan.values_of(one, result))
                seconds += result.seconds if result else 0.0
        return values, seconds

    def _where(self, prepared: Prepared) -> Sent:
        name = prepared.items[0].delegate if prepared.delegated else None
        if name is None:
            return _by(self._session, [prepared])
        try:
            return list(_by(self._delegates.session(self._session.host.name, name), [prepared]))
        except HostError as err:
            raise type(err)(f"delegate_to {name}: {err.message}", hint=err.hint) from err
        except InventoryError as err:
            raise HostError(f"delegate_to {name}: {err.message}", hint=err.hint) from err


def _by(session: Session, entries: list[Prepared], *, facts: bool = False) -> Sent:
    if entries and entries[0].task.module.where == "link":
        return [(entries[0], link.perform(entries[0], session))]
    root = any(entry.needs_root for entry in entries)
    return plan.send(entries, lambda ops: session.agent(root=root, first=ops), session.deadline, facts=facts)
