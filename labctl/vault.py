"""ansible-vault: files and ``!vault`` strings that a password opens, and which texts stay hidden.

Formats 1.1 and 1.2 (which names a label): PBKDF2-HMAC-SHA256 over 10000 rounds gives the keys for
AES-256 in counter mode and for an HMAC-SHA256 of what it encrypted. The label picks the password that
is tried first; the others follow, as in Ansible.

One process works with one set of passwords (:func:`use_passwords`): every file that labctl reads may
be encrypted, and whoever reads it need not know.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
import threading
from binascii import Error as HexError
from binascii import unhexlify
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from labctl.errors import Place, RequestError

HEADER = b"$ANSIBLE_VAULT"
MASK = "********"

_DEFAULT_LABEL = "default"
_ROUNDS = 10000
# A password script may ask a person, or a key store that asks one.
_SCRIPT_SECONDS = 300
# Shorter secrets are hidden only where they stand alone: "no" is part of too many words.
_HIDE_WITHIN = 6


class Password:
    """One vault password, read from its file, script or the terminal when it is first needed."""

    def __init__(self, label: str, source: str) -> None:
        """``source``: a file, an executable whose output is the password, or ``prompt``.

        Raises RequestError when there is no such file.
        """
        self.label = label
        self.source = source
        self._text: bytes | None = None
        self._reading = threading.Lock()
        if source != "prompt" and not self._path.is_file():
            raise RequestError(
                f"there is no vault password file {source}",
                hint="--vault-password-file FILE, or --vault-id LABEL@FILE",
            )

    @property
    def _path(self) -> Path:
        return Path(self.source).expanduser().absolute()

    def read(self) -> bytes:
        """The password. Raises RequestError when it cannot be had, or is empty."""
        with self._reading:
            if self._text is None:
                text = self._ask() if self.source == "prompt" else self._from_file()
                if not text:
                    raise RequestError(f"the vault password from {self.source} is empty")
                self._text = text
            return self._text

    def _ask(self) -> bytes:
        from getpass import getpass

        try:
            return getpass(f"Vault password ({self.label}): ").encode()
        except EOFError as err:
            raise RequestError(f"there is nobody to ask for the vault password {self.label!r}") from err

    def _from_file(self) -> bytes:
        path = self._path
        try:
            if path.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
                return self._from_script(path)
            return path.read_bytes().strip()
        except OSError as err:
            hint = "if it is no script, take its executable bit away" if err.errno in (8, 13) else ""
            raise RequestError(
                f"cannot read the vault password file {path}: {err.strerror}", hint=hint
            ) from err

    def _from_script(self, path: Path) -> bytes:
        import subprocess

        command = [str(path)]
        if path.stem.endswith("-client"):
            command += ["--vault-id", self.label]
        try:
            # Its stderr is ours: it may ask there for what it needs.
            done = subprocess.run(command, stdout=subprocess.PIPE, timeout=_SCRIPT_SECONDS, check=False)
        except subprocess.TimeoutExpired as err:
            raise RequestError(
                f"the vault password script {path} has not answered within {_SCRIPT_SECONDS} s",
                hint="run it by hand: what does it wait for?",
            ) from err
        if done.returncode != 0:
            raise RequestError(
                f"the vault password script {path} ended with status {done.returncode}",
                hint="what it said of that is above; it should print the password, and end with 0",
            )
        return done.stdout.strip(b"\r\n")


_passwords: tuple[Password, ...] = ()


def use_passwords(vault_ids: Sequence[str] = (), password_files: Sequence[str] = ()) -> None:
    """Set this process's passwords, in the order in which Ansible tries them.

    ``vault_ids``: ``label@source`` or a source alone. The variables ANSIBLE_VAULT_IDENTITY_LIST and
    ANSIBLE_VAULT_PASSWORD_FILE count as well. Raises RequestError for a file that is not there.
    """
    global _passwords  # noqa: PLW0603 (a process has one set; see above)
    listed = os.environ.get("ANSIBLE_VAULT_IDENTITY_LIST", "").split(",")
    files = [*password_files, os.environ.get("ANSIBLE_VAULT_PASSWORD_FILE", "")]
    made = []
    for text in [*filter(None, map(str.strip, listed)), *vault_ids]:
        label, at, source = text.partition("@")
        made.append(Password(label or _DEFAULT_LABEL, source) if at else Password(_DEFAULT_LABEL, text))
    made.extend(Password(_DEFAULT_LABEL, file) for file in files if file)
    _passwords = tuple(made)


def passwords() -> tuple[Password, ...]:
    """This process's passwords: another program is to be given the same."""
    return _passwords


def is_vaulted(data: bytes) -> bool:
    """Whether ``data`` is a vault: it starts with the header that ansible-vault writes."""
    return data.startswith(HEADER)


def open_vault(data: bytes, place: Place, error: type[RequestError] = RequestError) -> bytes:
    """The text that the vault ``data`` holds. Raises ``error`` at ``place`` when nothing opens it."""
    head, _newline, body = data.strip().partition(b"\n")
    words = [word.strip().decode("utf-8", "replace") for word in head.split(b";")]
    if len(words) < 3 or words[0].encode() != HEADER or words[1] not in ("1.1", "1.2"):
        shown = head[:60].decode("utf-8", "replace")
        raise error(
            f"damaged vault: its first line is {shown!r}",
            hint="it should read $ANSIBLE_VAULT;1.1;AES256 (or 1.2, with a label)",
            place=place,
        )
    if words[2] != "AES256":
        raise error(
            f"the vault uses the cipher {words[2]!r}; only AES256 is known",
            hint="encrypt it again with today's ansible-vault",
            place=place,
        )
    label = words[3] if len(words) > 3 else _DEFAULT_LABEL
    if not _passwords:
        raise error(
            f"this is encrypted with ansible-vault (label {label!r}) and no vault password was given",
            hint=f"--vault-password-file FILE, or --vault-id {label}@FILE",
            place=place,
        )
    try:
        salt, seal, text = (unhexlify(part) for part in unhexlify(b"".join(body.split())).split(b"\n", 2))
    except (HexError, ValueError) as err:
        raise error(f"damaged vault: {err}", hint="encrypt it again, or restore it", place=place) from err
    for password in sorted(_passwords, key=lambda one: one.label != label):
        said = password.read()
        # without the mark that Notepad puts before a password; to Ansible it is part of it
        for one in dict.fromkeys((said.removeprefix(BOM_UTF8), said)):
            opened = _decrypt(one, salt, seal, text)
            if opened is not None:
                return opened
    tried = ", ".join(f"{one.label} ({one.source})" for one in _passwords)
    raise error(
        f"no vault password given opens this (label {label!r}); tried: {tried}",
        hint="a wrong password, or the vault was damaged",
        place=place,
    )


def _decrypt(password: bytes, salt: bytes, seal: bytes, text: bytes) -> bytes | None:
    """The plain text; None for another password than the one it was encrypted with."""
    keys = hashlib.pbkdf2_hmac("sha256", password, salt, _ROUNDS, 80)
    if not hmac.compare_digest(hmac.digest(keys[32:64], text, "sha256"), seal):
        return None
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    cipher = Cipher(algorithms.AES(keys[:32]), modes.CTR(keys[64:])).decryptor()
    padded = cipher.update(text) + cipher.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def read_file(path: Path, error: type[RequestError] = RequestError) -> bytes:
    """What ``path`` holds, opened when it is a vault. Raises OSError, and ``error`` for a shut vault."""
    return opened(path.read_bytes(), path, error)


def opened(data: bytes, path: Path, error: type[RequestError] = RequestError) -> bytes:
    """``data``, which ``path`` holds, opened when it is a vault. Raises ``error`` for a shut vault."""
    return open_vault(data, Place(path, 1, 1), error) if is_vaulted(data) else data


class _Hidden:
    """Secret texts, and the pattern that finds them in longer ones."""

    def __init__(self) -> None:
        self.whole: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._changing = threading.Lock()

    def add(self, texts: Iterable[str]) -> None:
        with self._changing:
            new = {text for text in texts if text} - self.whole
            if not new:
                return
            self.whole |= new
            long = sorted((text for text in self.whole if len(text) >= _HIDE_WITHIN), key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, long))) if long else None

    def mask(self, text: str) -> str:
        if text in self.whole:
            return MASK
        return self._pattern.sub(MASK, text) if self._pattern is not None else text


_hidden = _Hidden()


def hide(value: Any) -> None:
    """Keep the texts and long numbers in ``value`` (which a vault held) out of everything that is shown from
    now on.
    """
    if isinstance(value, str):
        # A diff shows a secret of several lines line by line; of a template what it is made into is shown.
        parts = [part.strip() for line in value.splitlines() for part in (line, *_literals(line))]
        _hidden.add([value, value.strip(), *(part for part in parts if len(part) >= _HIDE_WITHIN)])
    elif _is_number(value):
        if len(str(value)) >= _HIDE_WITHIN:
            _hidden.add([str(value)])
    elif isinstance(value, dict):
        for item in value.values():
            hide(item)
    elif isinstance(value, list):
        for item in value:
            hide(item)


_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def _literals(line: str) -> list[str]:
    """What a line with templates in it holds besides: the text around them and that quoted in them."""
    templates = _TEMPLATE.findall(line)
    quoted = [one or other for text in templates for one, other in _QUOTED.findall(text)]
    return [*_TEMPLATE.split(line), *quoted] if templates else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def masked(value: Any) -> Any:
    """``value`` fit to be shown: what a vault held is replaced, in texts, mappings and lists."""
    if not _hidden.whole:
        return value
    if isinstance(value, str):
        return _hidden.mask(value)
    if isinstance(value, dict):
        return {_hidden.mask(key) if isinstance(key, str) else key: masked(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return MASK if _is_number(value) and str(value) in _hidden.whole else value
