"""Frames that a VM makes up to keep the controller busy."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cpu import within_seconds_of_cpu

from labctl.agent import client
from labctl.deadline import Deadline
from labctl.errors import AgentFault
from labctl.inventory import Host

MANY = client.MAX_MEMBERS + 1


class Sent:
    def __init__(self, body: bytes) -> None:
        self._left = struct.pack(">I", len(body)) + body

    def read(self, most: int, _: Deadline) -> bytes:
        part, self._left = self._left[:most], self._left[most:]
        return part


def read(body: bytes) -> Any:
    stream: Any = Sent(body)
    return client._read_frame(stream, Deadline.after(60), Host("vm", {}))


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"," * MANY + b'"' + rb"\"" * 2_300_000,
        b"[" + b"," * MANY + b'"' + rb"\\" * 2_300_000,
        b"[" + b'"",' * 1_700_000,
        b'"' * 4_900_000 + b"," * MANY,
        b'["' + b"," * MANY + rb"\"" * 2_300_000,
    ],
    ids=["escaped quotes", "backslashes", "empty strings", "quotes", "one string without its end"],
)
def test_a_frame_that_was_made_to_be_slow_is_refused(body: bytes) -> None:
    with within_seconds_of_cpu(1.0), pytest.raises(AgentFault):
        read(body)


def test_members_in_strings_do_not_count() -> None:
    text = "," * MANY + r"\"[{\\"
    assert read(b'{"a":"%s"}' % text.encode()) == {"a": "," * MANY + '"[{\\'}
    assert read(rb'{"a":"\\","b":"%s"}' % (b"{" * MANY)) == {"a": "\\", "b": "{" * MANY}


@pytest.mark.parametrize("before", [rb'"\\"', rb'"\""', rb'"\\\""', b'""'])
def test_members_outside_of_strings_do(before: bytes) -> None:
    with pytest.raises(AgentFault, match="values in one frame"):
        read(b'{"a":[' + before + b",1" * MANY + b"]}")
