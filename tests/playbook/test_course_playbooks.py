"""The bundled playbooks: they load, need what the inventory says they need, and give valid files."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import write

from labctl.errors import PlaybookError
from labctl.inventory import Inventory, load_inventory
from labctl.playbook import Playbook, RunOptions, load_playbook
from labctl.playbook.engine import Run

ROOT = Path(__file__).parent.parent.parent
NAMES = ("base", "staff", "lab7", "reset")


@pytest.fixture
def course(tmp_path: Path) -> Inventory:
    return load_inventory(
        write(
            tmp_path,
            """
        all:
          vars:
            nfs_server: staff2.decal.xcf.sh
            campus_networks: [10.77.0.0/24, 10.78.0.0/24]
          children:
            staff:
              hosts: {staff2: {lab_user: staff2, lab_fqdn: staff2.decal.xcf.sh, lab_address: 10.77.0.2}}
              vars: {lab_secret: xyzzy}
            students:
              hosts:
                student1: {lab_user: amy, lab_fqdn: amy.decal.xcf.sh, lab_address: 10.77.0.11}
                student2: {lab_user: bob, lab_fqdn: bob.decal.xcf.sh, lab_address: 10.77.0.12}
        """,
            "inventory.yml",
        )
    )


def loaded(name: str) -> Playbook:
    return load_playbook(ROOT / "playbooks" / f"{name}.yml", [ROOT, ROOT / "templates"])


def rendered(course: Inventory, playbook: str, template: str, host: str) -> str:
    run = Run([loaded(playbook)], course, list(course.hosts.values()), RunOptions())
    step = next(step for step in run.steps if host in [one.name for one in step.hosts])
    scope = run.world.scope(host, step.play.templar, play=step.play)
    return step.play.templar.render_file(ROOT / "templates" / "lab7" / template, scope)


@pytest.mark.parametrize("name", NAMES)
def test_each_playbook_is_ready_for_every_host(course: Inventory, name: str) -> None:
    Run([loaded(name)], course, list(course.hosts.values()), RunOptions()).preflight()


def test_the_secret_must_be_given(course: Inventory) -> None:
    without = {
        name: type(host)(
            host.name, {k: v for k, v in host.variables.items() if k != "lab_secret"}, host.groups
        )
        for name, host in course.hosts.items()
    }
    made = Inventory(without, course.groups, course.paths)
    with pytest.raises(PlaybookError) as caught:
        Run([loaded("staff")], made, list(without.values()), RunOptions()).preflight()
    assert "lab_secret" in caught.value.message
    assert str(caught.value.place).startswith(str(ROOT / "playbooks" / "staff.yml"))


def test_the_zone_is_the_labs_and_the_same_every_time(course: Inventory) -> None:
    zone = rendered(course, "lab7", "db.example.com.j2", "student1")
    assert zone == rendered(course, "lab7", "db.example.com.j2", "student1")
    assert "@\tIN\tNS\tamy.decal.xcf.sh.\n@\tIN\tA\t10.77.0.11\ntest\tIN\tA\t93.184.216.34\n" in zone
    for kind in ("CNAME", "TXT", "SRV"):
        assert f"\t{kind}\t" in zone


def test_the_resolver_is_open_to_the_campus_only(course: Inventory) -> None:
    options = rendered(course, "lab7", "named.conf.options.j2", "student1")
    assert 'acl "campus" {\n\tlocalhost;\n\t10.77.0.0/24;\n\t10.78.0.0/24;\n};' in options
    assert "allow-recursion { campus; };" in options
    assert "allow-query { any; };" in options


def test_the_balancer_has_six_checked_servers(course: Inventory) -> None:
    text = rendered(course, "lab7", "haproxy.cfg.j2", "student1")
    servers = [line.split() for line in text.splitlines() if line.strip().startswith("server ")]
    assert [words[2] for words in servers] == [f"127.0.0.1:{8080 + n}" for n in range(6)]
    assert all(words[-1] == "check" for words in servers)


def test_each_private_share_is_for_its_student_only(course: Inventory) -> None:
    exports = rendered(course, "staff", "exports.j2", "staff2")
    shares = [line for line in exports.splitlines() if line.startswith("/")]
    assert shares == [
        "/opt/lab7/public 10.77.0.0/24(ro,sync,no_subtree_check)",
        "/opt/lab7/public 10.78.0.0/24(ro,sync,no_subtree_check)",
        "/opt/lab7/private/amy 10.77.0.11(rw,sync,no_subtree_check,no_root_squash)",
        "/opt/lab7/private/bob 10.77.0.12(rw,sync,no_subtree_check,no_root_squash)",
    ]


def test_the_base_tag_gives_nothing_of_the_solution_away(course: Inventory) -> None:
    run = Run([loaded("lab7")], course, [course.hosts["student1"]], RunOptions(tags=("base",)))
    names = {
        task.name.value
        for step in run.steps
        for section in step.play.sections
        for task in section
        if run.tags.selects(task.tags) and task.name
    }
    assert names == {
        "Directory of the lab's files",
        "The web server that students balance",
        "Firewall rule for SSH",
        "Firewall on",
    }
