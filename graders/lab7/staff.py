"""What only staff can judge: what the staff's server holds, and what students wrote down.

Students' labctl.pyz has nothing of this, nor of what only this imports.
"""

from __future__ import annotations

from labctl.grading import Judgement, See, Target, check, failed, only_with_staff, passed, unjudged
from labctl.probes import directory, mounts, write_trial

from . import answers_dns, answers_lb, answers_nfs, services
from .facts import PRIVATE
from .nfs import from_staff, items, private


@check(
    "nfs.item-on-server",
    question="1f",
    layer="answer from outside",
    after=("nfs.source",),
    applies=only_with_staff,
)
def item_on_server(vm: Target, see: See) -> Judgement:
    """The staff's server holds what you made."""
    found, theirs = see(mounts(), directory(f"{PRIVATE}/{vm.lab_user}", on="staff"))
    if not theirs.exists:
        return unjudged(f"the server has no {PRIVATE}/{vm.lab_user}", "staff: run the staff playbook")
    things = items(theirs.entries)
    mine = private(vm, from_staff(vm, found))
    if things and (mine is None or mine.answers != "yes" or set(things) & set(mine.entries)):
        return passed(", ".join(things[:5]))
    return failed(
        expected=f"something in {PRIVATE}/{vm.lab_user} on the server",
        seen="nothing there that your VM shows too" if things else "the directory is empty on the server",
        hint="create it inside the mounted directory, while it is mounted: df PATH tells where PATH is",
    )


@check(
    "nfs.write-on-server",
    question="1f",
    layer="answer from outside",
    after=("nfs.write",),
    disruptive=True,
    applies=only_with_staff,
)
def write_on_server(vm: Target, see: See) -> Judgement:
    """A fresh file written on your VM appears on the staff's server."""
    mine = private(vm, from_staff(vm, see(mounts())))
    trial = see(write_trial(vm.nonce, mine.target if mine else "", f"{PRIVATE}/{vm.lab_user}"))
    if trial.on_server == "seen":
        return passed("seen on the server")
    return failed(
        expected="the file on the server too",
        seen="it was written on the VM, and the server does not have it",
        hint="the directory you write to is not the server's: look at df for that very path",
    )


CHECKS = (
    *(item_on_server, write_on_server),
    *(*services.CHECKS, *answers_nfs.CHECKS, *answers_dns.CHECKS, *answers_lb.CHECKS),
)
