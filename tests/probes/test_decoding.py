"""Whatever a VM sends: an observation, or a reason why there is none. Never an exception that escapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cpu import within_seconds_of_cpu
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl import probes
from labctl.agent import OpError, OpResult
from labctl.agent.remote.probes.bind import without_other_zones
from labctl.agent.remote.probes.haproxy import socket_in
from labctl.probes import Bind, Haproxy, Malformed, Packages, Unobserved, decode, encode, sections_of
from labctl.probes.bind import records_of
from labctl.probes.dns import dns_query, parse, wire_args
from labctl.probes.haproxy import parse_state
from labctl.probes.haproxy_config import parse_config
from labctl.probes.observer import observed

pytestmark = pytest.mark.slow

REQUESTS = [
    probes.packages("a"),
    probes.unit("a"),
    probes.sockets(),
    probes.ufw_status(),
    probes.file_read("/x"),
    probes.directory("/x"),
    probes.addresses(),
    probes.mounts(),
    probes.share_trial("00", "s:/x"),
    probes.write_trial("00", "/x", "/y"),
    probes.http_sample("h", 80),
    probes.dns_query("example.com", "A"),
    probes.zone_check("example.com"),
    probes.config_check(),
    probes.candidate_check("x"),
    probes.resolvers(),
]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=30)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=25,
)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.probe.name)
@settings(max_examples=60)
@given(data=st.dictionaries(st.text(max_size=12), anything, max_size=6))
def test_any_json_is_an_observation_or_a_reason(request_: Any, data: dict[str, Any]) -> None:
    found = observed(request_, OpResult(0, data, None, 0.1))
    assert isinstance(found.value, Unobserved | request_.probe.shape)


def shapes(kind: Any) -> dict[str, Any]:
    """The right keys, so that the fuzz gets past the first look."""
    return dict.fromkeys(getattr(kind, "__annotations__", {}))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.probe.name)
@settings(max_examples=80)
@given(data=st.data())
def test_the_right_keys_with_any_values(request_: Any, data: Any) -> None:
    value = {key: data.draw(anything) for key in shapes(request_.probe.shape)}
    found = observed(request_, OpResult(0, value, None, 0.1))
    assert isinstance(found.value, Unobserved | request_.probe.shape)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_dns_answer_or_malformed(raw: bytes) -> None:
    assert parse(raw, 0.1).status in ("answered", "malformed")


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_goes_through_the_parsers(text: str) -> None:
    parse_state(text)
    parse_state("# pxname,svname,status,type\n" + text)
    parse_config(text)
    parse_config("backend x\n  server " + text)
    records_of("a. 60 IN A " + text)
    for record in records_of(f"{text}\n{text} 60 IN A 10.0.0.1"):
        wire_args(dns_query(record.name, record.type).args)


NEST = "\n".join(f"acl a{n} {{\na{n + 1};\na{n + 1};\na{n + 2};\n}};" for n in range(9000))
SLOW_BIND = {
    "empty lines": "\n" * 250_000,
    "a string without an end": 'a "' + "\n\\" * 120_000,
    "strings of lines": 'a "\n"\n' * 40_000,
    "names without an end": 'view "' + "\\x" * 120_000 + "{\n",
    "blanks": " \t" * 120_000,
    "open braces": 'zone "example.com" {\n' * 12_000,
    "a circle": "acl a {\nb;\nb;\n};\nacl b {\na;\na;\n};\noptions {\nallow-recursion {\na;\n};\n};\n",
    "lists of lists": f"{NEST}\noptions {{\nallow-recursion {{\na0;\n}};\n}};",
    "lists of lists, the last first": "options {\nallow-recursion {\n"
    + "".join(f"a{n};\n" for n in range(6000, 0, -39))
    + f"}};\n}};\n{NEST}",
    "many networks": "options {\nallow-recursion {\n"
    + "".join(f"{n % 224}.{n // 224}.0.0/16;\n" for n in range(14_000))
    + "};\n};",
    "many views": "acl a {\n"
    + "10.0.0.0/8;\n" * 9000
    + "};\n"
    + 'view "v" {\nmatch-clients {\na;\n};\n};\n' * 2200,
}
SLOW_HAPROXY = {
    "empty lines": "\n" * 130_000,
    "one line": "backend x " * 13_000,
    "lines of a section": "global\n" + "a\n" * 65_000,
    "servers": "backend x\n" + "server a b\n" * 11_000,
    "templates": "backend x\n" + "server-template a 100 b:1\n" * 5000,
    "ports": "listen x\n" + "bind :1-999\n" * 10_000,
    "rules": "listen x\n" + "use_backend a if b\n" * 6500,
    "conditions": "frontend x\nmode http\n"
    + "".join(f"acl a{n} src x\n" for n in range(1000))
    + "use_backend a if a1 || a2 !a3 { path / }\n" * 2600,
    "one condition": "frontend x\nuse_backend a if " + "! { " * 30_000,
    "words": "backend x\nserver a b " + "check " * 20_000,
    "braces": "${a-" * 32_000,
    "braces and an end": "${" * 60_000 + "}",
    "braces in lines": ("${a-" * 500 + "}\n") * 64,
    "doubled": "setenv a 0123456789\n" + 'setenv a "${a}${a}"\n' * 6000,
    "quoted": "setenv a " + "x" * 2000 + "\n" + '"${a}"\n' * 17_000,
    "tracks": "backend x\n" + "".join(f"server s{n} b:1 track s{n + 1}\n" for n in range(4500)),
}


@pytest.mark.parametrize("text", SLOW_BIND.values(), ids=SLOW_BIND)
def test_a_configuration_of_bind_that_was_made_to_be_slow_is_read(text: str) -> None:
    """With a pattern that goes back each of these took from seconds to years, and Python's lock with it."""
    with within_seconds_of_cpu(3.0):
        found = Bind(True, "", True, "", text, "", False, "", ())
        found.zone_type("example.com")
        found.signs("example.com")
        found.recursion_for()
        found.strangers(["10.77.0.11"])
        without_other_zones(text, "example.com")


@pytest.mark.parametrize("text", SLOW_HAPROXY.values(), ids=SLOW_HAPROXY)
def test_a_configuration_of_haproxy_that_was_made_to_be_slow_is_read(text: str) -> None:
    with within_seconds_of_cpu(3.0):
        found = Haproxy(True, (), text, True, "", ())
        found.balancer(range(8080, 8086), 7000)
        found.guards_statistics()
        found.admin_socket()
        sections_of(text)
        socket_in(text)


def test_deep_huge_and_odd_data_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for data in (deep, ["x"] * 60_000, "x" * 1_000_000, {1: 2}, {"packages": {1, 2}}, b"bytes"):
        with pytest.raises(Malformed):
            decode(Packages, data)


@pytest.mark.parametrize(
    "data",
    [
        {"packages": "abc"},
        {"packages": {"a": 1}},
        {"packages": [{"name": "a", "status": "installed"}]},
        {"packages": [{"name": "a", "status": "installed", "version": 1}]},
        {"packages": [{"name": "a", "status": "installed", "version": "1", "more": 1}]},
        {"packages": [{"name": "a", "status": True, "version": "1"}]},
        {"packages": None},
        {},
        [],
    ],
)
def test_nothing_is_converted(data: Any) -> None:
    with pytest.raises(Malformed):
        decode(Packages, data)


def test_what_is_encoded_decodes_to_the_same() -> None:
    data = {"packages": [{"name": "a", "status": "installed", "version": "1"}]}
    value = decode(Packages, data)
    assert value.installed("a")
    assert encode(value) == data
    assert decode(Packages, json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize("kind", ["timeout", "crashed", "unknown-op", "bad-args", "not-run"])
def test_an_op_without_a_value_is_a_reason(kind: str) -> None:
    found = observed(REQUESTS[0], OpResult(0, None, OpError(kind, "x"), 1.0))
    assert found.value == Unobserved(kind, "packages: x")


def test_an_op_that_says_that_it_failed_is_a_reason() -> None:
    found = observed(REQUESTS[0], OpResult(0, {"failed": True, "msg": "dpkg-query did not end"}, None, 1.0))
    assert found.value == Unobserved("failed", "packages: dpkg-query did not end")
