"""The facts about interfaces and addresses, read from the kernel: no program is started, nothing is sent."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any

_TYPES = {"1": "ether", "32": "infiniband", "512": "ppp", "772": "loopback", "65534": "tunnel"}
_SCOPES = {"00": "global", "10": "host", "20": "link", "40": "site"}
_PROMISCUOUS = 0x100
# Whoever asks the kernel for the way there learns which address is used by default: Ansible's own question.
_OUTSIDE = ((socket.AF_INET, "8.8.8.8"), (socket.AF_INET6, "2404:6800:400a:800::1012"))


def gather() -> dict[str, Any]:
    names = []
    if os.path.isdir("/sys/class/net"):
        names = [
            name for name in sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net/" + name)
        ]
    interfaces = {name: _interface(name) for name in names}
    v4, v6 = _addresses(), _addresses6()
    for name, label, one in v4:
        if name in interfaces:
            # what has a label of its own (eth0:1) is told of as an interface too
            mine = interfaces.setdefault(label, {})
            if "ipv4" in mine:
                mine.setdefault("ipv4_secondaries", []).append(one)
            else:
                mine["ipv4"] = one
    for name, one in v6:
        if name in interfaces:
            interfaces[name].setdefault("ipv6", []).append(one)
    facts = {
        "interfaces": sorted(interfaces),
        "all_ipv4_addresses": [one["address"] for _, _, one in v4 if not one["address"].startswith("127.")],
        "all_ipv6_addresses": [one["address"] for _, one in v6 if one["address"] != "::1"],
        "default_ipv4": {},
        "default_ipv6": {},
    }  # type: dict[str, Any]
    ours4, ours6 = (_default_address(*outside) for outside in _OUTSIDE)
    for name, label, one in v4:
        if one["address"] == ours4:
            facts["default_ipv4"] = dict(_default(interfaces, name, _gateway(name)), alias=label, **one)
    for name, one in v6:
        if one["address"] == ours6:
            facts["default_ipv6"] = dict(_default(interfaces, name, _gateway6(name)), **one)
    for name, found in interfaces.items():
        facts[name.replace("-", "_").replace(":", "_")] = found
    return facts


def _default(interfaces: dict[str, Any], name: str, gateway: str) -> dict[str, Any]:
    mine = interfaces.get(name, {})
    found = {"interface": name, "macaddress": read("/sys/class/net/%s/address" % name)}
    found.update({word: mine[word] for word in ("mtu", "type") if word in mine})
    return dict(found, gateway=gateway) if gateway else found


def _interface(name: str) -> dict[str, Any]:
    where = "/sys/class/net/%s/" % name
    found = {"device": name}  # type: dict[str, Any]
    address, mtu, flags = (read(where + word) for word in ("address", "mtu", "flags"))
    if address and address != "00:00:00:00:00:00":
        found["macaddress"] = address
    if mtu.isdigit():
        found["mtu"] = int(mtu)
    found["active"] = read(where + "operstate") != "down"
    bridge = os.path.isdir(where + "bridge")
    found["type"] = "bridge" if bridge else _TYPES.get(read(where + "type"), "unknown")
    if flags:
        found["promisc"] = bool(int(flags, 16) & _PROMISCUOUS)
    return found


def _addresses() -> list[tuple[str, str, dict[str, str]]]:
    """(interface, label, IPv4 address with its network), secondary addresses as well."""
    import array
    import fcntl

    entry = 40 if struct.calcsize("P") == 8 else 32  # of struct ifreq
    space = array.array("B", bytes(256 * entry))
    wanted = struct.pack("iP", len(space), space.buffer_info()[0])
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:

        def asked(question: int, request: bytes) -> str:
            try:
                return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), question, request)[20:24])
            except OSError:
                return "0.0.0.0"  # noqa: S104  it has none

        try:
            answer = fcntl.ioctl(probe.fileno(), 0x8912, wanted)  # SIOCGIFCONF
        except OSError:
            return []
        size = struct.unpack("iP", answer)[0]
        for start in range(0, size, entry):
            one = space[start : start + entry].tobytes()
            label = one[:16].rstrip(b"\0").decode("utf-8", "replace")
            # the request names label and address: of several addresses the kernel tells of this one
            mask, broadcast = asked(0x891B, one), asked(0x8919, one)  # SIOCGIFNETMASK, SIOCGIFBRDADDR
            found.append((label.partition(":")[0], label, _described(one[20:24], mask, broadcast)))
    return found


def _described(address: bytes, mask: str, broadcast: str) -> dict[str, str]:
    bits = socket.inet_aton(mask)
    return {
        "address": socket.inet_ntoa(address),
        "broadcast": "" if broadcast == "0.0.0.0" else broadcast,  # noqa: S104
        "netmask": mask,
        "network": socket.inet_ntoa(bytes(one & other for one, other in zip(address, bits))),
        "prefix": str(bin(int.from_bytes(bits, "big")).count("1")),
    }


def _addresses6() -> list[tuple[str, dict[str, str]]]:
    found = []
    for line in read("/proc/net/if_inet6").splitlines():
        words = line.split()
        if len(words) == 6:
            address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0]))
            scope = _SCOPES.get(words[3], words[3])
            found.append((words[5], {"address": address, "prefix": str(int(words[2], 16)), "scope": scope}))
    return found


def _default_address(family: int, outside: str) -> str:
    """The address that this machine has for the outside; asked of the kernel, which sends nothing for it."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _gateway(interface: str) -> str:
    for line in read("/proc/net/route").splitlines()[1:]:
        words = line.split()
        if words[:2] == [interface, "00000000"] and words[7] == "00000000" and words[2] != "00000000":
            return socket.inet_ntoa(bytes.fromhex(words[2])[:: -1 if sys.byteorder == "little" else 1])
    return ""


def _gateway6(interface: str) -> str:
    for line in read("/proc/net/ipv6_route").splitlines():
        words = line.split()
        if (
            len(words) == 10
            and words[9] == interface
            and words[:2] == ["0" * 32, "00"]
            and words[4] != "0" * 32
        ):
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[4]))
    return ""


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
