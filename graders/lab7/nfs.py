"""Question 1: the staff's share, mounted and written to."""

from __future__ import annotations

from labctl.grading import Judgement, See, Target, check, failed, passed, unjudged
from labctl.probes import (
    Mount,
    Mounts,
    Request,
    ShareTrial,
    mounts,
    packages,
    share_trial,
    write_trial,
)

from .facts import PRIVATE, PUBLIC


@check("nfs.package", question="1a", layer="package")
def package(_vm: Target, see: See) -> Judgement:
    """The NFS client tools are installed."""
    if see(packages("nfs-common")).installed("nfs-common"):
        return passed("nfs-common is installed")
    return failed(
        expected="the package nfs-common, installed",
        seen="it is not installed",
        hint="mount needs a helper for NFS, which comes in a package: see the lab's first step",
    )


@check("nfs.mounted", question="1a", layer="config", after=("nfs.package",))
def mounted(vm: Target, see: See) -> Judgement:
    """Something from the staff's server is mounted over NFS."""
    found = see(mounts())
    ours = from_staff(vm, found)
    if ours:
        return passed(", ".join(f"{one.source} on {one.target} ({one.fstype})" for one in ours[:3]))
    other = ", ".join(f"{one.source} on {one.target}" for one in found.mounts[:3])
    return failed(
        expected=f"a mount of type nfs or nfs4 from {vm.nfs_server or 'the staff server'}",
        seen=f"only {other}" if other else "no NFS mount at all",
        hint="df -hT shows what is mounted and of which type; a mount made by hand is gone after a reboot",
    )


@check("nfs.source", question="1f", layer="config", after=("nfs.mounted",))
def source(vm: Target, see: See) -> Judgement:
    """Your own private directory is what is mounted."""
    ours = from_staff(vm, see(mounts()))
    mine = private(vm, ours)
    if mine:
        return passed(mine.source)
    return failed(
        expected=f"{PRIVATE}/{vm.lab_user or '<your username>'} from the staff's server",
        seen=", ".join(one.source for one in ours[:3]),
        hint="unmount the first directory, then mount the other one: its path ends in your username",
    )


@check("nfs.responds", question="1f", layer="answer on the VM", after=("nfs.source",))
def responds(vm: Target, see: See) -> Judgement:
    """The mount answers when it is touched."""
    found, trial = see(mounts(), public_trial(vm))
    mine = private(vm, from_staff(vm, found))
    if mine and mine.answers == "yes":
        return passed(f"{mine.target} can be listed")
    if mine and mine.answers == "hung":
        # a slow network is not a stale mount: look again, for longer
        mine = private(vm, from_staff(vm, see(mounts(touch=25.0))))
        if mine and mine.answers == "yes":
            return passed(f"{mine.target} can be listed, slowly")
    said = (
        "whoever touches it hangs"
        if mine and mine.answers == "hung"
        else f"error {mine.error if mine else ''}"
    )
    # A server that answers nobody is not the student's fault: only a mount that is stale while a fresh one
    # works is.
    if not trial.mounted:
        return unjudged(f"{said}; a fresh mount does not work either: {trial.message}")
    return failed(
        expected="a directory that can be listed",
        seen=f"{said}, while a fresh mount from the same server works",
        hint="the mount is stale: unmount it (umount has an option for one that hangs), then mount again",
    )


@check("nfs.read-write", question="1f", layer="config", after=("nfs.source",))
def read_write(vm: Target, see: See) -> Judgement:
    """The private directory is mounted for reading and writing."""
    mine = private(vm, from_staff(vm, see(mounts())))
    if mine and mine.writable:
        return passed("rw")
    return failed(
        expected="the mount option rw",
        seen="ro",
        hint="the options of a mount stand in the last column of `mount`; this share may be written to",
    )


@check("nfs.item", question="1f", layer="answer on the VM", after=("nfs.responds",))
def item(vm: Target, see: See) -> Judgement:
    """You made something in your private directory."""
    mine = private(vm, from_staff(vm, see(mounts())))
    if mine and mine.answers == "hung":
        mine = private(vm, from_staff(vm, see(mounts(touch=25.0))))
    things = items(mine.entries) if mine else ()
    if things:
        return passed(", ".join(things[:5]))
    return failed(
        expected="at least one file or directory of yours",
        seen="the directory is empty",
        hint="create something there; the directory belongs to root, so mind who you are when you do",
    )


@check(
    "nfs.write",
    question="1f",
    layer="answer on the VM",
    after=("nfs.responds", "nfs.read-write"),
    disruptive=True,
)
def write(vm: Target, see: See) -> Judgement:
    """A fresh file can be written through the mount."""
    mine = private(vm, from_staff(vm, see(mounts())))
    trial = see(write_trial(vm.nonce, mine.target if mine else "", f"{PRIVATE}/{vm.lab_user}"))
    if trial.written:
        return passed("written, read back, removed")
    # a server that lets this VM write nothing is not the student's fault: only a mount is through which
    # nothing can be written while a fresh one of the same directory works
    fresh = see(share_trial(vm.nonce, mine.source)) if mine else None
    if fresh and fresh.create != "created":
        why = fresh.create or f"it could not be mounted: {fresh.message}"
        return unjudged(
            f"error {trial.error}; through a fresh mount: {why}",
            "staff: look at the server's exports, and at the directory there",
        )
    return failed(
        expected="a file that can be written and read back",
        seen=f"error {trial.error}",
        hint="try it as root: touch a file in the mounted directory and read what the error says",
    )


def _knows_server(vm: Target) -> str:
    return "" if vm.nfs_server or vm.nfs_server_address else "checked by staff"


@check(
    "nfs.public-readonly",
    question="1d",
    layer="answer on the VM",
    after=("nfs.package",),
    applies=_knows_server,
)
def public_readonly(vm: Target, see: See) -> Judgement:
    """The public share can be mounted here and refuses writing."""
    trial = see(public_trial(vm))
    if trial.create == "EROFS":
        return passed("creating a file there: Read-only file system")
    if not trial.mounted:
        return unjudged(f"the public share could not be mounted for a trial: {trial.message}")
    return unjudged(
        f"creating a file on the public share: {trial.create}", "staff: look at the server's exports"
    )


def public_trial(vm: Target) -> Request[ShareTrial]:
    """The request to mount the public share for a moment, by the server's name and, failing that, its
    address.
    """
    return share_trial(vm.nonce, *[f"{server}:{PUBLIC}" for server in staff_servers(vm)])


def staff_servers(vm: Target) -> tuple[str, ...]:
    """The name and the address of the staff's server, as far as the inventory says them."""
    return tuple(dict.fromkeys(one for one in (vm.nfs_server, vm.nfs_server_address) if one))


def from_staff(vm: Target, found: Mounts) -> tuple[Mount, ...]:
    """The mounts from the staff's server, by whichever name or address it was mounted. What the VM serves
    itself is not from there, whatever it calls itself.
    """
    return tuple(one for one in found.mounts if _is_from_staff(vm, one) and not _own(vm, one.server_address))


def _is_from_staff(vm: Target, mount: Mount) -> bool:
    known = staff_servers(vm)
    if not known:  # then any server with the lab's directories
        return mount.path.startswith((PUBLIC, PRIVATE))
    names = {*known, vm.nfs_server.partition(".")[0]} - {""}
    return mount.server.rstrip(".").lower() in names or mount.server_address in known


def _own(vm: Target, address: str) -> bool:
    return address.startswith("127.") or (address != "" and address in ("::1", vm.lab_address))


def private(vm: Target, ours: tuple[Mount, ...]) -> Mount | None:
    """The student's private directory among the mounts; when there are several one that answers and may be
    written to, and of these the last one made.
    """
    if not vm.lab_user:
        mine = [one for one in ours if one.path.startswith(f"{PRIVATE}/")]
    else:
        mine = [one for one in ours if one.path == f"{PRIVATE}/{vm.lab_user}"]
    return max(reversed(mine), key=lambda one: (one.answers == "yes", one.writable), default=None)


def items(entries: tuple[str, ...]) -> tuple[str, ...]:
    """What a student made: without a grader's trial files and the kernel's own."""
    return tuple(one for one in entries if not one.startswith((".labctl-", ".nfs")))


CHECKS = (
    package,
    mounted,
    source,
    responds,
    read_write,
    item,
    write,
    public_readonly,
)
