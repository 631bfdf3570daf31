"""The sandbox that the tests on real VMs share: one student, one staff server, states to go back to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labctl.sandbox import Finished, Sandbox, image, paths, sources
from labctl.sandbox.releases import Release

#: Another name lets a second session run beside the first; workers of one session have one each.
NAME = os.environ.get("LABCTL_TEST_SANDBOX", "test") + os.environ.get("PYTEST_XDIST_WORKER", "").replace(
    "gw", "-w"
)
STUDENT = "student1"
STAFF = "staff2"
LABCTL = [sys.executable, "-m", "labctl"]


def environment() -> dict[str, str]:
    """The test's own sandbox and results, whatever the user has set."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LABCTL_", "NO_COLOR"))}
    return {**kept, "LABCTL_SANDBOX": NAME, "LABCTL_DATABASE": os.environ["LABCTL_DATABASE"]}


def labctl(
    *args: str, timeout: float = 1500, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a process of its own, in which ``before`` is called first."""
    return subprocess.run(
        [*LABCTL, *args],
        env=environment(),
        preexec_fn=before,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def image_or_skip(release: Release, directory: Path) -> None:
    """Skips the test when the release's image has still to be built and its archive cannot be reached.

    Asked as the build would ask, by apt; the small file goes to ``directory``.
    """
    if image.find(paths.cache_dir(), release):
        return
    url = f"{sources.mirrors(release)[release.name]}/dists/{release.name}/Release.gpg"
    options = ["-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1"]
    argv = ["/usr/lib/apt/apt-helper", *options, "download-file", url, str(directory / "Release.gpg")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"no image of {release.label}, and {url} cannot be reached: {done.stderr.strip()}")


def lost(document: str) -> str:
    """What did not pass in a grade's document, a line each: the whole is too long to find it in."""
    try:
        hosts = json.loads(document)["hosts"]
    except ValueError:
        return document
    missed = [
        f"{check['id']}: {check['verdict']}; expected {check['expected']!r}, seen {check['seen']!r}"
        for host in hosts
        for check in host["checks"]
        if check["verdict"] != "pass"
    ]
    return "\n".join([*(f"{host['host']}: {host['error']}" for host in hosts if host["error"]), *missed])


@dataclass
class Machines:
    """The two VMs, and the states that tests begin from.

    ``bare`` is right after the first boot; ``provisioned`` is after ``labctl setup`` of both. Each is
    made once a session and gone back to by a snapshot, in about a second a VM.
    """

    box: Sandbox
    setup_document: dict[str, Any] = field(default_factory=dict)

    def restore(self, state: str) -> None:
        for name in (STAFF, STUDENT):
            self.box.restore(name, state)

    def bare(self) -> None:
        self.restore("bare")

    def provisioned(self) -> None:
        if not self.box.has_snapshot(STUDENT, "provisioned"):
            self.bare()
            done = labctl("setup", STAFF, STUDENT, "--json")
            assert done.returncode == 0, done.stderr + done.stdout
            self.setup_document = json.loads(done.stdout)
            self.keep("provisioned")
        else:
            self.restore("provisioned")

    def keep(self, state: str) -> None:
        for name in (STAFF, STUDENT):
            self.box.snapshot(name, state)

    def run(self, command: str, vm: str = STUDENT, timeout: float = 120) -> Finished:
        """A shell line on a VM as its login user; fails the test when the line fails."""
        done = self.box.run(vm, command, timeout=timeout)
        assert done.status == 0, f"{vm}$ {command}\n{done.stdout}{done.stderr}"
        return done

    def logins(self, vm: str = STUDENT) -> int:
        """How many logins sshd has let in since the VM booted, this look at it included."""
        done = self.run("sudo journalctl -q -b _COMM=sshd -o cat | grep -c '^Accepted publickey'", vm)
        return int(done.stdout)

    def grade(self, *args: str, expected: int | None = None) -> dict[str, Any]:
        """``labctl grade student1 --json``: the student's part of the document."""
        done = labctl("grade", STUDENT, "--json", *args)
        assert "Traceback" not in done.stderr, done.stderr
        if expected is not None and done.returncode != expected:
            pytest.fail(f"exit status {done.returncode}, not {expected}\n{lost(done.stdout)}\n{done.stderr}")
        (host,) = json.loads(done.stdout)["hosts"]
        return dict(host)

    def setup(self, *args: str, expected: int = 0) -> dict[str, Any]:
        done = labctl("setup", *args, "--json")
        assert done.returncode == expected, done.stdout + done.stderr
        return dict(json.loads(done.stdout))
