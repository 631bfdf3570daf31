"""Containers that a file of tests has for itself, and ``labctl setup`` over them as a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vms import LABCTL, NAME, environment

from labctl.sandbox import Sandbox


@dataclass
class Containers:
    box: Sandbox

    def run(self, command: str, vm: str = "student1") -> str:
        """A shell line's stdout; fails the test when the line fails."""
        done = self.box.run(vm, command, timeout=120)
        assert done.status == 0, f"{vm}$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def logins(self, vm: str = "student1") -> int:
        """How many logins sshd has let in since the boot, this look at it included."""
        return int(self.run("sudo journalctl -q -b _COMM=sshd -o cat | grep -c '^Accepted publickey'", vm))

    def argv(self, playbook: Path, *args: str) -> list[str]:
        return [*LABCTL, "setup", *args, "--playbook", str(playbook), "-i", str(self.box.inventory_path)]

    def begin(self, playbook: Path, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.argv(playbook, *args), "--json"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def setup(self, playbook: Path, *vms: str, status: int = 0, check: bool = False) -> list[dict[str, Any]]:
        """The documents of the VMs."""
        process = self.begin(playbook, *(vms or ("student1",)), *(["--check"] if check else []))
        with process:
            out, err = process.communicate(timeout=200)
        assert "Traceback" not in err, err
        assert process.returncode == status, out + err
        return list(json.loads(out)["hosts"])


@contextmanager
def containers(name: str, students: int, release: str | None = None) -> Iterator[Containers]:
    box = Sandbox.open(f"{NAME}-{name}")
    box.down()
    try:
        box.up(students=students, driver="nspawn", release=release)
        yield Containers(box)
    finally:
        box.down()


def make_package(vms: Containers, name: str, postinst: str = ":", vm: str = "student1") -> str:
    """Build a package on the VM whose installation runs ``postinst``; its path there."""
    control = rf"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: test\n"
    vms.run(
        f"mkdir -p /tmp/{name}/DEBIAN && cd /tmp/{name} && printf '{control}' > DEBIAN/control && "
        f"printf '%s\\n' '#!/bin/sh' '{postinst}' > DEBIAN/postinst && chmod 755 DEBIAN/postinst && "
        f"dpkg-deb -b . /tmp/{name}.deb",
        vm,
    )
    return f"/tmp/{name}.deb"
