"""The facts that labs use, under Ansible's names without their prefix.

Read from /proc, /sys and /etc. No program is started.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import network
from .network import read
from .outcome import Context

#: Seconds for what another machine may have to answer.
PATIENCE = 3.0
PARTS = ("min", "hardware", "network", "virtual")

_FAMILIES = {"debian": "Debian", "ubuntu": "Debian", "fedora": "RedHat", "rhel": "RedHat", "alpine": "Alpine"}


def gather(ctx: Context, subset: Sequence[str] = ()) -> dict[str, Any]:  # noqa: ARG001 (one day the deadline)
    """``subset`` are Ansible's words for parts of the facts: ``network``, ``!all`` and their like."""
    each = {"min": _minimal, "hardware": _hardware, "network": network.gather, "virtual": _virtual}
    facts: dict[str, Any] = {}
    for part in parts(subset):
        facts.update(each[part]())
    return facts


def parts(subset: Sequence[str]) -> list[str]:
    """The parts that ``subset`` asks for: all when it is empty; the minimal one always, but with ``!min``."""
    asked: set[str] = set()
    refused: set[str] = set()
    for word in subset:
        (refused if word.startswith("!") else asked).add(word.lstrip("!"))
    if "min" not in refused:
        asked.add("min")
    whole = not subset or "all" in asked
    return [part for part in PARTS if part in asked or (whole and part not in refused)]


def _minimal() -> dict[str, Any]:
    system = os.uname()
    facts = {
        "hostname": system.nodename.split(".")[0],
        "nodename": system.nodename,
        "kernel": system.release,
        "machine": system.machine,
        "architecture": system.machine,
        "system": system.sysname,
        "python_version": platform.python_version(),
        "env": dict(os.environ),
        "pkg_mgr": "apt" if os.path.exists("/usr/bin/apt-get") else "unknown",
        "service_mgr": "systemd" if os.path.isdir("/run/systemd/system") else "unknown",
        "date_time": _now(),
    }  # type: dict[str, Any]
    facts.update(_distribution())
    facts.update(_names())
    facts.update(_user())
    return facts


def _hardware() -> dict[str, Any]:
    return {"processor_vcpus": os.cpu_count() or 1, "memtotal_mb": _memory(), "mounts": _mounts()}


def _virtual() -> dict[str, Any]:
    return {"virtualization_type": _virtualization()}


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
    name = os.uname().nodename
    # A broken resolver is waited for tens of seconds by whoever asks it: the fact does without it then.
    fqdn = in_time(socket.getfqdn) or _name_in_hosts(name)
    return {"fqdn": fqdn, "domain": fqdn.partition(".")[2]}


def _name_in_hosts(name: str) -> str:
    for line in read("/etc/hosts").splitlines():
        words = line.split("#")[0].split()
        if name in words[1:]:
            return next((word for word in words[1:] if word.startswith(name + ".")), name)
    return name


def in_time(ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives, None if that takes too long or fails."""
    answers: list[Any] = []

    def asking() -> None:
        try:
            answers.append(ask())
        except OSError:
            pass

    thread = threading.Thread(target=asking, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answers[0] if answers else None


def _user() -> dict[str, Any]:
    uid = os.getuid()
    found = {"user_id": str(uid), "user_uid": uid, "user_gid": os.getgid()}  # type: dict[str, Any]
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return found
    return dict(
        found,
        user_id=entry.pw_name,
        user_gid=entry.pw_gid,
        user_gecos=entry.pw_gecos,
        user_dir=entry.pw_dir,
        user_shell=entry.pw_shell,
    )


def _mounts() -> list[dict[str, Any]]:
    mounts = {}  # the last one on a directory covers those before it
    for line in read("/proc/self/mounts").splitlines():
        words = [
            re.sub(r"\\([0-7]{3})", lambda one: chr(int(one.group(1), 8)), word) for word in line.split()
        ]
        if len(words) == 6 and (words[0].startswith(("/", "\\")) or ":/" in words[0]) and words[2] != "none":
            one = dict(zip(("device", "mount", "fstype", "options"), words))  # type: dict[str, Any]
            mounts[words[1]] = dict(one, dump=int(words[4]), passno=int(words[5]))
    names = _uuids()
    for one in mounts.values():
        # the server of a file system that is not this machine's may be gone: who asks for its size hangs
        far = not one["device"].startswith("/") or one["fstype"].startswith("fuse")
        size = in_time(lambda: os.statvfs(one["mount"])) if far else _size(one["mount"])  # noqa: B023
        one["uuid"] = names.get(os.path.realpath(one["device"]), "N/A")
        if size is None:
            one["note"] = "Could not get extra information due to timeout"
            continue
        one.update(
            size_total=size.f_frsize * size.f_blocks,
            size_available=size.f_frsize * size.f_bavail,
            block_size=size.f_bsize,
            block_total=size.f_blocks,
            block_available=size.f_bavail,
            block_used=size.f_blocks - size.f_bavail,
            inode_total=size.f_files,
            inode_available=size.f_favail,
            inode_used=size.f_files - size.f_favail,
        )
    return list(mounts.values())


def _size(path: str) -> Any:
    try:
        return os.statvfs(path)
    except OSError:
        return None


def _uuids() -> dict[str, str]:
    """The names by which udev knows devices."""
    where = "/dev/disk/by-uuid"
    if not os.path.isdir(where):
        return {}
    return {os.path.realpath(os.path.join(where, name)): name for name in os.listdir(where)}


def _memory() -> int:
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def _virtualization() -> str:
    for line in read("/proc/1/environ").split("\0"):
        name, _equals, kind = line.partition("=")
        if name == "container" and kind:
            return kind if kind in ("lxc", "podman") else "container"
    product = read("/sys/class/dmi/id/product_name") + read("/sys/class/dmi/id/sys_vendor")
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
