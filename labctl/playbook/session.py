"""A host's connection, opened when the first batch is sent and kept until the run ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from labctl.agent import Agent, start_agent
from labctl.deadline import Deadline
from labctl.errors import HostError, InventoryError, PythonMissing
from labctl.inventory import Host, Inventory, local_host
from labctl.playbook.bootstrap import install_python

# Names of this machine that no inventory need have.
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_START_SECONDS = 60.0


class Session:
    """One host's agent. ``become``: it runs as root from the start, not only when a task first needs it."""

    def __init__(self, host: Host, deadline: Deadline, become: bool, may_install: bool = False) -> None:
        self.host = host
        self.deadline = deadline
        self.become = become
        self.may_install = may_install
        self._connections = 0
        self._round_trips = 0
        self._agent: Agent | None = None
        self._rooted = False
        self._closed = False

    def agent(self, *, root: bool = False) -> Agent:
        """The host's agent, as root when ``root`` or earlier tasks ask for it. Raises HostError."""
        self.become = self.become or root
        if self._closed:
            raise HostError("the run was ended before this VM's turn")
        if self._agent is not None and root and not self._rooted:
            self._end()
        if self._agent is None:
            self._agent = self._start()
            if self._closed:  # the run was ended while we were on our way
                self._agent.close()
            self._rooted = self.become or self._agent.hello.uid == 0
        return self._agent

    def _start(self) -> Agent:
        try:
            return start_agent(self.host, self.deadline.sooner(_START_SECONDS), become=self.become)
        except PythonMissing:
            if not self.may_install:
                raise
        install_python(self.host, self.deadline)
        self._connections += 2
        self._round_trips += 2
        return start_agent(self.host, self.deadline.sooner(_START_SECONDS), become=self.become)

    @property
    def counts(self) -> tuple[int, int]:
        """Connections and round trips so far."""
        agent = self._agent
        if agent is None:
            return self._connections, self._round_trips
        return self._connections + agent.connections, self._round_trips + agent.round_trips

    def _end(self) -> None:
        self._connections, self._round_trips = self.counts
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.close()

    def close(self) -> None:
        self._closed = True
        if self._agent is not None:
            self._agent.close()


class Delegates:
    """The sessions of ``delegate_to``: each host of the run has its own with each that it delegates to.

    Sharing one would make the hosts wait for each other's tasks.
    """

    def __init__(self, inventory: Inventory, deadline: Deadline) -> None:
        self._inventory = inventory
        self._deadline = deadline
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Session] = {}

    def session(self, host: str, name: str) -> Session:
        """Where ``host``'s tasks for ``name`` are done: an inventory host, an address, or this machine."""
        with self._lock:
            key = (host, name)
            if key not in self._sessions:
                self._sessions[key] = Session(self._host(name), self._deadline, become=False)
            return self._sessions[key]

    def agent(self, host: str, name: str, *, root: bool) -> Agent:
        """The agent there. Raises HostError that says that it was a task's delegate."""
        try:
            return self.session(host, name).agent(root=root)
        except HostError as err:
            raise type(err)(f"delegate_to {name}: {err.message}", hint=err.hint) from err
        except InventoryError as err:
            raise HostError(f"delegate_to {name}: {err.message}", hint=err.hint) from err

    def _host(self, name: str) -> Host:
        for host in self._inventory.hosts.values():
            if name in (host.name, host.address):
                return host
        return local_host(name) if name in _LOCAL else Host(name)

    def all(self) -> Iterable[Session]:
        with self._lock:
            return list(self._sessions.values())
