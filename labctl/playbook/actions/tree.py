"""What a directory here holds, for ``copy``: as ansible-core walks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tree:
    """Names are relative to what is walked. A link is here only when it could not be followed."""

    files: list[tuple[Path, str]] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)


def walk(top: Path) -> Tree:
    """Links are followed, but those that lead nowhere, and those to a directory that they are in."""
    tree = Tree()
    _walk(top, "", (_identity(top),), tree)
    return tree


def _walk(directory: Path, base: str, above: tuple[tuple[int, int], ...], tree: Tree) -> None:
    for path in sorted(directory.iterdir()):
        name = f"{base}{path.name}"
        if path.is_dir():
            if path.is_symlink() and _identity(path) in above:
                tree.links.append((str(path.readlink()), name))
                continue
            tree.directories.append(name)
            _walk(path, f"{name}/", (*above, _identity(path)), tree)
        elif path.is_symlink() and not path.is_file():
            tree.links.append((str(path.readlink()), name))
        else:
            tree.files.append((path, name))


def _identity(path: Path) -> tuple[int, int]:
    info = path.stat()
    return info.st_dev, info.st_ino
