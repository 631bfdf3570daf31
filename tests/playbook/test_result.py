"""What reports keep of a task: secrets masked, nothing else."""

from __future__ import annotations

from labctl.playbook.result import masked
from labctl.vault import MASK


def test_what_only_sounds_secret_is_shown() -> None:
    shown = masked({"update_password": "always", "password": "x", "db_password": "y", "password_lock": True})
    assert shown == {
        "update_password": "always",
        "password": MASK,
        "db_password": MASK,
        "password_lock": True,
    }
