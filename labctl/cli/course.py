"""The course directory: playbooks, templates, graders and labctl.toml."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.documents import did_you_mean
from labctl.errors import CourseError, Place
from labctl.inventory import RosterSettings

if sys.version_info >= (3, 11):
    import tomllib
else:  # labctl.pyz on Ubuntu 22.04
    import tomli as tomllib

SETTINGS = "labctl.toml"
_SECTIONS: dict[str, dict[str, type]] = {
    "setup": {"playbooks": list},
    "reset": {"playbooks": list},
    "grade": {"lab": str},
    "inventory": {"path": str},
    "roster": {"file": str, "host": str, "group": str, "vars": dict},
}
#: Where labctl.toml names what is read for hosts, in this order.
_INVENTORIES = (("inventory", "path"), ("roster", "file"))


@dataclass(frozen=True)
class Course:
    """A course directory; ``settings`` are its labctl.toml's, checked."""

    root: Path
    settings: Mapping[str, Mapping[str, Any]]

    @property
    def playbooks(self) -> Path:
        return self.root / "playbooks"

    @property
    def templates(self) -> Path:
        return self.root / "templates"

    @property
    def graders(self) -> Path:
        return self.root / "graders"

    @property
    def default_lab(self) -> str:
        return str(self.settings.get("grade", {}).get("lab", "lab7"))

    @property
    def inventories(self) -> tuple[Path, ...]:
        """The inventory and the roster that labctl.toml names, if any."""
        named = (self.settings.get(section, {}).get(key) for section, key in _INVENTORIES)
        return tuple(self.root / path for path in named if path)

    @property
    def roster(self) -> RosterSettings | None:
        """How labctl.toml's ``[roster]`` makes hosts of a class list; None when it has no such section."""
        section = self.settings.get("roster")
        if section is None:
            return None
        place = Place(self.root / SETTINGS)
        if "host" not in section:
            raise CourseError(
                "roster.host is missing: what are the VMs called?",
                hint='host = "{user}.example.org"',
                place=place,
            )
        if not section.get("file", ".csv").endswith(".csv"):
            raise CourseError(
                f"roster.file is a CSV file, not {section['file']}",
                hint="save the spreadsheet as CSV UTF-8, with the ending .csv",
                place=place,
            )
        return RosterSettings(
            section["host"], section.get("group", "students"), section.get("vars", {}), place
        )

    def default_playbooks(self, section: str) -> list[Path]:
        """The playbooks that labctl.toml lists for ``setup`` or ``reset``."""
        names = self.settings.get(section, {}).get("playbooks", [])
        if not names:
            raise CourseError(
                f"labctl.toml names no playbooks for {section}",
                hint=f'add [{section}] playbooks = ["NAME"], or say --playbook NAME',
                place=Place(self.root / SETTINGS),
            )
        return [self.playbook(str(name)) for name in names]

    def playbook(self, name: str) -> Path:
        """The file of the playbook ``name``: a name in playbooks/, or a path."""
        for candidate in (self.playbooks / f"{name}.yml", self.playbooks / f"{name}.yaml", Path(name)):
            if candidate.is_file():
                return candidate
        known = sorted(path.stem for path in self.playbooks.glob("*.y*ml"))
        raise CourseError(
            f"there is no playbook {name!r} in {self.playbooks}",
            hint=did_you_mean(name, known, f"there are: {', '.join(known) or 'none'}"),
        )


def find_course(given: Path | None = None) -> Course:
    """The course directory to use: ``given``, LABCTL_COURSE, the working directory, the bundled one. The
    student's labctl.pyz goes nowhere unnamed: it is one lab, wherever it is started.

    Raises :class:`CourseError` when the one that was named is none, and when others may have written what the
    working directory has.
    """
    named = given or (Path(os.environ["LABCTL_COURSE"]) if os.environ.get("LABCTL_COURSE") else None)
    if named:
        if not _has_settings(named):
            raise CourseError(f"{named} is no course directory: it has no {SETTINGS}")
        return _read(named)
    package = Path(__file__).resolve().parent.parent
    # In the wheel the course is inside the package, in a checkout beside it.
    bundled = package / "course" if (package / "course" / SETTINGS).is_file() else package.parent
    here = Path.cwd()
    if here != bundled and _has_settings(here) and importlib.util.find_spec("paramiko"):
        _refuse_of_others(here)
        return _read(here)
    return _read(bundled)


def _has_settings(directory: Path) -> bool:
    """Where we may not look (``sudo -u alice`` in /root) there is no course."""
    try:
        return (directory / SETTINGS).is_file()
    except OSError:
        return False


def _refuse_of_others(directory: Path) -> None:
    """Graders are code: they do not come from where anybody may write, nor to root from somebody else.

    A team of staff may share a course by its group. Raises :class:`CourseError`.
    """
    if directory.stat().st_mode & 0o002:
        raise CourseError(
            f"anybody may write to {directory}, so the course in it is not used: its graders are code",
            hint=f"if it is yours: chmod o-w {directory}; else --course DIR names the course to use",
        )
    if os.geteuid() != 0:
        return
    # set by sudo itself
    trusted = {0, int(os.environ["SUDO_UID"]) if os.environ.get("SUDO_UID", "").isdecimal() else 0}
    labs = directory / "graders"
    for path in (directory, directory / SETTINGS, directory / "playbooks", labs, *labs.glob("*")):
        if path.exists() and path.stat().st_uid not in trusted:
            raise CourseError(
                f"{path} belongs to another user, and you are root: this course is not used unasked",
                hint=f"if you trust who wrote it: --course {directory}",
            )


def _read(root: Path) -> Course:
    path = root / SETTINGS
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as err:
        raise CourseError(f"not valid TOML: {err}", place=Place(path)) from err
    except (OSError, UnicodeDecodeError) as err:
        raise CourseError(f"cannot read it: {err}", place=Place(path)) from err
    for section, body in settings.items():
        if section not in _SECTIONS or not isinstance(body, dict):
            raise _unknown(path, section, _SECTIONS)
        for key, value in body.items():
            kind = _SECTIONS[section].get(key)
            if kind is None:
                raise _unknown(path, f"{section}.{key}", [f"{section}.{k}" for k in _SECTIONS[section]])
            if not isinstance(value, kind):
                raise CourseError(f"{section}.{key} must be a {kind.__name__}", place=Place(path))
    return Course(root.resolve(), settings)


def _unknown(path: Path, name: str, known: Any) -> CourseError:
    hint = did_you_mean(name, known, f"there are: {', '.join(known)}")
    return CourseError(f"unknown setting {name!r}", hint=hint, place=Place(path))
