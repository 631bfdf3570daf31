"""Filters whose answers are known beforehand; the others are compared with ansible-core's own."""

from __future__ import annotations

import pytest
from test_templating import render

from labctl.errors import PlaybookError


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ '192.0.2.0/24' | ansible.utils.ipsubnet(26) }}", "4"),
        ("{{ '192.0.2.0/24' | ansible.utils.ipsubnet(26, 1) }}", "192.0.2.64/26"),
        ("{{ '192.0.2.0/24' | ansible.utils.ipsubnet(26, -1) }}", "192.0.2.192/26"),
        ("{{ '192.0.2.7/24' | ansible.utils.ipaddr('network/prefix') }}", "192.0.2.0/24"),
        ("{{ '192.0.2.7' | ansible.utils.ipaddr('revdns') }}", "7.2.0.192.in-addr.arpa."),
        ("{{ '2001:db8::1' | ansible.utils.ipwrap }}", "[2001:db8::1]"),
        ("{{ ['10.0.0.1', '::1', 'x'] | ansible.utils.ipv4 }}", ["10.0.0.1"]),
        # blanks are borne behind a prefix length only
        ("{{ '10.0.0.1/24 ' | ansible.utils.ipaddr('network') }}", "10.0.0.0"),
        ("{{ '10.0.0.1 ' | ansible.utils.ipaddr('host') }}", False),
        ("{{ 'x' | ansible.builtin.upper }}", "X"),
        ("{{ {}.get('ports', range(3)) }}", [0, 1, 2]),
        ("{{ '<a' | escape | comment('xml') }}", "<!--\n -\n - &lt;a\n -\n-->"),
        ("{{ range(3) | to_json }}", "[0, 1, 2]"),
        ("{{ [[1, 2]] | first | join }}{{ omit | quote }}", "12'<<Omit>>'"),
        ("{{ true | ternary('x', lookup('file', 'nowhere')) }}", "x"),
        ("{{ [undef()] | zip([1]) | default('d') }}", "d"),
    ],
)
def test_the_answer_is_known(template: str, expected: object) -> None:
    assert render(template) == expected


def test_a_salted_password_has_one_hash_and_an_unsalted_one_another_each_time() -> None:
    salted = "{{ 'Hello world!' | password_hash('sha512', 'saltstring', rounds=10000) }}"
    # From the specification of SHA-crypt.
    assert render(salted.replace("saltstring", "saltstringsaltst")) == (
        "$6$rounds=10000$saltstringsaltst$"
        "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."
    )
    assert render(salted) == render(salted)
    fresh = "{{ 'x' | password_hash('sha256', rounds=1000) }}"
    assert render(fresh) != render(fresh)


@pytest.mark.parametrize("value", ["none", "{}", "1.5"])
def test_what_is_no_address_of_any_kind_is_an_error(value: str) -> None:
    with pytest.raises(PlaybookError, match="an address"):
        render("{{ " + value + " | ansible.utils.ipaddr }}")


def test_a_hash_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(PlaybookError, match="password_hash"):
        render("{{ 'x' | password_hash('rot13') }}")
