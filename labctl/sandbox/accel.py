"""Whether KVM really works here: /dev/kvm may exist and still not boot a guest.

A kernel is booted under KVM once, with a deadline; the answer is kept in the cache with the host's
boot id, so a reboot (other kernel, other modules) asks again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

KVM = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SECONDS = 10.0
MARK = b"LABCTL-PROBE-OK"
FILE = "accel.json"


def choose(kernel: Path, initrd: Path, cache: Path) -> str:
    """``kvm`` or ``tcg``."""
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg"
    known = remembered(cache)
    if known is not None:
        return known
    answer = "kvm" if boots(kernel, initrd) else "tcg"
    cache.mkdir(parents=True, exist_ok=True)
    new = cache / f"{FILE}.{os.getpid()}"
    new.write_text(json.dumps({"boot_id": _boot_id(), "accel": answer}), encoding="ascii")
    new.replace(cache / FILE)
    return answer


def remembered(cache: Path) -> str | None:
    """The answer found since this machine's last boot, if any."""
    try:
        known = json.loads((cache / FILE).read_text(encoding="ascii"))
        accel = str(known["accel"])
        fresh = known["boot_id"] == _boot_id()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return accel if fresh and accel in {"kvm", "tcg"} else None


def boots(kernel: Path, initrd: Path, *, accel: str = "kvm", seconds: float = SECONDS) -> bool:
    """Boot a kernel that only says a word on its console and ends; False after ``seconds``."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        return False
    argv = [program, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-accel", accel]
    argv += [
        "-cpu",
        "host" if accel == "kvm" else "max",
        "-m",
        "128",
        "-kernel",
        str(kernel),
        "-initrd",
        str(initrd),
    ]
    argv += ["-append", "console=ttyS0 quiet panic=-1 labctl.probe", "-serial", "stdio"]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return MARK in done.stdout


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()
