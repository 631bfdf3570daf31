"""Question 1, what is written down: the commands, df's line, the error, the secret, the item made."""

from __future__ import annotations

from pathlib import PurePosixPath

from labctl.grading import Judgement, See, Target, failed, only_with_staff, passed, unjudged
from labctl.grading.answers import (
    Command,
    MountCommand,
    NoCommand,
    Unreadable,
    answer,
    compared,
    directory_name,
    nfs_source,
    read_commands,
    read_df,
    read_mount,
    read_umount,
    says_read_only,
    written,
)
from labctl.probes import directory

from .facts import MOUNT_POINT, PRIVATE, PUBLIC, RUBRIC
from .nfs import items

_MOUNTS = frozenset({"mount", "mount.nfs", "mount.nfs4"})
_TYPES = frozenset({"", "nfs", "nfs4", "auto"})
_VERSIONS = frozenset({"", "3", "4", "4.0", "4.1", "4.2"})


@answer("1a")
def mount_command(vm: Target, _see: See, text: str) -> Judgement:
    """You know the command that mounts the public directory."""
    command = _only(text, _MOUNTS, "mount")
    said = read_mount(command)
    wrong = _wrong_mount(vm, said)
    if wrong is None:
        return passed(f"{said.source} on {said.target}")
    expected, hint, share = wrong
    return failed(expected=expected, seen=str(command), hint=hint, share=share)


def _wrong_mount(vm: Target, said: MountCommand) -> tuple[str, str, float] | None:
    """What was expected, a hint and the share of the points; None when all is right."""
    source = nfs_source(said.source)
    if source is None:
        return (
            "a source of the form server:/path",
            "over NFS the thing that is mounted is named by its server, a colon and the path there",
            0.0,
        )
    server, path = source
    if not is_staff(vm, server):
        return "the staff's server", f"{server} is not the server that the lab names", 0.0
    if path != PUBLIC:
        return (
            "the path of the public directory",
            "which of the server's directories is the one that everybody may read?",
            0.0,
        )
    if not set(said.types.split(",")) <= _TYPES or said.version not in _VERSIONS:
        return "a type and version of NFS", "mount refuses this -t or vers=: see nfs(5)", 0.0
    if not (said.target == MOUNT_POINT or said.target.startswith(f"{MOUNT_POINT}/")):
        return "the directory that the lab asks for", "onto which directory did the lab say to mount it?", 0.5
    return None


def _secret_known(vm: Target) -> str:
    question = RUBRIC.question("1b")
    known = question and question.answer and question.answer.secret in vm.secrets
    return "" if known else "checked by staff"


@answer("1b", applies=_secret_known)
def secret(_vm: Target, see: See, _text: str) -> Judgement:
    """You have read the secret word."""
    found = see(compared("1b"))
    if found.same:
        return passed("the word that is on the server")
    return failed(
        expected="the word in the file in the public directory",
        seen="another word" if found.words == 1 else "other words",
        hint="mount the public directory, list it and print the file that is there: the word alone is enough",
    )


@answer("1c")
def df_line(vm: Target, _see: See, text: str) -> Judgement:
    """You have seen the public directory in df."""
    lines = read_df(text)
    if not lines:
        return failed(
            expected="a line of df: source, sizes, a share in %, the directory",
            seen="no line of that shape",
            hint="copy the whole line as df prints it, from the server's name to the directory",
        )
    for line in lines:
        source = nfs_source(line.source)
        if source and is_staff(vm, source[0]) and source[1] == PUBLIC:
            return passed(f"{line.source} on {line.target}")
    return failed(
        expected="the line whose first column is the public directory of the staff's server",
        seen=lines[-1].source,
        hint="that is another file system: which line was not there before you mounted the directory?",
    )


@answer("1d")
def error(_vm: Target, _see: See, text: str) -> Judgement:
    """You have seen why nothing can be created in the public directory."""
    if says_read_only(text):
        return passed("a read-only file system")
    if "denied" in text.lower() or "not permitted" in text.lower():
        hint = "that is what you get as yourself; as root another error appears, and that one is asked for"
    else:
        hint = "try to create a file there as root and copy what the program says"
    return failed(expected="the error for creating a file there", seen="another error", hint=hint)


@answer("1e")
def umount_command(vm: Target, see: See, text: str) -> Judgement:
    """You know the command that unmounts the public directory."""
    command = _only(text, frozenset({"umount"}), "umount")
    said = read_umount(command)
    where = {MOUNT_POINT, *_mounted_on(see(written("1a")).text)}
    for target in said.targets:
        source = nfs_source(target)
        right = is_staff(vm, source[0]) and source[1] == PUBLIC if source else target in where
        if not right:
            return failed(
                expected="the directory that it is mounted on, or the source that was mounted",
                seen=str(command),
                hint=f"{target} is not where the public directory was mounted",
            )
    if said.all_of and not {"nfs", "nfs4"} & set(said.all_of):
        return failed(
            expected="what is mounted over NFS",
            seen=str(command),
            hint="of which type is the mount? df -T shows it",
        )
    return passed(str(command))


@answer("1f", applies=only_with_staff)
def item(vm: Target, see: See, text: str) -> Judgement:
    """What you say you made is on the staff's server."""
    theirs = see(directory(f"{PRIVATE}/{vm.lab_user}", on="staff"))
    if not theirs.exists:
        return unjudged(f"the server has no {PRIVATE}/{vm.lab_user}", "staff: run the staff playbook")
    there = items(theirs.entries)
    named = [one for one in there if one in _names_in(text)]
    if named:
        return passed(f"{', '.join(named[:3])} is there")
    return failed(
        expected="the name of something in your private directory",
        seen=f"the server has {', '.join(there[:5])}" if there else "your directory is empty on the server",
        hint="write the name exactly as ls shows it while your private directory is mounted",
    )


def is_staff(vm: Target, server: str) -> bool:
    """A server's name or address as the staff's; any, where the inventory does not say which it is."""
    known = {one for one in (vm.nfs_server, vm.nfs_server_address) if one}
    short = vm.nfs_server.partition(".")[0]
    return not known or server in known or (bool(short) and server == short)


def _only(text: str, names: frozenset[str], what: str) -> Command:
    """The one command of these names among the commands written down."""
    commands = read_commands(text)
    found = [one for one in commands if one.name in names]
    if not found:
        seen = f"{commands[0].name} is another command" if commands else "there is no command here"
        raise NoCommand(f"{seen}; a {what} command is asked for")
    if len(found) > 1 and any(one != found[0] for one in found):
        raise Unreadable(f"{len(found)} different {what} commands; one is asked for")
    return found[0]


def _mounted_on(text: str) -> tuple[str, ...]:
    """The directory of the mount command in another answer, if it can be read."""
    try:
        return (read_mount(_only(text, _MOUNTS, "mount")).target,)
    except Unreadable:
        return ()


def _names_in(text: str) -> set[str]:
    """What may be a file's name in an answer: all of it, its words, and the parts of their paths."""
    names = {text.strip(), *(line.strip() for line in text.split("\n"))}
    for word in text.split():
        bare = directory_name(word.strip("\"'`,;:()")).rstrip(".") or word
        names |= {word, bare, *PurePosixPath(bare).parts}
    return names


CHECKS = (mount_command, secret, df_line, error, umount_command, item)
