"""What OpenSSH's configuration says about an address.

The ``ssh`` program itself is asked (``ssh -G``, about 5 ms): it reads ``~/.ssh/config`` and
``/etc/ssh/ssh_config`` with their Include, Match and first-value-wins rules, exactly as the ssh that
Ansible starts does. paramiko's own parser knows no Include, which is the first line of Debian's file.
"""

from __future__ import annotations

import getopt
import glob
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from labctl.errors import InventoryError, LabctlError, Place, RequestError
from labctl.inventory import Host
from labctl.whoami import login_name

#: In the order in which Ansible puts them on ssh's command line; ssh takes the first value of an option.
ARGUMENT_VARIABLES = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")

_HONOURED = {
    "connecttimeout", "globalknownhostsfile", "hostkeyalias", "hostname", "identitiesonly", "identityagent",
    "identityfile", "port", "proxycommand", "proxyjump", "revokedhostkeys", "user", "userknownhostsfile",
}  # fmt: skip
#: About ssh as a process of its own, or what labctl does anyhow: there is nothing to do for them.
_NEEDLESS = {
    "batchmode", "compression", "controlmaster", "controlpath", "controlpersist",
    "kbdinteractiveauthentication", "loglevel", "numberofpasswordprompts", "passwordauthentication",
    "preferredauthentications", "pubkeyauthentication", "serveralivecountmax",
    "serveraliveinterval", "tcpkeepalive", "updatehostkeys",
}  # fmt: skip
_REFUSED = {
    "forwardagent": "labctl never forwards the agent to a VM: leave it out",
    "stricthostkeychecking": "labctl always checks host keys: leave it out, and record the VM's key",
}
#: ``Match exec`` runs a program of the user's, and canonicalization asks the name servers.
_SECONDS = 20.0
#: ssh gives up on files that include each other any deeper.
_MOST_INCLUDES = 16
#: ssh refuses a ProxyJump to the very host.
_CONDITIONAL = {"canonicalizehostname", "match", "proxyjump"}
#: In these ``ssh -G`` has filled in %h and the like. ControlPath, which often has them, is nothing to us.
_FILLED_IN = _HONOURED - {"identityfile", "proxycommand"}
#: Stands for every address where they are all treated alike; a name that nobody has.
_ANY = "every-vm.invalid"
#: What ends an option's name.
_KEYWORD = re.compile(r"[\s=]")
_NUMBERED = re.compile(r"^(?P<path>.+?):? line (?P<line>\d+):? (?P<text>.*)$")


def arguments(host: Host) -> tuple[str, ...]:
    """The options for ssh that the inventory gives for ``host``.

    Raises :class:`InventoryError` for one that would have no effect here.
    """
    found: list[str] = []
    for variable in ARGUMENT_VARIABLES:
        value = host.value(variable)
        if not value:
            continue
        try:
            pairs, rest = _split(str(value))
        except (getopt.GetoptError, ValueError) as err:
            raise _wrong(host, variable, str(err)) from err
        if rest:
            raise _wrong(host, variable, f"{rest[0]} is no option of ssh's")
        for letter, given in pairs:
            found += _argument(host, variable, letter, given)
    return tuple(found)


@lru_cache(maxsize=64)
def _split(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Options and the rest. Raises what getopt and shlex do."""
    return getopt.getopt(shlex.split(text), "o:J:F:i:l:p:Cq")


def _argument(host: Host, variable: str, letter: str, given: str) -> list[str]:
    if letter in ("-C", "-q"):
        return []
    if letter == "-F":
        # ssh would look for "none" nowhere; another name is relative to here, whoever reads it later
        return ["-F", given if given.lower() == "none" else str(in_home(given, variable).absolute())]
    if letter != "-o":
        return [letter, given]
    keyword = _KEYWORD.split(given.strip(), maxsplit=1)[0]
    known = keyword.lower()
    if known == "stricthostkeychecking" and re.search(r"[\s=\"](yes|ask)\"?$", given.strip(), re.IGNORECASE):
        return []
    if known in _REFUSED:
        raise _wrong(host, variable, f"{keyword} cannot be set", _REFUSED[known])
    if known not in _HONOURED | _NEEDLESS:
        raise _wrong(host, variable, f"labctl does not know what to do for ssh's option {keyword}")
    return ["-o", given] if known in _HONOURED else []


def in_home(path: str, keyword: str) -> Path:
    """``~`` and ``~user`` filled in. Raises :class:`RequestError` for a user that there is none of."""
    if not path.startswith("~"):
        return Path(path)
    try:
        return Path(path).expanduser()
    except RuntimeError as err:
        raise RequestError(
            f"{keyword}: {path}: this machine has no such user",
            hint="name the file by its whole path",
        ) from err


def _wrong(host: Host, variable: str, why: str, hint: str = "") -> InventoryError:
    known = (
        "it knows -o with ProxyJump, ProxyCommand, UserKnownHostsFile, IdentityFile and their like, -J and -F"
    )
    return InventoryError(f"{host.name}: {variable}: {why}", hint=hint or known)


def settings(address: str, options: tuple[str, ...] = ()) -> Mapping[str, tuple[str, ...]]:
    """What ``ssh options address`` would use: by keyword in lower case, all values of it.

    Empty where there is no ssh program and nothing that needs it. Raises :class:`RequestError` with
    file and line when a configuration file cannot be read as one.
    """
    # an address may also be joe@vm or ssh://vm:2222
    if "@" not in address and "://" not in address and _same_for_all(options):
        found = _asked(_ANY, options)
        if found.get("hostname") == (_ANY,):  # and not HostName %h.example.org
            return {**found, "host": (address,), "hostname": (address.lower(),)}
    return _asked(address, options)


@lru_cache(maxsize=256)
def _same_for_all(options: tuple[str, ...]) -> bool:
    """Whether nothing in the configuration depends on the address: then ssh is asked once for all VMs.

    With hundreds of them, asking for each is a quarter of what connecting costs.
    """
    if "-J" in options or any("proxyjump" in option.lower() or _depends(option) for option in options):
        return False
    if "-F" in options:
        path = options[options.index("-F") + 1]
        return "%" not in path and _unconditional(glob.escape(path), Path.home() / ".ssh")
    return _unconditional("config", Path.home() / ".ssh") and _unconditional("ssh_config", Path("/etc/ssh"))


def _unconditional(pattern: str, folder: Path, depth: int = 0) -> bool:
    """In doubt, and about files that ssh itself will complain about, False."""
    if depth > _MOST_INCLUDES or set(pattern) & set("%$"):
        return False
    try:
        for path in glob.glob(str(folder / Path(pattern).expanduser())):  # noqa: PTH207 - an absolute pattern
            for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
                keyword, _, rest = line.strip().replace("=", " ", 1).partition(" ")
                if (
                    keyword
                    and not keyword.startswith("#")
                    and not _holds(keyword.lower(), rest, folder, depth)
                ):
                    return False
    except (OSError, RuntimeError, ValueError):
        return False
    return True


def _holds(keyword: str, rest: str, folder: Path, depth: int) -> bool:
    if keyword == "include":
        return all(_unconditional(name, folder, depth + 1) for name in shlex.split(rest))
    if keyword == "host":
        return rest.strip() == "*"
    return keyword.isalnum() and keyword not in _CONDITIONAL and not _depends(f"{keyword} {rest}")


def _depends(option: str) -> bool:
    """Whether what ssh says of this option may hold a part of the address."""
    return "%" in option and _KEYWORD.split(option.strip(), maxsplit=1)[0].lower() in _FILLED_IN


@lru_cache(maxsize=4096)
def _asked(address: str, options: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    try:
        done = subprocess.run(
            ["ssh", "-G", *options, "--", address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            # Of a user's program of Match exec, too: nobody is asked anything on the terminal.
            start_new_session=True,
        )
    except FileNotFoundError:
        return _without_ssh(options, "there is no ssh program", "sudo apt install openssh-client")
    except subprocess.TimeoutExpired:
        raise RequestError(
            f"ssh did not work out its configuration for {address} within {_SECONDS:.0f} s",
            hint=f"try: ssh -G {address}; a program of Match exec, or a name server, does not answer",
        ) from None
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode != 0 and not login_name():
        # it runs for nobody without a name, whatever it is asked
        why = "ssh does not run for a user without a name"
        return _without_ssh(options, why, f"give {os.getuid()} a line in /etc/passwd")
    if done.returncode != 0:
        raise _complaint(said, address)
    found: dict[str, tuple[str, ...]] = {}
    for line in os.fsdecode(done.stdout).splitlines():
        keyword, _, value = line.partition(" ")
        found[keyword.lower()] = (*found.get(keyword.lower(), ()), value)
    return found


def _without_ssh(options: tuple[str, ...], why: str, hint: str) -> Mapping[str, tuple[str, ...]]:
    """No settings, when nothing was written down that ssh would have to read."""
    own = Path.home() / ".ssh" / "config"
    arguments_given = {"-F", "-J", "-i", "-o"} & set(options)
    if not arguments_given and not os.path.exists(own):  # noqa: PTH110 - False also where one may not look
        return {}
    what = "the inventory's arguments for ssh" if arguments_given else str(own)
    raise RequestError(f"{why} to read {what}", hint=hint)


def _complaint(said: str, address: str) -> LabctlError:
    """The error for what ssh said about its configuration."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for line in lines:
        match = _NUMBERED.match(line)
        if not match:
            continue
        if match["path"] == "command-line":
            return InventoryError(
                f"an argument for ssh is wrong: {match['text']}",
                hint=f"in one of {', '.join(ARGUMENT_VARIABLES)}, ansible_port or ansible_user",
            )
        return RequestError(match["text"].rstrip("."), place=_place(Path(match["path"]), int(match["line"])))
    return RequestError(
        f"ssh cannot use its configuration for {address}: {lines[-1] if lines else 'no reason'}"
    )


def _place(path: Path, number: int) -> Place:
    """The place of line ``number``, from its first letter."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()[number - 1]
    except (OSError, IndexError):
        text = ""
    return Place(path, number, len(text) - len(text.lstrip()) + 1, text)
