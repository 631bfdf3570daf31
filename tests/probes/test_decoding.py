"""Whatever a VM sends: an observation, or a reason why there is none. Never an exception that escapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl import probes
from labctl.agent import OpError, OpResult
from labctl.probes import Malformed, Packages, Unobserved, decode, encode
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
