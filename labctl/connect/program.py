"""Starting a program over a connection, and logging in and starting one without an answer in between.

After the key exchange SSH has four steps: ask for authentication, authenticate, open a channel, start a
program. None of them needs what the one before it is answered, if all goes well: OpenSSH reads them one after
the other from whatever has come, and numbers the channels of a connection from 0. Over a link with a round
trip of 50 ms it saves 200. A server that refuses the key says that it knows nothing of channels yet.
"""

from __future__ import annotations

import threading
from typing import Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_CHANNEL_OPEN, cMSG_CHANNEL_REQUEST

from labctl.connect.bounded import Transport

#: Whose servers are known to take it all in one flight; others are asked step by step.
_IN_ONE_FLIGHT = "SSH-2.0-OpenSSH_"
#: What such a server calls the first channel of a connection.
_FIRST = 0


class Program:
    """A program, and the channel that is asked for at once and that it gets; paramiko's own way waits for
    each answer, and for the last of them without end.

    ``number``: what the server will call the channel. Without it, that is waited for.
    """

    # Any: paramiko's own names, which its type stubs do not know
    def __init__(self, transport: Any, command: str, number: int | None = None) -> None:
        self.command = command
        self._transport = transport
        self._number = number
        with transport.lock:
            mine = transport._next_channel()
            channel: Any = paramiko.Channel(mine)
            self._opened = transport.channel_events[mine] = threading.Event()
            transport._channels.put(mine, channel)
            transport.channels_seen[mine] = True
            channel._set_transport(transport)
            channel._set_window(transport.default_window_size, transport.default_max_packet_size)
        self._channel = channel
        opening = paramiko.Message()
        opening.add_byte(cMSG_CHANNEL_OPEN)
        opening.add_string("session")
        opening.add_int(mine)
        opening.add_int(transport.default_window_size)
        opening.add_int(transport.default_max_packet_size)
        self._transport._send_user_message(opening)
        if number is not None:
            self._start(number)

    def _start(self, number: int) -> None:
        starting = paramiko.Message()
        starting.add_byte(cMSG_CHANNEL_REQUEST)
        starting.add_int(number)
        starting.add_string("exec")
        starting.add_boolean(True)
        starting.add_string(self.command)
        self._transport._send_user_message(starting)

    def channel(self, timeout: float) -> paramiko.Channel:
        """Its channel, once the server says that it runs; ``timeout`` is for each of its answers.

        Raises TimeoutError, or the SSHException that says what the server had against it.
        """
        self._wait(self._opened, timeout)
        if not self._channel.active:
            raise self._refusal("it opened no channel")
        if self._number is None:
            self._start(self._channel.remote_chanid)
        elif self._number != self._channel.remote_chanid:
            # what it was asked to start is on a channel that it does not have: it ends the connection, sooner
            # or later
            self._transport.close()
            raise paramiko.SSHException("it numbers its channels in a way of its own")
        self._wait(self._channel.event, timeout)
        if not self._channel.event_ready:
            raise self._refusal("it started nothing")
        return self._channel  # type: ignore[no-any-return]

    def _wait(self, event: threading.Event, timeout: float) -> None:
        self._transport.wait_for(event, timeout)
        if not event.is_set():
            raise TimeoutError if self._transport.is_active() else self._refusal("the connection ended")

    def _refusal(self, otherwise: str) -> Exception:
        return self._transport.get_exception() or paramiko.SSHException(otherwise)


class OneFlight(Transport):
    """Starts ``command`` as it logs in with the first key that is offered, when the server is known for it:
    it is ``begun`` then.
    """

    def __init__(self, sock: Any, command: str, **options: Any) -> None:
        super().__init__(sock, **options)
        self._command = command
        self.begun: Program | None = None

    def auth_publickey(
        self, username: str, key: paramiko.PKey, event: threading.Event | None = None
    ) -> list[str]:
        if self.begun or event or not self.remote_version.startswith(_IN_ONE_FLIGHT):
            return super().auth_publickey(username, key, event)
        answered = threading.Event()
        self.auth_handler = handler = _NotWaiting(self)
        handler.auth_publickey(username, key, answered)
        self.begun = Program(self, self._command, _FIRST)
        self.wait_for(answered, self.auth_timeout)
        try:
            return handler.wait_for_response(answered)
        except paramiko.AuthenticationException as err:
            if self.is_active():
                raise
            # to paramiko a refusal like any other
            raise paramiko.SSHException("the connection ended while logging in") from err

    def started(self, timeout: float) -> Program | None:
        """What was begun and runs, if it was. Raises TimeoutError; SSHException when the connection ended."""
        if self.begun:
            try:
                self.begun.channel(timeout)
            except paramiko.SSHException:
                if not self.is_active():
                    raise
                return None  # asked again, the server says why
        return self.begun


class _NotWaiting(AuthHandler):
    """Authenticates as it asks for authentication, not only when the server has agreed to that."""

    def _request_auth(self) -> None:
        super()._request_auth()  # type: ignore[misc]
        agreed = paramiko.Message()
        agreed.add_string("ssh-userauth")
        agreed.rewind()
        super()._parse_service_accept(agreed)  # type: ignore[misc]

    def _parse_service_accept(self, message: paramiko.Message) -> None:
        """It has been done by then."""
