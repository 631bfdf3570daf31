"""Lab 7 done on a container: all of the course's own playbook but what takes a kernel of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from containers import Containers, containers
from vms import LABCTL, STAFF, STUDENT, environment, lost

COURSE = Path(__file__).parent.parent.parent
#: A container mounts no NFS and has no packet filter; neither is the subject here.
_TAKES_A_KERNEL = ("ansible.posix.mount", "community.general.ufw")
_ON_THE_SHARE = "/mnt/"
#: The sections that are left, with everything that they need.
ONLY = ("--only", "dns", "--only", "lb")

IN_TMUX = "cd {folder} && tmux new-session -d -s lab 'python3 server.py'"
WITH_NOHUP = "cd {folder} && {{ nohup python3 server.py > /tmp/server.log 2>&1 < /dev/null & }}"
#: Until the last worker listens and HAProxy has seen all of them.
_READY = """python3 - <<'END'
import csv, time, urllib.request
until = time.time() + 60
while True:
    try:
        with urllib.request.urlopen("http://127.0.0.1:7001/stats;csv", timeout=5) as page:
            rows = list(csv.reader(page.read().decode().splitlines()))
        if sum(row[1] not in ("FRONTEND", "BACKEND") and row[17] == "UP" for row in rows[1:]) == 6:
            break
    except OSError:
        pass
    assert time.time() < until, "not all six are UP"
    time.sleep(0.2)
END"""


@dataclass
class Solved:
    """The lab on ``student1``, a container; the workers are the lab's own unit until told otherwise."""

    vms: Containers

    def run(self, command: str) -> str:
        return self.vms.run(command)

    def workers(self, how: str) -> None:
        """Have the workers run as ``unit``, in ``tmux`` or with ``nohup``, by hand as the student's user."""
        self.run("sudo systemctl stop lab7-workers; pkill -f '[s]erver[.]py'; true")
        self.run("while ss -Hltn 'sport >= 8080 and sport <= 8085' | grep -q .; do sleep 0.1; done")
        if how == "unit":
            self.run("sudo systemctl reset-failed lab7-workers; sudo systemctl start lab7-workers")
        else:
            unit = "/etc/systemd/system/lab7-workers.service"
            folder = self.run(f"sed -n 's/^WorkingDirectory=//p' {unit}").strip()
            self.run({"tmux": IN_TMUX, "nohup": WITH_NOHUP}[how].format(folder=folder))
        self.run(_READY)

    def argv(self, *args: str, inventory: Path | None = None) -> list[str]:
        return [*LABCTL, "grade", STUDENT, "--json", "-i", str(inventory or self.vms.box.inventory_path), *args]

    def grade(self, *args: str, inventory: Path | None = None) -> dict[str, Any]:
        """The VM's part of the document, whatever the verdicts."""
        done = subprocess.run(
            self.argv(*args, inventory=inventory),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1, 3), done.stderr
        (host,) = json.loads(done.stdout)["hosts"]
        return dict(host, missed=lost(done.stdout))

    @property
    def init(self) -> int:
        """The pid of the container's first process, as this machine counts."""
        (status,) = (one for one in self.vms.box.status().vms if one.name == STUDENT)
        children = Path(f"/proc/{status.pid}/task/{status.pid}/children").read_text().split()
        return int(children[0])


@contextmanager
def solved(name: str, folder: Path) -> Iterator[Solved]:
    """A container with the lab done by the course's playbook, for as long as the block runs."""
    with containers(name, students=1) as vms:
        playbook = _without_kernel(folder)
        vms.setup(playbook)
        made = Solved(vms)
        made.run(_READY)
        yield made


def _without_kernel(folder: Path) -> Path:
    """The course's playbook without the tasks that a container cannot do."""
    for name in ("templates", "playbooks"):
        (folder / name).mkdir()
    (folder / "templates").rmdir()
    (folder / "templates").symlink_to(COURSE / "templates")
    (folder / "playbooks" / "vars").symlink_to(COURSE / "playbooks" / "vars")
    (play,) = yaml.safe_load((COURSE / "playbooks" / "lab7.yml").read_text(encoding="utf-8"))
    play["tasks"] = [
        task
        for task in play["tasks"]
        if not set(task) & set(_TAKES_A_KERNEL)
        and not str(task.get("ansible.builtin.copy", {}).get("dest", "")).startswith(_ON_THE_SHARE)
    ]
    path = folder / "playbooks" / "lab7.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    return path


__all__ = ["ONLY", "STAFF", "STUDENT", "Solved", "solved"]
