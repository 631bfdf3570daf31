"""Question 0a: the services that a student wrote down, beside the table of the VM."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import LAB, TARGET

from labctl.grading import Evidence, Judgement, judge
from labctl.grading.answers import Answers, add_answers
from labctl.probes import Observed, Socket, Sockets, Unobserved, sockets

(CHECK,) = (one for one in LAB.checks if one.id == "answer.0a")

TABLE = (
    Socket("tcp", "0.0.0.0", 22, 700, "sshd", "ssh.service", "ssh"),
    Socket("tcp", "::", 22, 700, "sshd", "ssh.service", "ssh"),
    Socket("udp", "10.0.2.15", 68, 300, "systemd-network", "systemd-networkd.service", "bootpc"),
    Socket("tcp", "10.77.0.11", 53, 900, "named", "named.service", "domain"),
    Socket("tcp", "127.0.0.1", 53, 900, "named", "named.service", "domain"),
    Socket("udp", "10.77.0.11", 53, 900, "named", "named.service", "domain"),
    Socket("udp", "127.0.0.53", 53, 310, "systemd-resolve", "systemd-resolved.service", "domain"),
    Socket("tcp", "127.0.0.1", 953, 900, "named", "named.service", ""),
    Socket("tcp", "0.0.0.0", 7000, 950, "haproxy", "haproxy.service", "afs3-fileserver"),
    Socket("tcp", "0.0.0.0", 7001, 950, "haproxy", "haproxy.service", "afs3-callback"),
    Socket("tcp", "127.0.0.1", 8080, 990, "python3", "workers.service", "http-alt"),
    Socket("udp", "0.0.0.0", 40123, 0, "", "", ""),
    Socket("udp", "0.0.0.0", 45678, 410, "avahi-daemon", "avahi-daemon.service", ""),
    Socket("udp", "0.0.0.0", 837, 400, "rpc.statd", "rpc-statd.service", ""),
)

BY_HAND = """\
22/tcp sshd
53/tcp named
53/udp named
68/udp systemd-networkd
7000/tcp haproxy
7001/tcp haproxy
"""
FROM_SS = """\
Netid State  Recv-Q Send-Q      Local Address:Port  Peer Address:PortProcess
udp   UNCONN 0      0              10.77.0.11:53         0.0.0.0:*    users:(("named",pid=900,fd=28))
udp   UNCONN 0      0          10.0.2.15%ens3:68         0.0.0.0:*    users:(("systemd-network",pid=300))
tcp   LISTEN 0      128               0.0.0.0:22         0.0.0.0:*    users:(("sshd",pid=700,fd=3))
tcp   LISTEN 0      10             10.77.0.11:53         0.0.0.0:*    users:(("named",pid=900,fd=29))
tcp   LISTEN 0      4096              0.0.0.0:7000       0.0.0.0:*    users:(("haproxy",pid=950,fd=7))
tcp   LISTEN 0      4096                    *:7001             *:*    users:(("haproxy",pid=950,fd=8))
tcp   LISTEN 0      128                  [::]:22            [::]:*    users:(("sshd",pid=700,fd=4))
"""
FROM_NETSTAT = """\
Active Internet connections (only servers)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      700/sshd: /usr/sbin
tcp        0      0 10.77.0.11:53           0.0.0.0:*               LISTEN      900/named
tcp        0      0 0.0.0.0:7000            0.0.0.0:*               LISTEN      950/haproxy
tcp        0      0 0.0.0.0:7001            0.0.0.0:*               LISTEN      950/haproxy
tcp6       0      0 :::22                   :::*                    LISTEN      700/sshd: /usr/sbin
udp        0      0 10.77.0.11:53           0.0.0.0:*                           900/named
udp        0      0 10.0.2.15:68            0.0.0.0:*                           300/systemd-network
"""
IN_WORDS = """\
- port 22 (TCP): ssh
- port 53: BIND9, for tcp and udp both
- port 68, udp: systemd-networkd, the DHCP client
- 7000: HAProxy
- 7001: HAProxy
"""


def judged(text: str, table: tuple[Socket, ...] = TABLE) -> Judgement:
    (result,) = judge([CHECK], TARGET, evidence_of(text, Sockets(table)))
    return result.judgement


def evidence_of(text: str, found: Sockets | Unobserved) -> Evidence:
    evidence = Evidence()
    add_answers(evidence, Answers("", {"0a": text}), LAB.rubric, {})
    evidence.add(sockets(), Observed(found))
    return evidence


@pytest.mark.parametrize(
    "text",
    [
        BY_HAND,
        FROM_SS,
        FROM_NETSTAT,
        IN_WORDS,
        "22/tcp: ssh\n53/tcp, 53/udp: bind\n68/udp systemd-networkd\n7000/tcp, 7001/tcp haproxy.service",
        BY_HAND.upper(),
        BY_HAND.replace("named", "/usr/sbin/named").replace("22/tcp sshd", "22 / tcp  ssh.service"),
        BY_HAND + "40123/udp ?\n837/udp rpc.statd\n",
        BY_HAND.replace("systemd-networkd", "systemd-network"),
        BY_HAND.replace("68/udp systemd-networkd\n", ""),
        BY_HAND + "8080/tcp python3 (loopback only, so it does not count)\n953/tcp named (127.0.0.1)",
        BY_HAND.replace("7000/tcp haproxy", "7000/tcp haproxy (not only on localhost)"),
        BY_HAND.replace("haproxy", "HA Proxy"),
        "tcp: 22 sshd, 53 named, 7000 haproxy, 7001 haproxy\nudp: 53 named, 68 systemd-networkd",
        "tcp: 22 sshd, 53 named, 7000 haproxy, 7001 haproxy; udp: 53 named",
        BY_HAND.replace("53/tcp named\n53/udp named", "53/(tcp,udp) named"),
        "haproxy: 7000, 7001 (tcp)\nsshd 22/tcp, named 53/tcp, named 53/udp",
    ],
    ids=[
        "by-hand",
        "ss",
        "netstat",
        "words",
        "two-in-a-line",
        "capitals",
        "paths",
        "what-changes-too",
        "cut-name",
        "no-client",
        "apart",
        "not-apart",
        "two-words",
        "by-protocol",
        "one-line",
        "both",
        "names-first",
    ],
)
def test_every_honest_form_of_the_right_answer_has_full_marks(text: str) -> None:
    assert judged(text).verdict.value == "pass", judged(text).seen


@pytest.mark.parametrize(
    ("text", "share", "said"),
    [
        (BY_HAND.replace("7001/tcp haproxy\n", ""), 4 / 5, "1 missing"),
        (BY_HAND.replace("53/udp named\n", ""), 4 / 5, "1 missing"),
        (BY_HAND + "80/tcp nginx\n", 5 / 6, "80/tcp: nothing listens there"),
        (BY_HAND + "8080/tcp python3\n", 5 / 6, "8080/tcp: on loopback only"),
        (BY_HAND + "53/udp systemd-resolved\n", 5 / 6, "53/udp: on loopback only"),
        (BY_HAND.replace("22/tcp sshd", "22/udp sshd"), 4 / 6, "22/udp: nothing listens there"),
        (
            BY_HAND.replace("7000/tcp haproxy", "7000/tcp afs3-fileserver"),
            4 / 6,
            "7000/tcp: another program has that port",
        ),
        (BY_HAND.replace("7000/tcp haproxy", "7000/tcp"), 4 / 6, "another program"),
        ("sshd and named", 0.0, "no line of the form 80/tcp nginx"),
        ("80/tcp nginx", 0.0, "none is right; 80/tcp: nothing listens there; 5 missing"),
        ("".join(f"{port}/tcp sshd\n" for port in range(1, 3000)), 1 / 3003, "more that are wrong"),
    ],
)
def test_each_mistake_costs_its_share_and_is_named(text: str, share: float, said: str) -> None:
    found = judged(text)
    assert found.verdict.value == "fail"
    assert found.share == pytest.approx(share)
    assert said in found.seen
    # what is missing is for the student to find
    assert "haproxy" not in f"{found.expected} {found.seen} {found.hint}"


@pytest.mark.parametrize(
    "both",
    [
        "7000-7001/tcp haproxy",
        "7000, 7001/tcp haproxy",
        "7000,7001/tcp haproxy",
        "7000+7001/tcp haproxy",
        "tcp 7000 and 7001: haproxy",
        "7000 & 7001 tcp haproxy",
        "7000 to 7001, tcp: haproxy",
        "haproxy 7000/tcp, 7001/tcp",
    ],
)
def test_several_ports_of_one_program(both: str) -> None:
    text = BY_HAND.replace("7000/tcp haproxy\n7001/tcp haproxy\n", both)
    assert judged(text).verdict.value == "pass", judged(text).seen


@pytest.mark.parametrize(
    "text",
    [
        BY_HAND.replace("22/tcp sshd", "22/tcp the remote shell"),
        BY_HAND.replace("22/tcp sshd", "On port 22 there is the program sshd"),
    ],
)
def test_what_was_not_understood_is_for_staff(text: str) -> None:
    assert judged(text).for_staff
    assert not judged(BY_HAND.replace("22/tcp sshd\n", "")).for_staff
    assert not judged(BY_HAND + "80/tcp nginx").for_staff


def test_all_programs_at_every_port_are_for_staff() -> None:
    every = " sshd named systemd-networkd haproxy\n"
    said = judged("".join(f"{line.split()[0]}{every}" for line in BY_HAND.splitlines()))
    assert (said.verdict.value, said.for_staff) == ("pass", True)
    for text in (BY_HAND, FROM_SS, FROM_NETSTAT, IN_WORDS):
        assert not judged(text).for_staff


def test_a_socket_that_systemd_holds_goes_by_the_name_of_its_service() -> None:
    held = (Socket("tcp", "::", 22, 1, "systemd", "init.scope", "ssh"),)
    for name in ("sshd", "ssh", "systemd", "init", "1/init"):
        assert judged(f"22/tcp {name}", held).verdict.value == "pass"
    assert judged("22/tcp nginx", held).verdict.value == "fail"


def test_a_vm_on_which_nothing_listens_is_for_staff() -> None:
    assert judged("22/tcp sshd", ()).verdict.value == "error"


def test_what_could_not_be_observed_is_nobodys_fault() -> None:
    (result,) = judge([CHECK], TARGET, evidence_of(BY_HAND, Unobserved("timeout", "too slow")))
    assert result.verdict.value == "error"


def test_it_is_a_question_of_its_own_and_nothing_without_answers() -> None:
    assert (LAB.section_of(CHECK), CHECK.points) == ("services", 2)
    assert CHECK.applies is not None
    assert "--answers" in CHECK.applies(TARGET)


@given(st.text())
def test_whatever_is_written_is_judged(text: str) -> None:
    found = judged(text)
    assert 0 <= found.share <= 1
    assert found.verdict.value in ("pass", "fail")
