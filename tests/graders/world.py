"""A student's VM made of observations: right in everything, until a case breaks something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from balancers import ALGORITHMS

from labctl.grading import Check, Clock, Evidence, Result, Target, judge, load_lab
from labctl.grading.answers import Answers, add_answers
from labctl.probes import (
    Addresses,
    Bind,
    Candidate,
    CrashReport,
    Directory,
    DnsAnswer,
    Firewall,
    Haproxy,
    Mount,
    Mounts,
    Observed,
    Package,
    Packages,
    Record,
    Replies,
    Reply,
    Request,
    Resolvers,
    ServerState,
    Settled,
    ShareTrial,
    Shot,
    ShotReplies,
    ShotReply,
    Socket,
    Sockets,
    Unit,
    Units,
    Unobserved,
    WorkerGroup,
    WriteTrial,
)

ROOT = Path(__file__).parent.parent.parent
LAB = load_lab(ROOT / "graders" / "lab7")

TARGET = Target(
    name="student1",
    address="127.77.0.11",
    lab_user="alice",
    lab_fqdn="alice.decal.xcf.sh",
    lab_address="10.77.0.11",
    nfs_server="staff2.decal.xcf.sh",
    nfs_server_address="10.77.0.2",
    nonce="00c0ffee00c0ffee",
    has_staff=True,
    ports={"53": 20053},
)

CONFIG = """\
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
listen stats
    bind *:7001
    stats enable
    stats uri /stats
frontend door
    bind *:7000
    default_backend kitchen
backend kitchen
    balance roundrobin
""" + "".join(f"    server s{n} 127.0.0.1:{8080 + n} check\n" for n in range(6))

NAMED = """\
options {
\tallow-recursion {
\t\t"localhost";
\t\t10.77.0.0/24;
\t};
};
zone "example.com" {
\ttype master;
\tfile "/etc/bind/db.example.com";
};
"""

RECORDS = (
    Record(
        "example.com.", "SOA", "alice.decal.xcf.sh. root.alice.decal.xcf.sh. 7 3600 900 2592000 7200", 3600
    ),
    Record("example.com.", "NS", "alice.decal.xcf.sh.", 3600),
    Record("example.com.", "A", "10.77.0.11", 3600),
    Record("test.example.com.", "A", "93.184.216.34", 3600),
    Record("api.example.com.", "A", "10.77.0.12", 3600),
    Record("www.example.com.", "CNAME", "api.example.com.", 3600),
    Record("example.com.", "TXT", '"hello"', 3600),
)

SECRET = "bananaboat"

REFUSED = Replies((Reply(0, "", "refused"),), 0.0)
SILENT = Replies((Reply(0, "", "timeout"),) * 2, 8.0)


def greeting(number: int) -> Reply:
    return Reply(200, f"Hello, I am ID {number}\n", "")


def unit(name: str, **changes: Any) -> Unit:
    usual = Unit(name, name, "loaded", "active", "running", "enabled", 100, "success")
    return replace(usual, **changes)


def mount(**changes: Any) -> Mount:
    usual = Mount(
        target="/mnt",
        source="staff2.decal.xcf.sh:/opt/lab7/private/alice",
        fstype="nfs4",
        options=("relatime", "rw"),
        super_options=("addr=10.77.0.2", "rw", "vers=4.2"),
        answers="yes",
        error="",
        entries=("note.txt",),
    )
    return replace(usual, **changes)


GROUP = WorkerGroup(
    ports=tuple(range(8080, 8086)), kind="hand", unit="", user="alice", gid=1000, groups=(1000,),
    argv=("python3", "server.py"), exe="/usr/bin/python3.11", cwd="/home/alice", cgroup="/user.slice",
    environ="ab", umask=18, ignored=0, nice=0, nofile=(1024, 4096), stdio=("tty /dev/pts/0",) * 3,
)  # fmt: skip


def states(down: Sequence[int] = (), status: str = "UP") -> tuple[ServerState, ...]:
    return tuple(ServerState("kitchen", f"s{n}", "DOWN" if n in down else status, "") for n in range(6))


def right_crash() -> CrashReport:
    rest = [1, 2, 3, 4, 5] * 3
    return CrashReport(
        refused="",
        before=(GROUP,),
        crash=Replies((Reply(200, "Crashing ID 0!\n", ""),), 0.1),
        down=Settled(True, 6.0, states([0])),
        rotation=Replies(tuple(greeting(n) for n in rest), 0.4),
        last=Replies((), 0.2),
        staying=(),
        empty=Replies((Reply(503, "<html>", ""),) * 2, 0.1),
        restarted=("python3 server.py",),
        problems=(),
        after=(GROUP,),
        up=Settled(True, 5.0, states()),
        restored=True,
        seconds=20.0,
    )


def crash_of(ids: Sequence[int]) -> CrashReport:
    """The experiment with these ids after worker 0 has crashed."""
    return replace(right_crash(), rotation=Replies(tuple(greeting(n) for n in ids), 0.4))


#: Health checks and reloads take so many seconds.
SETTLED = 3.0


@dataclass
class World:
    """What each probe would observe. ``served`` is what the DNS server knows, ``bind.records`` what is on
    disk.
    """

    installed: set[str] = field(default_factory=lambda: {"nfs-common", "bind9", "haproxy"})
    units: dict[str, Unit] = field(
        default_factory=lambda: {
            name: unit(name) for name in ("named.service", "bind9.service", "haproxy.service")
        }
    )
    mounts: list[Mount] = field(default_factory=lambda: [mount()])
    share: ShareTrial = field(
        default_factory=lambda: ShareTrial(
            "staff2.decal.xcf.sh:/opt/lab7/public", "", ("secret.txt",), "EROFS", 1.0
        )
    )
    #: The private share, mounted afresh.
    fresh: ShareTrial = field(
        default_factory=lambda: ShareTrial(
            "staff2.decal.xcf.sh:/opt/lab7/private/alice", "", ("note.txt",), "created", 1.0
        )
    )
    write: WriteTrial = field(default_factory=lambda: WriteTrial(True, "", "seen", True))
    staff_entries: tuple[str, ...] = ("note.txt",)
    bind: Bind = field(
        default_factory=lambda: Bind(
            True, "/etc/bind/named.conf", True, "", NAMED, "/etc/bind/db.example.com", True, "OK", RECORDS
        )
    )
    served: tuple[Record, ...] = RECORDS
    #: What is served when BIND has loaded it; empty: what it serves already.
    loading: tuple[Record, ...] = ()
    named: str = "answered"
    outside: dict[str, str] = field(default_factory=lambda: {"udp": "answered", "tcp": "answered"})
    outside_rcode: str = "NXDOMAIN"
    #: What others are served, in a view of theirs; empty: the same.
    elsewhere: tuple[Record, ...] = ()
    recursion: bool = False
    port_53: tuple[str, ...] = ("named",)
    #: What listens besides, and ufw: on, and closed to everybody.
    listening: tuple[Socket, ...] = ()
    firewall: Firewall = field(default_factory=lambda: Firewall(True, True, ()))
    haproxy: Haproxy = field(
        default_factory=lambda: Haproxy(True, ("/etc/haproxy/haproxy.cfg",), CONFIG, True, "", states())
    )
    workers: set[int] = field(default_factory=lambda: set(range(6)))
    order: list[int] = field(default_factory=lambda: [n % 6 for n in range(240)])
    door: Replies | None = None
    door_outside: Replies | None = None
    page: Replies | None = None
    page_outside: Replies | None = None
    #: Seconds for a request from outside.
    way: float = 0.01
    never_up: bool = False
    #: With ``turns_count`` every request takes the next of ``order``, as a balancer does.
    turns_count: bool = False
    answered: int = 0
    #: What the running balancer does, and its weights; empty is what the configuration says. ``sticky``: its
    #: cookies work.
    balances: str = ""
    shares: tuple[int, ...] = ()
    sticky: bool = True
    #: What the balancer answers before its health checks have seen all workers.
    before_settled: list[int] = field(default_factory=list)
    crash: CrashReport = field(default_factory=right_crash)
    #: Probe names (or name-vantage) that cannot be observed.
    lost: set[str] = field(default_factory=set)
    asked: list[list[Request[Any]]] = field(default_factory=list)
    #: Seconds on its clock, which only runs while something is waited for.
    now: float = 0.0
    #: What the student wrote, by question; None when no answers were handed in.
    answers: dict[str, str] | None = None
    secret_known: bool = True
    resolvers: Resolvers = field(
        default_factory=lambda: Resolvers(
            ("127.0.0.53",), ("10.0.2.3",), "/run/systemd/resolve/stub-resolv.conf"
        )
    )
    candidate: Candidate = field(default_factory=lambda: Candidate(True, True, ""))

    def fetch(self, requests: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        self.asked.append(list(requests))
        return {one.key: Observed(self.observe(one), 0.1) for one in requests}

    def observe(self, request: Request[Any]) -> Any:
        name, args = request.probe.name, request.args
        if "settles_within" in args and self.now >= SETTLED:
            self._settle()
        if name in self.lost or f"{name}-{request.vantage}" in self.lost:
            return Unobserved("timeout", f"{name}: no result")
        if name == "dns":
            return self._dns(args, request.vantage == "outside")
        if name == "http":
            return self._http(args, request.vantage == "outside")
        if name == "http_shots":
            return self._shots(args)
        simple = {
            "packages": lambda: Packages(
                tuple(
                    Package(n, "installed" if n in self.installed else "absent", "1") for n in args["names"]
                )
            ),
            "units": lambda: Units(
                True,
                tuple(self.units.get(n, unit(n, load="not-found", active="inactive")) for n in args["names"]),
            ),
            "sockets": lambda: Sockets(
                (*(Socket("udp", "0.0.0.0", 53, 9, one) for one in self.port_53), *self.listening)
            ),
            "firewall": lambda: self.firewall,
            "addresses": lambda: Addresses("alice", "alice.decal.xcf.sh", ("10.0.2.15", "10.77.0.11")),
            "directory": lambda: Directory(True, self.staff_entries, ""),
            "mounts": lambda: Mounts(tuple(self.mounts), 20),
            "share_trial": lambda: self.fresh if "private" in args["sources"][0] else self.share,
            "write_trial": lambda: self.write,
            "bind": lambda: self.bind,
            "haproxy": lambda: self.haproxy,
            "crash": lambda: self.crash,
            "resolvers": lambda: self.resolvers,
            "candidate": lambda: self.candidate,
        }
        return simple[name]()

    def _settle(self) -> None:
        """After a while a server whose worker answers is UP, unless its checks never succeed."""
        after = tuple(
            replace(one, status="UP") if int(one.name[1:]) in self.workers and not self.never_up else one
            for one in self.haproxy.state
        )
        self.haproxy = replace(self.haproxy, state=after)
        self.before_settled = []
        self.served = self.loading or self.served

    def _dns(self, args: Any, outside: bool) -> DnsAnswer:
        status = self.outside["tcp" if args["tcp"] else "udp"] if outside else self.named
        if self.named != "answered":
            status = self.named
        if status != "answered":
            return DnsAnswer(status, "", False, False, (), (), 3.0)
        name = str(args["name"]).lower().rstrip(".") + "."
        zone = (outside and self.elsewhere) or self.served
        found = tuple(one for one in zone if one.name == name and one.type == args["type"])
        known = any(one.name == name for one in self.served)
        rcode = self.outside_rcode if outside else "NOERROR" if known else "NXDOMAIN"
        if args["type"] == "NS" and name != "example.com." and found:
            # a delegation: followed, and nobody is there, or told
            rcode, authority = ("SERVFAIL", ()) if args["recurse"] else ("NOERROR", found)
            return DnsAnswer("answered", rcode, False, False, (), authority, 0.01)
        return DnsAnswer("answered", rcode, rcode != "REFUSED", outside and self.recursion, found, (), 0.01)

    def _http(self, args: Any, outside: bool) -> Replies:
        port, count = args["port"], args["count"]
        if port in range(8080, 8086):
            number = port - 8080
            return Replies((greeting(number),), 0.01) if number in self.workers else REFUSED
        if port == 7001:
            return (self.page_outside if outside else self.page) or page(self.haproxy.state)
        fixed = self.door_outside if outside else self.door
        order = (self.before_settled or self.order)[self.answered :]
        if self.turns_count:
            self.answered += count
        took = self.way * count if outside else 0.2
        return fixed or Replies(tuple(greeting(n) for n in order[:count]), took)

    def _shots(self, args: Any) -> ShotReplies:
        backend = self.haproxy.balancer(range(8080, 8086), 7000)
        assert backend is not None
        servers = [one for one in backend.servers if one.weight and one.port - 8080 in self.workers]
        make = ALGORITHMS[self.balances or backend.balance or "roundrobin"][1]
        balancer = make(self.shares or tuple(one.weight for one in servers), Random(7))
        replies = []
        for told in args["shots"]:
            shot = Shot(**{**told, "headers": tuple(map(tuple, told["headers"]))})
            sent = dict(shot.headers).get("Cookie", "").partition("=")[2]
            number = servers[balancer.choose(shot)].port - 8080
            if sent and self.sticky:
                number = int(sent)
            elif shot.hold:
                balancer.busy[number] += 1
            cookies = (f"{backend.cookie}={number}",) if backend.cookie and not sent else ()
            replies.append(ShotReply(200, f"Hello, I am ID {number}\n", "", cookies, shot.hold))
        return ShotReplies(tuple(replies), 0.3)

    def judge(self, target: Target = TARGET, only: Sequence[str] = ()) -> list[Result]:
        self.evidence = Evidence()
        if self.answers is not None:
            secrets = {"lab_secret": SECRET} if self.secret_known else {}
            target = replace(target, answered=True, secrets=tuple(secrets))
            add_answers(self.evidence, Answers("student1.yml", self.answers), LAB.rubric, secrets)
        self.target = target
        return judge(
            applicable(target, only), target, self.evidence, self.fetch, Clock(lambda: self.now, self._pass)
        )

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def lost_checks(self, target: Target = TARGET) -> dict[str, str]:
        """What is not a PASS: check id -> verdict. What is optional costs nothing."""
        return {
            one.check.id: one.verdict.value
            for one in self.judge(target)
            if one.verdict.value != "pass" and not one.check.optional
        }

    def told(self, check: str) -> Result:
        """What one check comes to."""
        return next(one for one in self.judge() if one.check.id == check)


def applicable(target: Target = TARGET, only: Sequence[str] = ()) -> list[Check]:
    """The lab's checks that apply to a VM."""
    return [one for one in LAB.choose(only) if not (one.applies and one.applies(target))]


def page(servers: Sequence[ServerState]) -> Replies:
    lines = ["# pxname,svname,status,type,addr,"]
    lines += [f"{one.proxy},{one.name},{one.status},2,{one.address}," for one in servers]
    return Replies((Reply(200, "\n".join(lines) + "\n", ""),), 0.05)
