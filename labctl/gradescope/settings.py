"""What ``labctl gradescope build`` decides and the autograder follows: a JSON file in the zip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

NAME = "labctl-autograder.json"


@dataclass(frozen=True)
class Settings:
    """``mode`` is receipts or live. ``roster`` maps a student's address, in small letters, to ``host`` and
    ``user``. ``public`` and ``sealing`` are the keys' halves for the autograder, base64. A receipt may be
    ``max_age`` days old, and was signed at ``not_before`` or later (ISO 8601; "" is any time);
    ``late_percent`` of the points are taken off for every day begun after the deadline;
    ``attempts`` submissions are graded in ``attempt_hours``, 0 for any number.
    """

    lab: str
    mode: str
    roster: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    public: str = ""
    sealing: str = ""
    max_age: float = 14.0
    late_percent: float = 0.0
    not_before: str = ""
    attempts: int = 0
    attempt_hours: float = 24.0

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Settings:
        values: dict[str, Any] = json.loads(text)
        return cls(**values)
