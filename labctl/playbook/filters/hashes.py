"""Checksums, and passwords as /etc/shadow holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from labctl.playbook.filters.common import FilterArgumentError

_SCHEMES = {"md5": "md5_crypt", "blowfish": "bcrypt", "sha256": "sha256_crypt", "sha512": "sha512_crypt"}
# What Ansible asks for when the playbook says nothing: those of crypt(3), not the library's own.
_ROUNDS = {"bcrypt": 12, "sha256_crypt": 535000, "sha512_crypt": 656000}


def digest(value: Any, hashtype: str = "sha1") -> str:
    try:
        made = hashlib.new(hashtype, usedforsecurity=False)
    except ValueError as err:
        raise FilterArgumentError(f"hash: no algorithm {hashtype!r}") from err
    made.update(str(value).encode("utf-8", "surrogateescape"))
    return made.hexdigest()


def checksum(value: Any) -> str:
    return digest(value, "sha1")


def md5(value: Any) -> str:
    return digest(value, "md5")


def password_hash(
    password: Any,
    hashtype: str = "sha512",
    salt: str | None = None,
    salt_size: int | None = None,
    rounds: int | None = None,
    ident: str | None = None,
) -> str:
    """A crypt(3) hash. Without ``salt`` it is another one each time."""
    if not isinstance(password, str):
        raise FilterArgumentError(f"password_hash takes text, not {type(password).__name__}")
    scheme = _SCHEMES.get(hashtype, hashtype)
    if scheme not in _SCHEMES.values():
        raise FilterArgumentError(f"password_hash: {', '.join(_SCHEMES)} are covered, not {hashtype!r}")
    settings: dict[str, Any] = {
        "salt": salt or None,
        "salt_size": salt_size,
        "rounds": rounds or _ROUNDS.get(scheme),
    }
    if scheme == "bcrypt":
        settings["ident"] = ident or "2b"
    chosen = tuple((name, value) for name, value in settings.items() if value)
    make = _hashed if salt else _hashed.__wrapped__
    return make(str(password), scheme, chosen)


@lru_cache(maxsize=256)
def _hashed(password: str, scheme: str, settings: tuple[tuple[str, Any], ...]) -> str:
    """Remembered for a given salt: every host would otherwise wait for the same half million rounds."""
    import passlib.hash
    from passlib.utils.binary import bcrypt64

    options = dict(settings)
    if scheme == "bcrypt" and "salt" in options:
        options["salt"] = bcrypt64.repair_unused(options["salt"])  # type: ignore[no-untyped-call]
    try:
        return str(getattr(passlib.hash, scheme).using(**options).hash(password))
    except (ValueError, TypeError) as err:
        raise FilterArgumentError(f"password_hash: {err}") from err


FILTERS: dict[str, Callable[..., Any]] = {
    "checksum": checksum,
    "hash": digest,
    "md5": md5,
    "password_hash": password_hash,
    "sha1": checksum,
}
