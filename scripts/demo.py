"""`make demo`: two VMs, graded bare, provisioned, graded again; says where the time went."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from labctl.sandbox import Sandbox

LABCTL = Path(sys.executable).with_name("labctl")
VMS = ("staff2", "student1")


class Clock:
    """Runs steps and remembers how long each took."""

    def __init__(self) -> None:
        self.spent: list[tuple[str, float]] = []

    def step(self, what: str, *argv: str, expected: int = 0) -> None:
        print(f"\n\N{BLACK RIGHT-POINTING TRIANGLE} {what}\n  $ labctl {' '.join(argv)}\n", flush=True)
        started = time.monotonic()
        status = subprocess.run([str(LABCTL), *argv], check=False).returncode
        self.spent.append((what, time.monotonic() - started))
        if status != expected:
            print(f"\nlabctl {' '.join(argv)} ended with status {status}, not {expected}", file=sys.stderr)
            raise SystemExit(status or 1)


def put_back() -> None:
    """The VMs as they were when they were made: kept the first time, put back every other time."""
    box = Sandbox.open()
    for name in VMS:
        if box.has_snapshot(name, "bare"):
            box.restore(name, "bare")
        else:
            box.snapshot(name, "bare")


def main() -> None:
    clock = Clock()
    # beside the demo's VMs: make demo-down takes the results with them
    os.environ["LABCTL_DATABASE"] = f"sqlite:///{Sandbox.open().directory / 'results.sqlite'}"
    clock.step("Build the image (once) and boot two VMs", "sandbox", "up", "--students", "1")
    started = time.monotonic()
    put_back()
    clock.spent.append(("Keep or put back the bare state", time.monotonic() - started))
    clock.step("Grade the student's VM as it is: nothing done yet", "grade", "student1", expected=1)
    clock.step("Provision the NFS server and the student's VM", "setup", *VMS)
    clock.step("Grade again, crashing the workers and restoring them", "grade", "student1")
    print("\nWhere the time went")
    for what, seconds in clock.spent:
        print(f"  {seconds:6.1f} s  {what}")
    print(f"  {sum(seconds for _, seconds in clock.spent):6.1f} s  in all")
    print(
        f"""
What to type next (or: alias labctl={LABCTL})
  labctl sandbox ssh student1            look around on the student's VM (you have sudo)
  labctl grade student1 --only dns       some of the checks
  labctl setup student1 --check --diff   what would change
  labctl sandbox status                  addresses and ports; the stats page is on port 7001
  make demo-down                         remove the VMs
"""
    )


if __name__ == "__main__":
    main()
