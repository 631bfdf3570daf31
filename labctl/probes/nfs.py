"""NFS: what is mounted, whether it answers, and whether a share can be written to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from labctl.probes.decoding import at_most, by_shape
from labctl.probes.request import Probe, Request, made_once


@dataclass(frozen=True)
class Mount:
    """One NFS mount. ``answers`` is "yes", "error" (``error`` is an errno name) or "hung" (no answer in its
    time).

    ``options`` are the mount's own, ``super_options`` the file system's (vers, addr, ...); ``entries`` are
    the names at its top.
    """

    target: str
    source: str
    fstype: str
    options: tuple[str, ...]
    super_options: tuple[str, ...]
    answers: str
    error: str
    entries: Annotated[tuple[str, ...], at_most(500)]

    @property
    def server(self) -> str:
        """The server as it was written in the mount command."""
        return self.source.rpartition(":/")[0].strip("[]")

    @property
    def path(self) -> str:
        """The directory on the server, without a slash at its end."""
        return "/" + self.source.rpartition(":/")[2].strip("/")

    @property
    def server_address(self) -> str:
        """The address that the kernel talks to ("" when it does not say)."""
        return next((word[5:] for word in self.super_options if word.startswith("addr=")), "")

    @property
    def writable(self) -> bool:
        return "rw" in self.options and "rw" in self.super_options


@dataclass(frozen=True)
class Mounts:
    """The NFS mounts, in the order in which they were made; ``others`` counts the rest of the mount table."""

    mounts: Annotated[tuple[Mount, ...], at_most(20)]
    others: int


@dataclass(frozen=True)
class ShareTrial:
    """``mounted`` is the source that could be mounted ("": none, ``message`` is mount's own).

    ``create`` is "created" or the errno name that creating a file there gave.
    """

    mounted: str
    message: str
    entries: Annotated[tuple[str, ...], at_most(200)]
    create: str
    seconds: float


@dataclass(frozen=True)
class WriteTrial:
    """A fresh file written through a mount: what the VM said (an errno name in ``error``), what the staff's
    server saw.

    ``on_server`` is "seen", "absent", or "unasked" when no staff server is known; ``removed`` that it is gone
    again.
    """

    written: bool
    error: str
    on_server: str
    removed: bool


MOUNTS = Probe("mounts", Mounts, by_shape(Mounts))
SHARE_TRIAL = Probe("share_trial", ShareTrial, by_shape(ShareTrial), alters=True)
WRITE_TRIAL = Probe("write_trial", WriteTrial, by_shape(WriteTrial), alters=True)


@made_once
def mounts(touch: float = 12.0) -> Request[Mounts]:
    """The NFS mounts; each is touched in a process of its own, so a hung one is a finding and delays
    nothing.
    """
    return Request(MOUNTS, {"touch": touch}, deadline=touch + 20.0)


@made_once
def share_trial(nonce: str, *sources: str) -> Request[ShareTrial]:
    """Mount a share where only the probe sees it, and try to create a file there."""
    return Request(SHARE_TRIAL, {"sources": list(sources), "name": f".labctl-{nonce}"}, deadline=75.0)


@made_once
def write_trial(nonce: str, directory: str, server_directory: str) -> Request[WriteTrial]:
    """Write a fresh file through the mount at ``directory``, look for it on the server, remove it."""
    args = {"directory": directory, "name": f".labctl-{nonce}", "server_directory": server_directory}
    return Request(WRITE_TRIAL, args, vantage="experiment", deadline=100.0, disruptive=True)
