"""Which SSH servers a connection passes, and what is offered to and expected from each."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from labctl.connect.ssh_config import arguments, in_home, settings
from labctl.errors import RequestError
from labctl.inventory import Host
from labctl.inventory.model import with_port
from labctl.whoami import name_or_number

#: A server that does not even accept a TCP connection within this many seconds is not waited for longer.
CONNECT_TIMEOUT = 15.0
#: ssh gives up on a longer chain of jump hosts, too: one of them leads back to itself.
_MOST_JUMPS = 8
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>\S+)@)?(?P<host>\[[^\]]+\]|[^\s:@]+)(?::(?P<port>\d{1,5}))?/?")
_TOKEN = re.compile(r"%(.)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Server:
    """One SSH server: the VM's, or a jump host's. Equal ones can share a connection.

    ``jump`` is the jump host to go through, None for a direct way. Without ``agent``, the path of
    an agent's socket, no agent is asked. ``key`` is the inventory's own key: it alone is offered.
    ``certificates`` are those that ssh would offer and that do not lie beside their keys.
    ``record`` is the file of ``known_hosts`` for new keys, if there is one, and ``revoked_keys`` one of host
    keys that no server may show.
    """

    address: str
    port: int
    user: str
    known_hosts: tuple[Path, ...]
    record: Path | None = None
    host_key_alias: str = ""
    key: Path | None = None
    revoked_keys: Path | None = None
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    certificates: tuple[str, ...] = ()
    agent: str = ""
    connect_timeout: float = CONNECT_TIMEOUT
    proxy_command: str = ""
    jump: Server | None = None
    is_jump: bool = False

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"{'the jump host ' if self.is_jump else ''}{self.address} port {self.port}"

    @property
    def login(self) -> str:
        return f"{self.user}@{with_port(self.address, self.port)}"

    @property
    def jumps(self) -> tuple[Server, ...]:
        """The jump hosts on the way, the first one first."""
        return (*self.jump.jumps, self.jump) if self.jump else ()


def route_to(host: Host) -> Server:
    """The server of ``host``. The inventory wins over ssh's configuration, as with Ansible.

    As there, ``Host`` patterns are matched against ``ansible_host`` (the inventory's name when it has
    none). Raises :class:`InventoryError` for arguments for ssh that it cannot follow, and
    :class:`RequestError` for a broken configuration file.
    """
    given = arguments(host)
    options: list[str] = []
    if host.value("ansible_port") is not None:
        options += ["-p", str(host.port)]
    if host.value("ansible_user"):
        options += ["-l", host.user]
    found = settings(host.address, (*options, *given))
    words = _words(host.address, found, host.user, host.port)
    own = (host.known_hosts,) if host.known_hosts else ()
    server = _server(found, words)
    return replace(
        server,
        key=host.key_file,
        known_hosts=own or server.known_hosts,
        record=host.known_hosts or server.record,
        jump=_jump(found, words, _config_file(given), own, ()),
    )


def check(hosts: Sequence[Host]) -> None:
    """Raise now the :class:`RequestError` that connecting to one of ``hosts`` would meet later.

    The files are the same for all hosts, so ssh reads them once for each set of arguments.
    """
    seen = set()
    for host in hosts:
        if not host.is_local and (given := arguments(host)) not in seen:
            seen.add(given)
            route_to(host)


def _config_file(given: Sequence[str]) -> tuple[str, ...]:
    """``-F file`` holds for the jump hosts, too; the other arguments do not."""
    at = given.index("-F") if "-F" in given else None
    return tuple(given[at : at + 2]) if at is not None else ()


def _jump(
    found: Mapping[str, tuple[str, ...]],
    words: Mapping[str, str],
    config: tuple[str, ...],
    own: tuple[Path, ...],
    above: tuple[str, ...],
) -> Server | None:
    """The last jump host of ``ProxyJump a,b``. As with ssh, its own configuration may ask for another."""
    text = _tokens(found.get("proxyjump", ("none",))[0], "ProxyJump", words)
    if text.lower() == "none":
        return None
    if text in above or len(above) >= _MOST_JUMPS:
        raise RequestError(
            f"ProxyJump leads in a circle: {' -> '.join((*above, text))}",
            hint="give the jump host itself: ProxyJump none",
        )
    # As ssh does it: to the last one, with the others as its own jump hosts. They win over its configuration.
    others, _, last = text.rpartition(",")
    match = _JUMP.fullmatch(last.strip())
    if not match:
        raise RequestError(f"ProxyJump: {last.strip()!r} is not [user@]host[:port]")
    options = [*config]
    if others:
        options += ["-J", others]
    if match["user"]:
        options += ["-l", match["user"]]
    if match["port"]:
        options += ["-p", match["port"]]
    address = match["host"].strip("[]")
    said = settings(address, tuple(options))
    words = _words(address, said, match["user"] or name_or_number(), int(match["port"] or 22))
    server = _server(said, words)
    return replace(
        server,
        # The course's file may hold the jump host's key as well.
        known_hosts=tuple(dict.fromkeys((*own, *server.known_hosts))),
        record=own[0] if own else server.record,
        jump=_jump(said, words, config, own, (*above, text)),
        is_jump=True,
    )


def _one(found: Mapping[str, tuple[str, ...]], keyword: str, default: str = "") -> str:
    value = found.get(keyword, (default,))[0]
    return default if value.lower() == "none" else value


def _words(name: str, found: Mapping[str, tuple[str, ...]], user: str, port: int) -> Mapping[str, str]:
    """What ssh's ``%h`` and the like are for ``name``; ``user`` and ``port`` for where there is no ssh."""
    return {
        "%": "%", "h": _one(found, "hostname", name), "n": name, "p": _one(found, "port", str(port)),
        "r": _one(found, "user", user), "u": name_or_number(), "d": str(Path.home()), "i": str(os.getuid()),
        "k": _one(found, "hostkeyalias", name),
    }  # fmt: skip


def _server(found: Mapping[str, tuple[str, ...]], tokens: Mapping[str, str]) -> Server:
    """``found`` of ssh's settings."""
    one = partial(_one, found)
    home = Path.home() / ".ssh"
    files = [value for value in found.get("identityfile", ()) if value.lower() != "none"]
    beside = {"none", *(f"{value}-cert.pub" for value in files)}
    certificates = tuple(value for value in found.get("certificatefile", ()) if value not in beside)
    if not found:
        files = [str(home / name) for name in _DEFAULT_KEYS]
    known = tuple(_files(one("userknownhostsfile"), "UserKnownHostsFile"))
    everybodys = tuple(_files(one("globalknownhostsfile"), "GlobalKnownHostsFile"))
    if not found:
        known = (home / "known_hosts",)
    timeout, revoked = one("connecttimeout", "0"), one("revokedhostkeys")
    return Server(
        tokens["h"],
        int(tokens["p"]),
        tokens["r"],
        known + everybodys,
        record=known[0] if known else None,
        host_key_alias=one("hostkeyalias"),
        revoked_keys=in_home(revoked, "RevokedHostKeys") if revoked else None,
        identity_files=tuple(
            in_home(_expand(value, "IdentityFile", tokens), "IdentityFile") for value in files
        ),
        identities_only=one("identitiesonly") == "yes",
        certificates=certificates,
        agent=_agent(found.get("identityagent", ("SSH_AUTH_SOCK",))[0], tokens),
        connect_timeout=float(timeout) if timeout.isdigit() and int(timeout) else CONNECT_TIMEOUT,
        # For a shell, whose ${} it is.
        proxy_command=_tokens(one("proxycommand"), "ProxyCommand", tokens),
    )


def _files(value: str, keyword: str) -> list[Path]:
    """ssh -G prints several paths in one line, without quotes: one with a blank must exist to be seen."""
    whole = in_home(value, keyword)
    # a folder that may not be looked into is told when the file is read
    names = [value] if value and os.path.exists(whole) else value.split()  # noqa: PTH110
    return [in_home(name, keyword) for name in names]


def _agent(value: str, tokens: Mapping[str, str]) -> str:
    """The path of the agent's socket. IdentityAgent may name a variable of the environment."""
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", value):
        return os.environ.get(value.lstrip("$"), "")
    return str(in_home(_expand(value, "IdentityAgent", tokens), "IdentityAgent"))


def _expand(value: str, keyword: str, tokens: Mapping[str, str]) -> str:
    """ssh's ``%h`` and ``${VARIABLE}``."""
    text = _tokens(value, keyword, tokens)
    return _VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), text)


def _tokens(value: str, keyword: str, tokens: Mapping[str, str]) -> str:
    def token(match: re.Match[str]) -> str:
        if match[1] not in tokens:
            raise RequestError(
                f"{keyword} {value}: labctl does not know {match[0]}", hint=f"it knows %{', %'.join(tokens)}"
            )
        return tokens[match[1]]

    return _TOKEN.sub(token, value)
