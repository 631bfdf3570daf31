"""Question 1, what is written down: the commands, df's line, the error, the secret, the item made."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from labctl.grading import Judgement, See, Target, failed, only_with_staff, passed, unjudged
from labctl.grading.answers import (
    Command,
    MountCommand,
    UmountCommand,
    Unreadable,
    answer,
    commands_of,
    compared,
    doubtful,
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
from .nfs import items, staff_servers

_MOUNTS = frozenset({"mount", "mount.nfs", "mount.nfs4"})
_TYPES = frozenset({"", "nfs", "nfs4", "auto"})
_VERSIONS = frozenset({"", "3", "4", "4.0", "4.1", "4.2"})
#: More words, or names in a row, may be guesses.
_SENTENCE, _GUESSES = 15, 2
#: What programs say before the error itself.
_TRYING = re.compile(r"\b(?:can't|(?:can|could)(?:\s?not|n't))\s\w+", re.IGNORECASE)
#: A name and nothing else.
_A_NAME = re.compile(r"\s*[\w./-]+\s*\Z")

T = TypeVar("T")


@answer("1a", read=commands_of)
def mount_command(vm: Target, _see: See, text: str) -> Judgement:
    """You know the command that mounts the public directory."""
    said = _said(text, _MOUNTS, read_mount)
    where = f"{said[0].source} on {said[0].target}"
    wrong = _agreed([_wrong_mount(vm, one) for one in said], "mount")
    if wrong is None:
        return passed(where)
    expected, hint, share = wrong
    return failed(expected=expected, seen=where, hint=hint, share=share)


def _wrong_mount(vm: Target, said: MountCommand) -> tuple[str, str, float] | None:
    """What was expected, a hint and the share of the points; None when all is right."""
    source = nfs_source(said.source)
    if "$" in said.source:
        raise Unreadable(f"what {said.source} stands for is not told")
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
    target = posixpath.normpath(said.target)
    if not target.startswith("/"):
        raise Unreadable(f"{said.target} is seen from where you stood, and that is not told")
    if not (target == MOUNT_POINT or target.startswith(f"{MOUNT_POINT}/")):
        return "the directory that the lab asks for", "onto which directory did the lab say to mount it?", 0.5
    return None


def _secret_known(vm: Target) -> str:
    question = RUBRIC.question("1b")
    known = question and question.answer and question.answer.secret in vm.secrets
    return "" if known else "checked by staff"


@answer("1b", applies=_secret_known)
def secret(_vm: Target, see: See, text: str) -> Judgement:
    """You have read the secret word."""
    found = see(compared("1b"))
    if found.same:
        alone = sum(len(line.split()) == 1 for line in text.split("\n"))
        several = alone > _GUESSES or bool(re.search(r"[,;]\s*\w", text))
        return passed("the word that is on the server", for_staff=several or doubtful(text))
    return failed(
        expected="the word in the file in the public directory",
        seen="another word" if found.words == 1 else "other words",
        hint="mount the public directory, list it and print the file that is there: the word alone is enough",
        for_staff=found.words > 1,
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
            for_staff=True,
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
    denied = bool(re.search(r"denied|not permitted", text, re.IGNORECASE))
    if says_read_only(text) and not denied:
        return passed("a read-only file system", for_staff=doubtful(_TRYING.sub(" ", text)))
    if denied:
        hint = "that is what you get as yourself; as root another error appears, and that one is asked for"
    else:
        hint = "try to create a file there as root and copy what the program says"
    return failed(
        expected="the error for creating a file there",
        seen="another error",
        hint=hint,
        for_staff=not denied or says_read_only(text),
    )


@answer("1e", read=commands_of)
def umount_command(vm: Target, see: See, text: str) -> Judgement:
    """You know the command that unmounts the public directory."""
    said = _said(text, frozenset({"umount", "umount.nfs", "umount.nfs4"}), read_umount)
    where = {MOUNT_POINT, *_mounted_on(see(written("1a")).text)}
    what = "umount " + " ".join([*said[0].targets, *said[0].types])
    wrong = _agreed([_wrong_umount(vm, one, where) for one in said], "umount")
    if wrong is None:
        return passed(what)
    expected, hint = wrong
    return failed(expected=expected, seen=what, hint=hint)


def _wrong_umount(vm: Target, said: UmountCommand, where: set[str]) -> tuple[str, str] | None:
    """What was expected and a hint; None when all is right."""
    for target in said.targets:
        source = nfs_source(target)
        if not source and not target.startswith("/"):
            raise Unreadable(f"{target} is seen from where you stood, and that is not told")
        right = is_staff(vm, source[0]) and source[1] == PUBLIC if source else target in where
        if not right:
            return (
                "the directory that it is mounted on, or the source that was mounted",
                f"{target} is not where the public directory was mounted",
            )
    # "noext4": all but these
    others = bool(said.targets) and any(one.startswith("no") for one in said.types)
    if said.types and not others and not {"nfs", "nfs4"} & set(said.types):
        return "what is mounted over NFS", "of which type is the mount? df -T shows it"
    return None


@answer("1f", applies=only_with_staff)
def item(vm: Target, see: See, text: str) -> Judgement:
    """What you say you made is on the staff's server."""
    theirs = see(directory(f"{PRIVATE}/{vm.lab_user}", on="staff"))
    if not theirs.exists:
        return unjudged(f"the server has no {PRIVATE}/{vm.lab_user}", "staff: run the staff playbook")
    there = items(theirs.entries)
    # bullets and marks may be part of a name: as it was written it counts too
    texts = [unicodedata.normalize("NFC", one) for one in (text, see(written("1f")).text)]
    named = [one for one in there if any(_names(told, unicodedata.normalize("NFC", one)) for told in texts)]
    if named:
        guesses = len(text.split()) >= _SENTENCE or text.count(",") >= _GUESSES
        return passed(f"{', '.join(named[:3])} is there", for_staff=guesses or doubtful(text))
    return failed(
        expected="the name of something in your private directory",
        # not which: it would be the answer
        seen="your directory on the server has another name in it" if there else "it is empty on the server",
        hint="write the name exactly as ls shows it while your private directory is mounted",
        for_staff=bool(there) and not _A_NAME.match(text),
    )


def is_staff(vm: Target, server: str) -> bool:
    """A server's name or address as the staff's; any, where the inventory does not say which it is."""
    known = staff_servers(vm)
    short = vm.nfs_server.partition(".")[0]
    return not known or server in known or (bool(short) and server == short)


def _said(text: str, names: frozenset[str], read: Callable[[Command], T]) -> list[T]:
    """What the commands of these names say, each once and at least one.

    A ``mount`` without anything lists mounts: what nobody can read does not count beside what can be read.
    Raises :class:`Unreadable`.
    """
    commands = read_commands(text)
    named = [one for one in commands if one.name in names]
    if not named:
        seen = f"{commands[0].name} is another command" if commands else "there is no command here"
        raise Unreadable(f"{seen}; a {min(names)} command is asked for")
    said: list[T] = []
    wrong: list[Unreadable] = []
    for one in named:
        try:
            said.append(read(one))
        except Unreadable as err:
            wrong.append(err)
    if not said:
        raise wrong[0]
    return list(dict.fromkeys(said))


def _agreed(wrong: list[T | None], what: str) -> T | None:
    """What is wrong with them; None when all are right. Raises :class:`Unreadable` for some of either."""
    if None in wrong and any(wrong):
        raise Unreadable(f"{len(wrong)} different {what} commands; one is asked for")
    return wrong[0]


def _mounted_on(text: str) -> tuple[str, ...]:
    """The directories of the mount commands in another answer, if it can be read."""
    try:
        return tuple(one.target for one in _said(text, _MOUNTS, read_mount))
    except Unreadable:
        return ()


def _names(text: str, name: str) -> bool:
    """Whether an answer has the name of a file, by itself or at the end of a path."""
    told = text.replace("\\ ", " ")
    # there may be hundreds of names: most are nowhere in it
    return name in told and bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", told))


CHECKS = (mount_command, secret, df_line, error, umount_command, item)
