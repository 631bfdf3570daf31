"""raw, script, fetch, wait_for_connection and reboot, on containers with a real sshd."""

from __future__ import annotations

import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containers import Containers, containers
from playing import messages, play, statuses, write

from labctl.sandbox import Sandbox, nspawn, process, state
from labctl.sandbox.state import pidfile

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(300),
    pytest.mark.root,
]


@pytest.fixture(scope="module")
def vms() -> Iterator[Containers]:
    with containers("link", students=2) as made:
        yield made


def tasks(tmp_path: Path, text: str, become: bool = True) -> Path:
    head = f"- hosts: students\n  become: {str(become).lower()}\n  tasks:\n"
    body = "".join(f"    {line}\n" for line in text.strip("\n").splitlines())
    return write(tmp_path, head + body)


def told(host: dict[str, Any], name: str) -> str:
    """What the debug task says that shows the variable ``name``."""
    return next(task["msg"] for task in host["tasks"] if task["msg"].startswith(f"{name}: "))


# -- raw -----------------------------------------------------------------------------------------


def test_raw_needs_no_python_and_one_login_serves_it_and_the_agent(vms: Containers, tmp_path: Path) -> None:
    play = tasks(
        tmp_path,
        """
- raw: mv /usr/bin/python3.hidden /usr/bin/python3; id -u; echo bad >&2
  register: root
- raw: id -un; exit 3
  become: false
  register: login
  ignore_errors: true
- raw: "[[ x == x ]] && echo $0"
  args: {executable: /bin/bash}
  register: shell
- debug: {msg: "{{ root.rc }} {{ root.stdout_lines }} {{ root.stderr }} {{ root is changed }}"}
- debug: {msg: "{{ login.rc }} {{ login.stdout }} {{ login.msg }}"}
- debug: {msg: "{{ shell.stdout }}"}
- ping:
""",
    )
    vms.run("sudo mv /usr/bin/python3 /usr/bin/python3.hidden")
    before = vms.logins()
    (host,) = vms.setup(play)
    assert messages(host)[3:6] == ["0 ['0'] bad\n True", "3 student1\n non-zero return code", "/bin/bash\n"]
    assert statuses(host) == ["changed", "failed", "changed", "ok", "ok", "ok", "ok"]
    assert vms.logins() - before == 2  # the setup, and this look at it
    assert host["connections"] == 1


def test_raw_does_nothing_in_check_mode_and_ends_at_its_time(vms: Containers, tmp_path: Path) -> None:
    (host,) = vms.setup(tasks(tmp_path, "- raw: touch /tmp/raw"), check=True)
    assert statuses(host) == ["skipped"]
    vms.run("test ! -e /tmp/raw")
    began = time.monotonic()
    (host,) = vms.setup(tasks(tmp_path, "- raw: echo so far; sleep 30\n  timeout: 2"), status=1)
    assert time.monotonic() - began < 25
    assert "time was over" in messages(host)[0]
    assert host["tasks"][0]["stdout"] == "so far\n"


# -- script --------------------------------------------------------------------------------------

SCRIPT = '#!/bin/bash\necho "$(basename "$0")|$PWD|$#|$3|$WORD"\nexit ${1#exit=}\n'


def test_a_script_runs_with_its_words_in_its_directory_and_is_gone(vms: Containers, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a b.sh").write_text(SCRIPT)
    (tmp_path / "show.py").write_text("import os, sys\nprint(os.getuid(), sys.argv[1:])\n")
    play = tasks(
        tmp_path,
        """
- command: echo "from the vm"
  register: out
- script: "'a b.sh' exit=0 2 '{{ out.stdout }}'"
  args: {chdir: /var}
  environment: {WORD: here}
  register: first
- script: show.py "x y"
  args: {executable: /usr/bin/python3 -I}
  become: false
  register: second
- script: {cmd: show.py, creates: /etc/passwd}
- script: {cmd: show.py, removes: /nowhere}
- script: "'a b.sh' exit=4"
  ignore_errors: true
  register: third
- script: {cmd: show.py, chdir: var}
  ignore_errors: true
- debug: {var: first.stdout}
- debug: {var: second.stdout}
- debug: {msg: "{{ third.rc }} {{ third.msg }}"}
""",
    )
    (host,) = vms.setup(play)
    assert statuses(host) == [
        *("changed", "changed", "changed", "skipped", "skipped", "failed", "failed", "ok", "ok", "ok")
    ]
    assert told(host, "first.stdout") == "first.stdout: a b.sh|/var|3|from the vm|here\n"
    uid = vms.run("id -u").strip()
    assert told(host, "second.stdout") == f"second.stdout: {uid} ['x y']\n"
    assert messages(host)[3] == "/etc/passwd exists, matching creates option"
    assert messages(host)[6] == "chdir var must be an absolute path"
    assert messages(host)[-1] == "4 non-zero return code"
    assert vms.run("ls -d /tmp/labctl-script* || true") == ""


def test_the_vm_does_not_choose_the_script(tmp_path: Path) -> None:
    (tmp_path / "safe.sh").write_text("echo safe\n")
    host = play(
        tmp_path,
        """
        - command: echo {{ playbook_dir }}/safe.sh
          register: out
        - script: "{{ out.stdout }} x"
        """,
    )
    assert statuses(host) == ["changed", "failed"]
    assert "may not choose a file here" in messages(host)[1]


# -- fetch ---------------------------------------------------------------------------------------


def test_fetch_of_several_vms_at_once_into_a_tree_by_host(vms: Containers, tmp_path: Path) -> None:
    play = tasks(
        tmp_path,
        """
- fetch: {src: /etc/hostname, dest: got}
- fetch: {src: /etc/shadow, dest: got}
- fetch: {src: /etc/hostname, dest: got/same, flat: true}
- fetch: {src: ~/.bashrc, dest: got}
""",
    )
    for expected in ("changed", "ok"):
        hosts = vms.setup(play, "student1", "student2")
        for host in hosts:
            assert [one for index, one in enumerate(statuses(host)) if index != 2] == [expected] * 3
    got = tmp_path / "got"
    for name in ("student1", "student2"):
        assert (got / name / "etc" / "hostname").read_text() == f"{name}\n"
        assert "root:" in (got / name / "etc" / "shadow").read_text()
        assert (got / name / "root" / ".bashrc").exists()
    assert (got / "same").read_text() in ("student1\n", "student2\n")
    assert [path.name for path in got.rglob(".*") if path.name != ".bashrc"] == []


def test_fetch_of_what_is_large_missing_or_no_file(vms: Containers, tmp_path: Path) -> None:
    play = tasks(
        tmp_path,
        """
- shell: head -c 5000001 /dev/urandom > /tmp/large; mkfifo -m 644 /tmp/pipe || true; sha1sum < /tmp/large
  register: sum
- fetch: {src: /tmp/large, dest: got/, flat: true}
  register: large
- assert: {that: "large.checksum == sum.stdout.split()[0] and large.remote_checksum == large.checksum"}
- fetch: {src: "{{ item }}", dest: got, fail_on_missing: false}
  loop: [/nowhere, /etc, /tmp/pipe]
- fetch: {src: /nowhere, dest: got}
  ignore_errors: true
- fetch: {src: /etc/hostname, dest: got, flat: true}
  ignore_errors: true
""",
    )
    (host,) = vms.setup(play)
    assert statuses(host) == ["changed", "changed", "ok", "ok", "failed", "failed"]
    assert (tmp_path / "got" / "large").stat().st_size == 5000001
    assert [item["msg"] for item in host["tasks"][3]["items"]] == [
        "the remote file does not exist, not transferring, ignored",
        "remote file is a directory, fetch cannot work on directories, not transferring, ignored",
        "remote file is a device or a pipe, fetch cannot work on it, not transferring, ignored",
    ]
    assert "does not exist" in messages(host)[4]
    assert "use a trailing slash" in messages(host)[5]
    (host,) = vms.setup(tasks(tmp_path, "- fetch: {src: /etc/hostname, dest: other}"), check=True)
    assert statuses(host) == ["skipped"]
    assert not (tmp_path / "other").exists()


def test_a_path_from_the_vm_stays_in_the_hosts_directory(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not to be overwritten")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "evil").write_text("evil")
    evil = f"{tmp_path}/in/deep/../../../../../../../../../../../../..{tmp_path}/in/evil"
    host = play(
        tmp_path,
        f"""
        - command: echo {evil}
          register: found
        - fetch: {{src: "{{{{ found.stdout }}}}", dest: got}}
        - fetch: {{src: "{{{{ found.stdout }}}}", dest: "{{{{ found.stdout }}}}"}}
        """,
    )
    assert statuses(host) == ["changed", "changed", "failed"]
    assert "may not choose a file here" in messages(host)[2]
    kept = [path for path in (tmp_path / "got").rglob("*") if path.is_file()]
    assert kept == [tmp_path / "got" / "vm" / str(tmp_path)[1:] / "in" / "evil"]


def test_a_fetched_file_keeps_its_mode_here(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    (tmp_path / "kept").chmod(0o640)
    (tmp_path / "new").write_text("new")
    host = play(tmp_path, f"- fetch: {{src: {tmp_path}/new, dest: kept, flat: true}}")
    assert statuses(host) == ["changed"]
    assert (tmp_path / "kept").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o640


# -- wait_for_connection -------------------------------------------------------------------------


def test_a_late_sshd_is_waited_for_and_the_tasks_go_on_over_a_new_login(
    vms: Containers, tmp_path: Path
) -> None:
    play = tasks(
        tmp_path,
        """
- command: systemd-run --unit=late sh -c 'systemctl stop ssh; pkill -x sshd; sleep 4; systemctl start ssh'
- wait_for_connection: {delay: 2, timeout: 60}
  register: waited
- debug: {var: waited.elapsed}
- ping:
""",
    )
    (host,) = vms.setup(play)
    assert statuses(host) == ["changed", "ok", "ok", "ok"]
    assert 2 <= int(told(host, "waited.elapsed").split()[-1]) < 30
    assert host["connections"] == 2


def test_a_vm_that_never_answers_is_a_failed_task_in_time(vms: Containers, tmp_path: Path) -> None:
    play = tasks(tmp_path, "- wait_for_connection: {timeout: 2}\n- ping:")
    vms.run("sudo systemctl stop ssh.socket ssh 2>&1; sudo systemd-run --on-active=15 systemctl start ssh")
    began = time.monotonic()
    (host,) = vms.setup(play, status=1)
    assert time.monotonic() - began < 10
    assert statuses(host) == ["failed"]
    assert "no connection to student1 after" in messages(host)[0]
    (host,) = vms.setup(tasks(tmp_path, "- wait_for_connection: {timeout: 60}\n- ping:"))
    assert (statuses(host), host["connections"]) == (["ok", "ok"], 1)


# -- reboot --------------------------------------------------------------------------------------


def start_again(box: Sandbox, vm: str) -> threading.Thread:
    """Boot the container anew once it has gone down, as a machine does: nspawn leaves that to others."""
    known = state.load(box.directory)
    assert known is not None
    pid = int(pidfile(box.directory, vm).read_text())

    def work() -> None:
        while Path(f"/proc/{pid}").exists() and process.find(pidfile(box.directory, vm)):
            time.sleep(0.1)
        made = known.vms[vm]
        subprocess.run(
            ["setsid", "--fork", *nspawn.argv(box.name, box.directory, made)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


REBOOT = """
- command: cat /proc/sys/kernel/random/boot_id
  register: before
- reboot: {reboot_timeout: SECONDS, reboot_command: systemctl reboot, test_command: systemctl is-active ssh}
  register: done
- command: cat /proc/sys/kernel/random/boot_id
  register: after
- assert: {that: [before.stdout != after.stdout, done.rebooted, done is changed]}
"""


def test_reboot_waits_for_the_new_boot_and_goes_on(vms: Containers, tmp_path: Path) -> None:
    play = tasks(tmp_path, REBOOT.replace("SECONDS", "90"))
    (host,) = vms.setup(play, check=True, status=1)  # nothing was asked, so the assertion fails
    assert statuses(host)[1] == "changed"
    again = start_again(vms.box, "student2")
    (host,) = vms.setup(play, "student2")
    again.join(5)
    assert statuses(host) == ["changed", "changed", "changed", "ok"]
    assert host["connections"] <= 3  # one may find the VM still going down


def test_reboot_says_what_is_wrong(vms: Containers, tmp_path: Path) -> None:
    play = tasks(
        tmp_path,
        """
- reboot: {reboot_command: no-such-program now}
  ignore_errors: true
- reboot: {reboot_command: "true", reboot_timeout: 2}
  ignore_errors: true
- reboot: {boot_time_command: "echo gone >&2; false"}
  ignore_errors: true
- ping:
""",
    )
    (host,) = vms.setup(play)
    assert statuses(host) == ["failed", "failed", "failed", "ok"]
    for said, message in zip(
        ("there is no no-such-program in /sbin", "it has not gone down yet", "boot_time_command fails: gone"),
        messages(host),
        strict=False,
    ):
        assert said in message


def test_reboot_of_this_machine_is_refused(tmp_path: Path) -> None:
    host = play(tmp_path, "- reboot:")
    assert statuses(host) == ["failed"]
    assert "this machine" in messages(host)[0]


def test_a_vm_that_never_comes_back_is_bounded_and_says_what_to_do(vms: Containers, tmp_path: Path) -> None:
    # The last test of the file: the container stays down.
    (host,) = vms.setup(tasks(tmp_path, REBOOT.replace("SECONDS", "6")), "student2", status=1)
    assert statuses(host) == ["changed", "failed"]
    assert "student2 was rebooted and is not back after" in messages(host)[1]
    assert "reboot_timeout" in messages(host)[1]
    assert host["seconds"] < 60
