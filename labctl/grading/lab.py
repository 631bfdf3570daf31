"""A lab's checks, loaded from the course directory's graders."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.documents import nearest
from labctl.errors import CourseError
from labctl.grading.check import Check


@dataclass(frozen=True)
class Lab:
    """``sections`` maps the first word of check ids to a heading, in the order of the scorecard."""

    name: str
    title: str
    sections: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        headings = {key for key, _ in self.sections}
        for one in self.checks:
            if one.id in seen:
                raise CourseError(f"lab {self.name}: the check {one.id} stands twice")
            for needed in one.after:
                if needed not in seen:
                    known = needed in {check.id for check in self.checks}
                    why = "comes later in the list" if known else "does not exist"
                    raise CourseError(f"lab {self.name}: {one.id} is after {needed}, which {why}")
            if self.section_of(one) not in headings:
                raise CourseError(f"lab {self.name}: no section for {one.id}")
            seen.add(one.id)

    @staticmethod
    def section_of(check: Check) -> str:
        return check.id.partition(".")[0]

    def choose(self, only: Sequence[str] = (), disrupt: bool = True) -> tuple[Check, ...]:
        """The checks to run. ``only`` names ids or sections; what those need comes with them.

        Raises :class:`CourseError` with the nearest right name for one that does not exist.
        """
        wanted = {check.id for check in self.checks}
        if only:
            wanted = set()
            for name in only:
                matching = {
                    one.id for one in self.checks if name in (one.id, self.section_of(one), one.question)
                }
                if not matching:
                    names = [one.id for one in self.checks] + [key for key, _ in self.sections]
                    near = nearest(name, names)
                    hint = f"did you mean {near}?" if near else f"see: labctl lab show {self.name}"
                    raise CourseError(f"lab {self.name} has no check {name!r}", hint=hint)
                wanted |= matching
            for one in reversed(self.checks):
                if one.id in wanted:
                    wanted.update(one.after)
        return tuple(one for one in self.checks if one.id in wanted and (disrupt or not one.disruptive))


def list_labs(graders: Path) -> list[str]:
    """The names of the labs in a course's graders directory, sorted."""
    return sorted(path.parent.name for path in graders.glob("*/__init__.py"))


def load_lab(path: Path) -> Lab:
    """The lab in the package directory ``path``, for example ``graders/lab7``: its ``LAB``.

    The package is imported under a name made from its path, so that two courses' labs do not meet. Raises
    :class:`CourseError` when there is none, or when it cannot be imported.
    """
    if not (path / "__init__.py").is_file():
        known = list_labs(path.parent) if path.parent.is_dir() else []
        near = nearest(path.name, known)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise CourseError(f"there is no lab {path.name!r} in {path.parent}", hint=hint)
    name = f"labctl_lab_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(
            name, path / "__init__.py", submodule_search_locations=[str(path)]
        )
        if spec is None or spec.loader is None:
            raise CourseError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError) as err:
            del sys.modules[name]
            raise CourseError(f"lab {path.name} cannot be loaded: {type(err).__name__}: {err}") from err
        except CourseError:
            del sys.modules[name]
            raise
    lab = getattr(module, "LAB", None)
    if not isinstance(lab, Lab):
        raise CourseError(f"{path / '__init__.py'} must define LAB, a labctl.grading.Lab")
    return lab
