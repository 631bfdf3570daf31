"""What the lab itself fixes. What differs from VM to VM is in the inventory."""

from __future__ import annotations

import re
from pathlib import Path

from labctl.grading import Answer, load_rubric

RUBRIC = load_rubric(Path(__file__).with_name("rubric.yml"))

PUBLIC = "/opt/lab7/public"
PRIVATE = "/opt/lab7/private"
MOUNT_POINT = "/mnt"

ZONE = "example.com"
TEST_ADDRESS = "93.184.216.34"

FRONTEND, STATS, STATS_PATH = 7000, 7001, "/stats;csv"
WORKERS = range(8080, 8086)

#: What a worker says that is about to crash.
CRASHED = re.compile(r"Crashing ID (\d+)!")
_GREETING = re.compile(r"\s*Hello, I am ID (\d{1,4})\s*\Z")


def worker_id(body: str) -> int | None:
    """The id in a worker's greeting; None when it is none."""
    found = _GREETING.match(body)
    return int(found.group(1)) if found else None


def answer_of(question: str) -> Answer:
    """What the rubric asks for in a question, and gives points for."""
    asked = RUBRIC.question(question)
    assert asked is not None, question
    assert asked.answer is not None, question
    return asked.answer
