"""Fixtures that all tests share: the two VMs, and a user's settings kept out."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from vms import NAME, Machines
from xdist.scheduler import LoadScopeScheduling

from labctl.sandbox import Sandbox
from labctl.sandbox.paths import state_dir

# How long an example takes says how busy the machine is, and nothing about the program.
settings.register_profile("labctl", deadline=None)
settings.load_profile("labctl")

_ROOT = Path(__file__).parent.parent
_SHARES_VMS = re.compile(r"\b(?:machines: Machines|bare: Machines|provisioned: Machines|sandbox: Sandbox)\b")
#: Tests with emulated VMs of their own. Beside those that are shared, four VMs would want two cores.
_OWN_VMS = ("tests/e2e/test_ubuntu.py", "tests/verify/test_verify_on_vms.py")
#: What is compared with Ansible computes all the time, and nothing in it depends on how long that takes.
_ORACLE = "tests/oracle/"
_GIVES_WAY = 5
#: Seconds in which a test of these has ended: the machine's cores are not for it alone.
_ON_BUSY_CORES = 1800
#: Experiments on this machine itself: another that is under way is what they would see.
_ON_THIS_MACHINE = re.compile(r"^(?:from|import) balanced\b", re.MULTILINE)
_FAILED_BEFORE = pytest.StashKey[set[Path]]()
# What a test starts inherits this word, whatever it does with its session and its parents.
_MARK = f"TESTS_OF_LABCTL={uuid.uuid4()}"


class _ByFile(LoadScopeScheduling):
    """A worker takes the tests of a file, all experiments on this machine, all on emulated VMs, or all that
    is compared with Ansible.

    Those two take longer than anything else, and come first: the tests that share two VMs, which boot once,
    and those with VMs of their own; and, in the time that is left over, Ansible's.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Of our own: xdist's groups do not reach its scheduler with pytest 9."""
    return _ByFile(config, log)


@cache
def _scope(file: str) -> str:
    text = (_ROOT / file).read_text(encoding="utf-8")
    if file in _OWN_VMS or _SHARES_VMS.search(text):
        return "vms"
    if file.startswith(_ORACLE):
        return "oracle"
    return "this machine" if _ON_THIS_MACHINE.search(text) else file


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes an hour runs only when asked for by name, ``-m soak``; what takes root only as root."""
    if "soak" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(
                    pytest.mark.skip(
                        reason="makes containers, or files and processes of other users: sudo make test"
                    )
                )
    for item in items:
        if _scope(_file(item)) in ("vms", "oracle") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_ON_BUSY_CORES))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool, bool]:
    """Its place among the others; those with the same keep their order."""
    scope = _scope(_file(item))
    return scope != "vms", scope != "oracle", _file(item) in _OWN_VMS


def _shares_vms(item: pytest.Item) -> bool:
    return _scope(_file(item)) == "vms" and _file(item) not in _OWN_VMS


def _file(item: pytest.Item | pytest.Module) -> str:
    return item.nodeid.partition("::")[0]


def pytest_sessionstart(session: pytest.Session) -> None:
    """What setup, reset and grade remember of the tests' runs is not for the user."""
    if not hasattr(session.config, "workerinput"):
        session.stash[_FAILED_BEFORE] = set(_failed().glob("*"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        for made in set(_failed().glob("*")) - session.stash[_FAILED_BEFORE]:
            shutil.rmtree(made)


def _failed() -> Path:
    return state_dir() / "failed"


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """At the end of the session every process that its tests started has ended, their VMs included."""
    name, _, value = _MARK.partition("=")
    os.environ[name] = value
    yield
    # a watcher of the crash experiment keeps to its lease and limit, a minute at most
    until = time.monotonic() + 90
    while (left := _marked()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left, "left running by a test: " + "; ".join(left)


def _marked() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if entry.name != str(os.getpid()) and _MARK.encode() in (entry / "environ").read_bytes():
                found.append(f"{entry.name} {(entry / 'cmdline').read_bytes().decode(errors='replace')!r}")
    return found


@pytest.fixture(scope="module", autouse=True)
def _ansible_gives_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """What waits for an answer in time goes before what is compared with Ansible, with all that starts."""
    if _scope(_file(request.node)) != "oracle":
        yield
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, before + _GIVES_WAY)
    yield
    with suppress(PermissionError):  # only root may take it back
        os.setpriority(os.PRIO_PROCESS, 0, before)


@pytest.fixture(scope="session", autouse=True)
def _results_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tests grade is not kept among the user's results."""
    os.environ["LABCTL_DATABASE"] = f"sqlite:///{tmp_path_factory.mktemp('results')}/results.sqlite"


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """Both VMs, freshly booted for this session and removed after it."""
    box = Sandbox.open(NAME)
    box.down()  # what an interrupted session may have left is in an unknown state
    box.up(students=1, progress=lambda step: print(step, file=sys.stderr))
    try:
        made = Machines(box)
        made.keep("bare")
        yield made
    finally:
        box.down()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The last test that shares the VMs ends them: they have the memory of all that comes after."""
    if _shares_vms(item) and not (nextitem and _shares_vms(nextitem)):
        Sandbox.open(NAME).down()


@pytest.fixture(scope="session")
def sandbox(machines: Machines) -> Sandbox:
    """The sandbox room's own handle on the shared VMs."""
    return machines.box


@pytest.fixture
def bare(machines: Machines) -> Machines:
    """Both VMs as they were after their first boot."""
    machines.bare()
    return machines


@pytest.fixture
def provisioned(machines: Machines) -> Machines:
    """Both VMs with the lab set up on them."""
    machines.provisioned()
    return machines


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see neither the user's running sandbox nor the user's settings."""
    for name in ("LABCTL_COURSE", "LABCTL_INVENTORY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LABCTL_SANDBOX", NAME)
