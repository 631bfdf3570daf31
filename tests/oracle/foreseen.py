"""What ansible-core said in check mode of the corpus, kept: to ask it takes as long as all else together.

``make test`` holds labctl to what is kept, and a few playbooks' record to Ansible itself; ``make test-soak``
holds all of it to Ansible. Another ansible-core than the one that was asked, or a playbook that has changed,
is asked again. To keep anew what it says::

    LABCTL_TEST_RECORD=1 .venv/bin/python -m pytest tests/oracle/test_corpus.py -m soak -k foresees
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pair import HERE, Outcome

CORPUS = HERE / "corpus"
RECORD = HERE / "foreseen.json"


def digest(playbook: Path) -> str:
    """Changes with the playbook, and with all that playbooks of the corpus share."""
    shared = (path for path in CORPUS.rglob("*") if path.parent != CORPUS and path.is_file())
    found = hashlib.sha256()
    for path in (playbook, *sorted(path for path in shared if path.suffix != ".pyc")):
        found.update(f"{path.relative_to(CORPUS)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def is_of_today(playbook: Path) -> bool:
    """Whether the playbook is the one whose outcomes are kept."""
    return bool(_record().get(playbook.stem, {}).get("digest") == digest(playbook))


def kept(playbook: Path) -> list[Outcome] | None:
    """How each of its tasks would end by the Ansible that is installed; None where that is not known."""
    one = _record().get(playbook.stem, {})
    if not is_of_today(playbook) or one["ansible-core"] != version("ansible-core"):
        return None
    return [(name, status) for status, name in (line.split(" ", 1) for line in one["tasks"])]


def keep(playbook: Path, outcomes: list[Outcome]) -> None:
    tasks = [f"{status} {name}" for name, status in outcomes]
    told = {"ansible-core": version("ansible-core"), "digest": digest(playbook), "tasks": tasks}
    record = dict(sorted({**_record(), playbook.stem: told}.items()))
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _record() -> dict[str, Any]:
    return dict(json.loads(RECORD.read_text(encoding="utf-8"))) if RECORD.exists() else {}
