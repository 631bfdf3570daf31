"""Files on the VM: read, compared, written whole or not at all, with owner and mode.

A write goes to a temporary file in the same directory, gets its owner and mode, is validated by the
program that will read it, reaches the disk, and only then takes the old file's name.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import shlex
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any

from .command import run_command
from .outcome import Context, Failed

# Text in a diff beyond this is cut: a report is read by people.
DIFF_CAP = 64 << 10


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn an OSError into a failure that a user can act on."""
    try:
        yield
    except OSError as err:
        where = err.filename if isinstance(err.filename, str) else path
        if err.errno == errno.ENOSPC:
            raise Failed("disk full on the VM: cannot write %s" % where, path=path) from err
        if err.errno == errno.EROFS:
            raise Failed("%s is on a read-only file system" % where, path=path) from err
        raise Failed("%s: %s" % (where, err.strerror or err), path=path) from err


def read_file(path: str) -> bytes | None:
    """The file's bytes, or None when there is none. A directory is a failure."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except IsADirectoryError as err:
        raise Failed("%s is a directory" % path, path=path, rc=256) from err


def text_diff(path: str, before: bytes | None, after: bytes | None) -> dict[str, str]:
    """Ansible's diff document of one file."""
    return {
        "before_header": path,
        "after_header": path,
        "before": _shown(before),
        "after": _shown(after),
    }


def _shown(data: bytes | None) -> str:
    if data is None:
        return ""
    if b"\0" in data[:4096]:
        return "(%d bytes that are not text)\n" % len(data)
    text = data.decode("utf-8", "replace")
    if len(text) > DIFF_CAP:
        return text[:DIFF_CAP] + "\n(%d more characters)\n" % (len(text) - DIFF_CAP)
    return text


# -- owner, group, mode --------------------------------------------------------------------------


def user_id(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        if name.isdigit():
            return int(name)
        raise Failed("there is no user %r on the VM" % name) from None


def group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isdigit():
            return int(name)
        raise Failed("there is no group %r on the VM" % name) from None


def _known(find: Callable[[str], int], name: str) -> bool:
    try:
        find(name)
    except Failed:
        return False
    return True


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def parse_mode(text: str, current: int, is_directory: bool) -> int:
    """The permission bits that ``text`` means: octal digits, or symbolic from ``current``."""
    if re.match(r"[0-7]+$", text):
        return int(text, 8)
    bits = current
    for clause in text.split(","):
        match = re.match(r"([ugoa]*)((?:[+=-][rwxXstugo]*)+)$", clause)
        if not match:
            raise Failed("%r is not a file mode" % text)
        who = match.group(1).replace("a", "ugo") or "ugo"
        allowed = 0o7777 if match.group(1) else 0o7777 & ~_umask()
        for sign, letters in re.findall(r"([+=-])([rwxXstugo]*)", match.group(2)):
            for one in who:  # each sees what the one before it did, as Ansible has it
                bits = _apply(bits, one, sign, letters, is_directory, allowed)
    return bits


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _apply(bits: int, one: str, sign: str, letters: str, is_directory: bool, allowed: int) -> int:
    """``bits`` after ``sign`` and ``letters`` for ``one`` of u, g and o."""
    shifts = {"u": 6, "g": 3, "o": 0}
    shift = shifts[one]
    special = {"u": stat.S_ISUID, "g": stat.S_ISGID, "o": stat.S_ISVTX}[one]
    wanted = 0
    for letter in letters:
        if letter in "rwx":
            wanted |= ({"r": 4, "w": 2, "x": 1}[letter] << shift) & allowed
        elif letter == "X" and (is_directory or bits & 0o111):
            wanted |= 1 << shift
        elif letter in shifts:
            wanted |= ((bits >> shifts[letter]) & 7) << shift
        elif (letter == "s" and one in "ug") or (letter == "t" and one == "o"):
            wanted |= special
    if sign == "+":
        return bits | wanted
    if sign == "-":
        return bits & ~wanted
    return (bits & ~(7 << shift | special)) | wanted


class Wish:
    """Owner, group and mode as a task asks for them; None leaves them as they are."""

    def __init__(self, args: dict[str, Any], ctx: Context | None = None) -> None:
        owner, group, mode = args.get("owner"), args.get("group"), args.get("mode")
        if ctx is not None and ctx.check:
            # An earlier task of the run may be what makes the account, by installing its package.
            owner = owner if owner is None or _known(user_id, str(owner)) else None
            group = group if group is None or _known(group_id, str(group)) else None
        self.uid = None if owner is None else user_id(str(owner))
        self.gid = None if group is None else group_id(str(group))
        self.mode = None if mode in (None, "preserve") else str(mode)
        #: The file on the VM that the new one is a copy of.
        self.copied = args.get("_copied")
        #: Whether it has nothing of what is at its path.
        self.new = bool(args.get("_new"))

    def of(self, info: os.stat_result) -> tuple[int, int, int]:
        """The uid, gid and mode that a file with ``info`` should have."""
        current = stat.S_IMODE(info.st_mode)
        mode = current if self.mode is None else parse_mode(self.mode, current, stat.S_ISDIR(info.st_mode))
        uid = info.st_uid if self.uid is None else self.uid
        gid = info.st_gid if self.gid is None else self.gid
        return uid, gid, mode

    def apply(self, path: str, ctx: Context, diff: dict[str, Any] | None = None, follow: bool = True) -> bool:
        """Give the file at ``path`` what is wished; returns whether that changes anything.

        In check mode nothing is done. ``diff`` (before and after mappings) gets the attributes.
        """
        info = os.stat(path) if follow else os.lstat(path)
        link = stat.S_ISLNK(info.st_mode)
        uid, gid, mode = self.of(info)
        changes = []
        if (uid, gid) != (info.st_uid, info.st_gid):
            changes.append(("owner", user_name(info.st_uid), user_name(uid)))
            changes.append(("group", group_name(info.st_gid), group_name(gid)))
        if mode != stat.S_IMODE(info.st_mode) and not link:
            changes.append(("mode", "%04o" % stat.S_IMODE(info.st_mode), "%04o" % mode))
        if diff is not None:
            for name, before, after in changes:
                if before != after:
                    diff["before"][name], diff["after"][name] = before, after
        if changes and not ctx.check:
            if (uid, gid) != (info.st_uid, info.st_gid):
                os.chown(path, uid, gid, follow_symlinks=follow)
            # chown clears the set-id bits, so the mode comes last.
            if not link and (mode != stat.S_IMODE(info.st_mode) or mode & 0o6000):
                os.chmod(path, mode)
        return bool(changes)


def facts_of(path: str) -> dict[str, Any]:
    """What Ansible's file modules tell about the file in the end."""
    try:
        info = os.lstat(path)
    except OSError:
        return {"state": "absent"}
    kind = "file"
    if stat.S_ISDIR(info.st_mode):
        kind = "directory"
    elif stat.S_ISLNK(info.st_mode):
        kind = "link"
    elif info.st_nlink > 1:
        # as Ansible has it: a file of several names is a hard link, whichever name is asked for
        kind = "hard"
    return {
        "uid": info.st_uid,
        "gid": info.st_gid,
        "owner": user_name(info.st_uid),
        "group": group_name(info.st_gid),
        "mode": "0%03o" % stat.S_IMODE(info.st_mode),
        "size": info.st_size,
        "state": kind,
    }


# -- writing -------------------------------------------------------------------------------------


def backup(path: str) -> str:
    """A copy of ``path`` beside it, with its owner and mode; returns the copy's name."""
    import shutil

    copy = "%s.%d.%s~" % (path, os.getpid(), time.strftime("%Y-%m-%d@%H:%M:%S"))
    shutil.copy2(path, copy)
    info = os.stat(path)
    os.chown(copy, info.st_uid, info.st_gid)
    return copy


def write_file(
    path: str, data: bytes, ctx: Context, wish: Wish, validate: str | None = None, env: Any = None
) -> None:
    """Put ``data`` at ``path`` atomically. A refused validation leaves everything as it was."""
    import tempfile  # takes milliseconds, and a run that changes nothing does without

    directory = os.path.dirname(path) or "."
    fd, temporary = tempfile.mkstemp(prefix=".labctl-", dir=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path, ctx, wish, validate, env)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def put_in_place(
    temporary: str, path: str, ctx: Context, wish: Wish, validate: str | None = None, env: Any = None
) -> None:
    """Give ``temporary``, a whole file in the same directory, the name ``path``, with owner and mode."""
    _like_the_old(temporary, path, wish)
    if validate:
        _validate(validate, temporary, path, ctx, env)
    os.rename(temporary, path)
    directory_fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(directory_fd)
    except OSError:
        pass  # some network file systems cannot; the file itself is on the disk
    finally:
        os.close(directory_fd)


def _like_the_old(temporary: str, path: str, wish: Wish) -> None:
    """Owner and mode: as wished, else the old file's, else the umask's.

    In place of an old file a copy of another one has that one's mode, and everywhere its times: as Ansible
    has it.
    """
    source = os.stat(wish.copied) if wish.copied else None
    old = os.stat(path) if os.path.exists(path) and not wish.new else None
    if old is None:
        os.chmod(temporary, 0o666 & ~_umask())
    else:
        os.chmod(temporary, stat.S_IMODE((source or old).st_mode))
    base = old if old and not source else os.stat(temporary)
    uid, gid, mode = wish.of(base)
    now = os.stat(temporary)
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.chown(temporary, uid, gid)
    os.chmod(temporary, mode)
    if source:
        os.utime(temporary, ns=(source.st_atime_ns, source.st_mtime_ns))


def _validate(command: str, temporary: str, path: str, ctx: Context, env: Any) -> None:
    if "%s" not in command:
        raise Failed("validate must hold %%s for the new file: %s" % command)
    done = run_command(shlex.split(command % shlex.quote(temporary)), timeout=ctx.remaining(), env=env)
    if done.ok:
        return
    said = (done.out + done.err).replace(temporary, path).strip()
    reason = "there is no such program on the VM" if done.missing else "it ended with status %d" % done.rc
    raise Failed(
        "the new %s was refused by its check (%s): %s; the old file is still there\n%s"
        % (path, command.replace("%s", path), reason, said[-2000:]),
        rc=done.rc,
        stdout=done.out.replace(temporary, path),
        stderr=done.err.replace(temporary, path),
        path=path,
    )


def update_file(
    path: str,
    before: bytes | None,
    after: bytes,
    args: dict[str, Any],
    ctx: Context,
    missing_in_check: str = "",
) -> dict[str, Any]:
    """Bring ``path`` to ``after`` and to the wished owner and mode.

    The result document has changed, diff when asked for, and the file's final attributes.
    ``missing_in_check`` is the note for a directory that an earlier task of a check run would make.
    """
    wish = Wish(args, ctx)
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        if ctx.check:
            note = missing_in_check or "the directory %s is not there yet" % directory
            return {"changed": True, "msg": note, "path": path}
        raise Failed("there is no directory %s for %s" % (directory, os.path.basename(path)), path=path)
    result: dict[str, Any] = {"changed": before != after, "path": path}
    attributes: dict[str, Any] = {"before": {}, "after": {}}
    if before != after and not ctx.check:
        if before is not None and args.get("backup"):
            result["backup_file"] = backup(path)
        write_file(path, after, ctx, wish, args.get("validate"), args.get("_environment"))
    if before == after and wish.apply(path, ctx, attributes):
        result["changed"] = True
    if ctx.diff and result["changed"]:
        diffs = [text_diff(path, before, after)] if before != after else []
        if attributes["after"]:
            header = path + " (attributes)"
            diffs.append(dict(attributes, before_header=header, after_header=header))
        result["diff"] = diffs
    result.update(facts_of(path))
    return result
