"""What the grammar's expressions are made of in the end: odd words, numbers, names and options."""

from __future__ import annotations

from collections.abc import Sequence

WORDS = (
    *("a", "B", "abc", "Abc", "0", "1", "-5", "12", "3.5", "1e3", "yes", "No", "on", "true", "False", "none"),
    *("null", "é", "ß", "日本", "𝄞", " ", "  x ", "\n", "a\nb\n", "\t", "'", '"', "\\", "\\1", "it's", "a.b"),
    *("a=1", "/etc/a.conf", "a/b/", "{", "}", "{a}", "%", "#", "$x", "k: v", "- 1", "[1, 2]", '{"a": 1}'),
    *("1.2.3", "1.10", "2.0-rc1", "10.0.0.1/24", "user@host", "2024-01-02 03:04:05", "aGk=", "1K", "5 MB"),
    *("", "010", "0x1F", "1_000", "+7", "١", "İ", "ﬁ", "e\u0301", "\u200b", "\u2028", "\r\n", "\x1b[1m", "~"),
    *("!!str 1", "&a", "*", "a: {", "[1, 2", "{#", "}}", "%}", "=", "NaN", "inf", "1,5", "0b1", "12:30:00"),
)
INTS = (0, 1, -1, 2, 3, 7, 10, 255, 1024, 2**31, 10**20)
FLOATS = (0.0, -0.0, 1.0, 0.5, -2.25, 1e10, 1e300, 1e-7, 3.14159, float("inf"), float("nan"))
KEYS = ("a", "b", "c", "k", "name", "a b", "é", "", "1", 1, "items", "keys")
PATTERNS = ("a", "[a-z]+", "(.)(.)", "^a", "\\\\d+", "b$", ".*", "(?P<x>a|b)", "(", "\\\\.", "A")
REPLACEMENTS = ("", "x", "<\\\\1>", "\\\\g<0>", "\\\\2")

#: Of each kind of hole that is filled with a word as it stands.
CHOICES: dict[str, Sequence[str]] = {
    "pattern": PATTERNS,
    "replacement": REPLACEMENTS,
    "part": (
        "scheme",
        "hostname",
        "port",
        "path",
        "query",
        "fragment",
        "username",
        "password",
        "netloc",
        "x",
    ),
    "unit": ("1K", "2.5MB", "1 GB", "10", "5b", "7Kb", "1kilobyte", "3X", "1mb", "", "8 bits"),
    "version": (
        "1.2",
        "1.10",
        "1.2.3",
        "1.2.3-rc.1",
        "1.2a1",
        "2.0",
        "1.2.0",
        "9.18.1-1ubuntu",
        "1.2.3+b",
        "x",
    ),
    "operator": ("<", "<=", "==", "!=", ">", ">=", "eq", "ne", "lt", "gt", "=", "<>", "~"),
    "kind": ("loose", "strict", "semantic", "other"),
    "merge": ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp", "other"),
    "small": ("0", "1", "2", "-1", "5"),
    "file": (
        *("plain.txt", "lines.txt", "empty.txt", "data.json", "sub/data.yml", "../top.txt"),
        *("files/plain.txt", "nowhere.txt", "", "sub", "text.j2", "number.j2", "list.j2", "undefined.j2"),
        *("loop.j2", "given.j2", "backslash.j2", "nested.j2", "a\\nb"),
    ),
    "plugin": ("file", "template", "env", "vars", "ansible.builtin.file"),
    "errors": ("strict", "ignore"),
    "env": ("ORACLE_WORD", "ORACLE_EMPTY", "ORACLE_NONE", "ORACLE_WORD x", "", " "),
    "scheme": ("sha512", "sha256", "md5", "sha512_crypt", "blowfish", "bcrypt", "nothing", ""),
    "salt": ("saltsalt", "s", "b" * 22, "abcdefghijklmnop", "1234567890123456789012", "a$b", "é"),
    "rounds": ("1000", "5000", "1", "4", "1001.5", "'1000'", "0", "none"),
    "address": (
        *("192.0.2.5", "192.0.2.5/24", "192.0.2.0/24", "10.0.0.4/31", "10.0.0.5/32", "127.0.0.1", "8.8.8.8"),
        *("2001:db8::5", "2001:db8::/64", "::1", "fe80::1/10", "300.1.1.1", "", "nothing", "2001:db8::5/129"),
        *(
            "192.0.2.1/255.255.255.0",
            " 192.0.2.1",
            "192.0.2.1\\n",
            "2001:DB8::1",
            "01.2.3.4",
        ),
    ),
    "query": (
        *("", "address", "network", "netmask", "prefix", "broadcast", "net", "host", "size", "subnet", "1"),
        *("-1", "300", "private", "public", "loopback", "multicast", "link-local", "192.0.2.0/24", "type"),
        *(
            "version",
            "revdns",
            "bool",
            "int",
            "range_usable",
            "next_usable",
            "first_usable",
            "cidr",
            "nonsense",
        ),
    ),
    "name": ("t1", "tt", "tpl", "lm", "nowhere", "tu"),
}
