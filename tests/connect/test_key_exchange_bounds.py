"""A server that makes paramiko reckon: with long numbers, large groups, and what it only says is there."""

from __future__ import annotations

import socket
import struct
from typing import Any

import paramiko
import pytest
from cpu import within_seconds_of_cpu
from paramiko.common import MSG_EXT_INFO, MSG_IGNORE
from paramiko.kex_gex import KexGexSHA256

from labctl.connect.bounded import MAX_GROUP_BITS, MAX_KEX_MESSAGE, Transport, _Packetizer

_REPLY = 31


def packet(kind: int, content: bytes) -> bytes:
    payload = bytes([kind]) + content
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def received(data: bytes) -> tuple[int, Any]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        ours.settimeout(5)
        return _Packetizer(ours).read_message()


def number(size: int) -> bytes:
    return struct.pack("!I", size) + b"\x7f" * size


def test_a_long_number_in_a_key_exchange_ends_the_connection() -> None:
    """paramiko takes six seconds to read one of 250 kB: of a host key, before anybody is trusted."""
    with within_seconds_of_cpu(1.0), pytest.raises(paramiko.SSHException, match="to exchange keys"):
        received(packet(_REPLY, number(100_000)))[1].get_mpint()
    kind, message = received(packet(_REPLY, number(MAX_KEX_MESSAGE - 100)))
    assert (kind, message.get_mpint().bit_length()) == (_REPLY, 8 * (MAX_KEX_MESSAGE - 100) - 1)
    assert received(packet(MSG_IGNORE, number(20_000)))[0] == MSG_IGNORE


def test_extensions_are_no_more_than_came() -> None:
    """paramiko counts to four thousand million, whatever becomes of the connection."""
    with pytest.raises(paramiko.SSHException, match="extensions that are not there"):
        received(packet(MSG_EXT_INFO, struct.pack("!I", 0xFFFFFFFF)))
    pair = struct.pack("!I15sI7s", 15, b"server-sig-algs", 7, b"ssh-rsa")
    kind, message = received(packet(MSG_EXT_INFO, struct.pack("!I", 1) + pair))
    assert (kind, message.get_int(), message.get_text()) == (MSG_EXT_INFO, 1, "server-sig-algs")


def test_a_group_of_the_servers_is_no_larger_than_is_quickly_worked_with() -> None:
    exchange = Transport._kex_info[KexGexSHA256.name]
    assert exchange.max_bits == MAX_GROUP_BITS
    offered = paramiko.Message()
    offered.add_mpint((1 << 8191) + 1)
    offered.add_mpint(2)
    offered.rewind()
    with within_seconds_of_cpu(0.5), pytest.raises(paramiko.SSHException, match="a group of 8192 bits"):
        exchange(None)._parse_kexdh_gex_group(offered)
