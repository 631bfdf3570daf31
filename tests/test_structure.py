"""The layout's promises: imports point down, some libraries have one importer, files fit a head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "labctl"

#: Rooms in layers, top first. Rooms of one layer do not import each other; a room may import any
#: room of a lower layer, except where FORBIDDEN says otherwise.
LAYERS = (
    ("cli",),
    ("gradescope", "verify"),
    ("grading", "playbook"),
    ("probes",),
    ("agent", "batch", "sandbox"),
    ("inventory", "connect", "store", "report"),
    ("deadline", "documents", "files", "later", "whoami"),
    ("json_documents",),
    ("placed", "vault"),
    ("errors",),
)
#: connect needs to know what a host is; documents and deadline raise errors.
ALLOWED_SIDEWAYS = {("connect", "inventory")}
#: A grader must not share code with what it grades; the sandbox is for itself.
FORBIDDEN = {
    "probes": {"batch", "sandbox"},
    "grading": {"playbook", "sandbox"},
    "verify": {"playbook"},
    "playbook": {"probes", "sandbox"},
    "gradescope": {"playbook", "sandbox"},
    "sandbox": {"inventory", "connect", "report"},
}
IMPORTERS = {
    "paramiko": {"connect"},
    "dns": {"probes"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "jinja2": {"playbook", "inventory", "report"},
    "click": {"cli"},
    "cryptography": {"vault", "gradescope"},
    "passlib": {"playbook"},
}
#: What graders may import.
FACES = ("labctl.grading", "labctl.grading.answers", "labctl.probes")
STDLIB_ONLY = PACKAGE / "agent" / "remote"


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that ``path`` imports, relative imports made absolute, and the line."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                yield (f"{base}.{node.module}" if node.module else base), node.lineno
            elif node.module == "labctl":
                yield from ((f"labctl.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module or "", node.lineno


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def layer(name: str) -> int:
    return next((depth for depth, rooms in enumerate(LAYERS) if name in rooms), -1)


def violations(importer: str, module: str) -> str | None:
    """Why ``importer`` may not import ``module``, or None when it may."""
    parts = module.split(".")
    if parts[0] == "labctl" and len(parts) > 1 and parts[1] not in (importer, "__version__"):
        target = parts[1]
        if layer(target) < 0:
            return f"{target} is no room of the layout"
        if target in FORBIDDEN.get(importer, ()):
            return f"{importer} must not import {target}"
        downwards = layer(importer) < layer(target) or (importer, target) in ALLOWED_SIDEWAYS
        if not downwards:
            return f"{importer} may not import {target}: imports point down"
    elif importer not in IMPORTERS.get(parts[0], {importer}):
        return f"only {' and '.join(sorted(IMPORTERS[parts[0]]))} may import {parts[0]}"
    return None


def test_every_room_has_a_layer() -> None:
    names = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in files(PACKAGE)}
    unknown = names - {name for rooms in LAYERS for name in rooms} - {"__init__", "__main__"}
    assert not unknown


def test_imports_point_down() -> None:
    wrong = []
    for path in files(PACKAGE):
        if room(path) in ("__init__", "__main__"):
            continue
        for module, line in imports(path):
            reason = violations(room(path), module)
            if reason:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {reason}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "module", "allowed"),
    [
        ("grading", "labctl.playbook.load", False),
        ("playbook", "labctl.grading", False),
        ("report", "labctl.cli", False),
        ("agent", "labctl.batch", False),
        ("probes", "paramiko", False),
        ("cli", "labctl.sandbox", True),
        ("connect", "paramiko", True),
        ("grading", "labctl.probes", True),
    ],
)
def test_the_rule_itself(importer: str, module: str, allowed: bool) -> None:
    assert (violations(importer, module) is None) == allowed


def test_the_agent_needs_the_standard_library_only() -> None:
    import sys

    wrong = []
    for path in files(STDLIB_ONLY):
        for module, line in imports(path):
            top = module.split(".")[0]
            if not module.startswith("labctl.agent.remote") and top not in sys.stdlib_module_names:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {module}")
    assert not wrong, "\n".join(wrong)


def test_the_agent_is_python_3_8() -> None:
    for path in files(STDLIB_ONLY):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_agent_knows_late_sockets_by_more_than_timeouterror() -> None:
    """On Python 3.8 and 3.9 they raise socket.timeout, a class of its own: probes/trouble.py knows both."""
    wrong = []
    for path in files(STDLIB_ONLY):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            caught = node.type if isinstance(node, ast.ExceptHandler) else None
            names = {one.id for one in ast.walk(caught) if isinstance(one, ast.Name)} if caught else set()
            if "TimeoutError" in names and "OSError" not in names:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)


def test_graders_import_public_faces_only() -> None:
    wrong = []
    for path in files(ROOT / "graders"):
        for module, line in imports(path):
            if module.split(".")[0] == "labctl" and module not in FACES:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {module}")
    assert not wrong, "\n".join(wrong)


def test_files_fit_a_head() -> None:
    long = {}
    for root in (PACKAGE, ROOT / "graders", ROOT / "tests"):
        for path in files(root):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > 450:
                long[str(path.relative_to(ROOT))] = lines
    assert not long


def test_nothing_reads_python_objects_or_evaluates_data() -> None:
    """No pickle, no eval: everything from a VM is untrusted bytes.

    Only the agent's loader, on the VM, reads and runs code: what the controller wrote.
    """
    wrong = []
    for path in files(PACKAGE):
        if path.name == "loader.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name) and node.id in ("eval", "exec"):
                wrong.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("marshal.load", "marshal.loads"):
                wrong.append(f"{path}:{node.lineno}")
        wrong += [f"{path}:{line}" for module, line in imports(path) if module in ("pickle", "shelve")]
    assert not wrong
