"""Written answers beside a real VM: real BIND, HAProxy and workers in a container, without the NFS part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from containers import Containers, containers
from lab import playbook_in
from vms import labctl

from labctl.agent import start_agent
from labctl.deadline import Deadline
from labctl.inventory import load_inventory
from labctl.probes import Candidate, Observer, Resolvers, StaffLink, candidate_check, resolvers

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(900),
    pytest.mark.root,
]

CONFIG = "/etc/haproxy/haproxy.cfg"
#: All questions but 1f, which needs the staff's server.
ASKED = ["0a", *(f"1{letter}" for letter in "abcde"), *(f"2{letter}" for letter in "abcde")]
ASKED += [f"3{letter}" for letter in "abcdef"]
ONLY = [word for question in ASKED for word in ("--only", f"answer.{question}")]


@pytest.fixture(scope="module")
def vms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The lab as its playbook does it, but for what a container cannot have: NFS mounts and a firewall."""
    playbook = playbook_in(tmp_path_factory.mktemp("course"))
    with containers("answers", students=1) as made:
        made.setup(playbook)
        yield made


@pytest.fixture(scope="module")
def right(vms: Containers) -> dict[str, str]:
    """What a student who did the lab on this VM writes down, some of it copied from the VM."""
    staff = load_inventory(vms.box.inventory_path).hosts["staff2"]
    config = vms.run(f"sudo sed -n '/BEGIN lab 7/,$p' {CONFIG}")
    zone = vms.run("sudo sed -n '/additions/,$p' /etc/bind/db.example.com")
    listening = vms.run("sudo ss -Htulpn | awk '{print $1, $5, $7}' | grep -v -e ' 127' -e '\\[::1\\]'")
    share = "staff2.decal.xcf.sh:/opt/lab7/public"
    return {
        "0a": listening,
        "1a": f"sudo mount -t nfs4 {share} /mnt",
        "1b": f"It is {staff.value('lab_secret')}.",
        "1c": f"{share}  25227264 5472256 18656256  23% /mnt",
        "1d": "touch: cannot touch '/mnt/x': Read-only file system",
        "1e": "sudo umount /mnt",
        "2a": "systemctl status bind9",
        "2b": "Without it dig asks the server in /etc/resolv.conf; localhost is me, where BIND is stopped.",
        "2c": vms.run("awk '/nameserver/ {print $2; exit}' /etc/resolv.conf").strip(),
        "2d": zone,
        "2e": "dig @localhost api.example.com\ndig @localhost www.example.com CNAME\n"
        "dig @localhost -t txt about.example.com\ndig +short srv _http._tcp.example.com @127.0.0.1",
        "3a": "The ids come in order, 0 to 5, and then it starts again.",
        "3b": "round robin",
        "3c": config,
        "3d": "Each server has the status UP and is green.",
        "3e": "Its row goes DOWN and turns red; its id is missing, the other five still take turns.",
        "3f": "503 Service Unavailable",
    }


def grade(vms: Containers, tmp_path: Path, answers: dict[str, str], *args: str) -> dict[str, Any]:
    """The VM's document, the written part alone (and what it needs)."""
    file = tmp_path / "student1.yml"
    file.write_text(yaml.safe_dump(answers))
    inventory = str(vms.box.inventory_path)
    done = labctl("grade", "student1", "-i", inventory, "--answers", str(file), *ONLY, "--json", *args)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    (host,) = json.loads(done.stdout)["hosts"]
    return dict(host)


def verdicts(host: dict[str, Any]) -> dict[str, str]:
    """Of the written answers, by question."""
    return {one["question"]: one["verdict"] for one in host["checks"] if one["id"].startswith("answer.")}


def test_right_answers_have_all_points_and_leave_the_vm_as_it_was(
    vms: Containers, right: dict[str, str], tmp_path: Path
) -> None:
    look = (
        f"sha256sum {CONFIG}; stat -c '%Y %i' {CONFIG}; pgrep -o haproxy; ls /tmp | grep '^labctl-.*cfg'; :"
    )
    before = vms.run(look)
    host = grade(vms, tmp_path, right)
    assert verdicts(host) == dict.fromkeys(ASKED, "pass"), [
        one for one in host["checks"] if one["verdict"] != "pass"
    ]
    assert host["score"] == host["max_score"]
    assert vms.run(look) == before


def test_wrong_answers_lose_their_own_points(vms: Containers, right: dict[str, str], tmp_path: Path) -> None:
    wrong = {
        "0a": "99/tcp sshd",
        "1a": "mount /opt/lab7/public /mnt",
        "1b": "xyzzy",
        "1e": "umount /media",
        "2a": "systemctl restart bind9",
        "2c": "9.9.9.9",
        "2d": right["2d"] + "\nghost IN A 10.1.2.3",
        "2e": "dig @9.9.9.9 api.example.com",
        "3b": "leastconn",
        "3c": right["3c"].replace("8084", "9084"),
        "3f": "502",
    }
    found = verdicts(grade(vms, tmp_path, {**right, **wrong}))
    assert {question for question, verdict in found.items() if verdict != "pass"} == set(wrong)


def test_a_record_that_is_only_in_the_answer_and_the_file_is_not_served(
    vms: Containers, right: dict[str, str], tmp_path: Path
) -> None:
    vms.run("echo 'late IN A 10.77.0.99' | sudo tee -a /etc/bind/db.example.com")
    answers = {**right, "2d": right["2d"] + "\nlate IN A 10.77.0.99"}
    answers["2e"] += "\ndig @localhost late.example.com"
    try:
        assert verdicts(grade(vms, tmp_path, answers))["2d"] == "fail"
        vms.run(
            "sudo sed -i 's/2026110101/2026110102/' /etc/bind/db.example.com; sudo systemctl reload named"
        )
        assert verdicts(grade(vms, tmp_path, answers))["2d"] == "pass"
    finally:
        vms.run("sudo sed -i -e '/^late/d' -e 's/2026110102/2026110103/' /etc/bind/db.example.com")
        vms.run("sudo systemctl reload named")


def test_the_answers_are_kept_with_the_run(vms: Containers, right: dict[str, str], tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/kept.sqlite"
    grade(vms, tmp_path, {**right, "3a": "It goes \x1b[31mround\u202e and round.\n"}, "--database", database)
    shown = labctl("show", "last", "student1", "--database", database).stdout
    assert "wrote    It goes \\x1b[31mround\\u202e and round." in shown
    assert "For staff to read: 3a" in shown
    evidence = labctl("show", "last", "student1", "--database", database, "--evidence", "answer.3a").stdout
    assert "what the student wrote" in evidence
    again = labctl("regrade", "last", "--diff", "--json", "--database", database)
    assert json.loads(again.stdout)["hosts"][0]["checks"] == []


def test_the_vms_own_haproxy_says_what_it_thinks_of_a_candidate(vms: Containers) -> None:
    host = load_inventory(vms.box.inventory_path).hosts["student1"]
    good = candidate_check(vms.run(f"cat {CONFIG}"))
    bad = candidate_check("frontend x\n    bind *:1\n    frobnicate\n")
    with start_agent(host, Deadline.after(40)) as agent:
        found = Observer(agent, StaffLink(None)).fetch([good, bad, resolvers()], Deadline.after(60))
    said = found[good.key].value
    assert isinstance(said, Candidate)
    assert said.valid
    said = found[bad.key].value
    assert isinstance(said, Candidate)
    assert said.installed
    assert not said.valid
    assert "frobnicate" in said.message
    assert "/tmp" not in said.message
    asked = found[resolvers().key].value
    assert isinstance(asked, Resolvers)
    assert asked.configured
