"""By jump hosts to a VM: OpenSSH's own sshd on each hop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from openssh import USER, Sshd, free_port, key_pair, loaded, sshd
from ssh_server import Seen, ssh_server
from test_retry import _forward as forward

from labctl.agent import Op, start_agent
from labctl.batch import fan_out
from labctl.connect import Retry, check_configuration, kept_hops, open_connection, way_to
from labctl.deadline import Deadline
from labctl.errors import (
    AuthRefused,
    DeadlineExceeded,
    HostError,
    HostKeyChanged,
    HostKeyUnknown,
    Unreachable,
)
from labctl.inventory import Host

pytestmark = pytest.mark.slow


class Course:
    """A VM, the staff's key, their known_hosts and their ssh_config."""

    def __init__(self, directory: Path, vm_port: int, vm_key: paramiko.PKey, seen: Seen) -> None:
        self.directory, self.vm_port, self.seen = directory, vm_port, seen
        self.config = directory / "config"
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{vm_port} {vm_key.get_name()} {vm_key.get_base64()}\n")
        self.key = directory / "id"

    def know(self, *lines: str) -> None:
        with self.known_hosts.open("a") as file:
            file.writelines(lines)

    def configure(self, text: str) -> None:
        """The staff's configuration, each hop with their key and known_hosts."""
        everywhere = f"Host *\n IdentityFile {self.key}\n IdentitiesOnly yes\n"
        self.config.write_text(f"{text}\n{everywhere} UserKnownHostsFile {self.known_hosts}\n")

    def vm(self, name: str = "vm", **variables: object) -> Host:
        values = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.vm_port,
            "ansible_user": "root",
            "ansible_ssh_common_args": f"-F {self.config}",
            **variables,
        }
        return Host(name, values)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Course]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key_pair(tmp_path / "id")
    vm_key = paramiko.ECDSAKey.generate()
    threads, files = threading.active_count(), _open_files()
    with ssh_server(vm_key, loaded(tmp_path / "id")) as (port, seen):
        yield Course(tmp_path, port, vm_key, seen)
    # Whatever a test did: no connection is left behind.
    until = time.monotonic() + 20
    while (threading.active_count() > threads or _open_files() > files) and time.monotonic() < until:
        time.sleep(0.05)
    assert threading.active_count() <= threads
    assert _open_files() <= files


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def public(course: Course) -> str:
    return (course.directory / "id.pub").read_text()


def hop(name: str, server: Sshd, more: str = "") -> str:
    return (
        f"Host {name}\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n HostKeyAlias {name}\n{more}\n"
    )


def connect(host: Host, seconds: float = 20) -> None:
    open_connection(host, Deadline.after(seconds)).close()


def test_a_vm_behind_two_jump_hosts(course: Course) -> None:
    with sshd(public(course)) as one, sshd(public(course)) as two:
        course.know(one.known(name="one"), two.known(name="two"))
        course.configure(hop("one", one) + hop("two", two) + "Host 127.0.0.1\n ProxyJump one,two")
        with start_agent(course.vm(), Deadline.after(20)) as agent:
            for _ in range(3):
                assert len(list(agent.call([Op("outcome", {})] * 5, Deadline.after(10)))) == 5
        *jumps, vm = (server.login for server in way_to(course.vm()))
        assert jumps == [f"{USER}@127.0.0.1:{one.port}", f"{USER}@127.0.0.1:{two.port}"]
        assert vm == f"root@127.0.0.1:{course.vm_port}"
        assert (one.logins, two.logins, course.seen.connections) == (1, 1, 1)


def test_a_jump_host_may_have_a_jump_host_of_its_own(course: Course) -> None:
    with sshd(public(course)) as one, sshd(public(course)) as two:
        course.know(one.known(name="one"), two.known(name="two"))
        course.configure(hop("one", one) + hop("two", two, " ProxyJump one"))
        arguments = f"-F {course.config} -J two"
        connect(course.vm(ansible_ssh_common_args=arguments))
        assert (one.logins, two.logins, course.seen.connections) == (1, 1, 1)


def test_user_and_port_of_a_jump_host_in_the_argument(course: Course) -> None:
    with sshd(public(course)) as one:
        course.know(one.known())
        course.configure("")
        arguments = f"-F {course.config} -o ProxyJump={USER}@127.0.0.1:{one.port}"
        connect(course.vm(ansible_ssh_common_args=arguments))
        assert one.logins == 1


def test_proxy_command(course: Course) -> None:
    with sshd(public(course)) as one:
        course.know(one.known(name="one"))
        course.configure(
            hop("one", one) + f"Host 127.0.0.1\n ProxyCommand ssh -F {course.config} -W %h:%p one"
        )
        with start_agent(course.vm(), Deadline.after(20)) as agent:
            assert len(list(agent.call([Op("outcome", {})], Deadline.after(10)))) == 1
        assert one.logins == 1


def test_a_proxy_command_that_fails_is_quoted(course: Course) -> None:
    course.configure("Host 127.0.0.1\n ProxyCommand echo no way to %h >&2; exit 1")
    with pytest.raises(Unreachable, match=r"ProxyCommand: no way to 127\.0\.0\.1"):
        connect(course.vm())


def test_a_proxy_command_that_says_nothing_meets_the_deadline_and_is_ended(course: Course) -> None:
    course.configure(f"Host 127.0.0.1\n ProxyCommand sh -c 'echo $$ > {course.directory}/pid; sleep 60'")
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        connect(course.vm(), 1.5)
    assert time.monotonic() - started < 15
    pid = int((course.directory / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_many_vms_share_one_connection_to_the_jump_host(course: Course) -> None:
    # Each connection of its own would be refused: one unauthenticated connection at a time, one session.
    with sshd(public(course), "MaxStartups 1:100:1", "MaxSessions 1") as one:
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        hosts = [course.vm(f"vm{number}") for number in range(12)]

        def work(host: Host) -> int:
            with start_agent(host, Deadline.after(60)) as agent:
                return len(list(agent.call([Op("outcome", {})] * 3, Deadline.after(30))))

        with kept_hops():
            assert set(fan_out(hosts, work, forks=12).values()) == {3}
            # Nobody uses it now, and it is still there for the next.
            assert fan_out(hosts[:1], work)["vm0"] == 3
        assert one.logins == 1
    assert course.seen.connections == 13


def test_without_anybody_left_the_connection_to_the_jump_host_ends(course: Course) -> None:
    with sshd(public(course)) as one:
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        for _ in range(2):
            connect(course.vm())
        assert one.logins == 2


def test_a_connection_that_broke_is_made_anew(course: Course) -> None:
    with sshd(public(course)) as one, kept_hops():
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        connect(course.vm())
        from labctl.connect import hops

        (kept,) = hops._hops.values()
        assert kept.login is not None
        kept.login.transport.sock.shutdown(2)
        until = time.monotonic() + 5
        while kept.login.transport.is_active() and time.monotonic() < until:
            time.sleep(0.01)
        connect(course.vm())
        assert one.logins == 2


def test_the_unknown_key_of_a_jump_host(course: Course) -> None:
    with sshd(public(course)) as one, sshd(public(course)) as two:
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + hop("two", two) + "Host 127.0.0.1\n ProxyJump one,two")
        with pytest.raises(HostKeyUnknown, match=f"the jump host 127.0.0.1 port {two.port}") as caught:
            connect(course.vm())
        assert "SHA256:" in caught.value.hint
        assert two.logins == 0
    assert course.seen.connections == 0


def test_the_changed_key_of_a_jump_host(course: Course) -> None:
    other = key_pair(course.directory / "other")
    with sshd(public(course)) as one, sshd(public(course)) as two:
        course.know(one.known(name="one", key=other), two.known(name="two"))
        course.configure(hop("one", one) + hop("two", two) + "Host 127.0.0.1\n ProxyJump one,two")
        with pytest.raises(HostKeyChanged, match=f"the jump host 127.0.0.1 port {one.port}.*nothing was run"):
            connect(course.vm())
        assert (one.logins, two.logins) == (0, 0)


def test_the_changed_key_of_a_vm_behind_a_jump_host(course: Course) -> None:
    with sshd(public(course)) as one:
        course.known_hosts.write_text(
            f"[127.0.0.1]:{course.vm_port} {key_pair(course.directory / 'other')}\n"
        )
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        with pytest.raises(HostKeyChanged, match=f"the host key of 127.0.0.1 port {course.vm_port}"):
            connect(course.vm())
    assert course.seen.auth_attempts == []


def test_the_courses_known_hosts_may_hold_the_key_of_the_jump_host(course: Course) -> None:
    with sshd(public(course)) as one:
        course.know(one.known())
        course.config.write_text("")
        arguments = f"-F {course.config} -J {USER}@127.0.0.1:{one.port}"
        key = {"ansible_ssh_private_key_file": str(course.key)}
        vm = course.vm(ansible_ssh_common_args=arguments, labctl_known_hosts=str(course.known_hosts), **key)
        # The inventory's key is the VM's, as with Ansible: nothing is offered to the jump host.
        with pytest.raises(AuthRefused, match=f"no key to offer to {USER} at the jump host"):
            connect(vm)
        (course.directory / ".ssh").mkdir()
        course.key.rename(course.directory / ".ssh" / "id_ed25519")
        connect(course.vm(ansible_ssh_common_args=arguments, labctl_known_hosts=str(course.known_hosts)))
        assert one.logins == 1


def test_a_jump_host_that_is_down_and_one_that_cannot_reach_the_vm(course: Course) -> None:
    course.configure(
        f"Host 127.0.0.1\n ProxyJump 127.0.0.2:{(down := free_port())}\nHost 127.0.0.2\n ProxyJump none"
    )
    with pytest.raises(Unreachable, match=f"the jump host 127.0.0.2 port {down}: Connection refused"):
        connect(course.vm())
    with sshd(public(course)) as one:
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        wrong = f"the jump host 127.0.0.1 port {one.port} cannot connect to 127.0.0.1 port {down}"
        with pytest.raises(Unreachable, match=wrong):
            connect(course.vm(ansible_port=down))


def test_a_jump_host_that_forbids_it(course: Course) -> None:
    with sshd(public(course), "AllowTcpForwarding no") as one:
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        with pytest.raises(Unreachable, match="does not lead on") as caught:
            connect(course.vm())
        assert "AllowTcpForwarding" in caught.value.hint


def test_the_wrong_user_on_a_jump_host(course: Course) -> None:
    with sshd(public(course)) as one:
        course.know(one.known(name="one"))
        wrong = hop("one", one).replace(f"User {USER}", "User somebody")
        course.configure(wrong + "Host 127.0.0.1\n ProxyJump one")
        with pytest.raises(AuthRefused, match=r"the jump host somebody@127\.0\.0\.1 refused our key: .*/id"):
            connect(course.vm())
    assert course.seen.connections == 0


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_a_jump_host_that_says_nothing_meets_the_deadline(course: Course, mode: str) -> None:
    with ssh_server(paramiko.ECDSAKey.generate(), None, mode) as (port, _):
        course.configure(f"Host 127.0.0.1\n ProxyJump 127.0.0.2:{port}\nHost 127.0.0.2\n HostName 127.0.0.1")
        started = time.monotonic()
        with pytest.raises(HostError, match=f"the jump host 127.0.0.1 port {port}") as caught:
            connect(course.vm(), 1.5)
        assert isinstance(caught.value, DeadlineExceeded | Unreachable)
        assert time.monotonic() - started < 15


def test_a_vm_that_says_nothing_behind_a_jump_host_meets_the_deadline(course: Course) -> None:
    with sshd(public(course)) as one, ssh_server(paramiko.ECDSAKey.generate(), None, "silent") as (port, _):
        course.know(one.known(name="one"))
        course.configure(hop("one", one) + "Host 127.0.0.1\n ProxyJump one")
        started = time.monotonic()
        with pytest.raises(HostError):
            connect(course.vm(ansible_port=port), 2)
        assert time.monotonic() - started < 15


def test_all_vms_behind_a_dead_jump_host_fail_together(course: Course) -> None:
    # 192.0.2.1 answers nobody; a timeout for each VM would be half a minute.
    course.configure(
        "Host 127.0.0.1\n ProxyJump 192.0.2.1\nHost 192.0.2.1\n ConnectTimeout 1\n ProxyJump none"
    )
    hosts = [course.vm(f"vm{number}") for number in range(120)]
    started = time.monotonic()
    with kept_hops():
        outcomes = fan_out(hosts, connect, forks=4)
    assert time.monotonic() - started < 15
    assert all(isinstance(one, Unreachable) and "192.0.2.1" in one.message for one in outcomes.values())


def test_a_jump_host_that_comes_up_late_is_reached(course: Course) -> None:
    retry = Retry()
    with sshd(public(course)) as one, kept_hops():
        down = free_port()
        course.know(one.known(name="one"))
        course.configure(hop("one", replace(one, port=down)) + "Host 127.0.0.1\n ProxyJump one")

        def come_up() -> None:
            while not retry.failed:
                time.sleep(0.01)
            forward(down, one.port)

        threading.Thread(target=come_up).start()
        open_connection(course.vm(), Deadline.after(20), retry).close()
    assert retry.failed
    assert all("refused" in message for message in retry.failed)


def test_a_jump_host_that_stays_away_is_tried_a_few_times_for_all(course: Course) -> None:
    with ssh_server(paramiko.ECDSAKey.generate(), None, "closed") as (port, seen), kept_hops():
        course.configure(f"Host 127.0.0.1\n ProxyJump 127.0.0.2:{port}\nHost 127.0.0.2\n HostName 127.0.0.1")
        hosts = [course.vm(f"vm{number}") for number in range(20)]

        def work(host: Host) -> None:
            open_connection(host, Deadline.after(30), Retry()).close()

        outcomes = fan_out(hosts, work, forks=10)
    assert all(isinstance(one, Unreachable) for one in outcomes.values())
    assert seen.connections == 3


def test_a_circle_is_named(course: Course) -> None:
    from labctl.errors import RequestError

    course.configure("Host 127.0.0.1\n ProxyJump a\nHost a\n ProxyJump b\nHost b\n ProxyJump a")
    with pytest.raises(RequestError, match="circle: a -> b -> a"):
        check_configuration([course.vm()])
