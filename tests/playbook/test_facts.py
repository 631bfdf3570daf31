"""The facts, held to ansible-core's own where both are asked on this machine."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from playing import messages, play, run_module

from labctl.agent.remote import facts, network
from labctl.errors import PlaybookError
from labctl.playbook.variables import FACT_NAMES
from labctl.sandbox.paths import sandboxes_dir

#: Bridges and containers' links of other tests that run at the same time, which come and go.
OF_SANDBOXES = re.compile(r"vb-lc[0-9a-f]{8}|lab[0-9a-f]{8}")


@pytest.fixture(scope="module")
def ansibles() -> Any:
    """What ansible-core's setup module says here."""
    code = (
        "import sys, json; from ansible.module_utils.facts import ansible_collector, default_collectors\n"
        "from ansible.module_utils.facts.namespace import PrefixFactNamespace\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "from ansible.modules import setup\n"
        "with patch_module_args({'gather_subset': ['!all', 'min', 'network', 'mounts']}): setup.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    return json.loads(done.stdout)["ansible_facts"]


@pytest.fixture(scope="module")
def ours() -> Any:
    return run_module("setup", {})["ansible_facts"]


def test_the_defaults_and_names_are_ansibles(ansibles: Any, ours: Any) -> None:
    for name in ("default_ipv4", "default_ipv6", "user_id", "user_dir", "fqdn", "domain", "hostname"):
        assert ours[f"ansible_{name}"] == ansibles[f"ansible_{name}"], name


def test_each_fact_is_fetched_when_a_template_names_it(ours: Any) -> None:
    interfaces = {f"ansible_{name.replace('-', '_')}" for name in ours["ansible_interfaces"]}
    assert set(ours) - interfaces == FACT_NAMES


def test_an_interface_is_known_when_no_other_fact_was_asked_for(tmp_path: Path) -> None:
    host = play(tmp_path, "- debug: {msg: '{{ ansible_lo.ipv4.address }}'}")
    assert messages(host) == ["127.0.0.1"]


def test_interfaces_say_what_ansibles_say(ansibles: Any, ours: Any) -> None:
    mine_all, theirs_all = (
        {name for name in told["ansible_interfaces"] if not OF_SANDBOXES.fullmatch(name)}
        for told in (ours, ansibles)
    )
    assert mine_all == theirs_all
    assert "lo" in mine_all
    for name in mine_all:
        mine = ours[f"ansible_{name.replace('-', '_')}"]
        theirs = ansibles[f"ansible_{name.replace('-', '_')}"]
        for found in (mine, theirs):
            found.get("ipv6", []).sort(key=str)
        assert mine == {word: theirs.get(word) for word in mine}
        assert {"ipv4", "ipv6", "mtu", "type"} & set(theirs) <= set(mine)


def test_mounts_tell_their_sizes(ansibles: Any, ours: Any) -> None:
    def stays(mount: dict[str, Any]) -> bool:
        """Whether it is none of another test's, which come and go."""
        return not mount["mount"].startswith((f"{sandboxes_dir()}/", "/tmp/"))

    theirs = {one["mount"]: one for one in filter(stays, ansibles["ansible_mounts"])}
    mine = {one["mount"]: one for one in filter(stays, ours["ansible_mounts"])}
    assert set(mine) == set(theirs)
    assert "/" in mine
    for point, one in mine.items():
        assert set(one) == set(theirs[point])
        assert one["size_total"] == theirs[point]["size_total"]


def test_an_address_tells_its_network() -> None:
    found = network._described(bytes([10, 1, 2, 3]), "255.255.252.0", "0.0.0.0")
    assert found == {
        "address": "10.1.2.3",
        "broadcast": "",
        "netmask": "255.255.252.0",
        "network": "10.1.0.0",
        "prefix": "22",
    }


def test_a_default_address_is_told_with_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"address": "fd00::2", "prefix": "64", "scope": "global"}
    monkeypatch.setattr(network, "_addresses", list)
    monkeypatch.setattr(network, "_addresses6", lambda: [("lo", one)])
    monkeypatch.setattr(
        network, "_default_address", lambda _family, outside: "fd00::2" if ":" in outside else ""
    )
    monkeypatch.setattr(network, "_gateway6", lambda name: f"fe80::1%{name}")
    found = network.gather()
    assert found["default_ipv4"] == {}
    assert found["default_ipv6"] | one == found["default_ipv6"]
    assert (found["default_ipv6"]["interface"], found["default_ipv6"]["gateway"]) == ("lo", "fe80::1%lo")
    assert found["default_ipv6"]["type"] == "loopback"
    assert "ipv4" not in found["lo"]


def test_who_is_logged_in_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody")
    assert facts._user()["user_id"] == pwd.getpwuid(os.getuid()).pw_name


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(facts, "PATIENCE", 0.05)
    monkeypatch.setattr(facts.socket, "getfqdn", never.wait)
    monkeypatch.setattr(
        facts, "read", lambda _path: f"127.0.1.1 {os.uname().nodename}.lab {os.uname().nodename}"
    )
    started = time.monotonic()
    assert facts._names()["fqdn"] == f"{os.uname().nodename}.lab"
    assert time.monotonic() - started < 20
    never.set()


@pytest.mark.parametrize(
    ("subset", "there"),
    [
        ([], ["min", "hardware", "network", "virtual"]),
        (["all"], ["min", "hardware", "network", "virtual"]),
        (["min"], ["min"]),
        (["!all"], ["min"]),
        (["!all", "!min"], []),
        (["network"], ["min", "network"]),
        (["!network"], ["min"]),
        (["!all", "!min", "virtual"], ["virtual"]),
        (["all", "!hardware"], ["min", "network", "virtual"]),
    ],
)
def test_parts_of_the_facts(subset: list[str], there: list[str]) -> None:
    assert facts.parts(subset) == there
    names = run_module("setup", {"gather_subset": subset})["ansible_facts"]
    sign = {
        "min": "hostname",
        "hardware": "mounts",
        "network": "interfaces",
        "virtual": "virtualization_type",
    }
    assert [part for part, name in sign.items() if f"ansible_{name}" in names] == there


def test_a_part_that_is_not_covered_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="'facter' is not one of: all, min"):
        play(tmp_path, "- setup: {gather_subset: [facter]}")
    assert messages(play(tmp_path, "- setup: {gather_subset: '!all,network'}")) == [""]
