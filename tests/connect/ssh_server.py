"""An SSH server on loopback that runs commands for real, and can misbehave on request."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import paramiko


@dataclass
class Seen:
    """What the server observed."""

    connections: int = 0
    auth_attempts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


#: How it shows that the client has gone, which a client may do at any moment.
GONE = (OSError, EOFError, paramiko.SSHException)

#: What a server does once it is logged in to; the others do not get that far.
AFTER_LOGIN = ("mute", "torrent", "window", "errors", "bomb", "frame", "escapes", "unanswered", "goodbye")


class _Server(paramiko.ServerInterface):
    def __init__(self, accepted: paramiko.PKey | None, seen: Seen, mode: str, stop: threading.Event) -> None:
        self.accepted = accepted
        self.seen = seen
        self.mode = mode
        self.stop = stop

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
        if self.mode == "goodbye":
            message = paramiko.Message()
            message.add_byte(b"\x01")
            message.add_int(2)
            message.add_string(b"\xff\xfe")
            message.add_string(b"")
            channel.transport._send_user_message(message)
            return True
        if self.mode == "unanswered":
            self.stop.wait(30)
            return False
        self.seen.commands.append(command.decode())
        work = _misuse if self.mode in AFTER_LOGIN else _run
        threading.Thread(target=work, args=(channel, command, self.mode), daemon=True).start()
        return True


def _misuse(channel: paramiko.Channel, _command: bytes, mode: str) -> None:
    """Be logged in to, and a nuisance."""
    try:
        if mode == "torrent":
            while True:
                channel.sendall(b"x" * 30000)
        while mode in ("window", "errors"):
            message = paramiko.Message()
            message.add_byte(bytes([94 if mode == "window" else 95]))
            message.add_int(channel.remote_chanid)
            if mode == "errors":
                message.add_int(1)
            message.add_string(b"x" * 30000)
            channel.transport._send_user_message(message)
        if mode != "mute":
            channel.sendall(_marker_of(channel) + _frame(mode))
    except GONE:
        pass


def _marker_of(channel: paramiko.Channel) -> bytes:
    """The agent's marker, out of the sources that are sent to start it."""
    sent = b""
    while True:
        piece = channel.recv(1 << 16)
        if not piece:
            raise EOFError("it has gone")
        sent += piece
        for at in range(len(sent) - 1):
            if sent[at : at + 2] == b"x\x9c":
                unpacker = zlib.decompressobj()
                try:
                    found = re.search(rb"labctl-agent:\w+", unpacker.decompress(sent[at:]))
                except zlib.error:
                    continue
                if found:
                    return b"\0" + found[0] + b"\0"


def _frame(mode: str) -> bytes:
    if mode == "frame":
        return b"\xff\xff\xff\xff"
    if mode == "bomb":
        body = b"[" * 4_000_000
    else:
        text = "\x1b[2J\x1b]0;owned\x07\u202e"
        hello = dict.fromkeys(("python", "user", "hostname", "boot_id"), text)
        body = json.dumps({"t": "hello", "uid": text, "pid": 1, **hello}).encode()
    return struct.pack(">I", len(body)) + body


def _run(channel: paramiko.Channel, command: bytes, _mode: str) -> None:
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
        except GONE:
            pass
        process.stdin.close()

    def drain() -> None:
        # the client may have read what it wanted, and gone: its own matter
        with suppress(*GONE):
            while data := process.stderr.read(1 << 16):
                channel.sendall_stderr(data)

    threads = [threading.Thread(target=feed, daemon=True), threading.Thread(target=drain, daemon=True)]
    for thread in threads:
        thread.start()
    try:
        while data := process.stdout.read(1 << 16):
            channel.sendall(data)
    except GONE:
        pass
    status = process.wait()
    threads[1].join(2)
    try:
        channel.send_exit_status(status)
        channel.close()
    except GONE:
        pass
    process.stdout.close()
    process.stderr.close()


@contextmanager
def ssh_server(
    host_key: paramiko.PKey,
    accepted: paramiko.PKey | None,
    mode: str = "good",
    also: Sequence[paramiko.PKey] = (),
) -> Iterator[tuple[int, Seen]]:
    """Serve on 127.0.0.1; yields the port and what was seen. ``also`` are host keys of other kinds.

    ``mode``: good; silent (accepts and says nothing); drip (one banner byte a second); endless
    (a banner without end); line (one line without end); packet (a packet of 2 GiB); closed (closes at
    once). After a login: mute (never answers); torrent (stdout without end); window (without regard to the
    window); errors (stderr so); bomb (JSON 4 million deep); frame (a frame of 4 GiB); escapes (a hello of
    terminal escapes); unanswered (never says whether a program was started); goodbye (ends
    it then, in words that are no text). numbered: good, takes itself
    for OpenSSH, and numbers its channels otherwise.
    """
    seen = Seen()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()
    transports: list[paramiko.Transport] = []
    sockets: list[socket.socket] = []

    def misbehave(client: socket.socket) -> None:
        try:
            if mode == "packet":
                client.sendall(b"SSH-2.0-x\r\n" + b"\x7f\xff\xff\xf0" + b"x" * 60)
            while not stop.is_set() and mode in ("drip", "endless", "line", "packet"):
                client.sendall({"drip": b"S", "endless": b"x" * 200 + b"\r\n"}.get(mode, b"x" * 65536))
                stop.wait({"drip": 1.0, "endless": 0.001}.get(mode, 0))
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
            if mode in ("good", "numbered") or mode in AFTER_LOGIN:
                transport: Any = paramiko.Transport(client)
                if mode == "numbered":
                    transport.local_version = "SSH-2.0-OpenSSH_9.2"
                    transport._channel_counter = 5
                for key in (host_key, *also):
                    transport.add_server_key(key)
                transports.append(transport)
                try:
                    transport.start_server(
                        server=_Server(accepted, seen, mode, stop), event=threading.Event()
                    )
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
