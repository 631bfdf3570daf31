"""What the lab itself fixes. What differs from VM to VM is in the inventory."""

from __future__ import annotations

import re

PUBLIC = "/opt/lab7/public"
PRIVATE = "/opt/lab7/private"

ZONE = "example.com"
TEST_ADDRESS = "93.184.216.34"

FRONTEND, STATS, STATS_PATH = 7000, 7001, "/stats;csv"
WORKERS = range(8080, 8086)

_GREETING = re.compile(r"\s*Hello, I am ID (\d{1,4})\s*\Z")


def worker_id(body: str) -> int | None:
    """The id in a worker's greeting; None when it is none."""
    found = _GREETING.match(body)
    return int(found.group(1)) if found else None
