"""Lab 7 as far as a container can have it: without NFS mounts and the firewall."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
_NOT_IN_A_CONTAINER = (".mount", ".ufw")


def playbook_in(course: Path) -> Path:
    """Copy the lab's playbook and templates into the directory ``course``; where the playbook is."""
    for name in ("playbooks", "templates"):
        shutil.copytree(ROOT / name, course / name)
    playbook = course / "playbooks" / "lab7.yml"
    plays = yaml.safe_load(playbook.read_text())
    plays[0]["tasks"] = [
        task
        for task in plays[0]["tasks"]
        if not any(key.endswith(_NOT_IN_A_CONTAINER) for key in task) and "private share" not in task["name"]
    ]
    playbook.write_text(yaml.safe_dump(plays))
    return playbook
