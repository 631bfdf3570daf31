"""Grading a student's VM from Gradescope's container, with a key made for that alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Files of a live build, in ``source/``.
INVENTORY = "inventory.yml"
KEY = "labctl_gradescope_key"
KNOWN_HOSTS = "known_hosts"
COURSE = "course"
#: What was handed in as answers, under a name that is no VM's: labctl grade would take it for that VM's.
_ANSWERS = "handed in.yml"
#: Seconds for the whole; Gradescope's own limit is ten minutes unless staff raise it.
_DEADLINE = 400


class NotJudged(Exception):
    """The VM could not be reached, or some check of it could not be judged."""


def grade(root: Path, host: str, answers: Path | None) -> dict[str, Any]:
    """The document of grading ``host`` and what its student wrote. Raises :class:`NotJudged`."""
    source = root / "source"
    # unpacked from a zip, where a file's mode is not certain; ssh refuses a key that others may read
    (source / KEY).chmod(0o600)
    # -P: what lies in the working directory is nobody's module
    command = [sys.executable, "-P", "-m", "labctl", "grade", host, "--json"]
    command += ["-i", str(source / INVENTORY), "--course", str(source / COURSE)]
    if answers:
        (source / _ANSWERS).write_bytes(answers.read_bytes())
        command += ["--answers", str(source / _ANSWERS)]
    environment = {**os.environ, "LABCTL_DATABASE": "sqlite:////tmp/labctl-results.sqlite"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_DEADLINE, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise NotJudged(f"grading took more than {_DEADLINE} s") from err
    print(done.stderr, file=sys.stderr)
    try:
        document: dict[str, Any] = json.loads(done.stdout)
        (graded,) = document["hosts"]
    except (ValueError, KeyError) as err:
        raise NotJudged(f"labctl grade ended with status {done.returncode}") from err
    if graded["score"] is None:
        raise NotJudged(graded["error"] or "the grade is not complete")
    return document
