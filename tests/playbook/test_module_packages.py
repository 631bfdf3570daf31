"""apt and systemd: decisions, on recorded files and outputs.

What these modules really do to a machine is tested on the VMs; only the start of a program is
replaced here.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from playing import run_module
from programs import Programs

from labctl.agent.remote import dpkg
from labctl.agent.remote.command import Finished
from labctl.agent.remote.modules import apt, systemd

DPKG_STATUS = """\
Package: bind9
Status: install ok installed
Version: 1:9.18.49-1~deb12u3
Provides: dns-server (= 1)

Package: mawk
Status: install ok installed
Version: 1.3.4
Provides: awk

Package: dnsmasq
Status: deinstall ok config-files
Version: 2.89-1

Package: haproxy
Status: install ok half-configured
Version: 2.6.12-1
"""


# -- apt -----------------------------------------------------------------------------------------


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    status = tmp_path / "status"
    status.write_text(DPKG_STATUS.replace("half-configured", "installed"))
    programs = Programs()
    monkeypatch.setattr(dpkg, "packages", lambda: dpkg.parse_status(status.read_text()))
    monkeypatch.setattr(dpkg, "LOCKS", ())
    monkeypatch.setattr(dpkg, "interrupted", lambda: False)
    monkeypatch.setattr(apt, "run_command", programs)
    return programs


def test_dpkgs_status_file() -> None:
    found = dpkg.parse_status(DPKG_STATUS)
    assert set(found.installed) == {"bind9", "mawk"}
    assert (found.halfway, found.config) == (["haproxy"], {"dnsmasq"})
    for spec, there in (
        ("bind9", True),
        ("bind9=1:9.18*", True),
        ("bind9=2*", False),
        ("bind9:amd64", True),
        ("bin*", True),
        ("awk", True),
        ("dns-server", True),
        ("dnsmasq", False),
        ("haproxy", False),
        ("nothing", False),
    ):
        assert found.has(spec) is there, spec


@pytest.mark.parametrize(
    ("args", "command"),
    [
        ({"name": "bind9"}, None),
        ({"name": ["bind9", "mawk"], "state": "present"}, None),
        ({"name": "bind9,curl"}, "install curl"),
        ({"name": "curl", "install_recommends": False}, "APT::Install-Recommends=no curl"),
        ({"name": "dnsmasq", "state": "absent"}, None),
        ({"name": "dnsmasq", "state": "absent", "purge": True}, "remove --purge dnsmasq"),
        ({"name": "bind9", "state": "absent"}, "remove bind9"),
        ({"name": "bind9", "state": "latest"}, None),
        ({"name": "nothing", "state": "absent", "autoremove": True}, None),
    ],
)
def test_apt_starts_apt_get_only_when_something_is_to_be_done(
    debian: Programs, args: dict[str, Any], command: str | None
) -> None:
    result = run_module("apt", args)
    real = [line for line in debian.lines if "--simulate" not in line]
    assert result["changed"] is (command is not None)
    if command is None:
        assert real == []
    else:
        (line,) = real
        assert [
            word
            for word in line.replace(
                "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold ", ""
            ).split()
            if word in command.split()
        ] == command.split()
        assert run_module("apt", args, check=True)["changed"]
        assert len([line for line in debian.lines if "--simulate" not in line]) == 1, (
            "check mode starts nothing"
        )


def test_a_package_of_that_name_is_not_there_because_another_provides_it(debian: Programs) -> None:
    assert not run_module("apt", {"name": "awk"})["changed"]
    debian.answers.append(("apt-cache show", Finished(0, "Package: awk\nVersion: 1\n", "")))
    assert run_module("apt", {"name": ["awk", "bind9"]})["changed"]
    assert debian.lines[-1].endswith(" awk")


def test_latest_asks_apt_whether_there_is_something_newer(debian: Programs) -> None:
    debian.answers.append(("--simulate", Finished(0, "Inst bind9 [1] (2 Debian:12)\n", "")))
    assert run_module("apt", {"name": "bind9", "state": "latest"})["changed"]


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("E: Unable to locate package curll\n", "update_cache"),
        ("E: Failed to fetch http://x Temporary failure resolving 'x'\n", "network"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.\n", "disk full"),
    ],
)
def test_apts_errors_say_what_to_do(debian: Programs, stderr: str, said: str) -> None:
    debian.answers.append(("install", Finished(100, "", stderr)))
    result = run_module("apt", {"name": "curll"})
    assert (result["failed"], result["rc"], said in result["msg"]) == (True, 100, True)


def test_an_interrupted_dpkg_is_finished_first(debian: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpkg, "interrupted", lambda: True)
    run_module("apt", {"name": "curl"})
    assert debian.lines[0].startswith("dpkg --force-confdef --force-confold --configure -a")
    assert "install" in debian.lines[1]


def test_a_held_lock_is_waited_for_with_a_bound_and_its_holder_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debian: Programs
) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    monkeypatch.setattr(dpkg, "LOCKS", (str(lock),))
    code = f"import fcntl,time;f=open({str(lock)!r},'w');fcntl.lockf(f,fcntl.LOCK_EX);print(flush=True)"
    code += ";time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            result = run_module("apt", {"name": "curl", "lock_timeout": 1}, seconds=30)
            assert result["failed"]
            assert f"process {holder.pid} (" in result["msg"]
            assert str(lock) in result["msg"]
            assert debian.lines == []
            threading.Timer(0.5, holder.kill).start()
            assert run_module("apt", {"name": "curl", "lock_timeout": 20}, seconds=30)["changed"]
        finally:
            holder.kill()
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# -- systemd -------------------------------------------------------------------------------------

SHOWN = """\
Id=named.service
LoadState={load}
ActiveState={active}
SubState=running
UnitFileState={enabled}
FragmentPath=/lib/systemd/system/named.service
NeedDaemonReload={reload}
MainPID=1
Result=success
"""


def shown(
    active: str = "active", enabled: str = "enabled", load: str = "loaded", reload: str = "no"
) -> tuple[str, Finished]:
    return "show", Finished(0, SHOWN.format(active=active, enabled=enabled, load=load, reload=reload), "")


@pytest.mark.parametrize(
    ("state", "args", "commands"),
    [
        (shown(), {"name": "bind9", "state": "started", "enabled": True}, []),
        (shown(active="inactive"), {"name": "bind9", "state": "started"}, ["systemctl start named.service"]),
        (
            shown(active="failed"),
            {"name": "bind9", "state": "started"},
            ["systemctl reset-failed named.service", "systemctl start named.service"],
        ),
        (shown(enabled="disabled"), {"name": "bind9", "enabled": True}, ["systemctl enable named.service"]),
        (shown(enabled="static"), {"name": "bind9", "enabled": True}, []),
        (
            shown(),
            {"name": "bind9", "state": "stopped", "enabled": False},
            ["systemctl disable named.service", "systemctl stop named.service"],
        ),
        (shown(active="inactive"), {"name": "bind9", "state": "stopped"}, []),
        (shown(), {"name": "bind9", "state": "restarted"}, ["systemctl restart named.service"]),
        (shown(), {"name": "bind9", "state": "reloaded"}, ["systemctl reload named.service"]),
        (shown(active="inactive"), {"name": "bind9", "state": "reloaded"}, ["systemctl start named.service"]),
        (shown(), {"name": "bind9", "state": "started", "daemon_reload": True}, []),
        (
            shown(reload="yes"),
            {"name": "bind9", "state": "started", "daemon_reload": True},
            ["systemctl daemon-reload"],
        ),
        (shown(load="not-found"), {"name": "bind9", "state": "stopped", "enabled": False}, []),
        (shown(), {"name": "bind9", "masked": True}, ["systemctl mask named.service"]),
    ],
)
def test_units(
    monkeypatch: pytest.MonkeyPatch, state: tuple[str, Finished], args: dict[str, Any], commands: list[str]
) -> None:
    programs = Programs(state)
    monkeypatch.setattr(systemd, "run_command", programs)
    result = run_module("systemd", args, diff=True)
    done = [line for line in programs.lines if " show " not in line]
    assert done == commands
    assert result["changed"] is bool([one for one in commands if "daemon-reload" not in one])
    dry = Programs(state)
    monkeypatch.setattr(systemd, "run_command", dry)
    assert run_module("systemd", args, check=True)["changed"] is result["changed"]
    assert [line for line in dry.lines if " show " not in line] == []
    assert len(dry.lines) == 1, "one process tells everything"


def test_a_unit_that_does_not_exist_or_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "run_command", Programs(shown(load="not-found")))
    assert "is its package installed" in run_module("systemd", {"name": "x", "state": "started"})["msg"]
    programs = Programs(
        shown(active="inactive"),
        (" start ", Finished(1, "", "Job for named.service failed.")),
        ("journalctl", Finished(0, "why\n", "")),
    )
    monkeypatch.setattr(systemd, "run_command", programs)
    result = run_module("systemd", {"name": "named", "state": "started"})
    assert (result["failed"], result["rc"]) == (True, 1)
    assert "Job for named.service failed." in result["msg"]
    monkeypatch.setattr(
        systemd,
        "run_command",
        Programs(("", Finished(1, "", "System has not been booted with systemd as init system"))),
    )
    assert "does not run systemd" in run_module("systemd", {"name": "named", "state": "started"})["msg"]
