"""Root at work on a file in a user's home, where every name may be a trap.

A directory is walked from the top, each step through a descriptor and none through a link, after it was
made sure where the user's own links lead: within the user's home they are followed, out of it never. A
link that appears in between makes the step fail. Links that root made are root's word.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import stat
from collections.abc import Iterator

from .files import naming
from .outcome import Failed

_MOST = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """A file of ``account``. ``directory`` is a descriptor, -1 when there is none yet."""

    def __init__(self, path: str, source: str, account: pwd.struct_passwd) -> None:
        self.path = path  # where it is written, of which the directory part has no links
        self.source = source  # where it is read: what the link there leads to
        self.account = account
        self.directory = _open_directory(os.path.dirname(path))

    def close(self) -> None:
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1

    def read(self) -> bytes | None:
        """What the file holds, None when there is none."""
        folder = _open_directory(os.path.dirname(self.source))
        if folder < 0:
            return None
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(os.path.basename(self.source), flags, dir_fd=folder)
        except FileNotFoundError:
            return None
        finally:
            os.close(folder)
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
            os.close(fd)
            # A second name could be another user's secret, brought here to be copied.
            raise Failed("%s is not a plain file of one name" % self.source)
        with os.fdopen(fd, "rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise Failed("%s has more than %d bytes" % (self.source, _MOST))
        return data

    def make_directory(self, mode: int | None) -> None:
        """The directory above: with ``mode`` it is made and becomes the user's, else only made."""
        folder = os.path.dirname(self.path)
        if self.directory < 0:
            above = _open_directory(os.path.dirname(folder)) if mode is not None else -1
            if mode is not None and above < 0:
                raise Failed("there is no directory %s for %s" % (os.path.dirname(folder), self.path))
            if above >= 0:
                os.close(above)
            self.directory = _open_directory(folder, make=0o755 if mode is None else mode)
        if mode is not None:
            os.fchown(self.directory, self.account.pw_uid, self.account.pw_gid)
            os.fchmod(self.directory, mode)

    def write(self, data: bytes, mode: int) -> None:
        """The whole file, of the user, in place of what was there under its name."""
        name = os.path.basename(self.path)
        temporary = ".labctl-%s" % secrets.token_hex(8)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600, dir_fd=self.directory)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchown(fd, self.account.pw_uid, self.account.pw_gid)
                os.fchmod(fd, mode)
                file.flush()
                os.fsync(fd)
            os.rename(temporary, name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self.directory)
            raise
        os.fsync(self.directory)


@contextlib.contextmanager
def open_place(path: str, account: pwd.struct_passwd, follow: bool) -> Iterator[Place]:
    """The file at ``path``; ``follow`` writes where a link there leads, else the link is replaced.

    Raises Failed for a link that leads out of the home of ``account``.
    """
    with naming(path):
        folder = _resolved(os.path.dirname(os.path.abspath(path)), account)
        path = os.path.join(folder, os.path.basename(path))
        source = _resolved(path, account)
        place = Place(source if follow else path, source, account)
        try:
            yield place
        finally:
            place.close()


def _resolved(path: str, account: pwd.struct_passwd) -> str:
    """``path`` without links, when those on the way may be followed."""
    real, home = os.path.realpath(path), os.path.realpath(account.pw_dir)
    # an account whose home is / has none
    if home != "/" and (real == home or real.startswith(home + "/")):
        return real
    for link in _links(path):
        if os.lstat(link).st_uid != 0:
            raise Failed(
                "%s is a link out of the home of %s, to %s: it is not followed; remove it on the VM"
                % (link, account.pw_name, real)
            )
    return real


def _links(path: str) -> Iterator[str]:
    """Every link on the way to ``path``, those that links lead through too."""
    for _ in range(40):
        at = "/"
        parts = [part for part in path.split("/") if part]
        for index, part in enumerate(parts):
            at = os.path.normpath(os.path.join(at, part))
            if os.path.islink(at):
                yield at
                target = os.path.join(os.path.dirname(at), os.readlink(at))
                path = os.path.join(target, *parts[index + 1 :])
                break
        else:
            return
    raise Failed("%s: too many links" % path)


def _open_directory(path: str, make: int | None = None) -> int:
    """A descriptor of a directory whose path has no links; -1 when it is not there.

    With ``make`` what is missing is made, with that mode.
    """
    fd = os.open("/", _DIRECTORY)
    for part in [part for part in path.split("/") if part]:
        try:
            inner = _step(part, fd, make)
        except FileNotFoundError:
            return -1
        finally:
            os.close(fd)
        fd = inner
    return fd


def _step(name: str, above: int, make: int | None) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=above)
    except FileNotFoundError:
        if make is None:
            raise
    os.mkdir(name, make, dir_fd=above)
    return os.open(name, _DIRECTORY, dir_fd=above)
