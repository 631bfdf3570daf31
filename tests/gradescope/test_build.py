"""What is in the autograder's zip, and what must never be."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny import make_course
from vms import labctl

from labctl.gradescope import live, make_keys
from labctl.gradescope.build import build, requirements
from labctl.gradescope.settings import NAME, Settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
INVENTORY = {
    "student1": {"ansible_host": "10.0.0.1", "student_email": "Kim@Example.org", "student_user": "kim"},
    "student2": {"ansible_host": "10.0.0.2", "student_email": "lee@example.org", "lab_secret": "hunter2"},
    "staff2": {"ansible_host": "10.0.0.9"},
}


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yml"
    hosts = {
        name: {**values, "labctl_known_hosts": str(tmp_path / "known")} for name, values in INVENTORY.items()
    }
    path.write_text(json.dumps({"all": {"hosts": hosts}}))
    (tmp_path / "known").write_text("10.0.0.1 ssh-ed25519 AAAA\n")
    return path


def built(tmp_path: Path, inventory: Path, *args: str, status: int = 0) -> zipfile.ZipFile | str:
    out = tmp_path / "autograder.zip"
    keys = ["--keys", str(tmp_path / "keys")]
    done = labctl("gradescope", "build", "-i", str(inventory), "-o", str(out), *keys, *args)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return zipfile.ZipFile(io.BytesIO(out.read_bytes())) if status == 0 else done.stderr


def test_the_zip_has_what_gradescope_wants_at_its_root(tmp_path: Path, inventory: Path) -> None:
    made = labctl("gradescope", "key", "--new", "--keys", str(tmp_path / "keys"))
    assert made.stdout.startswith("SHA256:")
    archive = built(tmp_path, inventory)
    assert isinstance(archive, zipfile.ZipFile)
    for name in ("setup.sh", "run_autograder"):
        assert stat.S_IMODE(archive.getinfo(name).external_attr >> 16) == 0o755
        assert archive.read(name).startswith(b"#!/usr/bin/env bash")
        subprocess.run(["bash", "-n"], input=archive.read(name), check=True)
    settings = Settings.from_json(archive.read(NAME).decode())
    assert settings.roster == {
        "kim@example.org": {"host": "student1", "user": "kim"},
        "lee@example.org": {"host": "student2", "user": settings.roster["lee@example.org"]["user"]},
    }
    assert {"python/labctl/gradescope/autograder.py", "course/graders/lab7/__init__.py"} <= set(
        archive.namelist()
    )
    everything = b"".join(archive.read(name) for name in archive.namelist())
    pem = (tmp_path / "keys/signing.pem").read_bytes().splitlines()[1]
    for secret in (pem, b"PRIVATE KEY-----\nMC4", b"hunter2", str(tmp_path).encode()):
        assert secret not in everything
    assert "known_hosts" not in archive.namelist()
    assert not [name for name in archive.namelist() if "__pycache__" in name]


def test_nothing_is_imported_from_where_the_autograder_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """run_autograder, with this Python for the container's, and live grading."""
    (tmp_path / "labctl.py").write_text("raise SystemExit(77)")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / live.KEY).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    script = (ROOT / "labctl/gradescope/container/run_autograder").read_text()
    script = script.replace("/opt/labctl/venv/bin/python", sys.executable)
    script = script.replace("/autograder/source/python", str(ROOT))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "no grade:" in done.stderr) == (1, True)
    with pytest.raises(live.NotJudged, match="status 2"):
        live.grade(tmp_path, "student1", None)


def test_a_file_of_answers_may_be_called_like_another_vm(tmp_path: Path) -> None:
    """In a group it may have the name of the other's VM; for labctl grade it would then be that VM's."""
    make_course(tmp_path / "source" / live.COURSE)
    (tmp_path / "source" / live.KEY).touch()
    here = {name: {"ansible_connection": "local"} for name in ("vm0", "vm1")}
    (tmp_path / "source" / live.INVENTORY).write_text(json.dumps({"all": {"hosts": here}}))
    for name in ("answers.yml", "vm1.yml"):
        (tmp_path / name).write_text("# nothing is asked\n")
        (graded,) = live.grade(tmp_path, "vm0", tmp_path / name)["hosts"]
        assert (graded["host"], graded["max_score"]) == ("vm0", 5)


def test_the_same_things_make_the_same_zip(tmp_path: Path) -> None:
    settings = Settings(lab="lab7", mode="receipts")
    assert build(settings, ROOT / "graders") == build(settings, ROOT / "graders")


def test_a_lab_that_is_named_by_its_path_is_in_the_zip(tmp_path: Path, inventory: Path) -> None:
    """Not the course's own of that name, and not none."""
    make_keys(tmp_path / "keys")
    lab = make_course(tmp_path / "other") / "graders" / "tiny"
    archive = built(tmp_path, inventory, "--lab", str(lab))
    assert isinstance(archive, zipfile.ZipFile)
    assert archive.read("course/graders/tiny/rubric.yml") == (lab / "rubric.yml").read_bytes()


def test_requirements_are_pinned_and_without_the_tests_own() -> None:
    lines = requirements()
    names = {line.split("==")[0] for line in lines}
    assert {"cryptography", "paramiko", "sqlalchemy"} <= names
    assert not {"pytest", "playwright", "labctl", "ansible-core"} & names
    assert all(line.count("==") == 1 for line in lines)


def test_a_live_zip_holds_its_own_key_and_of_the_inventory_what_a_grader_needs(
    tmp_path: Path, inventory: Path
) -> None:
    key = tmp_path / "gradescope"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    archive = built(tmp_path, inventory, "--live", str(key))
    assert isinstance(archive, zipfile.ZipFile)
    assert archive.read("labctl_gradescope_key") == key.read_bytes()
    assert archive.read("known_hosts") == b"10.0.0.1 ssh-ed25519 AAAA\n"
    found = json.loads(archive.read("inventory.yml"))["all"]["children"]["students"]["hosts"]
    assert list(found) == ["student1", "student2"]
    assert found["student1"]["ansible_user"] == "labctl-gradescope"
    assert "hunter2" not in json.dumps(found)
    assert "no OpenSSH private key" in str(built(tmp_path, inventory, "--live", f"{key}.pub", status=2))


def test_the_first_receipt_that_counts_is_named_as_a_time(tmp_path: Path, inventory: Path) -> None:
    make_keys(tmp_path / "keys")
    archive = built(tmp_path, inventory, "--not-before", "2026-11-22T18:00+01:00")
    assert isinstance(archive, zipfile.ZipFile)
    first = Settings.from_json(archive.read(NAME).decode()).not_before
    assert datetime.fromisoformat(first) == datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    assert "is no time: write it as" in str(built(tmp_path, inventory, "--not-before", "now", status=2))


def test_no_key_that_staff_log_in_with_is_in_a_live_zip(tmp_path: Path, inventory: Path) -> None:
    """Nor a copy of it, nor the one of a host that is no student's."""
    staff, copy = tmp_path / "staff", tmp_path / "copy"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(staff)], check=True)
    copy.write_bytes(staff.read_bytes())
    for name, key in (("student1", staff), ("staff2", copy)):
        values = json.loads(inventory.read_text())
        values["all"]["hosts"][name]["ansible_ssh_private_key_file"] = str(staff)
        other = inventory.with_name(f"{name}.yml")
        other.write_text(json.dumps(values))
        told = str(built(tmp_path, other, "--live", str(key), status=2))
        assert f"the staff's own key, which opens {name}" in told
    # the same key as staff keep it: with a passphrase, or in another form
    for words in (["-N", "secret"], ["-N", "", "-m", "PEM"]):
        subprocess.run(["ssh-keygen", "-q", "-p", *words, "-P", "", "-f", str(staff)], check=True)
        staff.with_name(f"{staff.name}.pub").unlink(missing_ok=True)
        told = str(built(tmp_path, other, "--live", str(copy), status=2))
        assert "the staff's own key, which opens staff2" in told
        if words[1]:
            assert "has a passphrase" in str(built(tmp_path, inventory, "--live", str(staff), status=2))
            subprocess.run(["ssh-keygen", "-q", "-p", "-N", "", "-P", "secret", "-f", str(staff)], check=True)
    assert not (tmp_path / "autograder.zip").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--late-percent", "nan"),
        ("--max-age", "nan"),
        ("--attempt-hours", "inf"),
        ("--attempt-hours", "1e12"),
    ],
)
def test_what_cannot_be_counted_with_is_refused(
    tmp_path: Path, inventory: Path, option: str, value: str
) -> None:
    make_keys(tmp_path / "keys")
    told = str(built(tmp_path, inventory, option, value, status=2))
    assert f"Invalid value for '{option}'" in told


def test_what_is_missing_is_said_before_anything_is_written(tmp_path: Path, inventory: Path) -> None:
    assert "labctl gradescope key --new makes one" in str(built(tmp_path, inventory, status=2))
    make_keys(tmp_path / "keys")
    assert "did you mean lab7?" in str(built(tmp_path, inventory, "--lab", "lab8", status=2))
    values = json.loads(inventory.read_text())
    values["all"]["hosts"]["staff2"]["student_email"] = "lee@example.org"
    inventory.write_text(json.dumps(values))
    assert "lee@example.org belongs to two VMs" in str(built(tmp_path, inventory, status=2))
    inventory.write_text('{"all": {"hosts": {"student1": {}}}}')
    assert "Gradescope knows students by their address" in str(built(tmp_path, inventory, status=2))
    assert not (tmp_path / "autograder.zip").exists()


@pytest.mark.parametrize("args", [["--only", "dns"], ["--no-disrupt"]])
def test_only_a_whole_run_is_delivered(inventory: Path, args: list[str]) -> None:
    done = labctl("grade", "student1", "-i", str(inventory), "--deliver", *args)
    assert done.returncode == 2
    assert "--deliver signs what a lab's whole run found" in done.stderr


def test_a_self_check_delivers_nothing() -> None:
    done = labctl("grade", "--deliver")
    assert (done.returncode, "name the VMs" in done.stderr) == (2, True)
