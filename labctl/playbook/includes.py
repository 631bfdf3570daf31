"""The includes that a walk over a play's tasks is inside of, and what they bring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from labctl.errors import PlaybookError
from labctl.playbook.model import Included, Task
from labctl.playbook.prepare import Item
from labctl.playbook.state import HostState
from labctl.playbook.variables import Layer

#: Includes in includes beyond this are taken for an endless loop.
MAX_INCLUDES = 50


class Includes:
    """``layers`` are the variables of the includes under way on one host, the innermost last."""

    def __init__(self, state: HostState) -> None:
        self.layers: list[Layer] = []
        self._state = state
        self._depth = 0

    @contextmanager
    def inside(self, task: Task, item: Item) -> Iterator[Included]:
        """While this is open the walk is inside of what one round of the include ``task`` brought.

        Raises PlaybookError for an include that seems to have no end.
        """
        assert item.included is not None
        if self._depth >= MAX_INCLUDES:
            raise PlaybookError(f"more than {MAX_INCLUDES} includes stand in each other", place=task.place)
        self._state.public.extend(item.included.public)
        self._state.role_names.extend(item.included.names)
        before = len(self.layers)
        if task.params:
            self.layers.append(Layer("vars of the include", task.params))
        if item.layer is not None:
            self.layers.append(item.layer)
        self._depth += 1
        try:
            yield item.included
        finally:
            self._depth -= 1
            del self.layers[before:]
