"""A file from a URL: it comes whole beside its place, is compared, and only then takes the name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from .files import Wish, backup, facts_of, put_in_place, text_diff
from .outcome import Context, Failed
from .web import Answer


def digest(path: str, algorithm: str = "sha1") -> str | None:
    """The file's checksum in hexadecimal, or None when there is no file."""
    sums = _sums(algorithm)
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                sums.update(chunk)
    except FileNotFoundError:
        return None
    result: str = sums.hexdigest()
    return result


def _sums(algorithm: str) -> Any:
    if algorithm not in hashlib.algorithms_available or algorithm.startswith("shake"):
        raise Failed("checksum: there is no algorithm %r" % algorithm)
    return hashlib.new(algorithm)


@contextlib.contextmanager
def downloaded(answer: Answer, dest: str, ctx: Context, most: int) -> Iterator[str]:
    """The answer's body in a file beside ``dest``, which goes when nobody gave it a place."""
    fd, temporary = tempfile.mkstemp(prefix=".labctl-", dir=os.path.dirname(dest) or ".")
    try:
        with os.fdopen(fd, "wb") as file:
            for chunk in answer.chunks(ctx, most):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        _complete(answer, os.path.getsize(temporary))
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _complete(answer: Answer, size: int) -> None:
    told = answer.headers.get("content-length") or ""
    if told.isdigit() and int(told) != size and not answer.headers.get("content-encoding"):
        raise Failed(
            "%s: only %d of %s bytes came" % (answer.fields["url"], size, told),
            status_code=answer.status,
            url=answer.fields["url"],
        )


def replaced(new: str, dest: str, args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """Bring ``dest`` to what the file ``new`` holds and to the wished owner and mode."""
    wish = Wish(args, ctx)
    source, before = digest(new), digest(dest)
    result: dict[str, Any] = {"changed": source != before, "checksum_src": source, "checksum_dest": before}
    if source != before:
        if ctx.diff:
            result["diff"] = [text_diff(dest, _beginning(dest), _beginning(new))]
        if before is not None and args.get("backup"):
            result["backup_file"] = backup(dest)
        put_in_place(new, dest, ctx, wish)
    elif wish.apply(dest, ctx):
        result["changed"] = True
    result.update(facts_of(dest))
    return result


def _beginning(path: str) -> bytes | None:
    """As much of the file as a diff could show."""
    try:
        with open(path, "rb") as file:
            return file.read(128 << 10)
    except FileNotFoundError:
        return None
