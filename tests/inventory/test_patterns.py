"""Host patterns, on their own and beside ansible-core's."""

from __future__ import annotations

import pytest

from labctl.errors import UnknownHost
from labctl.inventory.patterns import matching

GROUPS = {
    "all": ("web1", "web2", "web3", "db1", "db1.example.org", "2001:db8::7"),
    "ungrouped": ("2001:db8::7",),
    "web": ("web1", "web2", "web3"),
    "db": ("db1", "db1.example.org"),
    "empty": (),
}
HOSTS = GROUPS["all"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("web[0]", "web1"),
        ("web[-1]", "web3"),
        ("web[0:1]", "web1 web2"),
        ("web[1:]", "web2 web3"),
        ("web[0:0]", "web1"),
        ("web[1:9]", "web2 web3"),
        ("web[0-1]", "web1 web2"),
        ("web*[3]", "web1"),  # the group's three and then the hosts themselves
        (r"~web\d+", "web1 web2 web3"),
        (r"~(web|db)1$", "web1 db1"),
        ("~d", "db1 db1.example.org"),
        ("~web[12]:!web1", "web2"),
        ("web[0],db[1]", "web1 db1.example.org"),
        ("web[1:2]:!web[-1]", "web2"),
        ("web:&~.*[13]$", "web1 web3"),
        ("2001:db8::7", "2001:db8::7"),
        ("web, db1", "web1 web2 web3 db1"),
        ("*.example.org", "db1.example.org"),
        ("ungr*", "2001:db8::7"),
        ("empty[0]", ""),
    ],
)
def test_what_a_pattern_names(pattern: str, expected: str) -> None:
    assert matching(pattern, HOSTS, GROUPS, strict=False) == set(expected.split())


@pytest.mark.parametrize("pattern", ["web[7]", "web[-4]", "~(", "", " , "])
def test_patterns_that_cannot_be_used(pattern: str) -> None:
    with pytest.raises(UnknownHost):
        matching(pattern, HOSTS, GROUPS, strict=False)


def test_a_part_that_names_nothing() -> None:
    with pytest.raises(UnknownHost, match="'wbe'") as caught:
        matching("db:wbe", HOSTS, GROUPS)
    assert caught.value.hint == "did you mean web?"
    assert matching("db:wbe", HOSTS, GROUPS, strict=False) == {"db1", "db1.example.org"}
