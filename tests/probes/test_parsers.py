"""What the probes make of real output, recorded on Debian 12 (BIND 9.18, HAProxy 2.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.agent.remote import mount_table
from labctl.agent.remote.probes import bind as remote_bind
from labctl.agent.remote.probes import haproxy as remote_haproxy
from labctl.agent.remote.probes import http as remote_http
from labctl.agent.remote.probes import mounts as remote_mounts
from labctl.agent.remote.probes import sockets as remote_sockets
from labctl.agent.remote.probes.access import Configuration
from labctl.probes.bind import Bind, records_of
from labctl.probes.haproxy import Haproxy, Running, ServerState, parse_state
from labctl.probes.haproxy_config import parse_config, sections_of
from labctl.probes.nfs import Mount

MOUNTINFO = """\
22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
61 28 0:45 / /mnt rw,relatime shared:35 - nfs4 staff2.decal.xcf.sh:/opt/lab7/private/student1 \
rw,vers=4.2,rsize=131072,wsize=131072,proto=tcp,clientaddr=10.77.0.11,local_lock=none,addr=10.77.0.2
70 28 0:46 / /media/my\\040share ro,relatime - nfs 10.77.0.2:/opt/lab7/public rw,vers=3,addr=10.77.0.2
broken line
"""


def test_the_mount_table() -> None:
    rows = [remote_mounts.told(row) for row in mount_table.parse(MOUNTINFO.splitlines())]
    assert [(row["target"], row["fstype"]) for row in rows][2:] == [
        ("/mnt", "nfs4"),
        ("/media/my share", "nfs"),
    ]
    made = [
        Mount(
            **{
                **row,
                "options": tuple(row["options"]),
                "super_options": tuple(row["super_options"]),
                "entries": (),
            }
        )
        for row in rows[2:]
    ]
    assert (made[0].server, made[0].path) == ("staff2.decal.xcf.sh", "/opt/lab7/private/student1")
    assert made[0].server_address == "10.77.0.2"
    assert [one.writable for one in made] == [True, False]


NAMED = """\
acl "campus" {
\t"localhost";
\t10.77.0.0/24;
};
options {
\tdirectory "/var/cache/bind";
\tallow-query-cache {
\t\t"campus";
\t};
\tallow-recursion {
\t\t"campus";
\t};
\tdnssec-validation auto;
\trecursion yes;
\tallow-query {
\t\t"any";
\t};
};
zone "." {
\ttype hint;
\tfile "/usr/share/dns/root.hints";
};
zone "example.com" {
\ttype master;
\tfile "db.example.com";
};
"""


def a_bind(text: str) -> Bind:
    return Bind(True, "/etc/bind/named.conf", True, "", text, "", True, "", ())


def test_the_zone_of_a_named_configuration() -> None:
    found = Configuration(NAMED)
    assert remote_bind.zone_file(found, "example.com") == "/var/cache/bind/db.example.com"
    assert remote_bind.zone_file(found, "example.org") == ""
    assert remote_bind.zone_file(found, "xample.com") == ""
    assert a_bind(NAMED).zone_type("example.com") == "master"
    assert a_bind(NAMED).zone_type("example.org") == ""


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("", "", ("campus",)),
        ("recursion yes", "recursion no", ()),
        ('allow-recursion {\n\t\t"campus";', 'allow-recursion {\n\t\t"any";', ("any",)),
        ("allow-recursion {", "allow-transfer {", ("campus",)),
        (
            'allow-recursion {\n\t\t"campus";',
            "allow-recursion {\n\t\t!{\n\t\t10.0.0.1;\n\t\t};",
            ("{ ... }",),
        ),
    ],
)
def test_who_may_have_names_resolved(old: str, new: str, allowed: tuple[str, ...]) -> None:
    assert a_bind(NAMED.replace(old, new) if old else NAMED).recursion_for() == allowed


def test_recursion_follows_allow_query_when_nothing_else_is_said() -> None:
    text = NAMED.replace("allow-recursion {", "allow-transfer {").replace(
        "allow-query-cache {", "allow-notify {"
    )
    assert a_bind(text).recursion_for() == ("any",)
    assert a_bind("options {\n};\n").recursion_for() == ("localhost", "localnets")


COMPILED = """\
example.com.                                  3600 IN SOA       Alice.decal.xcf.sh. \
root.alice.decal.xcf.sh. 7 3600 900 2592000 7200
example.com.                                  3600 IN NS        alice.decal.xcf.sh.
example.com.                                  3600 IN A         10.77.0.11
example.com.                                  3600 IN TXT       "two words" "more"
_http._tcp.example.com.                       3600 IN SRV       0 5 7000 WWW.example.com.
www.example.com.                              3600 IN CNAME     api.example.com.
odd line
"""


def test_the_records_of_a_compiled_zone() -> None:
    rows = records_of(COMPILED)
    assert [(one.name, one.type) for one in rows][-2:] == [
        ("_http._tcp.example.com.", "SRV"), ("www.example.com.", "CNAME"),
    ]  # fmt: skip
    assert rows[0].data.startswith("alice.decal.xcf.sh. root.")
    assert rows[3].data == '"two words" "more"'
    assert rows[4].data == "0 5 7000 www.example.com."


@pytest.mark.parametrize("name", [f"{'x' * 64}.", f"{'x.' * 128}", "a..b.", "\\999."])
def test_what_is_no_name_is_no_record(name: str) -> None:
    """Each would be asked for, and no query can be made of it."""
    good = f"{'x' * 63}. 60 IN A 10.0.0.1"
    assert [one.name for one in records_of(f"{name} 60 IN A 10.0.0.1\n{good}")] == [f"{'x' * 63}."]


STATE = """\
# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,\
act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,addr,
door,FRONTEND,,,0,1,262121,28,2212,4180,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,0,,
kitchen,s0,0,0,0,1,,5,395,715,,0,,0,0,0,0,UP,1,1,0,0,0,9,0,,1,3,1,,5,,2,0,127.0.0.1:8080,
kitchen,s1,0,0,0,1,,5,395,715,,0,,0,0,0,0,DOWN 1/2,1,1,0,3,1,9,2,,1,3,2,,5,,2,0,127.0.0.1:8081,
kitchen,s2,0,0,0,1,,5,395,715,,0,,0,0,0,0,no check,1,1,0,,,,,,1,3,3,,5,,2,0,127.0.0.1:8082,
kitchen,BACKEND,0,0,0,1,26213,28,2212,4180,0,0,,0,0,0,0,UP,6,6,0,,0,9,0,,1,3,0,,28,,1,0,,
"""


def test_the_servers_of_haproxys_statistics() -> None:
    rows = parse_state(STATE)
    assert [(one.name, one.status, one.checked) for one in rows] == [
        ("s0", "UP", True), ("s1", "DOWN 1/2", True), ("s2", "no check", False),
    ]  # fmt: skip
    assert rows[0].address == "127.0.0.1:8080"
    assert parse_state("<html>") == ()


CONFIG = """\
global
    log /dev/log local0
defaults
    mode http
    timeout connect 5000
    default-server inter 1s
frontend www
    bind :80,:7000
    bind [::]:7000-7001 v6only
    default_backend app   # the workers
backend app
    balance leastconn
    default-server check fall 2
    server a localhost:8080 weight 3
    server b 127.0.0.1:8081 no-check
    server-template t 2 127.0.0.1:8082 inter 500
listen stats
    bind *:7001
    mode tcp
"""


def test_haproxys_configuration() -> None:
    www, app, stats = parse_config(CONFIG)
    assert (www.kind, www.mode, www.default_backend) == ("frontend", "http", "app")
    assert www.binds == (80, 7000, 7000, 7001)
    assert (app.algorithm, [one.name for one in app.servers]) == ("leastconn", ["a", "b", "t1", "t2"])
    a, b, t1, _ = app.servers
    assert (a.port, a.check, a.inter, a.fall, a.rise, a.weight) == (8080, True, 1.0, 2, 2, 3)
    assert not b.check
    assert t1.inter == 0.5
    assert (stats.mode, stats.algorithm) == ("tcp", "roundrobin")


#: What Python takes for the end of a line, and HAProxy does not.
NO_END = ["\v", "\f", "\x1c", "\x85", "\u2028"]


@pytest.mark.parametrize("odd", NO_END, ids=ascii)
def test_what_was_pasted_into_a_comment_stays_in_it(odd: str) -> None:
    pasted = CONFIG.replace("backend app\n", f"backend app\n  # as on the slides:{odd}backend other\n")
    assert pasted != CONFIG
    assert parse_config(pasted) == parse_config(CONFIG)
    assert [one.header for one in sections_of(pasted)] == [one.header for one in sections_of(CONFIG)]
    sockets = f"  # once:{odd}stats socket /run/old.sock\n  stats socket /run/new.sock\n"
    assert remote_haproxy.socket_in(sockets) == "/run/new.sock"


@pytest.mark.parametrize(
    ("words", "falls", "rises"),
    [
        ("check", 6.0, 4.0),
        ("check inter 1s fall 5 rise 3", 5.0, 3.0),
        ("check inter 4s fastinter 500ms", 5.0, 4.5),
        ("check downinter 30s", 6.0, 32.0),
        ("track other/a", 6.0, 4.0),
    ],
)
def test_how_long_health_checks_may_take(words: str, falls: float, rises: float) -> None:
    (backend,) = parse_config(f"backend b\n server a 127.0.0.1:8080 {words}\n")
    (server,) = backend.servers
    assert (server.check, server.falls, server.rises) == (True, falls, rises)


def test_each_door_has_its_own_balancer() -> None:
    text = "".join(
        f"frontend f{port}\n bind :{port}\n default_backend b{port}\n"
        f"backend b{port}\n server a 127.0.0.1:{port + 80}\n"
        for port in (7000, 8000)
    )
    haproxy = Haproxy(True, (), text, True, "", ())
    ports = range(7080, 8081)
    for _ in range(2):
        found = [haproxy.balancer(ports, door) for door in (7000, 8000)]
        assert [one.name for one in found if one] == ["b7000", "b8000"]
    assert haproxy.balancer(range(1, 2), 7000) is None


@pytest.mark.parametrize(
    ("rules", "gets"),
    [
        ("default_backend one\n use_backend two if TRUE", "two"),
        ("use_backend two\n default_backend one", "two"),
        ("use_backend one if { path /x }\n use_backend two\n use_backend one", "two"),
        ("use_backend one if { path /x }\n use_backend two unless { path /y }", "one"),
        ("use_backend two if { path /x }\n default_backend one", "one"),
        ("use_backend %[hdr(host)]\n default_backend one", "one"),
    ],
)
def test_a_rule_without_a_condition_comes_before_the_default(rules: str, gets: str) -> None:
    text = "".join(
        f"backend {name}\n server a 127.0.0.1:8080\n server b 127.0.0.1:8081\n" for name in ("one", "two")
    )
    for kind in ("frontend door", "listen door"):
        own = " server a 127.0.0.1:8080\n" if kind.startswith("listen") and "default" in rules else ""
        found = Haproxy(True, (), f"{kind}\n bind :7000\n {rules}\n{own}{text}", True, "", ())
        backend = found.balancer(range(8080, 8086), 7000)
        assert backend is not None
        assert backend.name == gets


def test_servers_that_track_have_the_times_of_the_one_that_is_looked_at() -> None:
    text = (
        "backend looked\n server a 127.0.0.1:8080 check inter 10s fall 2\n server b 127.0.0.1:8081 track a\n"
        "backend app\n server x 127.0.0.1:8080 track looked/b\n server y 127.0.0.1:8081 track no/body\n"
        " server v 127.0.0.1:8082 track w\n server w 127.0.0.1:8083 track v\n"
    )
    _, app = parse_config(text)
    assert [(one.check, one.falls) for one in app.servers] == [(True, 20.0)] + 3 * [(True, 6.0)]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("stats socket /run/a.sock mode 660", "/run/a.sock"),
        ('\t stats  socket "/run/a.sock" mode 660', "/run/a.sock"),
        ("stats socket unix@/run/a.sock", "/run/a.sock"),
        ("stats socket ipv4@127.0.0.1:9999\nstats socket /run/b.sock", "/run/b.sock"),
        ("# stats socket /run/a.sock", remote_haproxy.SOCKET),
        ("", remote_haproxy.SOCKET),
    ],
)
def test_the_admin_socket_is_found(line: str, path: str) -> None:
    assert remote_haproxy.socket_in(f"global\n{line}\n") == path
    if path != remote_haproxy.SOCKET:
        told = Haproxy(True, (), f"global\n{line}\n", True, "", ()).admin_socket()
        assert remote_haproxy.socket_in(told) == path


@pytest.mark.parametrize(
    ("line", "guarded"),
    [
        ("stats auth me:secret", True),
        ("stats http-request auth realm x unless { http_auth(people) }", True),
        ("# stats auth me:secret", False),
        ("stats enable", False),
    ],
)
def test_a_statistics_page_may_ask_for_a_password(line: str, guarded: bool) -> None:
    assert Haproxy(True, (), f"listen s\n  {line}\n", True, "", ()).guards_statistics() is guarded


@pytest.mark.parametrize(
    ("argv", "files"),
    [
        ("haproxy -Ws -f /etc/a.cfg -f /etc/b.cfg -p /run/x", ["/etc/a.cfg", "/etc/b.cfg"]),
        ("haproxy -f /etc/a.cfg -- /etc/b.cfg /etc/c.cfg", ["/etc/a.cfg", "/etc/b.cfg", "/etc/c.cfg"]),
        ("haproxy -db -- /etc/b.cfg", ["/etc/b.cfg"]),
        ("haproxy -f own.cfg", [remote_haproxy.CONFIG]),
        ("haproxy -f", [remote_haproxy.CONFIG]),
        ("", [remote_haproxy.CONFIG]),
    ],
)
def test_the_files_that_haproxy_was_started_with(
    monkeypatch: pytest.MonkeyPatch, argv: str, files: list[str]
) -> None:
    monkeypatch.setattr(remote_haproxy, "argv_in_use", lambda *_: argv.split())
    assert remote_haproxy.files_in_use() == files


def test_an_algorithm_that_is_left_out_is_the_one_that_runs() -> None:
    """HAProxy's own choice: roundrobin up to 3.2, random since."""

    def algorithm(balance: str, *running: Running) -> str:
        text = f"backend b\n{balance}\n server a 127.0.0.1:8080\n"
        found = Haproxy(True, (), text, True, "", (), running).balancer(range(8080, 8086), 7000)
        assert found is not None
        return found.algorithm

    assert algorithm("") == "roundrobin"
    assert algorithm("", Running("b", "random", "")) == "random"
    assert algorithm("", Running("another", "random", "")) == "roundrobin"
    assert algorithm("balance leastconn", Running("b", "random", "")) == "leastconn"


@pytest.mark.parametrize(
    ("line", "port", "check", "weight"),
    [
        ("server a '127.0.0.1:8080' \"check\"", 8080, True, 1),
        ("server a 127.0.0.1:8080 cookie a\\ #1 check weight 3", 8080, False, 1),
        ("server a 127.0.0.1:8080 cookie a\\ \\#1 check weight 3", 8080, True, 3),
        ("server a 127.0.0.1:8080 check#on", 8080, True, 1),
        ("server a 127.0.0.1:80² check", 0, True, 1),
        (f"server a 127.0.0.1:8080 check inter {'9' * 400} fall ² rise {'9' * 5000} weight ³", 8080, True, 1),
        ("server a 127.0.0.1:8080 'check", 8080, False, 1),
    ],
)
def test_a_line_is_read_as_haproxy_reads_it(line: str, port: int, check: bool, weight: int) -> None:
    (one,) = parse_config(f"backend x\n    {line}\n")[0].servers
    assert (one.port, one.check, one.weight) == (port, check, weight)


def test_variables_are_what_the_global_section_sets() -> None:
    text = (
        "global\n  setenv DOOR 7000\n  presetenv DOOR 1\n  presetenv FIRST 8080\n"
        'listen x\n  bind "*:${DOOR}"\n'
        '  server a "127.0.0.1:${FIRST}"\n  server b "${HOST-127.0.0.1}:8081"\n  server c "x:${OTHER}"\n'
    )
    (one,) = parse_config(text)
    assert one.binds == (7000,)
    assert [(server.host, server.port) for server in one.servers] == [
        ("127.0.0.1", 8080),
        ("127.0.0.1", 8081),
        ("x", 0),
    ]
    state = (ServerState("x", "a", "UP", "127.0.0.1:1"), ServerState("x", "c", "UP", "127.0.0.1:8082"))
    (one,) = Haproxy(True, (), text, True, "", state).proxies()
    assert [server.port for server in one.servers] == [8080, 8081, 8082]


def test_a_section_may_take_defaults_by_their_name() -> None:
    text = (
        "defaults base\n  mode http\n  balance random\n  default-server check\n"
        "defaults more from base\n  option httplog\n"
        "defaults other\n  mode tcp\n"
        "backend x from base\n  server a 127.0.0.1:1\n"
        "backend y from more\n  server a 127.0.0.1:1\n"
        "backend z\n  server a 127.0.0.1:1\n"
    )
    found = [(one.name, one.mode, one.algorithm, one.servers[0].check) for one in parse_config(text)]
    assert found == [
        ("x", "http", "random", True),
        ("y", "http", "random", True),
        ("z", "tcp", "roundrobin", False),
    ]


def test_defaults_end_with_the_next_defaults() -> None:
    text = (
        "defaults\n  mode http\n  balance source\ndefaults\n  mode tcp\nbackend x\n  server a 127.0.0.1:1\n"
    )
    (one,) = parse_config(text)
    assert (one.mode, one.balance) == ("tcp", "")
    assert replace(one, balance="source").algorithm == "source"


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\n<html>", 503, "<html>"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            200,
            "abcde",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200, ""),
        (b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\nworker 3\r\n\r\n", 200, "worker 3\r\n\r\n"),
        (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n", 200, "abc"),
        (b"HTTP/1.1 200\n\n", 200, ""),
        (b"", 0, ""),
        (b"SSH-2.0-OpenSSH\r\n", 0, ""),
        (b"HTTP/1.1 abc\r\n\r\n", 0, ""),
        # a number that Python itself refuses to read
        (b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n", 0, ""),
        (b"HTTP/1.1 200 OK\r\n", 0, ""),
    ],
)
def test_http_answers(data: bytes, status: int, body: str) -> None:
    reply = remote_http.parse(data, 100)
    assert (reply["status"], reply["body"]) == (status, body)


def test_addresses_in_the_kernels_tables() -> None:
    assert remote_sockets.address_of("0100007F", 4) == "127.0.0.1"
    assert remote_sockets.address_of("00000000000000000000000001000000", 6) == "::1"
