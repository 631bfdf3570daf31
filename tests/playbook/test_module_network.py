"""mount, ufw, user, group, wait_for: decisions, on recorded files, and waiting for real."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import run_module
from programs import Programs

from labctl.agent.remote.command import Finished
from labctl.agent.remote.modules import mount, ufw, user, wait_for
from labctl.agent.remote.mount_table import Row

# -- mount ---------------------------------------------------------------------------------------

FSTAB = "# the root\n/dev/vda / ext4 rw,noatime 0 1\n\nserver:/a /mnt nfs ro 0 0 # comment\n"


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        (
            "/mnt",
            "server:/b /mnt nfs rw 0 0\n",
            FSTAB.replace("server:/a /mnt nfs ro 0 0 # comment", "server:/b /mnt nfs rw 0 0"),
        ),
        ("/mnt", "server:/a /mnt nfs ro 0 0\n", FSTAB),
        ("/data", "tmpfs /data tmpfs rw 0 0\n", FSTAB + "tmpfs /data tmpfs rw 0 0\n"),
        ("/mnt", None, FSTAB.replace("server:/a /mnt nfs ro 0 0 # comment\n", "")),
        ("/nowhere", None, FSTAB),
    ],
)
def test_fstab_lines(path: str, line: str | None, expected: str) -> None:
    assert mount.edited(FSTAB, path, line) == expected


field = st.text("ab/:=, \\\t", min_size=1, max_size=8).filter(
    lambda text: text.strip() == text and not text.startswith("#")
)


@given(st.text(max_size=12))
def test_fields_of_fstab_are_read_back(text: str) -> None:
    assert mount.unescape(mount.escape(text)) == text


@given(
    st.lists(
        st.sampled_from(["# note", "", "/dev/vda / ext4 rw 0 1", "s:/x /x nfs rw 0 0", "s:/y /y nfs rw"])
    ),
    field,
)
def test_an_fstab_line_is_put_in_once_and_taken_out_whole(lines: list[str], source: str) -> None:
    text = "".join(f"{line}\n" for line in lines)
    line = mount.fstab_line({"src": source, "fstype": "nfs", "opts": "rw"}, "/the point")
    put = mount.edited(text, "/the point", line)
    assert put.count("/the\\040point") == 1
    assert mount.edited(put, "/the point", line) == put
    assert mount.edited(put, "/the point", None) == text


@pytest.mark.parametrize(
    ("there", "args", "commands", "changed"),
    [
        ("server:/a", {"state": "mounted", "src": "server:/a", "fstype": "nfs", "opts": "ro"}, [], False),
        (
            "server:/a",
            {"state": "mounted", "src": "server:/b", "fstype": "nfs", "opts": "rw"},
            ["umount {p}", "mount -T {f} {p}"],
            True,
        ),
        (
            None,
            {"state": "mounted", "src": "server:/a", "fstype": "nfs", "opts": "ro"},
            ["mount -T {f} {p}"],
            True,
        ),
        ("server:/a", {"state": "unmounted"}, ["umount {p}"], True),
        (None, {"state": "unmounted"}, [], False),
        ("server:/a", {"state": "remounted"}, ["mount -o remount {p}"], True),
    ],
)
def test_mounting(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: str | None,
    args: dict[str, Any],
    commands: list[str],
    changed: bool,
) -> None:
    point, fstab = tmp_path / "point", tmp_path / "fstab"
    fstab.write_text(f"server:/a {point} nfs ro 0 0\n")
    table = [Row(str(point), there, "nfs4", ["rw"], [])] if there else []
    monkeypatch.setattr(mount, "rows", lambda: table)

    class Mounts(Programs):
        def __call__(self, argv: list[str], **options: Any) -> Finished:
            if argv[0] == "umount":
                table.clear()
            return super().__call__(argv, **options)

    programs = Mounts()
    monkeypatch.setattr(mount, "run_command", programs)
    given_args = {"path": str(point), "fstab": str(fstab)} | args
    assert run_module("mount", given_args, check=True)["changed"] is changed
    assert programs.lines == []
    result = run_module("mount", given_args)
    assert (result["changed"], programs.lines) == (
        changed,
        [one.format(p=point, f=fstab) for one in commands],
    )


# -- ufw -----------------------------------------------------------------------------------------

USER_RULES = """\
*filter
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### allow any 53 0.0.0.0/0 any 0.0.0.0/0 in comment=646e73
-A ufw-user-input -p tcp --dport 53 -j ACCEPT

### tuple ### allow tcp 2049 0.0.0.0/0 any 10.77.0.0/24 in
### tuple ### deny any any 0.0.0.0/0 any 10.0.0.1 in_eth0
### END RULES ###
"""
UFW_DEFAULTS = """\
IPV6=yes
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="DROP"
"""
USER6_RULES = """\
### tuple ### allow tcp 22 ::/0 any ::/0 in
### tuple ### allow any 53 ::/0 any ::/0 in comment=646e73
"""


@pytest.fixture
def firewall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    for name, text in {
        "usr/sbin/ufw": "",
        "etc/ufw/ufw.conf": "# comment\nENABLED=yes\nLOGLEVEL=low\n",
        "etc/default/ufw": UFW_DEFAULTS,
        "etc/ufw/user.rules": USER_RULES,
        "etc/ufw/user6.rules": USER6_RULES,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    programs = Programs()
    monkeypatch.setattr(ufw, "ROOT", str(tmp_path))
    monkeypatch.setattr(ufw, "run_command", programs)
    return programs


@pytest.mark.parametrize(
    ("args", "commands"),
    [
        ({"state": "enabled"}, []),
        ({"state": "disabled"}, ["ufw disable"]),
        ({"rule": "allow", "port": "22", "proto": "tcp"}, []),
        ({"rule": "allow", "port": 22, "proto": "tcp"}, []),
        ({"rule": "allow", "port": "22/tcp"}, []),
        ({"rule": "deny", "port": "22", "proto": "tcp"}, ["ufw deny from any to any port 22 proto tcp"]),
        ({"rule": "allow", "port": "53"}, []),
        ({"rule": "allow", "port": "53", "comment": "dns"}, []),
        (
            {"rule": "allow", "port": "53", "comment": "other"},
            ["ufw allow from any to any port 53 comment other"],
        ),
        ({"rule": "allow", "port": "53", "proto": "udp"}, ["ufw allow from any to any port 53 proto udp"]),
        ({"rule": "allow", "from_ip": "10.77.0.0/24", "port": "2049", "proto": "tcp"}, []),
        ({"rule": "allow", "from_ip": "10.77.0.7/24", "port": "2049", "proto": "tcp"}, []),
        ({"rule": "deny", "from_ip": "10.0.0.1", "interface": "eth0"}, []),
        (
            {"rule": "allow", "port": "22", "proto": "tcp", "delete": True},
            ["ufw delete allow from any to any port 22 proto tcp"],
        ),
        ({"rule": "allow", "port": "80", "proto": "tcp", "delete": True}, []),
        ({"default": "deny", "direction": "incoming"}, []),
        ({"default": "allow", "direction": "incoming"}, ["ufw default allow incoming"]),
        ({"logging": "on"}, []),
        ({"logging": "high"}, ["ufw logging high"]),
        ({"state": "reset"}, ["ufw --force reset"]),
    ],
)
def test_firewall(firewall: Programs, args: dict[str, Any], commands: list[str]) -> None:
    assert run_module("ufw", args, check=True)["changed"] is bool(commands)
    assert firewall.lines == []
    result = run_module("ufw", args, diff=True)
    assert (result["changed"], firewall.lines) == (bool(commands), commands)


def test_a_refused_rule_shows_ufws_words(firewall: Programs) -> None:
    firewall.answers.append(("ufw", Finished(1, "", "ERROR: Bad port\n")))
    result = run_module("ufw", {"rule": "allow", "port": "x"})
    assert "ERROR: Bad port" in result["msg"]


# -- user, group, wait_for -----------------------------------------------------------------------


def test_accounts() -> None:
    entry = pwd.struct_passwd(("amy", "x", 1000, 0, "Amy", "/home/amy", "/bin/sh"))
    assert (
        user.modification({"name": "amy", "uid": 1000, "shell": "/bin/sh", "group": "root"}, entry, None)
        == []
    )
    assert user.modification({"name": "amy", "shell": "/bin/bash"}, entry, None) == ["-s", "/bin/bash"]
    assert user.modification({"name": "amy", "groups": ["daemon"], "append": True}, entry, None) == [
        "-a",
        "-G",
        "daemon",
    ]
    assert user.modification({"name": "amy", "groups": ["root"]}, entry, None) == []
    assert user.modification({"name": "amy", "password": "$6$x"}, entry, "$6$x") == []
    assert user.modification({"name": "amy", "password": "$6$y"}, entry, "$6$x") == ["-p", "$6$y"]
    assert (
        user.modification({"name": "amy", "password": "$6$y", "update_password": "on_create"}, entry, None)
        == []
    )
    assert user.modification({"name": "amy", "password_lock": True}, entry, "$6$x") == ["-L"]
    assert user.creation({"name": "zoe", "uid": 7, "system": True, "create_home": False}) == [
        "-u",
        "7",
        "-r",
        "-M",
    ]


def test_an_account_made_locked_has_the_lock_from_the_beginning() -> None:
    asked = {"name": "zoe", "password": "$6$x"}
    assert user.creation(asked)[:2] == ["-p", "$6$x"]
    assert user.creation(asked | {"password_lock": True})[:2] == ["-p", "!$6$x"]


def test_accounts_that_are_as_they_should_be_cost_no_process() -> None:
    me = pwd.getpwuid(os.getuid())
    result = run_module("user", {"name": me.pw_name, "shell": me.pw_shell, "uid": me.pw_uid})
    assert (result["changed"], result["home"]) == (False, me.pw_dir)
    assert not run_module("user", {"name": "nobody-here", "state": "absent"})["changed"]
    assert run_module("user", {"name": "nobody-here"}, check=True)["changed"]
    group = grp.getgrgid(0).gr_name
    assert run_module("group", {"name": group}) == {
        "changed": False,
        "name": group,
        "state": "present",
        "gid": 0,
        "system": False,
    }
    assert run_module("group", {"name": "nobody-here"}, check=True)["changed"]


@pytest.mark.slow
def test_waiting_for_ports_and_paths(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert run_module("wait_for", {"port": port, "timeout": 5})["elapsed"] == 0
        assert run_module("wait_for", {"port": port, "state": "stopped", "timeout": 1})["failed"]
    assert run_module("wait_for", {"port": port, "state": "stopped", "timeout": 5})["elapsed"] == 0
    threading.Timer(0.3, (tmp_path / "f").write_text, ["ready: yes\n"]).start()
    assert not run_module(
        "wait_for", {"path": str(tmp_path / "f"), "search_regex": "ready: (yes|no)", "timeout": 5}
    ).get("failed")
    result = run_module("wait_for", {"path": str(tmp_path / "f"), "state": "absent", "timeout": 1})
    assert "is gone" in result["msg"]
    assert (
        run_module("wait_for", {"port": port, "timeout": 9, "msg": "no server"}, seconds=1)["msg"]
        == "no server"
    )


def test_wait_for_looks_often_at_first_and_then_as_seldom_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(wait_for.time, "sleep", pauses.append)
    monkeypatch.setattr(wait_for.os.path, "exists", lambda _: len(pauses) == 7)
    assert run_module("wait_for", {"path": str(tmp_path), "sleep": 1})["elapsed"] == 0
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
