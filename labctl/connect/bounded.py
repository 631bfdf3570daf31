"""paramiko's transport with bounds on what a server can make it hold in memory, and on how often it wakes.

Its timeouts bound nothing of this: it allocates whatever length a packet claims to have, reads a banner
without an end, and keeps what a server sends beyond the channel's window. It takes six seconds to read a
number of 250 kB, and counts to four thousand million where an EXT_INFO says so, with Python's lock. And
wherever it waits it looks ten times a second whether something has happened: with hundreds of servers, as
much work as the handshakes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_EXT_INFO, MSG_KEXINIT
from paramiko.kex_gex import KexGexSHA256
from paramiko.packet import Packetizer

from labctl.deadline import Deadline

#: OpenSSH neither sends nor takes a larger packet.
MAX_PACKET = 256 << 10
#: A message of the key exchange: numbers of 16384 bits and a host key's certificate have room in it.
MAX_KEX_MESSAGE = 16 << 10
#: The last kind of message that is the key exchange's own (RFC 4250, 4.1.2).
_LAST_OF_KEX = 49
#: Bits of a group that the server makes up for Diffie and Hellman: with 8192 each exchange takes 3 s.
MAX_GROUP_BITS = 4096
#: What comes before and with the server's version: RFC 4253 has 255 bytes a line, and some have a few lines.
MAX_BANNER = 64 << 10
#: Seconds after which a thread that waits for the server looks whether it is to go on waiting.
LOOK_EVERY = 1.0
#: Seconds in which a server that takes nothing of what it is sent is there no more.
MAX_STALL = 60.0
#: What waits to be read of one channel: paramiko's window, and as much again for both of its streams.
MAX_WAITING = 4 << 20


#: Bytes of an extension without name and value: their lengths.
_SMALLEST_PAIR = 8


class _Packetizer(Packetizer):
    """``give_up``: when, on the clock of time.monotonic(), a write that is not taken ends the connection."""

    _banner = 0
    give_up = math.inf

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._sock = sock

    def start_handshake(self, timeout: float) -> None:
        """No timer of its own, which is a thread: whoever connects has armed a guard."""

    def write_all(self, out: Any) -> None:
        super().write_all(b"")  # it notes the time for keepalives; and it would wait without end
        stalled = time.monotonic() + MAX_STALL
        while out:
            try:
                sent = self._sock.send(out)
            except TimeoutError:
                if not self.closed and time.monotonic() < min(stalled, self.give_up):
                    continue
                sent = 0
            except (OSError, EOFError, paramiko.SSHException):
                sent = 0
            if not sent:
                self.close()  # half of a packet may be on its way: nothing can follow it
                raise EOFError
            out, stalled = out[sent:], time.monotonic() + MAX_STALL

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_PACKET:
            raise paramiko.SSHException(f"it sent a packet of {n} bytes")
        data: bytes = super().read_all(n, check_rekey)
        return data

    def read_message(self) -> tuple[int, paramiko.Message]:
        kind, message = super().read_message()
        if kind == MSG_EXT_INFO:
            # paramiko believes the count, however little follows it
            pairs = message.get_int()
            message.rewind()
            if pairs * _SMALLEST_PAIR > len(message.asbytes()):
                raise paramiko.SSHException(f"it sent {pairs} extensions that are not there")
        elif MSG_KEXINIT <= kind <= _LAST_OF_KEX and len(message.asbytes()) > MAX_KEX_MESSAGE:
            raise paramiko.SSHException(f"it sent {len(message.asbytes())} bytes to exchange keys")
        return kind, message

    def _read_timeout(self, timeout: float) -> bytes:
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._banner += len(data)
        if self._banner > MAX_BANNER:
            raise paramiko.SSHException("it sent a banner without an end")
        return data


class _MadeUpGroup(KexGexSHA256):
    """Diffie and Hellman's exchange in a group of the server's, of a size that is quickly worked with."""

    max_bits = MAX_GROUP_BITS

    def _parse_kexdh_gex_group(self, message: paramiko.Message) -> None:
        bits = message.get_mpint().bit_length()
        message.rewind()
        if bits > MAX_GROUP_BITS:
            raise paramiko.SSHException(f"it made up a group of {bits} bits")
        super()._parse_kexdh_gex_group(message)  # type: ignore[misc]


#: How keys are exchanged, which its type stubs do not know.
_EXCHANGES: dict[str, Any] = vars(paramiko.Transport)["_kex_info"]


def _within_bounds(handler: Any) -> Any:
    def feed(channel: paramiko.Channel, message: paramiko.Message) -> None:
        handler(channel, message)
        if len(channel.in_buffer) + len(channel.in_stderr_buffer) > MAX_WAITING:
            # the transport ends with it, and all that wait for the channel are told
            raise paramiko.SSHException("it sent more than the channel's window")

    return feed


#: What paramiko does with each kind of message for a channel, which its type stubs do not know.
_HANDLERS: dict[int, Any] = vars(paramiko.Transport)["_channel_handler_table"]


class Transport(paramiko.Transport):
    """Raises SSHException, in its own thread, when the server goes beyond the bounds; then it is closed."""

    _channel_handler_table = _HANDLERS | {
        kind: _within_bounds(_HANDLERS[kind]) for kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA)
    }

    _kex_info = _EXCHANGES | {_MadeUpGroup.name: _MadeUpGroup}
    packetizer: _Packetizer

    def __init__(self, sock: Any, **options: Any) -> None:
        super().__init__(sock, **options, packetizer_class=_Packetizer)
        sock.settimeout(LOOK_EVERY)
        # AES-GCM first: paramiko checks the MACs of other ciphers byte by byte, in Python.
        ciphers = self.get_security_options()
        ciphers.ciphers = sorted(ciphers.ciphers, key=lambda name: "gcm" not in name)

    @contextmanager
    def writing(self, deadline: Deadline) -> Iterator[None]:
        """Within, what cannot be written by ``deadline`` ends the connection: EOFError or an SSHException."""
        self.clear_to_send_timeout = deadline.remaining()
        self.packetizer.give_up = deadline.at
        try:
            yield
        finally:
            self.packetizer.give_up = math.inf

    def start_client(self, event: threading.Event | None = None, timeout: float | None = None) -> None:
        agreed = event or threading.Event()
        super().start_client(agreed)
        if event is None:
            self.wait_for(agreed, timeout)
            if not self.is_active():
                raise self.get_exception() or paramiko.SSHException("Negotiation failed.")

    def get_exception(self) -> Exception | None:
        """What ended it: an SSHException or OSError, whatever paramiko's thread met in what a server sent."""
        err: Exception | None = super().get_exception()
        if err is None or isinstance(err, paramiko.SSHException | EOFError | OSError):
            return err
        return paramiko.SSHException(f"it sent what is no SSH: {type(err).__name__}")

    def auth_publickey(
        self, username: str, key: paramiko.PKey, event: threading.Event | None = None
    ) -> list[str]:
        answered = event or threading.Event()
        further = super().auth_publickey(username, key, answered)
        if event is None and self.auth_handler:
            self.wait_for(answered, self.auth_timeout)
            further = self.auth_handler.wait_for_response(answered)
        return further

    def wait_for(self, event: threading.Event, timeout: float | None) -> None:
        """Until it is set, the connection has ended, or the time is over."""
        until = time.monotonic() + (math.inf if timeout is None else timeout)
        while self.is_active() and (left := until - time.monotonic()) > 0:
            if event.wait(min(left, LOOK_EVERY)):
                return
