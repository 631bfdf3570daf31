"""run_autograder in a Debian container laid out as Gradescope's: receipts from real VMs, and live grading.

setup.sh is run there once and installs what the zip names, from the same package index as the tests' own
environment.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containers import Containers, containers
from exported import validate
from uploaded import points, vm_points
from vms import labctl

from labctl.inventory import load_inventory
from labctl.sandbox import image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
]
_CERTIFICATES = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
_STUDENTS = {
    "student1": {"student_email": "kim@example.org"},
    "student2": {"student_email": "lee@example.org"},
}


@pytest.fixture(scope="module")
def vms() -> Iterator[Containers]:
    with containers("gradescope", 2) as made:
        yield made


@pytest.fixture(scope="module")
def inventory(vms: Containers, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The sandbox's inventory and whose VMs they are."""
    path = tmp_path_factory.mktemp("class") / "students.yml"
    path.write_text(json.dumps({"all": {"hosts": _STUDENTS}}))
    return ["-i", str(vms.box.inventory_path), "-i", str(path)]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    where = ["--keys", str(tmp_path_factory.mktemp("keys") / "keys")]
    assert labctl("gradescope", "key", "--new", *where).returncode == 0
    return where


class Container:
    """A Debian root with /autograder, thrown away afterwards."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / "autograder"

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        shared = [f"--bind-ro={path}" for path in _CERTIFICATES if Path(path).is_dir()]
        return subprocess.run(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--resolv-conf=replace-host"),
                *(
                    "-D",
                    str(self.root),
                    "--chdir=/autograder",
                    "-E",
                    f"PIP_CERT={_CERTIFICATES[0]}/ca-certificates.crt",
                ),
                *shared,
                *argv,
            ],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def install(self, zip_file: Path) -> None:
        """As Gradescope builds the image, but for setup.sh."""
        shutil.rmtree(self.top, ignore_errors=True)
        for name in ("submission", "results"):
            (self.top / name).mkdir(parents=True)
        subprocess.run(["unzip", "-q", str(zip_file), "-d", str(self.top / "source")], check=True)
        shutil.copy(self.top / "source/run_autograder", self.top)

    def grade(self, email: str, files: dict[str, str], status: int = 0) -> dict[str, Any]:
        """Hand files in as the student with this address; results.json, empty when there is none."""
        shutil.rmtree(self.top / "submission")
        (self.top / "submission").mkdir()
        for name, text in files.items():
            (self.top / "submission" / name).write_text(text)
        metadata = {
            "created_at": subprocess.check_output(["date", "--iso-8601=seconds"], text=True).strip(),
            "assignment": {"due_date": None, "total_points": "60.0"},
            "users": [{"email": email, "id": 1, "name": "Kim"}],
            "previous_submissions": [],
        }
        (self.top / "submission_metadata.json").write_text(json.dumps(metadata))
        results = self.top / "results/results.json"
        results.unlink(missing_ok=True)
        done = self.run("/autograder/run_autograder")
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if status:
            assert not results.exists()
            return {}
        found: dict[str, Any] = json.loads(results.read_text())
        validate(found)
        return found


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    base = tmp_path_factory.mktemp("container")
    lower, root = base / "lower", base / "root"
    for name in ("lower", "upper", "work", "root"):
        (base / name).mkdir()
    disk = image.ensure().disk
    layers = f"lowerdir={lower},upperdir={base / 'upper'},workdir={base / 'work'}"
    subprocess.run(["mount", "-o", "loop,ro", str(disk), str(lower)], check=True)
    try:
        subprocess.run(["mount", "-t", "overlay", "labctl", "-o", layers, str(root)], check=True)
        try:
            yield Container(root)
        finally:
            subprocess.run(["umount", str(root)], check=True)
    finally:
        subprocess.run(["umount", str(lower)], check=True)


@pytest.fixture(scope="module")
def receipts(container: Container, inventory: list[str], keys: list[str], tmp_path_factory: Any) -> Container:
    """The container with a receipts build, set up."""
    out = tmp_path_factory.mktemp("zip") / "autograder.zip"
    done = labctl("gradescope", "build", *inventory, *keys, "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert zipfile.ZipFile(out).testzip() is None
    container.install(out)
    done = container.run("bash", "/autograder/source/setup.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    return container


def test_a_receipt_goes_from_the_vm_to_gradescope(
    vms: Containers, receipts: Container, inventory: list[str], keys: list[str]
) -> None:
    vms.run("sudo ln -s /etc/hostname /home/student2/labctl-receipt-lab7.json", "student2")
    done = labctl("grade", "student1", "student2", *inventory, *keys, "--deliver")
    assert done.returncode == 1, done.stderr
    assert "student1: receipt in /home/student1/labctl-receipt-lab7.json" in done.stderr
    texts = {}
    for vm in ("student1", "student2"):
        home = f"/home/{vm}"
        assert (
            vms.run(f"stat -c '%U %a %F' {home}/labctl-receipt-lab7.json", vm) == f"{vm} 600 regular file\n"
        )
        assert vms.run(f"ls -A {home} | grep -c labctl", vm) == "1\n"
        texts[vm] = vms.run(f"cat {home}/labctl-receipt-lab7.json", vm)
    # a link that lay there was replaced, not followed
    assert vms.run("cat /etc/hostname", "student2") == "student2\n"
    secret = str(load_inventory(vms.box.inventory_path).host("staff2").value("lab_secret"))
    assert secret not in texts["student1"]
    files = {"labctl-receipt-lab7.json": texts["student1"], "answers.yml": f"1b: {secret}\n"}
    mine = receipts.grade("kim@example.org", files)
    assert vm_points(mine) == json.loads(json.loads(texts["student1"])["says"])["score"]
    (read,) = [test for test in mine["tests"] if test["extra_data"]["check"] == "answer.1b"]
    assert read["status"] == "passed"
    theirs = receipts.grade("kim@example.org", {"r.json": texts["student2"]})
    assert points(theirs) == 0
    assert "another student's" in theirs["output"]


def test_no_key_of_the_staff_is_on_a_vm(vms: Containers, keys: list[str]) -> None:
    directory = Path(keys[1])
    words = [(directory / "signing.pem").read_text().splitlines()[1], (directory / "sealing.key").read_text()]
    places = "/home /root /tmp /etc /var/lib /var/log /run"
    for word in words:
        # by stdin: sudo logs its arguments
        assert vms.run(f"echo '{word}' | sudo grep -rlF -f /dev/stdin {places} 2>/dev/null || true") == ""


def test_a_home_that_cannot_be_written_is_that_vms_problem_alone(
    vms: Containers, inventory: list[str], keys: list[str]
) -> None:
    vms.run("rm -f ~/labctl-receipt-lab7.json; mkdir ~/labctl-receipt-lab7.json")
    done = labctl("gradescope", "deliver", "last", *inventory, *keys)
    vms.run("rmdir ~/labctl-receipt-lab7.json")
    assert done.returncode == 3
    assert "student1: the receipt could not be left on the VM" in done.stderr
    assert "student2: receipt in" in done.stderr
    assert vms.run("ls -A ~ | grep labctl || true") == ""
    assert labctl("gradescope", "deliver", "last", "student1", *inventory, *keys).returncode == 0


def test_a_vm_is_graded_live_with_a_key_for_that_alone(
    vms: Containers, receipts: Container, inventory: list[str], tmp_path: Path
) -> None:
    key = tmp_path / "gradescope"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    here = vms.run("echo $SSH_CLIENT").split()[0]
    words = ["-e", f"gradescope_key_file={key}.pub", "-e", f"gradescope_from={here}"]
    done = labctl("setup", "student1", *inventory, "--playbook", "gradescope", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "live.zip"
    done = labctl("gradescope", "build", *inventory, "--live", str(key), "-o", str(out))
    assert done.returncode == 0, done.stderr
    receipts.install(out)
    results = receipts.grade("kim@example.org", {"answers.yml": "1e: sudo umount /mnt\n"})
    (umount,) = [test for test in results["tests"] if test["extra_data"]["check"] == "answer.1e"]
    assert umount["status"] == "passed"
    assert results["extra_data"]["host"] == "student1"
    assert {test["extra_data"]["verdict"] for test in results["tests"]} <= {"pass", "fail", "skip"}
    # the key opens no other VM, and from elsewhere not even this one: there is no score then
    receipts.grade("lee@example.org", {}, status=1)
    words[-1] = "gradescope_from=192.0.2.1"
    assert labctl("setup", "student1", *inventory, "--playbook", "gradescope", *words).returncode == 0
    receipts.grade("kim@example.org", {}, status=1)
    words = ["-e", "gradescope_state=absent"]
    assert labctl("setup", "student1", *inventory, "--playbook", "gradescope", *words).returncode == 0
    assert (
        vms.run("getent passwd labctl-gradescope || ls /etc/sudoers.d | grep -c gradescope || true") == "0\n"
    )
