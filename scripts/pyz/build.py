"""Builds labctl.pyz: the student's labctl in one file, for a machine that has Python and nothing else.

It holds pure Python only, so that one file runs on every Python from 3.10 and on every processor: what
grading the machine it runs on needs, without SSH (cryptography is compiled), the results database and
pydantic (compiled too). Nor does it hold what only staff have: their checks, and how answers are judged.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import tomllib

from labctl import __version__
from labctl.cli import STUDENT_COMMANDS, show_error
from labctl.errors import CourseError, LabctlError
from labctl.grading import for_students, load_lab, staff_checks
from labctl.grading.lab import package_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OLDEST = "3.10"
#: The commands for the machine that they run on. What they import is packed, without the rooms that are for
#: other machines, and for staff.
COMMANDS = ("labctl.cli", *(f"labctl.cli.{name}" for name in STUDENT_COMMANDS))
LEFT_OUT = {"gradescope", "playbook", "sandbox", "store", "verify"}
LIBRARIES = {"cattrs", "click", "dnspython", "pyyaml", "rich"}
ON_OLD_PYTHON = ("exceptiongroup>=1.2", "tomli>=2")
#: Rich uses them for Markdown and for colouring source code, which labctl does not show.
NOT_USED = {"markdown_it_py", "markdown_it", "mdurl", "pygments", "bin"}
SUFFIXES = {".py", ".pem"}
#: What only staff have: this module of a lab, and those that only it imports.
STAFF = "staff"
#: The earliest time that a zip archive can tell: the same sources make the same file.
TIME = (1980, 1, 1, 0, 0, 0)


def package_files() -> Iterator[tuple[str, bytes]]:
    found: set[Path] = set()
    for module in COMMANDS:
        imported(module, found)
    # sent to the VM as text, and imported there
    found |= set((ROOT / "labctl" / "agent" / "remote").rglob("*.py"))
    for path in sorted(found):
        yield str(path.relative_to(ROOT)), path.read_bytes()


def imported(module: str, found: set[Path]) -> None:
    """Add the files of a module of labctl, of its packages, and of all that they import at any time."""
    parts = module.split(".")
    if parts[0] != "labctl" or (len(parts) > 1 and parts[1] in LEFT_OUT):
        return
    for depth in range(1, len(parts) + 1):
        home = ROOT.joinpath(*parts[:depth])
        path = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
        if path in found or not path.is_file():
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [f"{node.module}.{one.name}" for one in node.names]
            else:
                continue
            for name in names:
                imported(name, found)


def course_files(course: Path, labs: list[str]) -> Iterator[tuple[str, bytes]]:
    yield "labctl/course/labctl.toml", f'[grade]\nlab = "{labs[0]}"\n'.encode()
    package = course / "graders" / "__init__.py"
    yield "labctl/course/graders/__init__.py", package.read_bytes() if package.is_file() else b""
    for name in labs:
        home = course / "graders" / name
        yield f"labctl/course/graders/{name}/rubric.json", student_rubric(home).encode()
        for path in sorted(reached(home)):
            yield f"labctl/course/graders/{name}/{path.relative_to(home)}", path.read_bytes()


def reached(home: Path, module: tuple[str, ...] = (), seen: frozenset[Path] = frozenset()) -> frozenset[Path]:
    """The files of a lab's package that ``module`` of it needs, itself included, without the staff's. The
    package itself is ``()``, its ``web/pages.py`` is ``("web", "pages")``.
    """
    directory = home.joinpath(*module)
    path = directory / "__init__.py" if directory.is_dir() else directory.with_suffix(".py")
    if module[:1] == (STAFF,) or path in seen or not path.is_file():
        return seen
    seen |= {path}
    if module:
        seen = reached(home, module[:-1], seen)
    package = module if directory.is_dir() else module[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(package) + 1:
            base = package[: len(package) + 1 - node.level] + tuple(
                filter(None, (node.module or "").split("."))
            )
            for name in [(), *((one.name,) for one in node.names)]:
                seen = reached(home, (*base, *name), seen)
    return seen


def student_rubric(home: Path) -> str:
    """What students get of a lab's rubric: it was checked here, and is not checked again."""
    lab = load_lab(home)
    by_staff = [one.id for one in staff_checks(package_of(home))]
    return for_students(lab.rubric, by_staff)


def library_files(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(one for one in home.rglob("*") if one.is_file()):
        inside = path.relative_to(home)
        top = inside.parts[0]
        legal = top.endswith(".dist-info") and "licen" in str(inside).lower()
        if top.partition("-")[0].lower() not in NOT_USED and (path.suffix in SUFFIXES or legal):
            yield inside.as_posix(), path.read_bytes()


def libraries() -> Path:
    """A directory with the libraries, in the versions for the oldest Python; fetched when they change."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        line for line in project["dependencies"] if re.split(r"[<>=~!;\[ ]", line)[0].lower() in LIBRARIES
    ]
    digest = hashlib.sha256("\n".join([OLDEST, *wanted, *ON_OLD_PYTHON]).encode()).hexdigest()[:12]
    home = ROOT / "build" / f"pyz-{digest}"
    if not home.is_dir():
        with tempfile.TemporaryDirectory(dir=_made(home.parent)) as part:
            abi = f"cp{OLDEST.replace('.', '')}"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            pip += [
                "--target",
                f"{part}/site",
                "--no-compile",
                "--only-binary=:all:",
                "--implementation",
                "cp",
            ]
            pip += ["--python-version", OLDEST, "--abi", abi, "--abi", "none"]
            # the compiled half of a library stays out: each of these has the same in Python
            pip += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"]
            subprocess.run([*pip, "--platform", "any", *wanted, *ON_OLD_PYTHON], check=True)
            Path(part, "site").rename(home)
    return home


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


def build(target: Path, course: Path, labs: list[str]) -> None:
    files = dict([*package_files(), *course_files(course, labs), *library_files(libraries())])
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    about = {"labctl": __version__, "digest": whole.hexdigest()[:16]}
    members = {
        "__main__.py": (HERE / "bootstrap.py").read_bytes(),
        "environment.json": json.dumps(about).encode(),
        **{f"site-packages/{name}": files[name] for name in sorted(files)},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pyz-") as part:
        made = Path(part, target.name)
        write(made, members)
        for lab in labs:
            try_out(made, lab, Path(part))
        made.replace(target)


def write(target: Path, members: Mapping[str, bytes]) -> None:
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, body in members.items():
                archive.writestr(zipfile.ZipInfo(name, TIME), body, zipfile.ZIP_DEFLATED)
    target.chmod(0o755)


def try_out(pyz: Path, lab: str, home: Path) -> None:
    """Load a lab as students will: without staff.py, data files, and whatever nobody imports by name.

    Raises :class:`CourseError`.
    """
    argv = [sys.executable, "-IS", str(pyz), "lab", "show", lab]
    done = subprocess.run(
        argv,
        env={"HOME": str(home), "XDG_CACHE_HOME": str(home), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CourseError(
            f"students could not load lab {lab}:\n{done.stderr.strip()}",
            hint="the file holds the modules that the lab imports with `from . import`, without staff.py, "
            "and no data files",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist" / "labctl.pyz")
    parser.add_argument("--course", type=Path, default=ROOT, help="the course directory")
    parser.add_argument("labs", nargs="*", default=["lab7"], help="the labs, the default one first")
    given = parser.parse_args()
    try:
        build(given.output, given.course, given.labs)
    except LabctlError as err:
        show_error(err)
        sys.exit(err.exit_status)
    print(f"{given.output}  {given.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
