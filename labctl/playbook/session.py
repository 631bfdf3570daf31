"""The connections of a run: each host's own, and those of the hosts that it delegates to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from labctl.agent import Agent, Launch, Op, start_agent_on
from labctl.connect import Connection, Retry, open_connection
from labctl.deadline import Deadline
from labctl.errors import PythonMissing
from labctl.inventory import Host, Inventory, local_host
from labctl.playbook.bootstrap import install_python
from labctl.playbook.interrupt import Interrupted, until_closed

# Names of this machine that no inventory need have.
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_START_SECONDS = 60.0


class Session:
    """A host's connection, opened when something is first sent and kept until the run ends.

    ``become``: the agent runs as root from the start, not only when a task first needs it.
    ``directory`` is the playbook's: where commands on this machine start, as with Ansible.
    """

    def __init__(
        self, host: Host, deadline: Deadline, directory: Path, become: bool, may_install: bool = False
    ) -> None:
        self.host = host
        self.deadline = deadline
        self.directory = directory
        self.become = become
        self.may_install = may_install
        self._connections = 0
        self._round_trips = 0
        self._connection: Connection | None = None
        self._agent: Agent | None = None
        self._rooted = False
        self._closed = threading.Event()
        self._closing = threading.Lock()

    def connection(self, deadline: Deadline | None = None, launch: Launch | None = None) -> Connection:
        """The connection, also before there is an agent, and the one that it will be started over."""
        if self._connection is None:
            limit = (deadline or self.deadline).sooner(_START_SECONDS)
            # The first one may need a few tries; those that follow are a module's, which has its own.
            retry = None if self._connections else Retry(stop=self._closed)
            command = launch.command if launch else None
            self._connection = until_closed(
                lambda: open_connection(self.host, limit, retry, command, self.directory), self._closed
            )
            self._connections += 1
        return self._connection

    def agent(
        self, deadline: Deadline | None = None, *, root: bool = False, first: Sequence[Op] = ()
    ) -> Agent:
        """The agent, as root when ``root`` or an earlier task asks for it. One that is started for this has
        ``first`` for its first call. Raises HostError.
        """
        self.become = self.become or root
        if self._agent is not None and root and not self._rooted:
            self.drop()
        if self._agent is None:
            launch = Launch(self.host.python, self.become)
            connection = self.connection(deadline, launch)
            limit = (deadline or self.deadline).sooner(_START_SECONDS)
            self._agent = self._start(connection, limit, launch, first)
            self._rooted = self.become or self._agent.hello.uid == 0
        return self._agent

    def _start(
        self, connection: Connection, deadline: Deadline, launch: Launch, first: Sequence[Op]
    ) -> Agent:
        try:
            return start_agent_on(connection, deadline, launch, first)
        except PythonMissing:
            if not self.may_install:
                raise
        install_python(connection, self.deadline)
        self._round_trips += 2
        return start_agent_on(connection, self.deadline.sooner(_START_SECONDS), launch, first)

    def asked(self) -> None:
        """Count a round trip that was not the agent's."""
        self._round_trips += 1

    def wait(self, seconds: float) -> None:
        """Let time pass, until the deadline at most. Raises Interrupted when the run is cancelled."""
        if self._closed.wait(min(seconds, self.deadline.remaining())):
            raise Interrupted

    @property
    def counts(self) -> tuple[int, int]:
        """Connections and round trips so far."""
        return self._connections, self._round_trips + (self._agent.round_trips if self._agent else 0)

    def drop(self) -> None:
        """End the agent and its connection; the next that is asked for is a new one."""
        self._round_trips = self.counts[1]
        agent, self._agent = self._agent, None
        connection, self._connection = self._connection, None
        if agent is not None:
            agent.close()
        elif connection is not None:
            connection.close()

    def close(self) -> None:
        """End it all, for good: whoever works with it on another thread is stopped."""
        self._closed.set()
        # Ctrl-C may come while its host's thread ends it
        with self._closing:
            if self._agent is not None:
                self._agent.close()
            elif self._connection is not None:
                self._connection.close()


class Delegates:
    """The sessions of ``delegate_to``: each host of the run has its own with each that it delegates to.

    Sharing one would make the hosts wait for each other's tasks.
    """

    def __init__(self, inventory: Inventory, deadline: Deadline, directory: Path) -> None:
        self._inventory = inventory
        self._deadline = deadline
        self._directory = directory
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Session] = {}

    def session(self, host: str, name: str) -> Session:
        """Where ``host``'s tasks for ``name`` are done: an inventory host, an address, or this machine.

        It is opened when something is first sent.
        """
        with self._lock:
            key = (host, name)
            if key not in self._sessions:
                self._sessions[key] = Session(self._host(name), self._deadline, self._directory, become=False)
            return self._sessions[key]

    def _host(self, name: str) -> Host:
        for host in self._inventory.hosts.values():
            if name in (host.name, host.address):
                return host
        return local_host(name) if name in _LOCAL else Host(name)

    def close(self, host: str) -> None:
        """End the sessions of ``host``'s tasks."""
        with self._lock:
            ended = [session for (asking, _), session in self._sessions.items() if asking == host]
        for session in ended:
            session.close()

    def all(self) -> Iterable[Session]:
        with self._lock:
            return list(self._sessions.values())
