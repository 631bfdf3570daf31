"""HAProxy's rules: where a GET of / goes. What each should do was seen in HAProxy 2.6."""

from __future__ import annotations

import pytest

from labctl.probes.haproxy import Haproxy
from labctl.probes.haproxy_config import lines_of, parse_config

SERVERS = " server a 127.0.0.1:8080\n server b 127.0.0.1:8081\n"
DEFAULTS = "defaults\n mode http\n"


def gets(rules: str, mode: str = "http") -> str:
    """Which of the backends is taken for the one that counts; both have the workers."""
    text = f"defaults\n mode {mode}\nfrontend door\n bind :7000\n {rules}\n default_backend one\n"
    text += f"backend one\n{SERVERS}backend two\n{SERVERS}"
    backend = Haproxy(True, (), text, True, "", ()).balancer(range(8080, 8086), 7000)
    return backend.name if backend else ""


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("if !FALSE", True),
        ("if ! FALSE", True),
        ("unless !TRUE", True),
        ("unless { always_false }", True),
        ("if TRUE TRUE", True),
        ("if TRUE FALSE", False),
        ("if FALSE or TRUE", True),
        ("if { src 10.0.0.1 } || TRUE", True),
        ("if { src 10.0.0.1 } TRUE", None),
        ("if { src 10.0.0.1 } FALSE", False),
        ("if { src 10.0.0.1 } !{ always_true }", False),
        ("if HTTP", True),
        ("if METH_GET", True),
        ("if { path_beg / }", True),
        ("if { path_beg -i / }", True),
        ("if { path_beg -f /dev/null / }", None),
        ("if { path /x / }", True),
        ("if { path /x }", None),
        ('if { path "" }', None),
        ("if { int(1) }", None),
        ("if LOCALHOST", None),
        ("if nothing of the kind", None),
        ("if", None),
        ("when TRUE", None),
        ("if TRUE ||", None),
    ],
)  # fmt: skip
def test_a_condition_holds_or_not_or_nobody_knows(condition: str, taken: bool | None) -> None:
    rule = f"use_backend two {condition}"
    (door, *_) = parse_config(f"{DEFAULTS}frontend door\n bind :7000\n {rule}\n")
    assert (door.always == "two", door.uses == ("two",)) == (taken is True, taken is None)
    assert gets(rule) == ("two" if taken else "one")


@pytest.mark.parametrize(
    ("rules", "backend"),
    [
        ("acl all path_beg /\n use_backend two if all", "two"),
        ("acl all path_beg /x\n acl all path_beg /\n use_backend two if all", "two"),
        ("acl none always_false\n use_backend two unless none", "two"),
        ("acl some src 10.0.0.1\n use_backend two if some", "one"),
        ("acl some src 10.0.0.1\n use_backend two if !some", "one"),
        ("acl TRUE always_false\n use_backend two if TRUE", "one"),
        ("use_backend one if FALSE\n use_backend two", "two"),
    ],
)
def test_conditions_have_names(rules: str, backend: str) -> None:
    assert gets(rules) == backend


def test_without_http_there_is_no_path() -> None:
    assert gets("use_backend two if { path_beg / }", mode="tcp") == "one"
    assert gets("use_backend two if HTTP", mode="tcp") == "one"
    assert gets("use_backend two if TRUE", mode="tcp") == "two"


@pytest.mark.parametrize(
    ("first", "before", "named"),
    [
        ("disabled", "", "door"),
        ("", "disabled", "door"),
        ("enabled", "disabled", "old"),
        ("", "", "old"),
    ],
)
def test_a_disabled_section_has_no_requests(first: str, before: str, named: str) -> None:
    text = (
        f"defaults\n mode http\n {before}\nlisten old\n bind :7000\n {first}\n balance source\n{SERVERS}"
        f"listen door\n bind :7000\n enabled\n{SERVERS}"
    )
    backend = Haproxy(True, (), text, True, "", ()).balancer(range(8080, 8086), 7000)
    assert backend is not None
    assert backend.name == named


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (".if 0;a;.else;b;.endif;c", "bc"),
        (".if 1;a;.elif 1;b;.else;c;.endif", "a"),
        (".if 0;a;.elif 7;b;.elif 1;c;.else;d;.endif;e", "be"),
        (".if;a;.else;b;.endif", "b"),
        (".if !0;a;.if 0;b;.endif;c;.else;d;.endif", "ac"),
        (".if 0;.if 1;a;.else;b;.endif;.else;c;.endif", "c"),
        (".if 1 && 0;a;.endif;.if 1 && 0 || 1;b;.endif", "b"),
        (".if 0 || ! 1;a;.endif", ""),
        ("setenv X 1;.if defined(X);a;.else;b;.endif", "a"),
        (".if 0;setenv X 1;.endif;.if !defined(X);a;.else;b;.endif", "ab"),
        (".if feature(OPENSSL);a;.elif 0;b;.else;c;.endif", "ac"),
        (".if defined(HOME) && 0;a;.else;b;.endif", "b"),
        (".if (1);a;.else;b;.endif", "ab"),
        ('.if "0";a;.endif', ""),
        (".else;a;.endif;.endif;b", "ab"),
        (".notice a;b", "b"),
        (".if 0;" * 40 + ".endif;" * 16 + "a", "a"),
    ],
)
def test_lines_that_a_condition_leaves_out_are_not_read(text: str, read: str) -> None:
    lines = (words for words in lines_of("\n".join(text.split(";"))) if words[0] != "setenv")
    assert "".join(words[0] for words in lines) == read
