"""An SSH server on loopback that runs commands for real, and can misbehave on request."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko


@dataclass
class Seen:
    """What the server observed."""

    connections: int = 0
    auth_attempts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class _Server(paramiko.ServerInterface):
    def __init__(self, accepted: paramiko.PKey | None, seen: Seen) -> None:
        self.accepted = accepted
        self.seen = seen

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,keyboard-interactive,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.seen.auth_attempts.append("publickey")
        good = self.accepted is not None and key == self.accepted
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.seen.auth_attempts.append("password")
        return paramiko.AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery | int:
        self.seen.auth_attempts.append("keyboard-interactive")
        return paramiko.InteractiveQuery("Your password, please", "", "Password: ")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.seen.commands.append(command.decode())
        threading.Thread(target=_run, args=(channel, command), daemon=True).start()
        return True


def _run(channel: paramiko.Channel, command: bytes) -> None:
    process = subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr

    def feed() -> None:
        try:
            while data := channel.recv(1 << 16):
                process.stdin.write(data)
        except OSError:
            pass
        process.stdin.close()

    def drain() -> None:
        while data := process.stderr.read(1 << 16):
            channel.sendall_stderr(data)

    threads = [threading.Thread(target=feed, daemon=True), threading.Thread(target=drain, daemon=True)]
    for thread in threads:
        thread.start()
    try:
        while data := process.stdout.read(1 << 16):
            channel.sendall(data)
    except OSError:
        pass
    status = process.wait()
    threads[1].join(2)
    try:
        channel.send_exit_status(status)
        channel.close()
    except (OSError, EOFError, paramiko.SSHException):
        pass
    process.stdout.close()
    process.stderr.close()


@contextmanager
def ssh_server(
    host_key: paramiko.PKey, accepted: paramiko.PKey | None, mode: str = "good"
) -> Iterator[tuple[int, Seen]]:
    """Serve on 127.0.0.1; yields the port and what was seen.

    ``mode``: good; silent (accepts and says nothing); drip (one banner byte a second); endless
    (a banner without end); closed (closes at once).
    """
    seen = Seen()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()
    transports: list[paramiko.Transport] = []
    sockets: list[socket.socket] = []

    def misbehave(client: socket.socket) -> None:
        try:
            while not stop.is_set() and mode in ("drip", "endless"):
                client.sendall(b"S" if mode == "drip" else b"x" * 200 + b"\r\n")
                stop.wait(1.0 if mode == "drip" else 0.001)
        except OSError:
            pass
        if mode == "closed":
            client.close()

    def accept() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                continue
            seen.connections += 1
            sockets.append(client)
            if mode == "good":
                transport = paramiko.Transport(client)
                transport.add_server_key(host_key)
                transports.append(transport)
                try:
                    transport.start_server(server=_Server(accepted, seen), event=threading.Event())
                except (paramiko.SSHException, EOFError):
                    continue
            else:
                threading.Thread(target=misbehave, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        stop.set()
        thread.join(3)
        listener.close()
        for transport in transports:
            transport.close()
        for client in sockets:
            client.close()
