"""Lab 7 done on a container: all of the course's own playbook but what takes a kernel of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from containers import Containers, containers
from vms import LABCTL, environment, lost

from labctl.errors import SandboxError

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
    """The lab on ``name``, a container; the workers are the lab's own unit until told otherwise."""

    vms: Containers
    name: str = "student1"

    def run(self, command: str) -> str:
        return self.vms.run(command, self.name)

    def as_root(self, command: str) -> str:
        """A shell line's stdout, as root and without SSH or sudo, which may be what is broken."""
        inside = ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "sh", "-c", command]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

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
        own = inventory or self.vms.box.inventory_path
        return [*LABCTL, "grade", self.name, "--json", "-i", str(own), *args]

    def grade(self, *args: str, inventory: Path | None = None) -> dict[str, Any]:
        """The VM's part of the document, whatever the verdicts; ``missed`` is "" for every point."""
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
        whole = host["status"] == "graded" and host["score"] == host["max_score"]
        return dict(host, missed="" if whole else lost(done.stdout) or host["error"])

    @property
    def init(self) -> int:
        """The pid of the container's first process, as this machine counts."""
        (status,) = (one for one in self.vms.box.status().vms if one.name == self.name)
        children = Path(f"/proc/{status.pid}/task/{status.pid}/children").read_text().split()
        return int(children[0])

    def inventory(self, address: str, folder: Path) -> Path:
        """An inventory in which the machine has another address, with its host key for that."""
        own = self.vms.box.inventory_path.read_text(encoding="utf-8")
        document = yaml.safe_load(own)
        host = document["all"]["children"]["students"]["hosts"][self.name]
        known = Path(document["all"]["vars"]["labctl_known_hosts"])
        keys = known.read_text(encoding="utf-8")
        record = folder / "known_hosts"
        record.write_text(keys + keys.replace(host["ansible_host"], address), encoding="utf-8")
        host["ansible_host"] = address
        document["all"]["vars"]["labctl_known_hosts"] = str(record)
        path = folder / "inventory.yml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def disconnect(self) -> None:
        """Packets between this machine and the container go nowhere, and nobody is told."""
        self._card("down")

    def connect(self) -> None:
        """Undo that; returns when the container is reached again."""
        self._card("up")
        until = time.monotonic() + 30
        while True:
            with suppress(SandboxError):
                if self.vms.box.run(self.name, "true", timeout=10).status == 0:
                    return
            assert time.monotonic() < until, "the container is not reached again"
            time.sleep(0.2)

    def _card(self, state: str) -> None:
        """Of the network card on this machine that leads to the container."""
        links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
        inside = ["nsenter", "-t", str(self.init), "-n", "ip", "-j", "link", "show", "host0"]
        (other,) = json.loads(subprocess.run(inside, capture_output=True, check=True).stdout)
        card = next(link["ifname"] for link in links if link["ifindex"] == other["link_index"])
        subprocess.run(["ip", "link", "set", card, state], check=True)


@contextmanager
def solved(name: str, folder: Path, students: int = 1) -> Iterator[list[Solved]]:
    """Containers with the lab done by the course's playbook, for as long as the block runs."""
    with containers(name, students) as vms:
        made = [Solved(vms, f"student{n}") for n in range(1, students + 1)]
        vms.setup(_without_kernel(folder), *(one.name for one in made))
        for one in made:
            # A unit that is restarted while it starts can leave processes behind, in a container without
            # cgroup notifications of its own: begin with none.
            one.workers("unit")
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
