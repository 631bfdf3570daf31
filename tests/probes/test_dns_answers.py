"""DNS queries and answers as bytes: what is sent, and what is made of whatever comes back."""

from __future__ import annotations

import base64

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.probes.dns import DnsAnswer, dns_query, parse, wire_args


def sent(name: str = "www.Example.com", kind: str = "A", *, recurse: bool = True) -> dns.message.Message:
    args = wire_args(dns_query(name, kind, recurse=recurse).args)
    return dns.message.from_wire(base64.b64decode(args["query"]))


def answer(*data: str, number: int = 7, aa: bool = True) -> bytes:
    query = dns.message.make_query("www.example.com.", "A")
    query.id = number
    message = dns.message.make_response(query)
    message.flags |= dns.flags.AA if aa else 0
    message.answer.append(dns.rrset.from_text("WWW.Example.com.", 300, "IN", "A", *data))
    return message.to_wire()


def test_a_query_asks_for_the_name_and_has_a_number_of_its_own() -> None:
    every = [sent() for _ in range(50)]
    assert {str(one.question[0]) for one in every} == {"www.Example.com. IN A"}
    assert len({one.id for one in every}) > 25
    assert all(one.flags & dns.flags.RD for one in every)
    assert not sent(recurse=False).flags & dns.flags.RD
    assert sent(kind="MX").question[0].rdtype.name == "MX"


def test_an_answer_is_what_it_says_whatever_its_number_and_its_time() -> None:
    first, second = parse(answer("192.0.2.1", number=1), 0.25), parse(answer("192.0.2.1", number=2), 0.5)
    assert (first.seconds, second.seconds) == (0.25, 0.5)
    assert first.data("A") == second.data("A") == ("192.0.2.1",)
    assert first.answers[0].name == "www.example.com."
    assert first.authoritative
    assert parse(answer("192.0.2.2", number=1), 0.25).data("A") == ("192.0.2.2",)
    assert not parse(answer("192.0.2.1", number=1, aa=False), 0.25).authoritative


def test_a_large_answer_is_read_like_a_small_one() -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 101)]
    assert len(answer(*addresses)) > 1024
    assert parse(answer(*addresses), 0.1).data("A") == tuple(sorted(addresses))


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\1", b"\0\1\x80", b"\0" * 11, b"\xff" * 600])
def test_what_is_no_answer_is_malformed(raw: bytes) -> None:
    assert parse(raw, 0.1) == DnsAnswer("malformed", "", False, False, (), (), 0.1)


@given(st.binary(max_size=700), st.binary(min_size=2, max_size=2))
def test_no_bytes_break_the_reader_and_the_number_changes_nothing(raw: bytes, number: bytes) -> None:
    assert parse(raw, 1.0) == parse(number + raw[2:], 1.0)
