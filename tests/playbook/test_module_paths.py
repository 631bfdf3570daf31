"""~ and the environment's variables in what modules take as a path: filled in on the VM, as Ansible does."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import messages, play, statuses

from labctl.agent.remote.paths import expanded, filled


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    where = tmp_path / "home"
    where.mkdir()
    (where / "there").write_text("x\n")
    monkeypatch.setenv("HOME", str(where))
    monkeypatch.setenv("WHERE", str(where))
    return where


@pytest.mark.parametrize(
    ("task", "status"),
    [
        ("command: {cmd: 'true', creates: ~/there}", "ok"),
        ("command: {cmd: 'true', creates: $WHERE/there}", "ok"),
        ("command: {cmd: 'true', creates: '${OTHER}/there'}\n  environment: {OTHER: '{{ home }}'}", "ok"),
        ("command: {cmd: 'true', removes: ~/gone}", "ok"),
        ("shell: {cmd: test -e there, chdir: '~'}", "changed"),
        ("shell: {cmd: test -e there, chdir: '~', creates: there}", "ok"),
        ("uri: {url: 'http://127.0.0.1:9/', creates: ~/there}", "ok"),
        ("uri: {url: 'http://127.0.0.1:9/', removes: ~/gone}", "ok"),
        ("wait_for: {path: ~/there, timeout: 1}", "ok"),
        ("stat: {path: $WHERE/there}\n  register: r\n  failed_when: not r.stat.exists", "ok"),
        ("command: 'true'\n  args: {creates: '{{ item }}'}\n  loop: [~/there, $WHERE/there]", "ok"),
    ],
)
def test_a_path_is_filled_in_on_the_vm(home: Path, tmp_path: Path, task: str, status: str) -> None:
    host = play(tmp_path, f"- {task}", variables={"home": str(home)})
    assert statuses(host) == [status], messages(host)


def test_a_link_leads_to_what_its_src_is_filled_in_to(home: Path, tmp_path: Path) -> None:
    host = play(tmp_path, "- file: {path: ~/link, src: ~/there, state: link}")
    assert statuses(host) == ["changed"], messages(host)
    assert (home / "link").readlink() == home / "there"


def test_a_mounts_source_is_a_path_and_its_table_is_not(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "fstab"
    play(
        tmp_path,
        f"- mount: {{path: ~/m, src: ~/disk, fstype: ext4, opts: $x, state: present, fstab: {table}}}",
    )
    assert table.read_text() == f"{home}/disk {home}/m ext4 $x 0 0\n"


def test_keys_may_lie_below_the_home(home: Path, tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1 alice@x"
    host = play(
        tmp_path,
        f"""
        - authorized_key: {{user: root, key: {key}, path: ~/keys, manage_dir: false}}
          check_mode: true
          register: done
        - assert: {{that: done.keyfile == home + '/keys'}}
        """,
        variables={"home": str(home)},
    )
    assert statuses(host) == ["changed", "ok"], messages(host)


def test_scripts_take_their_conditions_as_they_are_written(home: Path, tmp_path: Path) -> None:
    (tmp_path / "s.sh").write_text("#!/bin/sh\n")
    assert statuses(play(tmp_path, "- script: s.sh creates=~/there")) == ["changed"]


def test_text_that_is_no_path_is_left_alone(home: Path, tmp_path: Path) -> None:
    dest = tmp_path / "f"
    play(tmp_path, f"- copy: {{content: '~ $WHERE', dest: {dest}}}")
    assert dest.read_text() == "~ $WHERE"


def test_what_is_not_known_stays() -> None:
    assert expanded("$NOWHERE/${nor here}/x", {}) == "$NOWHERE/${nor here}/x"
    assert expanded("$A", {"A": "~/x", "HOME": "/h/"}) == "/h/x"
    assert expanded("~", {"HOME": "/h"}) == "/h"
    assert expanded("~nobody-of-that-name/x") == "~nobody-of-that-name/x"
    assert expanded("a~/x$") == "a~/x$"
    args = {"path": "~", "_environment": {"HOME": "/h"}}
    assert filled(args) == args
    assert filled({**args, "_paths": ["path"]})["path"] == "/h"
