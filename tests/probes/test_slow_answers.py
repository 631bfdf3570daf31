"""What a VM sends to keep the grader busy: each of these took from a second to years, with Python's lock."""

from __future__ import annotations

import base64
import struct
import time
from typing import Any

import pytest
from cpu import within_seconds_of_cpu

from labctl import probes
from labctl.agent import OpResult
from labctl.agent.remote.probes import http
from labctl.probes import Bind, Firewall, Socket, Unobserved
from labctl.probes.bind import records_of
from labctl.probes.observer import observed

DOOR = Socket("tcp", "0.0.0.0", 53, 1, "named")


def seen(request: Any, told: dict[str, Any]) -> Any:
    return observed(request, OpResult(0, told, None, 0.1)).value


@pytest.mark.parametrize(
    "rule",
    [
        "x" + " " * 200_000 + "x",
        "x (v6)" + " " * 200_000 + "x",
        "x ALLOW" + " " * 200_000,
        "1," * 100_000 + " ALLOW x",
        "ALLOW " * 80_000,
    ],
)
def test_a_rule_of_ufw_is_read_by_its_words(rule: str) -> None:
    found = seen(probes.ufw_status(), {"installed": True, "active": True, "rules": [rule]})
    with within_seconds_of_cpu(0.5):
        found.keeps_out(DOOR)


@pytest.mark.parametrize(
    ("rule", "reach"),
    [
        ("53                         ALLOW       Anywhere", "allowed by ufw"),
        ("53/tcp                     ALLOW IN    Anywhere                   # for the lab", "allowed by ufw"),
        ("53                         DENY        Anywhere", "closed by ufw"),
        ("53 (v6)                    ALLOW       Anywhere (v6)", "closed by ufw"),
        ("53                         ALLOW       10.0.0.0/8", "some addresses"),
        ("22,53/tcp                  LIMIT       Anywhere", "allowed by ufw"),
        ("                           ALLOW       Anywhere", "closed by ufw"),
        ("53                         ALLOW", "closed by ufw"),
    ],
)
def test_rules_say_what_they_said(rule: str, reach: str) -> None:
    assert Firewall(True, True, (rule,)).reach(DOOR) == reach


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (probes.ufw_status(), {"installed": True, "active": True, "rules": ["x"] * 201}),
        (probes.directory("/x"), {"exists": True, "entries": ["x"] * 501, "error": ""}),
        (probes.addresses(), {"hostname": "", "fqdn": "", "addresses": ["10.0.0.1"] * 65}),
        (
            probes.http_sample("h", 80),
            {"replies": [{"status": 200, "body": "", "error": ""}] * 501, "seconds": 1},
        ),
    ],
)
def test_more_than_the_agent_sends_is_malformed(request_: Any, told: dict[str, Any]) -> None:
    found = seen(request_, told)
    assert isinstance(found, Unobserved)
    assert found.cause == "malformed"


def message(records: int, questions: int = 0) -> bytes:
    one = b"\0" + struct.pack("!HHIH", 1, 1, 60, 4)
    head = struct.pack("!6H", 0, 0x8580, questions, min(records, 65535), 0, 0)
    return head + b"".join(one + struct.pack("!I", n) for n in range(records))


def dns_answer(raw: bytes) -> Any:
    told = {"status": "answered", "response": base64.b64encode(raw).decode(), "seconds": 0.1}
    return seen(probes.dns_query("example.com", "A"), told)


def test_a_dns_answer_is_read_up_to_its_bounds() -> None:
    assert len(dns_answer(message(200)).answers) == 200
    with within_seconds_of_cpu(0.5):
        many = [dns_answer(message(4300)) for _ in range(10)]
    assert all(one.status == "malformed" for one in many)
    assert len(dns_answer(message(2000)).answers) == 200
    assert dns_answer(message(26_000)).status == "malformed"
    assert dns_answer(message(1, questions=2)).status == "malformed"


def test_a_list_of_all_types_is_not_spelled_out() -> None:
    every = b"\0" + b"".join(bytes([n, 32]) + b"\xff" * 32 for n in range(256))
    few = b"\0" + b"\0\1\x62"

    def answer(data: bytes, times: int) -> Any:
        head = struct.pack("!6H", 0, 0x8580, 0, times, 0, 0)
        names = (b"\1" + bytes([97 + n]) + b"\0" for n in range(times))
        return head + b"".join(n + struct.pack("!HHIH", 47, 1, 60, len(data)) + data for n in names)

    with within_seconds_of_cpu(0.5):
        found = dns_answer(answer(every, 3))
    assert found.answers[0].data.startswith("\\# 8705 ")
    assert dns_answer(answer(few, 1)).data("NSEC") == (". A NS SOA",)


ZONES = {
    "a long name of another alphabet": "a" + "".join(chr(0x4E00 + n % 20_000) for n in range(20_000)),
    "signs upon signs": "a" + "\u0315\u0300" * 40_000,
}
LINES = {
    **{name: f"{label} 1 IN A 10.0.0.1" for name, label in ZONES.items()},
    "an alias of signs": f"a 1 IN CNAME {ZONES['signs upon signs']}",
    "no addresses": "\n".join(f"a 1 IN A {n:x}" for n in range(20_000)),
    "words": "a 1 IN TXT " + "a " * 120_000,
    "strings": "a 1 IN TXT " + '"\\001"' * 40_000,
    "types": "a 1 IN NSEC a " + " ".join(f"TYPE{n}" for n in range(40_000, 65_535)),
}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES)
def test_a_zone_that_was_made_to_be_slow_is_read(text: str) -> None:
    with within_seconds_of_cpu(0.6):
        records_of(text)


def test_a_zone_of_many_records_is_read() -> None:
    many = records_of("".join(f"n{n}.example.com. 60 IN A 10.0.0.1\n" for n in range(6000)))
    assert len(many) == 2000
    assert [one.data for one in records_of("b\u00fc. 60 IN A 10.0.0.1\na. 60 IN A 10.0.0.2")] == ["10.0.0.2"]


def test_the_machines_own_addresses_are_looked_at_up_to_a_bound() -> None:
    lists = "acl a {\n" + "!10.77.0.0/24;\n" * 9000 + "};\n"
    views = 'view "v" {\nmatch-destinations {\na;\n};\n};\n' * 2200
    found = Bind(True, "", True, "", lists + views, "", False, "", ())
    with within_seconds_of_cpu(0.8):
        found.strangers([f"10.1.1.{n}" for n in range(64)])


def haproxy(text: str = "", state: str = "") -> Any:
    told = {"installed": True, "files": [], "text": text, "valid": True, "message": "", "state": state}
    return seen(probes.config_check(), told)


def test_a_page_of_statistics_has_each_column_once() -> None:
    head = "# pxname,svname,"
    with within_seconds_of_cpu(1.0):
        assert haproxy(state=head + "type," * 20_000 + "\n" + "\n" * 100_000).state == ()
        assert probes.parse_state(head + "\n" * 4_000_000) == ()
    (one,) = probes.parse_state(f"{head}status,type\nk,s0,UP,2\n")
    assert (one.proxy, one.name, one.status) == ("k", "s0", "UP")


@pytest.mark.parametrize(
    "line", ["server a b:1", "bind :1-999", "use_backend b if c", "server-template a 99 b:1"]
)
def test_sections_do_not_have_what_defaults_cannot(line: str) -> None:
    """HAProxy refuses these there; with them each of ten thousand sections had all of them."""
    text = "defaults\n" + f"{line}\n" * 1000 + "".join(f"listen x{n}\n" for n in range(7000))
    with within_seconds_of_cpu(1.5):
        found = haproxy(text)
        assert found.balancer(range(8080, 8086), 7000) is None
    assert not any(one.servers or one.binds or one.uses for one in found.proxies())


def test_ports_beyond_a_sections_bound_are_not_counted_again() -> None:
    with within_seconds_of_cpu(0.25):
        haproxy("listen x\n" + "bind :1-999\n" * 10_000).balancer(range(8080, 8086), 7000)


class Drip:
    """A server that sends one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._left = iter(data)

    def settimeout(self, _: float) -> None: ...

    def recv(self, _: int) -> bytes:
        return bytes([one]) if (one := next(self._left, None)) is not None else b""


@pytest.mark.parametrize(
    "data",
    [b"\r" * 16_000, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 2000 + b"\r\n" + b"a" * 65_536],
    ids=["no end", "a long body"],
)
def test_an_answer_byte_by_byte_is_looked_at_once(data: bytes) -> None:
    link: Any = Drip(data)
    with within_seconds_of_cpu(1.0):
        assert http.read_answer(link, time.monotonic() + 60, 65_536) == data


def test_pieces_of_one_byte_are_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with within_seconds_of_cpu(0.4):
        for _ in range(20):
            found = http.parse(head + b"1\r\na\r\n" * 13_000, 65_536)
    assert found["body"] == "a" * 13_000
    assert http.unchunk(b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") == b"abcde"
    assert [http.unchunk(one) for one in (b"", b"x", b"5\r\nabc", b"5", b"-1\r\na")] == [
        b"",
        b"",
        b"abc",
        b"",
        b"",
    ]
