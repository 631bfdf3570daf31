"""Whose names BIND resolves, as its configuration has it: held against a real named, asked from many
addresses.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.agent.remote.probes.access import Configuration, address_of, network_of, number_of
from labctl.agent.remote.probes.bind import without_other_zones, zone_file
from labctl.probes.strangers import strangers

HERE, THERE = "10.77.0.11", "10.77.0.2"
HERE_6, THERE_6 = "fd00:77::11", "fd00:77::2"
#: Who asks from elsewhere, besides the VM itself.
CLIENTS = ("10.5.5.5", "8.8.8.8", "8.1.1.1", "93.184.216.34", "192.168.7.7", "2a00::5", "2606:4700::9")
NETWORKS = (
    "10.0.0.0/8", "10.5.0.0/16", "8.0.0.0/8", "8.8.0.0/16", "8.8.8.8", "0.0.0.0/0", "0.0.0.0/1", "::/0",
    "2a00::/12", "2000::/3", "192.168.0.0/16", "any", "none", "localhost", "localnets",
)  # fmt: skip

#: Asks from each address and tells which answers offer recursion; run in the other namespace. All are waited
#: for together, and asked anew: only whom a blackhole takes in gets no answer.
ASK = """
import json, select, socket, sys, time
query, asked, seconds = json.load(sys.stdin)
links = []
for source, server in asked:
    link = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
    link.bind((source, 0)); link.connect((server, 53))
    links.append(link)
offered, until = {}, time.monotonic() + seconds
while len(offered) < len(links) and time.monotonic() < until:
    for link in set(links) - set(offered):
        link.send(bytes.fromhex(query))
    again = time.monotonic() + 0.3
    while (left := again - time.monotonic()) > 0 and (waiting := set(links) - set(offered)):
        for link in select.select(list(waiting), [], [], left)[0]:
            offered[link] = bool(link.recv(4096)[3] & 0x80)
print(json.dumps([offered.get(link) for link in links]))
"""
#: Seconds to wait for answers: of a named that owes each address one, and where some may get none.
OWED, UNSURE = 60, 5


def a_list(chance: random.Random, names: list[str], depth: int = 0) -> str:
    entries = []
    for _ in range(chance.randint(1, 4)):
        denied = "!" if chance.random() < 0.3 else ""
        if depth < 2 and chance.random() < 0.2:
            entries.append(f"{denied}{{ {a_list(chance, names, depth + 1)} }};")
        else:
            entries.append(f"{denied}{chance.choice([*NETWORKS, *names])};")
    return " ".join(entries)


def said(chance: random.Random, names: list[str]) -> str:
    """Some of the statements that decide, for the options or a view."""
    found = []
    for one in ("allow-recursion", "allow-query-cache", "allow-query"):
        if chance.random() < 0.4:
            found.append(f"{one} {{ {a_list(chance, names)} }};")
    for one in ("allow-recursion-on", "allow-query-cache-on"):
        if chance.random() < 0.15:
            at = chance.choice([HERE, HERE_6, "127.0.0.1", "localhost", "any", "!10.77.0.11; any"])
            found.append(f"{one} {{ {at}; }};")
    if chance.random() < 0.2:
        found.append(f"recursion {chance.choice(['yes', 'no'])};")
    return " ".join(found)


def configuration(chance: random.Random, folder: Path) -> str:
    names = [f"list{n}" for n in range(3)]
    text = "".join(f"acl {name} {{ {a_list(chance, names[:at])} }};\n" for at, name in enumerate(names))
    blackhole = f"blackhole {{ {a_list(chance, names)} }};" if chance.random() < 0.1 else ""
    text += (
        f'options {{ directory "{folder}"; pid-file none; session-keyfile "{folder}/key"; '
        f"listen-on {{ any; }}; listen-on-v6 {{ any; }}; dnssec-validation no; empty-zones-enable no; "
        f"{blackhole} {said(chance, names)} }};\ncontrols {{ }};\n"
    )
    zone = f'zone "example.com" {{ type master; file "{folder}/db"; allow-query {{ any; }}; }};'
    if chance.random() < 0.5:
        return text + zone
    if chance.random() < 0.3:  # nobody who asks for class IN gets to it
        text += f'view "chaos" CH {{ match-clients {{ any; }}; {said(chance, names)} }};\n'
    for n in range(chance.randint(1, 3)):
        clients = f"match-clients {{ {a_list(chance, names)} }};" if chance.random() < 0.8 else ""
        text += f'view "v{n}" {{ {clients} {said(chance, names)} {zone} }};\n'
    return text


def run(*argv: str, **more: object) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout  # type: ignore[call-overload]


class Wire:
    """Two network namespaces: named in one, whoever asks in the other with all of the addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.near, self.far = (f"labctl{os.getpid()}{end}" for end in "ab")

    def up(self) -> None:
        for one in (self.near, self.far):
            run("ip", "netns", "add", one)
            run("ip", "-n", one, "link", "set", "lo", "up")
        run("ip", "-n", self.near, "link", "add", "wire", "type", "veth", "peer", "name", "wire",
            "netns", self.far)  # fmt: skip
        for one, addresses in ((self.near, (HERE, HERE_6)), (self.far, (THERE, THERE_6))):
            for address in addresses:
                self.add(one, f"{address}/64" if ":" in address else f"{address}/24")
            run("ip", "-n", one, "link", "set", "wire", "up")
        for address in CLIENTS:
            self.add(self.far, f"{address}/128" if ":" in address else f"{address}/32")
        run("ip", "-n", self.near, "route", "add", "default", "via", THERE)
        run("ip", "-n", self.near, "-6", "route", "add", "default", "via", THERE_6)

    def add(self, one: str, address: str) -> None:
        more = ["nodad"] if ":" in address else []
        run("ip", "-n", one, "address", "add", address, "dev", "wire", *more)

    def down(self) -> None:
        for one in (self.near, self.far):
            subprocess.run(["ip", "netns", "delete", one], check=False, capture_output=True)

    def ask(self, name: str, asked: list[tuple[str, str]], seconds: float) -> list[bool]:
        query = dns.message.make_query("example.com", "SOA").to_wire().hex()
        request = json.dumps([query, asked, seconds])
        told = json.loads(run("ip", "netns", "exec", name, sys.executable, "-c", ASK, input=request))
        assert seconds == UNSURE or None not in told, (asked, told)
        return list(map(bool, told))

    def resolved(self, text: str) -> list[tuple[str, str, bool]]:
        """Who asks, at which address, and whether named offers to resolve names for them."""
        config = self.folder / "named.conf"
        config.write_text(text)
        log = self.folder / "log"
        with log.open("w") as out:
            argv = ["ip", "netns", "exec", self.near, "named", "-g", "-n", "1", "-c", str(config)]
            server = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + 30
            while "running" not in log.read_text():
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.02)
            from_far = [(one, HERE_6 if ":" in one else HERE) for one in CLIENTS]
            own = [("127.0.0.1", "127.0.0.1")]
            seconds = UNSURE if "blackhole" in text else OWED
            told = self.ask(self.far, from_far, seconds) + self.ask(self.near, own, seconds)
            return [(*one, offered) for one, offered in zip(from_far + own, told, strict=True)]
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("named")
    (folder / "db").write_text("$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\nns A 10.77.0.11\n")
    made = Wire(folder)
    try:
        made.up()
        yield made
    finally:
        made.down()


def normal_form(text: str, folder: Path) -> str:
    (folder / "checked.conf").write_text(text)
    return run("named-checkconf", "-p", str(folder / "checked.conf"))


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("LABCTL_TEST_CONFIGURATIONS", "20"))))
def test_names_are_resolved_for_whom_a_real_named_resolves_them(wire: Wire, seed: int) -> None:
    text = configuration(random.Random(seed), wire.folder)
    found = Configuration(normal_form(text, wire.folder))
    told = wire.resolved(text)
    assert [(who, at, found.resolves_for(who, at)) for who, at, _ in told] == told, text


IN_VIEWS = """
acl campus { 10.0.0.0/8; };
options { directory "/var/tmp"; dnssec-policy default; };
view "inside" {
    match-clients { campus; };
    zone "example.com" { type master; file "inside"; inline-signing yes; };
    zone "elsewhere.example" { type master; file "elsewhere"; inline-signing yes; };
};
view "machine" {
    match-clients { localhost; };
    match-destinations { 127.0.0.1; };
    dnssec-policy none;
    zone "Example.COM." { type master; file "machine"; };
    zone "elsewhere.example" { in-view "inside"; };
};
view "rest" {
    recursion no;
    zone "example.com" { type master; file "rest"; dnssec-policy none; };
    zone "rest.example" { type master; file "/abs"; inline-signing yes; };
};
"""


@pytest.mark.parametrize(
    ("name", "file", "policy"),
    [
        ("example.com", "/var/tmp/machine", "none"),
        ("EXAMPLE.com.", "/var/tmp/machine", "none"),
        ("elsewhere.example", "/var/tmp/elsewhere", "default"),
        ("rest.example", "/abs", "default"),
        ("nowhere.example", "", "default"),
    ],
)
def test_the_zone_is_that_of_the_view_that_the_machine_gets_to(
    tmp_path: Path, name: str, file: str, policy: str
) -> None:
    found = Configuration(normal_form(IN_VIEWS, tmp_path))
    assert zone_file(found, name) == file
    assert found.inherited("dnssec-policy", found.zone(name)) == policy


@pytest.mark.parametrize(
    ("statements", "example", "everybody"),
    [
        ("", False, False),
        ("allow-recursion { any; };", True, True),
        ("allow-query { any; };", True, True),
        ("allow-recursion { any; }; recursion no;", False, False),
        ("allow-recursion { any; }; allow-query-cache { 10.0.0.0/8; };", False, False),
        ("allow-recursion { any; }; allow-recursion-on { 127.0.0.1; };", False, False),
        ("allow-recursion { any; }; allow-recursion-on { 10.77.0.11; };", True, False),
        ("allow-recursion { 0.0.0.0/0; }; allow-recursion-on { fd00:77::11; };", False, False),
        ("allow-recursion { any; }; allow-recursion-on { fd00:77::11; };", True, False),
        ("allow-recursion { any; }; blackhole { !10.0.0.0/8; any; };", False, False),
        ("allow-recursion { !10.77.0.0/24; any; };", True, False),
        ("allow-recursion { !0.0.0.0/0; any; };", True, False),
        ("allow-recursion { none; any; };", False, False),
        ("allow-recursion { !none; };", True, True),
        ("allow-recursion { 18.0.0.0/8; localhost; };", False, False),
        ("allow-recursion { 18.0.0.0/7; };", True, False),
        ("allow-recursion { 9.0.0.0/8; 18.0.0.0/8; };", True, False),
        ("allow-recursion { 128.0.0.0/1; };", True, False),
        ("allow-recursion { 192.168.0.0/16; 10.0.0.0/8; 100.64.0.0/10; fc00::/7; };", False, False),
        ("allow-recursion { 2a00::/19; };", False, False),
        ("allow-recursion { 2a00::/18; };", True, False),
        ("allow-recursion { !{ !10.0.0.0/8; any; }; any; };", False, False),
        ("allow-recursion { { !10.0.0.0/8; any; }; };", True, False),
    ],
)  # fmt: skip
def test_whom_of_the_world_names_are_resolved_for(
    tmp_path: Path, statements: str, example: bool, everybody: bool
) -> None:
    found = Configuration(normal_form(f"options {{ {statements} }};", tmp_path))
    told = strangers(found, ["127.0.0.1", HERE, HERE_6])
    assert (bool(told.example), told.everybody) == (example, everybody)
    assert not example or found.resolves_for(told.example, HERE_6 if ":" in told.example else HERE)


@pytest.mark.parametrize(
    ("text", "example"),
    [
        # the well-known way to keep the version to oneself
        (
            'view "chaos" CH { match-clients { any; }; zone "bind" CH { type primary; file "b"; }; };\n'
            'view "all" { allow-recursion { any; }; };',
            True,
        ),
        ('view "chaos" chaos { match-clients { any; }; };\nview "all" in { recursion no; };', False),
        ('view "only" CH { }; options { allow-recursion { any; }; };', False),
        # a list may be called what it likes
        ('acl "a\\"b" { any; };\noptions { allow-recursion { "a\\"b"; }; };', True),
        ('acl "a b" { any; };\noptions { allow-recursion { "a b"; }; };', True),
        ('acl "0.0.0.0/1" { none; };\noptions { allow-recursion { 0.0.0.0/1; }; };', True),
        ('acl "0.0.0.0/1" { none; };\noptions { allow-recursion { "0.0.0.0/1"; }; };', False),
        ('acl "10.0.0.1" { any; };\noptions { allow-recursion { "10.0.0.1"; }; };', True),
        # a string may have lines, quotation marks and backslashes in it
        (
            'options { version "x;\nallow-recursion {\nnone;\n};\n\\"\\\\";\n allow-recursion { any; }; };',
            True,
        ),
        ('options { version "};\n"; hostname "{\n"; allow-recursion { any; }; };', True),
        # of each kind the widest networks are looked at
        (
            "options { allow-recursion { 32.0.0.0/6; "
            + "".join(f"2a00:{n:x}::/32; " for n in range(50))
            + "}; };",
            True,
        ),
        ("options { allow-recursion { " + "10.0.0.0/8; " * 50 + "32.0.0.0/6; }; };", True),
    ],
)  # fmt: skip
def test_odd_configurations_are_read_as_named_reads_them(tmp_path: Path, text: str, example: bool) -> None:
    found = Configuration(normal_form(text, tmp_path))
    assert bool(strangers(found, [HERE]).example) is example


def test_a_zone_within_a_string_is_none(tmp_path: Path) -> None:
    text = (
        'options { version "};\nzone \\"example.com\\" {\ntype master;\nfile x;\n};\n"; };\n'
        'zone "other.example" { type master; file "a\n};\n"; };\n'
        'zone "example.com" { type master; file "/right"; };'
    )
    text = normal_form(text, tmp_path)
    for told in (text, without_other_zones(text, "example.com")):
        assert zone_file(Configuration(told), "example.com") == "/right"
    assert "other.example" not in without_other_zones(text, "example.com")
    assert without_other_zones(text, "example.com").count("\n};\n") == 3


@given(st.ip_addresses(), st.integers(0, 128))
def test_addresses_are_numbers_and_back(address: IPv4Address | IPv6Address, prefix: int) -> None:
    number = number_of(str(address))
    assert number is not None
    assert ip_address(address_of(number)) == address
    prefix = min(prefix, address.max_prefixlen)
    network = ip_network(f"{address}/{prefix}", strict=False)
    assert network_of(f"{address}/{prefix}") == (
        number_of(str(network[0])),
        number_of(str(network[-1])),
    )


@pytest.mark.parametrize("word", ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/\u00b2", "10.0.0.0/-1", "1\0"])
def test_what_is_no_network_is_none(word: str) -> None:
    assert network_of(word) is None


PIECES = st.sampled_from(
    ["options {", "acl a {", 'acl "b" {', "view v {", 'zone "example.com" {', "};", "}", "{", "!{", "a;",
     "!b;", "type x;", "any;", "10.0.0.0/8;", "allow-recursion {", "match-clients {", "recursion no;",
     'in-view "v";', "directory {", ";", "} keys {", "blackhole {", 'view "v" CH {', 'x "', '\\"']
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("\n".join) | st.text(max_size=200))
def test_whatever_it_is_it_is_read(text: str) -> None:
    found = Configuration(text)
    zone_file(found, "example.com")
    strangers(found, [HERE, "x", HERE_6])
    found.asked()
