"""Receipts on their way to the students: signed here, left in each student's home by the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.agent import Op, start_agent
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.gradescope.keys import Keys
from labctl.gradescope.receipts import ReceiptError, receipt_name, sign_receipt
from labctl.grading import NOT_ASKED, handed_over
from labctl.inventory import Host

#: Seconds for connecting, starting the agent and writing one file.
DEADLINE = 60.0


class NotDelivered(HostError):
    """There is no receipt for this VM, or it could not be left there."""

    cause = "not-delivered"


def student_user(host: Host) -> str:
    """Whose home it is and whom the class list means: ``student_user``, ``lab_user`` or who logs in."""
    return str(host.value("student_user") or host.value("lab_user") or host.user)


def why_not(document: Mapping[str, Any]) -> str:
    """Why a VM's grade is not to be signed; empty when it is."""
    if document["score"] is None:
        return "its grade is not complete"
    if any(one["reason"] == NOT_ASKED for one in document["left_out"]):
        return "the run left checks of the lab out (--only, --no-disrupt)"
    return ""


def deliver(
    host: Host, run: Mapping[str, Any], document: Mapping[str, Any], keys: Keys, secrets: Mapping[str, str]
) -> str:
    """Leave the receipt for ``document`` in the student's home; its path there. Raises :class:`HostError`.

    ``secrets`` are the staff's, for judging answers; they travel encrypted.
    """
    reason = why_not(document)
    if reason:
        raise NotDelivered(f"no receipt: {reason}", hint=f"labctl grade {host.name} --deliver")
    user = student_user(host)
    other = handed_over(host, document)
    if other:
        now = host.value("lab_user")
        raise NotDelivered(
            f"no receipt: it was graded for {other}, and the inventory has {now} there now",
            hint=f"labctl grade {host.name} --deliver",
        )
    try:
        text = sign_receipt(keys, run, document, user, secrets)
    except ReceiptError as err:
        raise NotDelivered(f"no receipt: {err.message}") from err
    args = {"user": user, "name": receipt_name(run["lab"]), "text": text}
    deadline = Deadline.after(DEADLINE)
    with start_agent(host, deadline) as agent:
        told = agent.call_one(Op("services.deliver", args, deadline=20.0, isolated=True), deadline)
    if told.get("failed"):
        raise NotDelivered(f"the receipt could not be left on the VM: {str(told.get('msg'))[:300]}")
    return str(told.get("path"))[:300]
