"""setup: the facts of this VM under Ansible's names."""

from __future__ import annotations

import fnmatch
from typing import Any

from ..facts import gather
from ..outcome import Context


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    facts = gather(ctx, args.get("gather_subset") or [])
    patterns = args.get("filter") or []
    if patterns:
        facts = {
            name: value
            for name, value in facts.items()
            if any(fnmatch.fnmatch(name, one) or fnmatch.fnmatch("ansible_" + name, one) for one in patterns)
        }
    return {"changed": False, "ansible_facts": {"ansible_" + name: value for name, value in facts.items()}}
