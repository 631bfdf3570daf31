"""The keys of receipts, in a directory of the staff's own.

``signing.pem`` (Ed25519) signs receipts and never leaves the directory. ``sealing.key`` (Fernet) hides from
students what a receipt carries for the autograder alone; the autograder has it too.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import RequestError
from labctl.files import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SIGNING = "signing.pem"
_SEALING = "sealing.key"


@dataclass(frozen=True)
class Keys:
    """``public`` is the signing key's public half, 32 bytes; ``sealing`` is a Fernet key."""

    signing: Ed25519PrivateKey
    sealing: bytes

    @property
    def public(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def fingerprint(self) -> str:
        """What tells two keys apart, as ssh-keygen writes it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.public).digest()).decode().rstrip("=")


def make_keys(directory: Path) -> Keys:
    """New keys in a directory that has none. Raises :class:`RequestError`."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if (directory / _SIGNING).exists():
        raise RequestError(
            f"{directory} has a key already: a new one would make every receipt so far worthless",
            hint="labctl gradescope key shows it; --keys names another directory",
        )
    signing = Ed25519PrivateKey.generate()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(directory / _SEALING, Fernet.generate_key())
        pem = signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_whole(directory / _SIGNING, pem)
    except OSError as err:
        raise RequestError(f"cannot keep keys in {directory}: {err.strerror}") from err
    return open_keys(directory)


def open_keys(directory: Path) -> Keys:
    """The keys in ``directory``. Raises :class:`RequestError` when there are none, when they are damaged,
    and when others than their owner may read them.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        for path in (directory / _SIGNING, directory / _SEALING):
            if path.stat().st_mode & 0o077:
                raise RequestError(f"others may read {path}", hint=f"chmod 600 {path}")
        signing = load_pem_private_key((directory / _SIGNING).read_bytes(), password=None)
        sealing = (directory / _SEALING).read_bytes()
        Fernet(sealing)
    except FileNotFoundError as err:
        raise RequestError(
            f"there is no key to sign receipts with: {err.filename} does not exist",
            hint="labctl gradescope key --new makes one",
        ) from err
    except TypeError as err:
        raise RequestError(
            f"{directory / _SIGNING} has a passphrase, and labctl asks for none",
            hint=f"openssl pkey -in {directory / _SIGNING} writes it without one",
        ) from err
    except (OSError, ValueError, UnsupportedAlgorithm) as err:
        raise RequestError(f"the keys in {directory} cannot be used: {err}") from err
    if not isinstance(signing, Ed25519PrivateKey):
        raise RequestError(f"{directory / _SIGNING} is no Ed25519 key")
    return Keys(signing, sealing)
