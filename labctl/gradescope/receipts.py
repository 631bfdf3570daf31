"""Receipts: what the staff's run found on a student's VM, signed, for the student to hand in.

A receipt's file is JSON: ``{"labctl_receipt": 1, "says": TEXT, "sealed": TOKEN, "signature": BASE64}``. The
signature is over TEXT and TOKEN as they stand. TEXT is JSON for the student: whose, of what, how many points.
TOKEN holds the VM's whole document with its evidence, encrypted for the autograder: it tells what would have
been right, which must not lie on a student's disk.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from labctl.errors import LabctlError
from labctl.gradescope.keys import Keys
from labctl.grading.document import time_of

VERSION = 1
#: No receipt is larger, in bytes; a lab's is about 40 thousand.
MAX_BYTES = 4 << 20
_MAX_SEALED = 32 << 20
_PURPOSE = b"labctl receipt 1\n"


class ReceiptError(LabctlError):
    """A receipt that is none, or none of ours. Message and hint are for the student."""


@dataclass(frozen=True)
class Receipt:
    """What was signed. ``run`` is the run's document without hosts, ``host`` the VM's as ``grade --json``
    has it, its evidence and target included; ``user`` is the student, ``graded`` when the VM was looked at.
    ``secrets`` are what the answers to some questions are compared with. ``signed`` is when; of receipts that
    do not say, ``graded``.
    """

    user: str
    run: Mapping[str, Any]
    host: Mapping[str, Any]
    graded: datetime
    secrets: Mapping[str, str]
    signed: datetime


def receipt_name(lab: str) -> str:
    """The name of the file in the student's home."""
    return f"labctl-receipt-{lab}.json"


def sign_receipt(
    keys: Keys,
    run: Mapping[str, Any],
    host: Mapping[str, Any],
    user: str,
    secrets: Mapping[str, str] | None = None,
) -> str:
    """The receipt's file for a host of ``run`` with a complete grade. Raises :class:`ReceiptError` when it is
    too large to be read again.
    """
    from cryptography.fernet import Fernet

    if host["score"] is None:
        raise ValueError(f"{host['host']}: only a complete grade is signed")
    says = json.dumps(
        {
            "user": user,
            "lab": run["lab"],
            "run": run["run"],
            "vm": host["host"],
            "graded": host["started"],
            "score": host["score"],
            "max_score": host["max_score"],
            "signed": datetime.now(UTC).isoformat(),
            "key": _fingerprint(keys.public),
        }
    )
    head = {key: run[key] for key in ("run", "lab", "title", "sections")}
    hidden = json.dumps({"run": head, "host": host, "secrets": dict(secrets or {})}, separators=(",", ":"))
    sealed = Fernet(keys.sealing).encrypt(zlib.compress(hidden.encode())).decode()
    signature = keys.signing.sign(_signed(says, sealed))
    document = {
        "labctl_receipt": VERSION,
        "says": says,
        "sealed": sealed,
        "signature": base64.b64encode(signature).decode(),
    }
    text = json.dumps(document, indent=1) + "\n"
    if len(text) > MAX_BYTES or len(hidden) > _MAX_SEALED:
        raise ReceiptError(f"the receipt of {host['host']} has {len(text) >> 10} KiB: no autograder reads it")
    return text


def _fingerprint(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def _signed(says: str, sealed: str) -> bytes:
    # the length keeps the two apart: what is moved from one to the other is not what was signed
    text = says.encode()
    return _PURPOSE + b"%d\n" % len(text) + text + sealed.encode()


def is_receipt(data: bytes) -> bool:
    """Whether a file that was handed in means to be one."""
    # an editor may have turned it into UTF-16
    return b'"labctl_receipt"' in data.replace(b"\0", b"")


def read_receipt(data: bytes, public: bytes, sealing: bytes) -> Receipt:
    """The receipt in a file's bytes, once its signature is shown to be right. Raises
    :class:`ReceiptError`.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    says, sealed, signature = _parts(data)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed(says, sealed))
    except InvalidSignature as err:
        if _told(says).get("key", _fingerprint(public)) != _fingerprint(public):
            raise ReceiptError(
                "the receipt was signed with another key than the one this autograder knows",
                hint="tell the staff: the autograder has to be built with the key that signs",
            ) from err
        raise ReceiptError(
            "the receipt is not as the staff signed it",
            hint="hand in the file as it lies in your home on the VM; do not open it in an editor",
        ) from err
    # signed by us: from here on its shape is ours
    document = _opened(sealed, sealing)
    graded = time_of(document["host"]["started"])
    told = _told(says)
    return Receipt(
        user=told["user"],
        run=document["run"],
        host=document["host"],
        graded=graded,
        secrets=document["secrets"],
        signed=datetime.fromisoformat(told["signed"]) if "signed" in told else graded,
    )


def _told(says: str) -> dict[str, Any]:
    """What a receipt says to be read by anybody; nothing when it is no JSON."""
    try:
        told = json.loads(says)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _parts(data: bytes) -> tuple[str, str, bytes]:
    if len(data) > MAX_BYTES:
        raise ReceiptError("the receipt is larger than any that was signed")
    try:
        document = json.loads(data)
        if document["labctl_receipt"] != VERSION:
            raise ReceiptError(
                "the receipt is of another version of labctl", hint="ask the staff for a new one"
            )
        says, sealed = document["says"], document["sealed"]
        signature = base64.b64decode(document["signature"], validate=True)
        _signed(says, sealed)  # fails for what is no text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as err:
        raise ReceiptError(
            "the file is no receipt any more: something is missing in it",
            hint="copy it from your VM again; scp and sftp leave it whole",
        ) from err
    return says, sealed, signature


def _opened(sealed: str, sealing: bytes) -> dict[str, Any]:
    """The part for the autograder alone. Raises :class:`ReceiptError` when it has another key."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        packed = Fernet(sealing).decrypt(sealed)
    except InvalidToken as err:
        raise ReceiptError(
            "this autograder cannot open the receipt",
            hint="tell the staff: the autograder must be built again",
        ) from err
    found: dict[str, Any] = json.loads(zlib.decompressobj().decompress(packed, _MAX_SEALED))
    return found
