"""mount and umount command lines, read as util-linux reads them (mount(8), umount(8), mount.nfs(8))."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.grading.answers.shell import Command, Unreadable, options

_MOUNT = "aBcFfhilL:MmnN:o:O:rRst:T:U:vVw"
_MOUNT_LONG = (
    "all", "bind", "fake", "fork", "fstab=", "help", "internal-only", "label=", "make-private",
    "make-rprivate", "make-rshared", "make-rslave", "make-shared", "make-slave", "mkdir", "move",
    "namespace=", "no-canonicalize", "no-mtab", "onlyonce", "options=", "rbind", "read-only", "read-write",
    "rw", "show-labels", "source=", "target-prefix=", "target=", "test-opts=", "types=", "uuid=", "verbose",
    "version",
)  # fmt: skip
_HELPER = "fhno:rsvVw"
_UMOUNT = "aAcdfhilnN:O:qrRt:vV"
_UMOUNT_LONG = (
    "all", "all-targets", "detach-loop", "fake", "force", "help", "internal-only", "lazy", "namespace=",
    "no-canonicalize", "no-mtab", "quiet", "read-only", "recursive", "test-opts=", "types=", "verbose",
    "version",
)  # fmt: skip
#: What makes it another thing than mounting one file system somewhere.
_NOT_A_MOUNT = frozenset({
    "-a", "--all", "-h", "--help", "-V", "--version", "-f", "--fake", "-l", "--show-labels", "-M", "--move",
    "-B", "--bind", "-R", "--rbind",
})  # fmt: skip
#: Options of mount that say what to mount, where and how; those without a value stand for one of -o.
_SAYS = {
    "-t": "types", "--types": "types", "-o": "options", "--options": "options", "--source": "source",
    "--target": "target", "-L": "source", "--label": "source", "-U": "source", "--uuid": "source",
    "-r": "ro", "--read-only": "ro", "-w": "rw", "--rw": "rw", "--read-write": "rw",
}  # fmt: skip
#: Of -o: it does another thing with a file system, or is for one on this machine.
_OTHERWISE = frozenset({"remount", "bind", "rbind", "move", "loop"})
_NOT_AN_UMOUNT = frozenset({"-h", "--help", "-V", "--version", "--fake"})
_NFS_SOURCE = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^/:\s]+):(/(?!/)\S*)\Z")


@dataclass(frozen=True)
class MountCommand:
    """``types`` is what ``-t`` gave ("" without); ``options`` all of ``-o``, in order."""

    source: str
    target: str
    types: str
    options: tuple[str, ...]

    @property
    def version(self) -> str:
        """The NFS version asked for: "4", "4.2", "3" ..., "" when it is left to mount."""
        found = ""
        for one in self.options:
            name, _, value = one.partition("=")
            if name in ("vers", "nfsvers"):
                found = value
            elif re.fullmatch(r"v[234](\.\d)?", one):
                found = one[1:]
        return found


@dataclass(frozen=True)
class UmountCommand:
    """``targets`` are directories or sources; ``types`` what ``-t`` gave."""

    targets: tuple[str, ...]
    types: tuple[str, ...] = ()


def read_mount(command: Command) -> MountCommand:
    """A mount, mount.nfs or mount.nfs4 command. Raises :class:`Unreadable`."""
    _by_root(command)
    helper = command.name in ("mount.nfs", "mount.nfs4")
    given, rest = options(command, _HELPER if helper else _MOUNT, () if helper else _MOUNT_LONG)
    said = {"types": command.name.removeprefix("mount.") if helper else "", "source": "", "target": ""}
    wanted: list[str] = []
    for name, value in given:
        if name in _NOT_A_MOUNT:
            raise Unreadable(f"with {name} this does not mount one directory of a server")
        means = _SAYS.get(name, "")
        if means in said:
            said[means] = value
        elif means:
            wanted += [one for one in (value or means).split(",") if one]
    odd = next((one for one in wanted if one.partition("=")[0] in _OTHERWISE), "")
    if odd:
        raise Unreadable(f"with -o {odd} this does not mount one directory of a server")
    source, target = said["source"], said["target"]
    for word in rest:
        if not source:
            source = word
        elif not target:
            target = word
        else:
            raise Unreadable(f"mount takes what to mount and where, and here is {word!r} too")
    if not source or not target:
        raise Unreadable("mount needs to be told what to mount and where: one of them is missing")
    return MountCommand(source, directory_name(target), said["types"], tuple(wanted))


def read_umount(command: Command) -> UmountCommand:
    """Raises :class:`Unreadable`."""
    _by_root(command)
    given, rest = options(command, _UMOUNT, _UMOUNT_LONG)
    names = {name for name, _ in given}
    if names & _NOT_AN_UMOUNT:
        raise Unreadable(f"with {', '.join(sorted(names & _NOT_AN_UMOUNT))} nothing is unmounted")
    types = tuple(
        one for name, value in given if name in ("-t", "--types") for one in value.split(",") if one
    )
    everything = bool(names & {"-a", "--all"})
    if everything and names & {"-O", "--test-opts"}:
        raise Unreadable("-O leaves out what was mounted with other options")
    if not rest and not (everything and types):
        raise Unreadable("umount needs to be told what to unmount")
    targets = tuple(one if nfs_source(one) else directory_name(one) for one in rest)
    return UmountCommand(targets, types)


def _by_root(command: Command) -> None:
    """Raises :class:`Unreadable` when somebody else runs it."""
    if command.user:
        raise Unreadable(f"{command.user} may not run {command.name}: only root may")


def nfs_source(text: str) -> tuple[str, str] | None:
    """The server and the path of ``server:/path`` (the path without slashes at its end); None for another
    form.
    """
    found = _NFS_SOURCE.match(text)
    if found is None:
        return None
    return found.group(1).strip("[]").rstrip(".").lower(), directory_name(found.group(2))


def directory_name(path: str) -> str:
    """A path without doubled slashes and a slash at its end."""
    return re.sub(r"/+", "/", path).rstrip("/") or ("/" if path.startswith("/") else "")
