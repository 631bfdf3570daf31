"""apt on machines in a bad state: a held lock, a dpkg that was killed, no Python."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import Containers, containers, make_package
from playing import messages, statuses, write

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(300),
    pytest.mark.root,
]


@pytest.fixture(scope="module")
def vms() -> Iterator[Containers]:
    with containers("apt", students=1) as made:
        yield made


def tasks(tmp_path: Path, *lines: str) -> Path:
    body = "".join(f"    - {line}\n" for line in lines)
    return write(tmp_path, f"- hosts: students\n  become: true\n  tasks:\n{body}")


HOLD = (
    "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
    "open('/run/held', 'w'); time.sleep(SECONDS)"
)


def hold(vms: Containers, seconds: int) -> None:
    """A process that holds apt's lock, from when this returns on."""
    vms.run("sudo rm -f /run/held; sudo systemctl reset-failed 'holder*' 2>/dev/null || true")
    line = HOLD.replace("SECONDS", str(seconds))
    vms.run(f'sudo systemd-run --collect --unit=holder{seconds} python3 -c "{line}"')
    vms.run("until test -e /run/held; do sleep 0.1; done")


def test_a_held_lock_is_waited_for_with_a_bound_and_its_holder_named(vms: Containers, tmp_path: Path) -> None:
    deb = make_package(vms, "locked")
    hold(vms, 60)
    pid = vms.run("systemctl show -P MainPID holder60").strip()
    began = time.monotonic()
    (host,) = vms.setup(tasks(tmp_path, f"apt: {{deb: {deb}, lock_timeout: 2}}"), status=1)
    assert time.monotonic() - began < 40
    for said in (f"process {pid} (", "python3 -c import fcntl", "/var/lib/dpkg/lock-frontend"):
        assert said in messages(host)[0]
    vms.run("sudo systemctl stop holder60")

    hold(vms, 10)
    (host,) = vms.setup(tasks(tmp_path, f"apt: {{deb: {deb}, lock_timeout: 60}}"))
    assert statuses(host) == ["changed"]
    assert 1 < host["tasks"][0]["seconds"] < 40
    assert "ok installed" in vms.run("dpkg -s locked")


@pytest.mark.parametrize("named", [True, False], ids=["the package itself", "another package"])
def test_a_killed_dpkg_is_repaired(vms: Containers, tmp_path: Path, named: bool) -> None:
    name = f"killed{int(named)}"
    deb = make_package(vms, name, f"test -e /run/{name} && exit 0; touch /run/{name}; sleep 60")
    vms.run(f"sudo systemd-run --collect --unit={name} dpkg -i {deb}")
    vms.run(f"until test -e /run/{name}; do sleep 0.1; done; sudo systemctl kill -s KILL {name}; sleep 0.5")
    assert "half-configured" in vms.run(f"dpkg -s {name}")
    assert name in vms.run("sudo dpkg --audit")
    other = make_package(vms, f"other{name}")
    task = f"apt: {{name: {name}}}" if named else f"apt: {{deb: {other}}}"
    (host,) = vms.setup(tasks(tmp_path, task))
    assert statuses(host) == ["changed"]
    assert "ok installed" in vms.run(f"dpkg -s {name}")
    assert vms.run("sudo dpkg --audit") == ""
    (host,) = vms.setup(tasks(tmp_path, task))
    assert statuses(host) == ["ok"]


def test_a_package_that_cannot_be_repaired_is_named(vms: Containers, tmp_path: Path) -> None:
    deb = make_package(vms, "broken", "test -e /run/mended")
    vms.box.run("student1", f"sudo dpkg -i {deb}")
    (host,) = vms.setup(tasks(tmp_path, "apt: {deb: /tmp/broken.deb}"), status=1)
    for said in ("could not be finished", "broken", "sudo dpkg --configure -a"):
        assert said in messages(host)[0]
    vms.run("sudo touch /run/mended; sudo dpkg --configure -a")


# A package python3 as the mirror has it: a link to the interpreter, which stays.
PYTHON = r"""
set -e
sudo apt-get -y -qq remove python3 python3-minimal >/dev/null 2>&1
! command -v python3
mkdir -p /tmp/py/DEBIAN /tmp/py/usr/bin && cd /tmp/py
printf 'Package: python3\nVersion: 9\nArchitecture: all\nMaintainer: t\nDescription: t\n' > DEBIAN/control
ln -s python3.11 usr/bin/python3
sudo dpkg-deb -b . /var/cache/apt/archives/python3_9_all.deb
cd /var/cache/apt/archives
{ echo; dpkg-deb -f python3_9_all.deb; echo "Filename: ./python3_9_all.deb"
  echo "Size: $(stat -c %s python3_9_all.deb)"; echo "SHA256: $(sha256sum python3_9_all.deb | cut -d' ' -f1)"
} | sudo tee -a Packages >/dev/null
"""


def test_a_machine_without_python_gets_it_over_the_one_login(vms: Containers, tmp_path: Path) -> None:
    vms.run(PYTHON)
    play = tasks(tmp_path, "ping:")
    (host,) = vms.setup(play, status=3, check=True)
    assert (host["cause"], host["tasks"]) == ("python-missing", [])
    before = vms.logins()
    (host,) = vms.setup(play)
    assert (statuses(host), host["connections"]) == (["ok"], 1)
    assert vms.logins() - before == 2  # the setup, and this look at it
    vms.run("python3 -c pass && dpkg -s python3 | grep -q '^Version: 9'")


def test_apt_that_cannot_install_python_says_why(vms: Containers, tmp_path: Path) -> None:
    # Hidden rather than removed: apt then takes it for installed. The last test of the file.
    vms.run("sudo mv /usr/bin/python3 /usr/bin/python3.hidden")
    (host,) = vms.setup(tasks(tmp_path, "ping:"), status=3)
    assert (host["status"], host["cause"], host["tasks"]) == ("unreachable", "python-missing", [])
    assert host["hint"]
