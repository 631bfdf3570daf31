"""docs/reliability.md names tests: each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reliability.md"
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_line_of_the_table_names_tests_that_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = _NAMED.findall(text)
    missing = [f"{path}::{name}" for path, name in named if name not in functions(ROOT / path)]
    assert not missing
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| fault"):
            assert _NAMED.search(line), f"no test is named: {line[:60]}"
