"""The ipaddr filters beside those of the collection ansible.utils."""

from __future__ import annotations

from typing import Any

import pytest
from core import of_collection

from labctl.playbook.filters import addresses

theirs = of_collection("ansible.utils.plugins.plugin_utils.base.ipaddr_utils")

VALUES = (
    *(
        "192.0.2.5",
        "192.0.2.5/24",
        "192.0.2.0/24",
        "192.0.2.255/24",
        "10.0.0.4/31",
        "10.0.0.5/32",
        "10.0.0.1/30",
    ),
    *("2001:db8::5", "2001:db8::/64", "2001:db8::5/64", "::1", "fe80::1/10", "127.0.0.1", "169.254.1.1"),
    *("224.0.0.1", "8.8.8.8", "nothing", "300.1.1.1", "", "10.0.0.0/8", "3232235777", True, False, None),
)
QUERIES = (*(name for name in addresses._QUERIES if name not in ("ipv4", "ipv6")), "gateway", "lo")
QUERIES += ("1", "-1", "5", "300", "192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "nonsense")


def answer(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except Exception:  # noqa: BLE001 (any error is the same answer here)
        return "error"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theirs.display, "warning", lambda *_args, **_options: None)


@pytest.mark.parametrize("query", ["", *QUERIES])
def test_a_query_has_the_collections_answer(query: str) -> None:
    for value in VALUES:
        for version in (False, 4, 6):
            if value == "3232235777" and version == 6:
                continue  # netaddr spells it ::192.168.1.1, the standard library ::c0a8:101
            ours = answer(addresses.ipaddr, value, query, version)
            assert ours == answer(theirs.ipaddr, value, query, version), (value, query, version)


def test_a_list_keeps_what_has_an_answer() -> None:
    for query in ("", "network", "192.0.2.0/24", "address", "private"):
        values = [value for value in VALUES if value]
        assert addresses.ipaddr(values, query) == theirs.ipaddr(values, query)
