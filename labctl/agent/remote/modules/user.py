"""user: an account of /etc/passwd, its groups and its password's hash."""

from __future__ import annotations

import grp
import pwd
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    name = args["name"]
    state = args.get("state", "present")
    result: dict[str, Any] = {"changed": False, "name": name, "state": state}
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = None
    if state == "absent":
        if entry is not None:
            result.update(force=bool(args.get("force")), remove=bool(args.get("remove")))
            flags = (["-r"] if args.get("remove") else []) + (["-f"] if args.get("force") else [])
            _do(["userdel", *flags, name], ctx, result)
        return result
    if args.get("groups") is not None:
        result["groups"] = ",".join(args["groups"])
    if entry is None:
        result.update(system=bool(args.get("system")), create_home=bool(args.get("create_home", True)))
        _do(["useradd", *creation(args), name], ctx, result)
    else:
        result.update(append=bool(args.get("append")), move_home=bool(args.get("move_home")))
        changes = modification(args, entry, _shadow(name) if _wants_shadow(args) else None)
        if changes:
            _do(["usermod", *changes, name], ctx, result)
    if ctx.check and entry is None:
        return result
    now = pwd.getpwnam(name)
    result.update(uid=now.pw_uid, group=now.pw_gid, comment=now.pw_gecos, home=now.pw_dir, shell=now.pw_shell)
    if args.get("password") is not None:
        result["password"] = "NOT_LOGGING_PASSWORD"  # noqa: S105 (what Ansible shows in its place)
    return result


def _do(words: list[str], ctx: Context, result: dict[str, Any]) -> None:
    result["changed"] = True
    if ctx.check:
        return
    done = run_command(words, timeout=ctx.remaining())
    # userdel -r ends with 12 when there is no mail spool to remove: the account is gone.
    if not done.ok and not (words[0] == "userdel" and done.rc == 12):
        raise Failed("%s: %s" % (words[0], done.err.strip()), rc=done.rc, stderr=done.err)
    result.update({name: text for name, text in (("stdout", done.out), ("stderr", done.err)) if text})


def _wants_shadow(args: dict[str, Any]) -> bool:
    locked = args.get("password_lock") is not None
    return locked or (args.get("password") is not None and args.get("update_password", "always") == "always")


def _shadow(name: str, path: str = "/etc/shadow") -> str:
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                fields = line.split(":")
                if fields[0] == name:
                    return fields[1]
    except PermissionError as err:
        raise Failed("passwords can be compared by root only: add become: true") from err
    return ""


def creation(args: dict[str, Any]) -> list[str]:
    """useradd's options for a new account."""
    words = []
    for option, name in (("-u", "uid"), ("-g", "group"), ("-c", "comment"), ("-s", "shell"), ("-d", "home")):
        if args.get(name) is not None:
            words += [option, str(args[name])]
    if args.get("group") is None and _group_exists(args["name"]):
        words += ["-g", args["name"]]  # useradd refuses to make a group that is there
    if args.get("groups"):
        words += ["-G", ",".join(args["groups"])]
    if args.get("password") is not None:
        # a lock is a mark before the password
        words += ["-p", ("!" if args.get("password_lock") else "") + args["password"]]
    if args.get("system"):
        words.append("-r")
    if args.get("non_unique"):
        words.append("-o")
    words.append("-m" if args.get("create_home", True) else "-M")
    return words


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def modification(args: dict[str, Any], entry: pwd.struct_passwd, shadow: str | None) -> list[str]:
    """usermod's options for what differs; empty when nothing does."""
    words = []
    if args.get("uid") is not None and entry.pw_uid != args["uid"]:
        words += ["-u", str(args["uid"])] + (["-o"] if args.get("non_unique") else [])
    if args.get("group") is not None and _gid(args["group"]) != entry.pw_gid:
        words += ["-g", args["group"]]
    for option, name, now in (
        ("-c", "comment", entry.pw_gecos),
        ("-s", "shell", entry.pw_shell),
        ("-d", "home", entry.pw_dir),
    ):
        if args.get(name) is not None and args[name] != now:
            words += [option, args[name]]
            if name == "home" and args.get("move_home"):
                words.append("-m")
    words += _groups(args, entry)
    password = args.get("password") if args.get("update_password", "always") == "always" else None
    if password is not None and (shadow or "").lstrip("!") != password.lstrip("!"):
        words += ["-p", password]
    lock = args.get("password_lock")
    if lock is not None and (shadow or "").startswith("!") != lock:
        words.append("-L" if lock else "-U")
    return words


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdigit():
            return int(group)
        raise Failed("there is no group %r on the VM" % group) from None


def _groups(args: dict[str, Any], entry: pwd.struct_passwd) -> list[str]:
    if args.get("groups") is None:
        return []
    wanted = set(args["groups"])
    for group in wanted:
        _gid(group)
    now = {one.gr_name for one in grp.getgrall() if entry.pw_name in one.gr_mem}
    if args.get("append"):
        return ["-a", "-G", ",".join(sorted(wanted))] if wanted - now - _primary(entry) else []
    return [] if wanted - _primary(entry) == now - _primary(entry) else ["-G", ",".join(sorted(wanted))]


def _primary(entry: pwd.struct_passwd) -> set[str]:
    try:
        return {grp.getgrgid(entry.pw_gid).gr_name}
    except KeyError:
        return set()
