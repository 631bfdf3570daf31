"""BIND's configuration and zone as they stand on disk, by BIND's own programs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from labctl.agent.remote.command import Finished
from labctl.agent.remote.outcome import Context, Failed
from labctl.agent.remote.probes import bind
from labctl.agent.remote.probes.access import Configuration

ZONE = "$TTL 60\n@ SOA ns.example.com. root.example.com. 7 60 60 60 60\n@ NS ns\nns A 10.77.0.11\n"
#: Deprecated: said, and no mistake.
WARNED = "heartbeat-interval 3;"
RAW = "masterfile-format raw;"


class Asked:
    """What the probe says of a configuration, and the programs that it ran for that."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.programs: list[str] = []
        real = bind.ask
        monkeypatch.setattr(bind, "ask", lambda argv, *rest, **more: self.run(real, argv, *rest, **more))
        self.argv = ["named", "-c", str(folder / "named.conf")]
        monkeypatch.setattr(bind, "argv_in_use", lambda *_: self.argv)

    def run(self, real: Any, argv: list[str], *rest: Any, **more: Any) -> Any:
        self.programs.append(argv[0])
        return real(argv, *rest, **more)

    def told(self, options: str = "", statements: str = "", more: str = "", zone: str = "") -> dict[str, Any]:
        (self.folder / "db").write_text(ZONE + more)
        if RAW in (zone, options):
            self.write_raw()
        zone = f'zone "example.com" {{ type master; file "{self.folder}/db"; {zone} }};'
        text = f'{statements}\noptions {{ directory "{self.folder}"; {options} }};\n{zone}\n'
        (self.folder / "named.conf").write_text(text)
        return bind.run({"zone": "example.com"}, Context(time.monotonic() + 30))

    def write_raw(self) -> None:
        argv = ["named-compilezone", "-q", "-i", "local", "-F", "raw", "-o", "raw", "example.com", "db"]
        subprocess.run(argv, check=True, cwd=self.folder)
        (self.folder / "raw").rename(self.folder / "db")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(tmp_path, monkeypatch)


def test_each_program_is_run_once(asked: Asked) -> None:
    told = asked.told()
    assert asked.programs == ["named-checkconf", "named-checkzone", "named-compilezone"]
    assert (told["config_valid"], told["zone_valid"]) == (True, True)
    assert "ns.example.com." in told["records"]
    assert told["zone_file"] == str(asked.folder / "db")


def test_a_file_is_included_from_the_servers_own_directory(asked: Asked) -> None:
    (asked.folder / "more").write_text("extra TXT here\n")
    told = asked.told(more="$INCLUDE more\n")
    assert told["zone_valid"], told["zone_message"]
    assert "extra.example.com." in told["records"]


def test_names_of_others_are_not_looked_up(asked: Asked) -> None:
    told = asked.told(
        more="@ MX 10 nowhere.invalid.\n@ NS nowhere.invalid.\n_x._tcp SRV 1 1 1 nowhere.invalid.\n"
    )
    assert told["zone_valid"], told["zone_message"]
    assert "nowhere" not in told["zone_message"]


def test_a_name_of_the_zone_without_an_address_is_still_no_name_server(asked: Asked) -> None:
    told = asked.told(more="@ NS nobody\n")
    assert not told["zone_valid"]
    assert "nobody.example.com" in told["zone_message"]


def test_a_warning_is_no_part_of_the_configuration(asked: Asked) -> None:
    told = asked.told(WARNED)
    assert "deprecated" in told["config_message"]
    assert told["config_valid"]
    assert told["text"].startswith("options {\n")


@pytest.mark.parametrize(
    "statement",
    ['acl "campus" { any; };', 'key "k" { algorithm hmac-sha256; secret "c2VjcmV0"; };', "controls { };"],
    ids=["acl", "key", "controls"],
)
def test_the_text_is_there_whatever_comes_first(asked: Asked, statement: str) -> None:
    plain, warned = asked.told(statements=statement), asked.told(WARNED, statement)
    assert plain["config_message"] == ""
    assert f"\n{statement.partition(' ')[0]} " in "\n" + plain["text"]
    assert "c2VjcmV0" not in plain["text"]
    assert warned["text"].replace("\theartbeat-interval 3;\n", "") == plain["text"]


def test_a_mistake_is_said_with_its_line_and_nothing_else_is_run(asked: Asked) -> None:
    told = asked.told("recursion perhaps;")
    assert asked.programs == ["named-checkconf"]
    assert not told["config_valid"]
    assert "named.conf:2:" in told["config_message"]
    assert (told["text"], told["records"]) == ("", "")


@pytest.mark.parametrize(
    ("zone", "record"),
    [
        ("", "@ NS 10.77.0.11."),
        ("check-names ignore;", "my_host A 10.77.0.30"),
    ],
    ids=["ns-is-an-address", "underscore"],
)
def test_what_is_only_warned_of_is_in_the_records(asked: Asked, zone: str, record: str) -> None:
    told = asked.told(more=f"{record}\n", zone=zone)
    assert told["zone_valid"], told["zone_message"]
    assert record.rpartition(" ")[2] in told["records"]


def test_a_zone_that_is_valid_and_cannot_be_written_is_no_empty_one(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = asked.run
    refused = Finished(1, "", "out of paper")

    def run(ask: Any, argv: list[str], *rest: Any, **more: Any) -> Any:
        return refused if argv[0] == "named-compilezone" else real(ask, argv, *rest, **more)

    monkeypatch.setattr(asked, "run", run)
    with pytest.raises(Failed, match="out of paper"):
        asked.told()


@pytest.mark.parametrize("where", ["zone", "options"])
def test_a_zone_in_the_raw_format_is_read(asked: Asked, where: str) -> None:
    told = asked.told(**{where: RAW})
    assert told["zone_valid"], told["zone_message"]
    assert "ns.example.com." in told["records"]


def test_the_journal_is_read_where_the_zone_says_that_it_is(asked: Asked) -> None:
    text = asked.told(zone='journal "of/its own.jnl"; allow-update { 127.0.0.1; };')["text"]
    reading = bind.reading_of(Configuration(text), "example.com")
    assert reading[:2] == ["-J", f"{asked.folder}/of/its own.jnl"]
    assert "-j" in bind.reading_of(Configuration(asked.told()["text"]), "example.com")


@pytest.mark.parametrize(
    ("argv", "config", "root"),
    [
        ("named -u bind", "", ""),
        ("named -f -u bind -c /a.conf", "/a.conf", ""),
        ("named -fc/a.conf -4 -t /jail", "/a.conf", "/jail"),
        ("named -c /a.conf -ubind -c /b.conf", "/b.conf", ""),
        ("named -D -c", "", ""),
        ("named -n 2 x -c /a.conf", "", ""),
        ("named -c", "", ""),
        ("", "", ""),
    ],
)
def test_the_options_that_named_was_started_with(argv: str, config: str, root: str) -> None:
    assert (bind.option(argv.split(), "c"), bind.option(argv.split(), "t")) == (config, root)


@pytest.mark.root
def test_a_server_in_a_directory_of_its_own_is_read_there(asked: Asked) -> None:
    asked.told()
    jail = asked.folder / "jail"
    (jail / "etc").mkdir(parents=True)
    (jail / "db").write_text(ZONE)
    zone = 'options { directory "/"; };\nzone "example.com" { type master; file "db"; };'
    (jail / "etc" / "named.conf").write_text(zone)
    asked.argv = ["named", "-t", str(jail), "-c", "/etc/named.conf"]
    told = bind.run({"zone": "example.com"}, Context(time.monotonic() + 30))
    assert (told["config"], told["config_message"]) == ("/etc/named.conf", "")
    assert (told["zone_file"], told["zone_valid"]) == ("/db", True), told["zone_message"]
    assert "ns.example.com." in told["records"]


@pytest.mark.parametrize("of_class", ["", "IN "])
def test_thousands_of_other_zones_are_left_out(asked: Asked, of_class: str) -> None:
    others = "".join(
        f'zone "ad{n}.example.net" {of_class}{{ type master; file "/x"; allow-query {{ 10.0.0.1; }}; }};\n'
        for n in range(4000)
    )
    told = asked.told(statements=others)
    assert told["zone_valid"], told["zone_message"]
    assert "ns.example.com." in told["records"]
    assert "ad7.example.net" not in told["text"]
    assert len(told["text"]) < 1000


def test_lists_of_zones_that_are_no_statements_of_zones_stay(asked: Asked) -> None:
    lists = 'catalog-zones { zone "cat.example" default-primaries { 10.0.0.1; } in-memory no; };'
    told = asked.told(lists, 'zone "cat.example" { type primary; file "x"; };')
    assert 'zone "cat.example" default-primaries {' in told["text"]
    assert told["zone_valid"], told["zone_message"]
