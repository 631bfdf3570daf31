"""Whose a run is, and whether somebody works on it now: a colleague's is not gone on with unasked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from labctl.store import leases
from labctl.store.holder import described, has_ended, is_running, this_process


def gone_on(asked: Mapping[str, Any], more: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What a run was begun with, ``more`` added to the mappings in it, and this process to its ``by``."""
    me = this_process()
    # whoever else has worked on it may go on with it too; of one user the last process tells that
    others = [one for one in asked.get("by", ()) if one["user"] != me["user"] or not has_ended(one)]
    together = {key: {**asked.get(key, {}), **values} for key, values in more.items()}
    return {**asked, **together, "by": [*(one for one in others if one != me), me]}


def not_to_resume(connection: Connection, run: str, by: Sequence[Mapping[str, Any]]) -> str | None:
    """Why a run that ``by`` have worked on is not what this user broke off, None when it may be.

    Nobody knows who has worked on a run of an earlier labctl: it is anybody's.
    """
    me = this_process()
    working = next((one for one in by if one != me and is_running(one)), None)
    # who works on another machine is known by the leases
    working = working or leases.at_work(connection, run)
    if working:
        return f"is being graded by {described(working)}"
    if by and me["user"] not in [one["user"] for one in by]:
        return f"was broken off, and is {by[-1]['user']}@{by[-1]['machine']}'s"
    return None
