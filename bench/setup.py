"""How long a playbook takes that changes nothing: labctl, its peers and the floor, side by side.

    make bench

One container with everything set up, each contender's whole process timed in turn, round after round (so
that whatever else the machine does hits all of them), medians, ratios to the floor. The floor is OpenSSH
running one Python script on the machine that looks at the same things. Needs root; the peers live in a venv
of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labctl.sandbox import Sandbox

HERE = Path(__file__).parent
VENV = HERE / ".venv"
VM = "student1"


@dataclass
class Contender:
    name: str
    argv: list[str]
    environment: dict[str, str]
    stdin: Path | None = None


def peers() -> Path:
    """The peers' venv, made once."""
    stamp = VENV / "installed"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing the peers ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return VENV / "bin"


def contenders(box: Sandbox, bin_: Path) -> list[Contender]:
    inventory = str(box.inventory_path)
    playbook = str(HERE / "playbook.yml")
    ansible = [str(bin_ / "ansible-playbook"), "-i", inventory, "--limit", VM, playbook]
    plain = {"ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3", "ANSIBLE_HOME": str(VENV / "ansible")}
    tuned = {
        **plain,
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
    }
    site = subprocess.run(
        [bin_ / "python", "-c", "import ansible_mitogen; print(ansible_mitogen.__path__[0])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    mitogen = {
        **plain,
        "ANSIBLE_STRATEGY_PLUGINS": f"{site}/plugins/strategy",
        "ANSIBLE_STRATEGY": "mitogen_linear",
    }
    ssh = box.ssh_argv(VM, batch=True)
    target = ssh[-1].split("@")[1]
    key, known = str(box.directory / "id_ed25519"), str(box.directory / "known_hosts")
    pyinfra = [str(bin_ / "pyinfra"), "-y", "--user", VM, "--key", key]
    pyinfra += ["--data", f"ssh_known_hosts_file={known}", target, str(HERE / "deploy.py")]
    labctl = [sys.executable, "-m", "labctl", "setup", VM, "-i", inventory, "--playbook", playbook]
    return [
        Contender("ssh + one script (the floor)", [*ssh, "sudo python3 -"], {}, HERE / "observe.py"),
        Contender("labctl", labctl, {}),
        Contender("pyinfra", pyinfra, {}),
        Contender("ansible + mitogen", ansible, mitogen),
        Contender("ansible, tuned", ansible, tuned),
        Contender("ansible, as it comes", ansible, plain),
    ]


def run(one: Contender) -> tuple[float, float]:
    """Wall and CPU seconds of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with (one.stdin or Path(os.devnull)).open("rb") as stdin:
        done = subprocess.run(
            one.argv,
            stdin=stdin,
            capture_output=True,
            env={**os.environ, **one.environment},
            check=False,
            timeout=300,
        )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{one.name} failed:\n{done.stdout.decode()}\n{done.stderr.decode()}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(
    every: list[Contender], rounds: int, say: Callable[[str], None]
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {one.name: [] for one in every}
    for number in range(rounds):
        for one in every:
            found[one.name].append(run(one))
        say(f"round {number + 1} of {rounds}")
    return found


def summary(found: dict[str, list[tuple[float, float]]]) -> list[dict[str, object]]:
    walls = {name: statistics.median(wall for wall, _ in runs) for name, runs in found.items()}
    floor, labctl = next(iter(walls.values())), walls["labctl"]
    return [
        {
            "name": name,
            "wall": round(walls[name], 3),
            "cpu": round(statistics.median(cpu for _, cpu in runs), 3),
            "of_floor": round(walls[name] / floor, 2),
            "of_labctl": round(walls[name] / labctl, 2),
            "runs": [round(wall, 3) for wall, _ in runs],
        }
        for name, runs in found.items()
    ]


def show(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="A playbook that changes nothing: whole process, medians")
    for column in ("", "wall s", "client CPU s", "x floor", "x labctl"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("name", "wall", "cpu", "of_floor", "of_labctl")))
    Console().print(table)


def versions(bin_: Path) -> dict[str, str]:
    listed = subprocess.run(
        [bin_ / "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    ).stdout
    wanted = ("ansible-core", "mitogen", "pyinfra")
    return {one["name"]: one["version"] for one in json.loads(listed) if one["name"] in wanted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    bin_ = peers()
    box = Sandbox.open("bench")
    box.down()
    try:
        box.up(students=1, driver="nspawn")
        every = contenders(box, bin_)
        labctl = next(one for one in every if one.name == "labctl")
        run(labctl)  # the first run makes the changes, the rest find nothing to do
        for one in every:
            run(one)  # caches, control sockets
        found = measure(every, asked.rounds, lambda line: print(line, file=sys.stderr))
    finally:
        box.down()
    rows = summary(found)
    show(rows)
    report = {
        "what": "no-op run of bench/playbook.yml on one systemd-nspawn container",
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "rounds": asked.rounds,
        "versions": versions(bin_),
        "rows": rows,
    }
    (HERE / "setup.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
