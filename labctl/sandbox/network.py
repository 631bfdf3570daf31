"""Addresses, names and ports of the sandbox's VMs: what is fixed, and what is chosen on this machine.

VM k is 10.77.0.k on the private network that the VMs share, and 127.77.0.k for this machine, where
QEMU forwards the labs' ports. staff2 is 2, studentN is 10 + N.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import zlib
from collections.abc import Callable, Iterable

from labctl.errors import SandboxError

DOMAIN = "decal.xcf.sh"
STAFF = "staff2"
LAN = "10.77.0"
LAN_NETWORK = f"{LAN}.0/24"
#: All fit into the last part of an address; each VM's /etc/hosts has a line for all of them.
MAX_STUDENTS = 100
SSH = 22
TCP_PORTS = (22, 53, 80, 7000, 7001)
UDP_PORTS = (53,)
SHIFT = 20000
_SHIFT_STEP = 1000
_FIRST_STUDENT = 10
# Fixed nets of the two sandboxes everybody knows; other names get one by their checksum
_OUTSIDE = {"default": "127.77.0", "test": "127.78.0"}

Free = Callable[[str, int, int], bool]


def vm_names(students: int) -> tuple[str, ...]:
    """``staff2`` and ``student1`` .. ``studentN``. SandboxError if N is no sensible number."""
    if not 1 <= students <= MAX_STUDENTS:
        raise SandboxError(f"cannot make {students} students", hint=f"--students takes 1 to {MAX_STUDENTS}")
    return (STAFF, *(f"student{n}" for n in range(1, students + 1)))


def number(vm: str) -> int:
    """The VM's k, the last part of its addresses."""
    return 2 if vm == STAFF else _FIRST_STUDENT + int(vm.removeprefix("student"))


def fqdn(vm: str) -> str:
    return f"{vm}.{DOMAIN}"


def lan_address(vm: str) -> str:
    return f"{LAN}.{number(vm)}"


def outside_net(sandbox: str) -> str:
    """First three parts of the loopback addresses of this sandbox's VMs."""
    if sandbox in _OUTSIDE:
        return _OUTSIDE[sandbox]
    checksum = zlib.crc32(sandbox.encode())
    return f"127.{79 + checksum % 170}.{(checksum >> 8) % 256}"


def outside_address(sandbox: str, vm: str) -> str:
    return f"{outside_net(sandbox)}.{number(vm)}"


def mac(vm: str, card: int) -> str:
    """Of network card 0 (user network) or 1 (LAN); 52:54:00 is QEMU's own range."""
    return f"52:54:00:77:{card:02x}:{number(vm):02x}"


def hosts_file(vm: str) -> str:
    """``/etc/hosts`` of one VM: all VMs there may ever be, by LAN address, itself included.

    The names of VMs added later are in it from the start, so a VM need not be touched, nor a
    snapshot go stale, when ``up --students`` is called with a larger number.
    """
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{lan_address(other)} {fqdn(other)} {other}" for other in vm_names(MAX_STUDENTS)]
    if vm not in vm_names(MAX_STUDENTS):
        raise SandboxError(f"{vm!r} is no VM of a sandbox")
    return "\n".join(lines) + "\n"


def new_multicast() -> str:
    """``group:port`` of a fresh LAN. Random, so that two users' sandboxes on one machine do not share one."""
    # 239.0.0.0/8 is for private use (RFC 2365); TTL and localaddr keep it on loopback anyway
    group = f"239.77.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
    return f"{group}:{30000 + secrets.randbelow(30000)}"


def is_free(address: str, port: int, kind: int) -> bool:
    """Whether this process may listen on the port now; ``kind`` is SOCK_STREAM or SOCK_DGRAM."""
    with contextlib.closing(socket.socket(socket.AF_INET, kind)) as probe:
        if kind == socket.SOCK_STREAM:
            # as QEMU does: connections of an earlier VM may linger in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except PermissionError:
            return False
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise SandboxError(f"cannot use address {address}: {error.strerror}") from error
        return True


def choose_ports(
    address: str, wanted: Iterable[int] = TCP_PORTS, *, udp: Iterable[int] = UDP_PORTS, free: Free = is_free
) -> dict[int, int]:
    """For each port in the VM the port on ``address`` that leads to it.

    The same number where this user may have it; otherwise 20000 more, then 21000 more and so on. TCP
    and UDP of one port always get the same number.
    """
    chosen: dict[int, int] = {}
    for port in wanted:
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM) if port in udp else (socket.SOCK_STREAM,)
        for candidate in (port, *range(port + SHIFT, 65536, _SHIFT_STEP)):
            if candidate not in chosen.values() and all(free(address, candidate, kind) for kind in kinds):
                chosen[port] = candidate
                break
        else:
            raise SandboxError(f"no free port on {address} for the VM's port {port}")
    return chosen


def shifted(ports: dict[int, int]) -> dict[int, int]:
    """Only those that differ from the VM's own."""
    return {inside: outside for inside, outside in ports.items() if inside != outside}


def forwards(address: str, ports: dict[int, int]) -> list[str]:
    """The ``hostfwd=`` options of QEMU's user network."""
    rules = [f"hostfwd=tcp:{address}:{outside}-:{inside}" for inside, outside in ports.items()]
    rules += [f"hostfwd=udp:{address}:{ports[inside]}-:{inside}" for inside in UDP_PORTS if inside in ports]
    return rules
