"""The documentation's commands work: every console block is typed on the provisioned VMs.

A block starts with ```console; its lines that begin with ``$ `` are run by bash, in order, in one
directory for each page. A comment before a block says when it is special:
``<!-- status: 1 -->`` (the last command ends so) or ``<!-- not run: why -->``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from vms import Machines, environment

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
#: Pages whose commands need files that stand in the page: tests/e2e/test_writing_a_lab.py.
ELSEWHERE = {"writing-a-lab"}
_BLOCK = re.compile(r"(?:<!-- (?P<note>[^>]*?) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    commands: tuple[str, ...]
    status: int
    not_run: str


def blocks(page: Path) -> list[Block]:
    found = []
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["kind"] != "console":
            continue
        note = match["note"] or ""
        commands = tuple(line[2:] for line in match["body"].splitlines() if line.startswith("$ "))
        status = int(note.removeprefix("status: ")) if note.startswith("status: ") else 0
        not_run = note.removeprefix("not run: ") if note.startswith("not run: ") else ""
        found.append(Block(commands, status, not_run))
    return found


def test_every_block_that_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.commands, f"{page.name}: a console block without a command"
            assert not block.not_run or len(block.not_run) > 10


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


@pytest.mark.vm
@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p) and p.stem not in ELSEWHERE], ids=lambda p: p.stem
)
def test_the_commands_work(page: Path, provisioned: Machines, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks(page):
        if block.not_run:
            continue
        for number, command in enumerate(block.commands, 1):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env={**environment(), "PATH": path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            expected = block.status if number == len(block.commands) else 0
            assert done.returncode == expected, f"{page.name}: $ {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("title", ["Modules", "Keywords of a play", "Keywords of a task", "Filters", "Tests"])
def test_the_compatibility_page_lists_what_the_engine_has(title: str) -> None:
    from labctl.playbook import filters, keywords, modules

    has = {
        "Modules": {module.name for module in modules.ALL},
        "Keywords of a play": keywords.PLAY,
        "Keywords of a task": keywords.TASK,
        "Filters": filters.FILTERS,
        "Tests": filters.TESTS,
    }[title]
    page = (ROOT / "docs" / "ansible.md").read_text(encoding="utf-8")
    section = page.split(f"### {title}\n")[1].split("\n#")[0].split("\n\nAlso")[0]
    assert set(re.findall(r"`([^`]+)`", section)) == set(has)
