"""The keys that are offered to a server: those of files, and those that ssh-agent holds.

A server ends the connection after MaxAuthTries refusals, six with sshd's defaults, so the offers are
few and the named ones come first. Nobody is asked for a passphrase: that is what ssh-agent is for.
"""

from __future__ import annotations

import base64
import binascii
import copy
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.auth_strategy import AuthSource, AuthStrategy, InMemoryPrivateKey

from labctl.connect.route import Server
from labctl.deadline import Deadline
from labctl.errors import AuthRefused

#: One less than sshd's MaxAuthTries: its answer to the last offer is still an answer.
MOST_OFFERS = 5
_AGENT_SECONDS = 10.0
_OPENSSH_MAGIC = b"openssh-key-v1\0"


@dataclass(frozen=True)
class Offer:
    """One key, and how messages name it."""

    key: paramiko.PKey
    name: str


@dataclass
class Offers:
    """What is offered to one server, in this order. ``encrypted`` are files only ssh-agent opens,
    ``certificates`` those that ssh would offer, too.
    """

    keys: list[Offer] = field(default_factory=list)
    encrypted: list[Path] = field(default_factory=list)
    left_out: int = 0
    certificates: tuple[str, ...] = ()

    @property
    def names(self) -> str:
        return ", ".join(offer.name for offer in self.keys)

    def hint(self, otherwise: str) -> str:
        """What to do when none of them is accepted."""
        if self.encrypted:
            return (
                f"{self.encrypted[0]} has a passphrase and is not in ssh-agent: ssh-add {self.encrypted[0]}"
            )
        if self.certificates:
            return (
                f"labctl does not read CertificateFile {self.certificates[0]}: put it beside its key, named "
                "KEY-cert.pub"
            )
        if self.left_out:
            return (
                f"{self.left_out} more were not offered, as servers end the connection after a few "
                "refusals: name the right one with IdentityFile and set IdentitiesOnly yes"
            )
        return otherwise


class InOrder(AuthStrategy):
    """paramiko's way to say: these keys, in this order, and tell which were tried."""

    def __init__(self, user: str, offers: Offers) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self.user = user
        self.offers = offers

    def get_sources(self) -> Iterator[AuthSource]:
        for offer in self.offers.keys:
            yield InMemoryPrivateKey(self.user, offer.key)


def offers_for(server: Server, deadline: Deadline, stack: ExitStack) -> Offers:
    """The keys to offer to ``server``. ``stack`` closes the way to ssh-agent, which signs: after the login.

    Raises :class:`AuthRefused` when the inventory's key cannot be used, or there is none to offer.
    """
    agent = _Agent(server.agent, deadline, stack)
    offers = Offers(certificates=server.certificates)
    for path in (server.key,) if server.key else server.identity_files:
        offers.keys += _of_file(path, agent, offers, required=path == server.key)
    if not server.key and not server.identities_only:
        taken = {offer.key.asbytes() for offer in offers.keys}
        offers.keys += [offer for offer in agent.offers() if offer.key.asbytes() not in taken]
    offers.left_out = max(0, len(offers.keys) - MOST_OFFERS)
    del offers.keys[MOST_OFFERS:]
    if not offers.keys:
        raise AuthRefused(
            f"there is no key to offer to {server.user} at {server.where}",
            hint=offers.hint("make one with ssh-keygen, load one with ssh-add, or name one in the inventory"),
        )
    return offers


def _of_file(path: Path, agent: _Agent, offers: Offers, *, required: bool) -> list[Offer]:
    """The key of a file, by ssh-agent when the file alone does not open; none when there is none to use.
    As in ssh its certificate comes first, which the server may not take.
    """
    try:
        keys = _private_keys(path, _version(path))
        return [Offer(key, str(_certificate(path) if key.public_blob else path)) for key in keys]
    except (paramiko.PasswordRequiredException, TypeError):
        # TypeError is what cryptography, below paramiko, says to a key without its passphrase.
        encrypted, why = True, f"the private key {path} has a passphrase, and ssh-agent does not hold it"
    except OSError as err:
        encrypted, why = False, f"cannot read the private key {path}: {err.strerror}"
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError) as err:
        encrypted, why = False, f"{path} is not a private key that can be used: {err}"
    held = agent.find(_public_half(path))
    if held:
        return [Offer(held, f"{path} (ssh-agent)")]
    if encrypted:
        offers.encrypted.append(path)
    if required:
        raise AuthRefused(why, hint=offers.hint(""))
    # One that only ssh's configuration names, or its defaults, may be missing: ssh goes on, too.
    return []


def public_key(path: Path) -> bytes | None:
    """The public half of a private key's file, which may have a passphrase; None when it is not to be had."""
    found = _public_half(path)
    if found is None:
        with suppress(OSError, paramiko.SSHException, paramiko.pkey.UnknownKeyType, TypeError, ValueError):
            found = paramiko.PKey.from_path(path).asbytes()
    return found


@lru_cache(maxsize=8)
def _private_keys(path: Path, _version: tuple[int, ...]) -> tuple[paramiko.PKey, ...]:
    """The key of a file, with its certificate and without, read again only when it has changed: all VMs of a
    course are offered the same.
    """
    try:
        key = paramiko.PKey.from_path(path)
    except ValueError:
        if not _certificate(path).exists():
            raise
        return (_without_certificate(path),)
    if not key.public_blob:
        return (key,)
    plain = copy.copy(key)
    plain.public_blob = None
    return key, plain


def _without_certificate(path: Path) -> paramiko.PKey:
    """For one whose certificate is none. Raises what paramiko's last try raises."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey):
        with suppress(paramiko.SSHException):
            return kind.from_private_key_file(str(path))
    return paramiko.RSAKey.from_private_key_file(str(path))


def _certificate(path: Path) -> Path:
    return path.with_name(path.name + "-cert.pub")


def _version(path: Path) -> tuple[int, ...]:
    """When the file, and the certificate that paramiko reads with it, were written."""
    certificate = _certificate(path)
    return tuple(one.stat().st_mtime_ns for one in (path, certificate) if one == path or one.exists())


def _public_half(path: Path) -> bytes | None:
    """The public key of ``path``: of the file itself, its .pub, or the open part of an OpenSSH key."""
    for candidate in (path, path.with_name(path.name + ".pub")):
        try:
            text = candidate.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            continue
        try:
            if not text.startswith("-----"):
                return base64.b64decode(text.split()[1])
            if text.startswith("-----BEGIN OPENSSH PRIVATE KEY-----"):
                return _open_part(base64.b64decode("".join(text.split("-----")[2].split())))
        except (IndexError, binascii.Error):
            continue
    return None


def _open_part(blob: bytes) -> bytes | None:
    """OpenSSH's PROTOCOL.key: cipher, kdf, its options and the number of keys come before the public key."""
    if not blob.startswith(_OPENSSH_MAGIC):
        return None
    message = paramiko.Message(blob[len(_OPENSSH_MAGIC) :])
    for _ in range(3):
        message.get_string()
    message.get_int()
    return message.get_string()


class _Agent(AgentSSH):
    """ssh-agent at a socket, asked only when needed and never waited for without end.

    paramiko's own ``Agent`` knows no socket but SSH_AUTH_SOCK's, and has no timeout.
    """

    def __init__(self, path: str, deadline: Deadline, stack: ExitStack) -> None:
        super().__init__()
        self._path = path
        self._deadline = deadline
        self._stack = stack
        self._asked = False

    def get_keys(self) -> tuple[AgentKey, ...]:
        if not self._asked:
            self._asked = True
            if self._path:
                self._ask()
        return super().get_keys()

    def _ask(self) -> None:
        sock = socket.socket(socket.AF_UNIX)
        self._stack.callback(sock.close)
        sock.settimeout(max(0.1, min(_AGENT_SECONDS, self._deadline.remaining())))
        try:
            sock.connect(os.fspath(self._path))
            self._connect(sock)  # type: ignore[attr-defined]
        except (OSError, paramiko.SSHException):
            return  # no agent there: ssh goes on without one, too
        # A key may ask its owner to confirm each use: that takes as long as people take.
        sock.settimeout(max(0.1, self._deadline.remaining()))

    def find(self, public: bytes | None) -> AgentKey | None:
        return next((key for key in self.get_keys() if public and key.asbytes() == public), None)

    def offers(self) -> list[Offer]:
        return [Offer(key, f"{key.comment or key.fingerprint} (ssh-agent)") for key in self.get_keys()]
