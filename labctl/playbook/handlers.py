"""A play's handlers on one host: which are notified, and which answer to a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from labctl.documents import nearest
from labctl.errors import PlaybookError
from labctl.playbook.model import Task
from labctl.playbook.variables import NeedsFacts, NeedsResult, Scope


class Handlers:
    """``tasks`` grow when include_role brings more. ``scope_of`` gives the scope of a handler's name."""

    def __init__(self, tasks: Sequence[Task], scope_of: Callable[[Task], Scope]) -> None:
        self.tasks = list(tasks)
        self._scope_of = scope_of
        self._notified: set[int] = set()
        self._begun: set[int] = set()

    def notify(self, names: Iterable[str]) -> None:
        self._notified.update(id(task) for name in names for task in self._answering(name))

    @property
    def waiting(self) -> bool:
        return bool(self._notified)

    def take(self, task: Task) -> bool:
        """Whether ``task`` is notified; from now on it is not."""
        if id(task) not in self._notified:
            return False
        self._notified.remove(id(task))
        self._begun.add(id(task))
        return True

    def done(self, task: Task) -> None:
        """A handler that was taken has run, or cannot."""
        self._begun.discard(id(task))

    def put_back(self) -> None:
        """What was taken and has not run, as one before it failed, is notified still."""
        self._notified |= self._begun
        self._begun.clear()

    def unknown(self, names: Iterable[str]) -> str | None:
        """What to say about the first of ``names`` that no handler answers to."""
        for name in names:
            if not self._answering(name):
                known = {one for task in self.tasks for one in (self._name(task), *task.listen) if one}
                near = nearest(name, known)
                return f"no handler is called {name!r}" + (f": did you mean {near!r}?" if near else "")
        return None

    def _answering(self, name: str) -> list[Task]:
        """Of handlers with the same name the first of the last role wins, or of the play's own; every one
        that listens answers."""
        lists = [list(tasks) for _role, tasks in groupby(self.tasks, key=lambda task: id(task.role))]
        tasks = [task for one in reversed(lists) for task in one]
        named = [task for task in tasks if name in self._names(task)]
        listening: dict[object, Task] = {}
        for task in tasks:
            if name in task.listen:
                listening.setdefault(self._name(task) or id(task), task)
        return [*named[:1], *listening.values()]

    def _names(self, task: Task) -> set[str]:
        name = self._name(task)
        return {name, f"{task.role.name} : {name}"} if task.role and name else {name}

    def _name(self, task: Task) -> str:
        if task.name is None:
            return ""
        try:
            scope = self._scope_of(task)
            return str(scope.templar.render(task.name.value, task.name.place, scope))
        except (PlaybookError, NeedsResult, NeedsFacts):
            return str(task.name.value)
