"""Who is compared: labctl, the peers in a venv of their own, and OpenSSH with one script as the floor."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from measure import CONTROL_PATHS, Contender

HERE = Path(__file__).parent
VENV = HERE / ".venv"
BIN = VENV / "bin"
PLAYBOOK = HERE / "playbook.yml"
OBSERVE = HERE / "observe.py"

FLOOR = "ssh + one script (the floor)"
SCRIPT = "ssh + a shell script"
POOL = "paramiko threads + one script"
LABCTL = "labctl"
PYINFRA = "pyinfra"
MITOGEN = "ansible + mitogen"
TUNED = "ansible, tuned"
PLAIN = "ansible, as it comes"
TESTINFRA = "pytest-testinfra, 20 checks"


def install() -> None:
    """The peers' venv, made once."""
    stamp = VENV / "installed"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing the peers ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([BIN / "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)


def versions() -> dict[str, str]:
    argv = [BIN / "pip", "list", "--format=json"]
    listed = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    peers = {one["name"]: one["version"] for one in listed}
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    return {
        "python": platform.python_version(),
        "openssh": ssh.split(",")[0].removeprefix("OpenSSH_"),
        **{name: peers[name] for name in ("ansible-core", "mitogen", "pyinfra", "pytest-testinfra")},
    }


def floor(inventory: Path, script: Path = OBSERVE) -> Contender:
    return Contender(FLOOR, [*_ssh(inventory), "sudo python3 -"], stdin=script)


def script(inventory: Path) -> Contender:
    return Contender(SCRIPT, [*_ssh(inventory), "sudo sh -s"], stdin=HERE / "first.sh")


def pool(inventory: Path, forks: int, script: Path = OBSERVE) -> Contender:
    argv = [sys.executable, str(HERE / "pool.py"), str(inventory), str(forks), str(script)]
    return Contender(POOL, argv)


def labctl(inventory: Path, forks: int = 25, playbook: Path = PLAYBOOK, group: str = "all") -> Contender:
    argv = [sys.executable, "-m", "labctl", "setup", group, "-i", str(inventory)]
    return Contender(LABCTL, [*argv, "--playbook", str(playbook), "--forks", str(forks)])


def grade(inventory: Path, database: Path, *args: str, forks: int = 25) -> Contender:
    """Grading the students of an inventory, their results kept in ``database``."""
    argv = [sys.executable, "-m", "labctl", "grade", "students", "-i", str(inventory), *args]
    argv += ["--forks", str(forks), "--database", f"sqlite:///{database}"]
    # 1: a point is missing. Many that ask one balancer at once do not see its order.
    return Contender(LABCTL, argv, statuses=(0, 1))


def testinfra(inventory: Path) -> Contender:
    """Its fastest backend: OpenSSH, with one connection for all."""
    host, shared = _read(inventory)
    # its --ssh-extra-args do not arrive
    config = inventory.with_suffix(".ssh-config")
    config.write_text(
        f"ControlPath ${{{CONTROL_PATHS}}}/%C\n"
        f"UserKnownHostsFile {shared['labctl_known_hosts']}\n"
        f"IdentityFile {shared['ansible_ssh_private_key_file']}\nIdentitiesOnly yes\n"
    )
    argv = [str(BIN / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(HERE)]
    argv += ["-c", os.devnull, "--sudo", f"--hosts=ssh://{host['ansible_user']}@{host['ansible_host']}"]
    return Contender(TESTINFRA, [*argv, f"--ssh-config={config}", str(HERE / "testinfra_checks.py")])


def pyinfra(inventory: Path) -> Contender:
    host, shared = _read(inventory)
    argv = [str(BIN / "pyinfra"), "-y", "--user", host["ansible_user"]]
    argv += ["--key", shared["ansible_ssh_private_key_file"]]
    argv += ["--data", f"ssh_known_hosts_file={shared['labctl_known_hosts']}"]
    return Contender(PYINFRA, [*argv, host["ansible_host"], str(HERE / "deploy.py")])


def ansible(inventory: Path, name: str, forks: int = 5, rounds: int = 1000) -> Contender:
    argv = [str(BIN / "ansible-playbook"), "-i", str(inventory), "-f", str(forks), str(PLAYBOOK)]
    settings = {"ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3", "ANSIBLE_HOME": str(VENV / "ansible")}
    if name == TUNED:
        settings["ANSIBLE_PIPELINING"] = "1"
        settings["ANSIBLE_SSH_ARGS"] = "-o ControlMaster=auto -o ControlPersist=60s"
    if name == MITOGEN:
        code = "import ansible_mitogen; print(ansible_mitogen.__path__[0])"
        found = subprocess.run([BIN / "python", "-c", code], capture_output=True, text=True, check=True)
        settings["ANSIBLE_STRATEGY_PLUGINS"] = f"{found.stdout.strip()}/plugins/strategy"
        settings["ANSIBLE_STRATEGY"] = "mitogen_linear"
    return Contender(name, argv, settings, rounds=rounds)


def _read(inventory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first host of an inventory, and what all its hosts share."""
    document = yaml.safe_load(inventory.read_text())["all"]
    return next(iter(document["children"]["students"]["hosts"].values())), document["vars"]


def _ssh(inventory: Path) -> list[str]:
    host, shared = _read(inventory)
    options = ["-F", os.devnull, "-o", "BatchMode=yes", "-i", shared["ansible_ssh_private_key_file"]]
    options += shared["ansible_ssh_common_args"].split()
    return ["ssh", *options, f"{host['ansible_user']}@{host['ansible_host']}"]
