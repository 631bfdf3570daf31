"""authorized_key: who may log in as a user, a line of the user's authorized_keys for each key.

Lines that are no keys, and other keys with their options, stay as they are.
"""

from __future__ import annotations

import os
import pwd
import re
from typing import Any

from ..files import facts_of, text_diff
from ..homes import Place, open_place
from ..outcome import Context, Failed

KEY_TYPES = frozenset(
    "%s%s" % (kind, end)
    for kind in (
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-256",
        "rsa-sha2-512",
        "ssh-dss",
        "ssh-ed25519",
        "ssh-rsa",
    )
    for end in ("", "-cert-v01@openssh.com")
) | frozenset(
    "%s%s@openssh.com" % (kind, end)
    for kind in ("sk-ecdsa-sha2-nistp256", "sk-ssh-ed25519", "ssh-xmss", "webauthn-sk-ecdsa-sha2-nistp256")
    for end in ("", "-cert-v01")
)


class Key:
    """One line of the file. ``kind`` is None for what is not a key: it is only carried along."""

    def __init__(self, line: str, kind: str | None = None) -> None:
        self.line = line
        self.kind = kind
        self.blob = line
        self.options: tuple[str, ...] = ()
        self.comment = ""

    def says(self, other: Key) -> bool:
        """Whether both are one key in the same words; the options' order is no matter."""
        mine, others = ((one.kind, one.blob, sorted(one.options), one.comment) for one in (self, other))
        return mine == others

    def text(self) -> str:
        if self.kind is None:
            return self.line
        words = [",".join(self.options)] if self.options else []
        return " ".join([*words, self.kind, self.blob, self.comment]) + "\n"


def parse_options(text: str) -> tuple[str, ...]:
    """``no-pty,command="a, b"`` cut at the commas that are not quoted."""
    return tuple(re.findall(r"""((?:[^,"']|"[^"]*"|'[^']*')+)""", text))


def parse_key(line: str) -> Key:
    """A line of options, type, key and comment."""
    words = line.replace("\\#", "#").split()
    where = next((index for index, word in enumerate(words) if word in KEY_TYPES), None)
    if where is None or where + 1 >= len(words) or words[0].startswith("#"):
        return Key(line)
    key = Key(line, words[where])
    key.options = parse_options(" ".join(words[:where]))
    key.blob = words[where + 1]
    key.comment = " ".join(words[where + 2 :])
    return key


def wanted_keys(args: dict[str, Any]) -> list[Key]:
    """The keys that the task names, with its own options and comment."""
    text = args["key"]
    if text.startswith(("http:", "https:", "file:")):
        raise Failed(
            "key: a URL is not covered: give the key itself, or {{ lookup('file', 'name.pub') }}, "
            "or get it with the uri module"
        )
    keys = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        key = parse_key(line)
        if key.kind is None:
            raise Failed("invalid key specified: %s" % line)
        if args.get("key_options") is not None:
            key.options = parse_options(args["key_options"])
        if args.get("comment") is not None:
            key.comment = args["comment"]
        keys.append(key)
    return keys


def edited(text: str, wanted: list[Key], present: bool, exclusive: bool) -> str:
    """The file with the keys in it, or without them. A key that is there in other words is replaced."""
    there: dict[Any, Key] = {}
    for number, line in enumerate(text.splitlines(True)):
        key = parse_key(line)
        name = number if key.kind is None else key.blob
        there.pop(name, None)
        there[name] = key
    asked = {key.blob: key for key in wanted}
    untouched = True
    for blob, key in asked.items():
        if not present:
            untouched = there.pop(blob, None) is None and untouched
        elif blob not in there or not there[blob].says(key):
            # At the end, also when it stood elsewhere in other words: as Ansible has it.
            there.pop(blob, None)
            there[blob] = key
            untouched = False
    if present and exclusive and set(there) != set(asked):
        there = {blob: key for blob, key in there.items() if blob in asked}
        untouched = False
    if untouched:
        return text
    lines = [key.text() for key in there.values()]
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    wanted = wanted_keys(args)
    try:
        account = pwd.getpwnam(args["user"])
    except KeyError as err:
        if ctx.check:
            return dict(_told(args, args.get("path")), changed=True, msg="there is no such user yet")
        raise Failed("there is no user %r on the VM" % args["user"]) from err
    path = args.get("path") or os.path.join(account.pw_dir, ".ssh", "authorized_keys")
    result = _told(args, path)
    with open_place(path, account, bool(args.get("follow"))) as place:
        before = place.read()
        text = (before or b"").decode("utf-8", "surrogateescape")
        after = edited(text, wanted, args.get("state", "present") == "present", bool(args.get("exclusive")))
        result["changed"] = after != text
        if after == text:
            return _with_file(result, args)
        data = after.encode("utf-8", "surrogateescape")
        if ctx.diff:
            result["diff"] = [text_diff(path, before, data)]
        if not ctx.check:
            _write(place, data, args)
    return _with_file(result, args)


def _with_file(result: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
    """A ``path`` that was given is described, its state in place of the task's: as Ansible has it."""
    return dict(result, **facts_of(args["path"])) if args.get("path") else result


def _told(args: dict[str, Any], path: str | None) -> dict[str, Any]:
    told = {name: value for name, value in args.items() if not name.startswith("_")}
    unsaid: dict[str, Any] = dict.fromkeys(("path", "key_options", "comment"))
    return dict(dict(unsaid, **told), changed=False, keyfile=path)


def _write(place: Place, data: bytes, args: dict[str, Any]) -> None:
    place.make_directory(0o700 if args.get("manage_dir", True) else None)
    place.write(data, 0o600)
