"""Question 0, what is written down: the services that a VM offers."""

from __future__ import annotations

import re

from labctl.grading import Judgement, See, Target, failed, passed
from labctl.grading.answers import answer
from labctl.probes import Socket, sockets

#: Ports from here on are handed out to whoever wants any (ip_local_port_range), and change.
_ANY_PORT = 32768
#: A server that people call by another name than its process, unit or port.
_ALSO = {"named": ("bind", "bind9", "dns"), "sshd": ("ssh", "openssh"), "haproxy": ("ha-proxy",)}

_PORT = re.compile(
    r"\b(?:(\d{1,5})\s*/?\s*(tcp|udp)|(tcp|udp)6?\s*[/:]?\s*(?:\S*:)?(\d{1,5}))\b", re.IGNORECASE
)


@answer("0a")
def services(_vm: Target, see: See, text: str) -> Judgement:
    """You know which services others can connect to."""
    open_ones = [one for one in see(sockets()).listening if not one.loopback]
    needed = {(one.port, one.proto) for one in open_ones if _must_be_named(one)}
    named: set[tuple[int, str]] = set()
    strange: list[str] = []
    wrong: list[str] = []
    for line in filter(str.strip, text.split("\n")):
        found = _PORT.search(line)
        if found is None:
            strange.append(line.strip())
            continue
        port, proto = int(found[1] or found[4]), (found[2] or found[3]).lower()
        holders = [one for one in open_ones if (one.port, one.proto) == (port, proto)]
        if any(_is_called(one, line) for one in holders):
            named.add((port, proto))
        else:
            wrong.append(f"{port}/{proto}")
    missing = sorted(needed - named)
    if not missing and not wrong and named:
        return passed(", ".join(f"{port}/{proto}" for port, proto in sorted(named)))
    if not named and not wrong:
        seen, hint = "no line of the form 80/tcp nginx", "one line for each: port, protocol, program"
    elif wrong:
        seen = f"not so on your VM: {', '.join(wrong[:4])}"
        hint = "ss -tulpn shows who holds a port; an address of 127. or ::1 is for the VM itself alone"
    else:
        seen = f"{len(missing)} more could be named"
        hint = "ss -tulpn shows all of them; as root it shows the programs too"
    right = len(named & needed)
    return failed(
        expected="each service that is not on loopback, with its port, protocol and program",
        seen=seen,
        hint=hint,
        share=min(0.99, right / (len(needed | named) + len(wrong))) if needed else 0.0,
    )


def _must_be_named(one: Socket) -> bool:
    """What stays where it is. UDP sockets of clients listen too, and nobody would call them services."""
    lasting = one.port < _ANY_PORT and bool(one.process) and not one.process.startswith("rpc.")
    return lasting and (one.proto == "tcp" or one.process == "named")


def _is_called(one: Socket, line: str) -> bool:
    """A line names the process, its unit, or the service that /etc/services has for the port."""
    words = set(re.findall(r"[a-z][\w.-]*", line.lower()))
    unit = one.unit.removesuffix(".service").removesuffix(".socket").lower()
    names = {one.process.lower(), unit, one.service.lower(), *_ALSO.get(one.process, ())}
    return bool(words & (names - {""}))


CHECKS = (services,)
