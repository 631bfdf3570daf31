"""The facts that labs use, under Ansible's names without their prefix.

Read from /proc, /sys and /etc; the default route's address is asked of the kernel by a UDP socket
that sends nothing. No program is started.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from typing import Any

from .outcome import Context

_FAMILIES = {"debian": "Debian", "ubuntu": "Debian", "fedora": "RedHat", "rhel": "RedHat", "alpine": "Alpine"}


def gather(ctx: Context) -> dict[str, Any]:  # noqa: ARG001 (facts may need the deadline one day)
    facts = {
        "hostname": os.uname().nodename.split(".")[0],
        "nodename": os.uname().nodename,
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "architecture": os.uname().machine,
        "system": os.uname().sysname,
        "python_version": platform.python_version(),
        "env": dict(os.environ),
        "processor_vcpus": os.cpu_count() or 1,
        "memtotal_mb": _memory(),
        "pkg_mgr": "apt" if os.path.exists("/usr/bin/apt-get") else "unknown",
        "service_mgr": "systemd" if os.path.isdir("/run/systemd/system") else "unknown",
        "virtualization_type": _virtualization(),
        "user_id": os.environ.get("USER") or str(os.getuid()),
        "date_time": _now(),
        "mounts": _mounts(),
    }  # type: dict[str, Any]
    facts.update(_distribution())
    facts.update(_names())
    facts.update(_network())
    return facts


def os_release(path: str = "/etc/os-release") -> dict[str, str]:
    """The key=value lines of os-release, unquoted."""
    found = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, equals, value = line.strip().partition("=")
                if equals and not name.startswith("#"):
                    found[name] = value.strip("\"'")
    except OSError:
        pass
    return found


def _distribution() -> dict[str, Any]:
    release = os_release()
    ident = release.get("ID", "")
    version = release.get("VERSION_ID", "")
    if ident == "debian":
        try:
            with open("/etc/debian_version", encoding="utf-8") as file:
                version = file.read().strip() or version
        except OSError:
            pass
    return {
        "distribution": {"debian": "Debian", "ubuntu": "Ubuntu"}.get(ident, release.get("NAME", ident)),
        "distribution_version": version,
        "distribution_major_version": version.split(".")[0],
        "distribution_release": release.get("VERSION_CODENAME", ""),
        "os_family": _FAMILIES.get(ident, "Debian" if "debian" in release.get("ID_LIKE", "") else ident),
    }


def _names() -> dict[str, Any]:
    # Not socket.getfqdn: with a broken resolver it waits for tens of seconds.
    name = os.uname().nodename
    fqdn = name
    if "." not in name:
        try:
            with open("/etc/hosts", encoding="utf-8", errors="replace") as file:
                for line in file:
                    words = line.split("#")[0].split()
                    if name in words[1:]:
                        fqdn = next((word for word in words[1:] if word.startswith(name + ".")), fqdn)
                        break
        except OSError:
            pass
    return {"fqdn": fqdn, "domain": fqdn.partition(".")[2]}


def _network() -> dict[str, Any]:
    interfaces = sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else []
    v4 = _addresses()
    v6 = _addresses6()
    facts = {
        "interfaces": interfaces,
        "all_ipv4_addresses": [address for name, address in v4 if name != "lo"],
        "all_ipv6_addresses": v6,
        "default_ipv4": {},
        "default_ipv6": {},
    }  # type: dict[str, Any]
    gateway, interface = _default_route()
    if interface:
        address = next((one for name, one in v4 if name == interface), "")
        facts["default_ipv4"] = {"address": address, "interface": interface, "gateway": gateway}
    for name in interfaces:
        mine = [address for one, address in v4 if one == name]
        facts[name.replace("-", "_")] = {
            "device": name,
            "macaddress": _read("/sys/class/net/%s/address" % name),
            "active": _read("/sys/class/net/%s/operstate" % name) in ("up", "unknown"),
            "ipv4": {"address": mine[0]} if mine else {},
        }
    return facts


def _addresses() -> list[tuple[str, str]]:
    """(interface, IPv4 address) pairs, secondary addresses as well."""
    import array
    import fcntl
    import struct

    entry = 40 if struct.calcsize("P") == 8 else 32  # of struct ifreq
    space = array.array("B", bytes(256 * entry))
    wanted = struct.pack("iP", len(space), space.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), 0x8912, wanted)  # SIOCGIFCONF
        except OSError:
            return []
    size = struct.unpack("iP", answer)[0]
    found = []
    for start in range(0, size, entry):
        one = space[start : start + entry].tobytes()
        label = one[:16].rstrip(b"\0").decode("utf-8", "replace")
        found.append((label.partition(":")[0], socket.inet_ntoa(one[20:24])))
    return found


def _addresses6() -> list[str]:
    found = []
    for line in _read("/proc/net/if_inet6").splitlines():
        words = line.split()
        if len(words) == 6 and words[5] != "lo":
            found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])))
    return found


def _default_route() -> tuple[str, str]:
    for line in _read("/proc/net/route").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == "00000000" and words[7] == "00000000":
            gateway = socket.inet_ntoa(bytes.fromhex(words[2])[:: -1 if sys.byteorder == "little" else 1])
            return gateway, words[0]
    return "", ""


def _mounts() -> list[dict[str, str]]:
    mounts = {}  # the last one on a directory covers those before it
    for line in _read("/proc/self/mounts").splitlines():
        words = line.split()
        if len(words) >= 4 and (words[0].startswith("/") or words[2].startswith("nfs")):
            one = {"device": words[0], "mount": words[1], "fstype": words[2], "options": words[3]}
            mounts[words[1]] = one
    return list(mounts.values())


def _memory() -> int:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def _virtualization() -> str:
    for line in _read("/proc/1/environ").split("\0"):
        name, _equals, kind = line.partition("=")
        if name == "container" and kind:
            return kind if kind in ("lxc", "podman") else "container"
    product = _read("/sys/class/dmi/id/product_name") + _read("/sys/class/dmi/id/sys_vendor")
    return "kvm" if "QEMU" in product or "KVM" in product else "NA"


def _now() -> dict[str, str]:
    at = time.time()
    here, utc = time.localtime(at), time.gmtime(at)
    micro = "%06d" % (at % 1 * 1000000)
    epoch = str(int(at))
    words = {
        "date": "%Y-%m-%d",
        "day": "%d",
        "hour": "%H",
        "iso8601_basic_short": "%Y%m%dT%H%M%S",
        "minute": "%M",
        "month": "%m",
        "second": "%S",
        "time": "%H:%M:%S",
        "tz": "%Z",
        "tz_offset": "%z",
        "weekday": "%A",
        "weekday_number": "%w",
        "weeknumber": "%W",
        "year": "%Y",
    }
    told = {name: time.strftime(form, here) for name, form in words.items()}
    told.update(
        epoch=epoch,
        epoch_int=epoch,
        iso8601=time.strftime("%Y-%m-%dT%H:%M:%SZ", utc),
        iso8601_basic=time.strftime("%Y%m%dT%H%M%S", here) + micro,
        iso8601_micro=time.strftime("%Y-%m-%dT%H:%M:%S.", utc) + micro + "Z",
        tz_dst=time.tzname[1],
    )
    return told


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
