"""An SSH connection to a VM, and the programs started over it."""

from __future__ import annotations

import time
from typing import Any

import paramiko

from labctl.connect.bounded import LOOK_EVERY
from labctl.connect.carrier import Carrier, close_channel
from labctl.connect.login import Login, log_in
from labctl.connect.program import Program
from labctl.connect.route import Server
from labctl.connect.stream import STDERR_TAIL, Stream
from labctl.deadline import Deadline
from labctl.errors import AgentFault, DeadlineExceeded
from labctl.inventory import Host


def connect(
    host: Host, server: Server, deadline: Deadline, carrier: Carrier | None = None, command: str = ""
) -> SshConnection:
    """Log in to ``server``, which is the host's; ``carrier`` and ``command`` as for :func:`log_in`.

    Raises the :class:`HostError` that says what went wrong, and where on the way.
    """
    return SshConnection(host, log_in(server, deadline, carrier, command))


class SshConnection:
    """An authenticated connection."""

    def __init__(self, host: Host, login: Login) -> None:
        self.host = host
        self._login = login
        self._begun = login.begun
        # now: a connection that is closed does not know it any more
        self.host_key = str(login.transport.get_remote_server_key().fingerprint)

    @property
    def is_root(self) -> bool:
        return self._login.server.user == "root"

    def execute(self, command: str, deadline: Deadline) -> Stream:
        program, self._begun = self._begun, None
        try:
            if program is None or program.command != command:
                with self._login.transport.writing(deadline):
                    program = Program(self._login.transport, command)
            channel = program.channel(max(deadline.remaining(), 0.01))
        except (paramiko.SSHException, EOFError, OSError) as err:
            deadline.check(f"starting a program on {self.host.name}")
            raise AgentFault(
                f"the VM's sshd refused to start a program: {err or type(err).__name__}"
            ) from err
        return SshStream(channel, self.host)

    def close(self) -> None:
        self._login.close()


#: Read from a channel at a time, whatever is asked for: each time costs more than the bytes do.
_READ = 64 << 10


#: Seconds in which a server is to take the message that a channel is closed.
_CLOSED_WITHIN = 2.0


class SshStream:
    """One SSH channel."""

    def __init__(self, channel: paramiko.Channel, host: Host) -> None:
        self.host = host
        self._channel = channel
        self._transport: Any = channel.transport
        self._waiting = b""
        self._stderr = b""

    def write(self, data: bytes, deadline: Deadline) -> None:
        try:
            with self._transport.writing(deadline):
                while data:
                    self._channel.settimeout(max(deadline.remaining(), 0.01))
                    data = data[self._channel.send(data) :]
        except (paramiko.SSHException, EOFError, OSError) as err:
            if isinstance(err, TimeoutError) or deadline.expired:
                raise DeadlineExceeded(f"{self.host.name} did not take what was sent in time") from err
            raise AgentFault("the connection to the agent is gone") from err

    def read(self, most: int, deadline: Deadline) -> bytes:
        if not self._waiting:
            self._waiting = self._received(deadline)
        part, self._waiting = self._waiting[:most], self._waiting[most:]
        return part

    def _received(self, deadline: Deadline) -> bytes:
        while True:
            try:
                # reading makes room in the window, and says so to the server
                with self._transport.writing(deadline):
                    self._channel.settimeout(max(min(deadline.remaining(), LOOK_EVERY), 0.01))
                    data = self._channel.recv(_READ)
            except TimeoutError as err:
                if deadline.expired:
                    raise DeadlineExceeded(f"no answer from the agent on {self.host.name} in time") from err
                self._drain_stderr()
                continue
            except (paramiko.SSHException, OSError) as err:
                raise EOFError from err
            self._drain_stderr()
            if not data:
                raise EOFError
            return data

    def _drain_stderr(self) -> None:
        # Unread stderr would use up the channel's window and block stdout.
        while self._channel.recv_stderr_ready():
            self._stderr = (self._stderr + self._channel.recv_stderr(1 << 16))[-STDERR_TAIL:]

    def wait(self, deadline: Deadline) -> int | None:
        # recv_exit_status() ignores every timeout.
        while not self._channel.exit_status_ready():
            if deadline.expired:
                return None
            time.sleep(min(0.02, deadline.remaining()))
        self._drain_stderr()
        return self._channel.recv_exit_status()

    def stderr_tail(self) -> bytes:
        self._drain_stderr()
        return self._stderr

    def close(self) -> None:
        with self._transport.writing(Deadline.after(_CLOSED_WITHIN)):
            close_channel(self._channel)
