"""Ways to be wrong in lab 7, each with what it costs, and honest ways to be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from world import (
    CONFIG,
    RECORDS,
    REFUSED,
    SILENT,
    World,
    applicable,
    greeting,
    mount,
    right_crash,
    states,
    unit,
)

from labctl.probes import Record, Replies, Reply, Settled, Socket, WriteTrial

Break = Callable[[World], None]


@dataclass(frozen=True)
class Case:
    """``lost``: what must not pass, "fail" unless a verdict is given after a colon; "+after" adds what
    depends on it.
    """

    name: str
    breaks: Break
    lost: tuple[str, ...]
    after: tuple[str, ...] = field(default=())


def dependants(*ids: str) -> set[str]:
    """All checks that are skipped when these fail."""
    found = set(ids)
    for one in applicable():
        if found & set(one.after) and not one.optional:
            found.add(one.id)
    return found - set(ids)


#: Another backend with all workers, without checks.
OTHER_BACKEND = "backend {}\n    balance {}\n" + "".join(
    f"    server s{n} 127.0.0.1:{8080 + n}\n" for n in range(6)
)
CHECKED = re.sub(r"(:808\d)", r"\1 check", OTHER_BACKEND)
UNKNOWN = Replies((Reply(503, "x", ""),), 0.0)
#: What HAProxy says where a password is asked for.
LOCKED = Replies((Reply(401, "<html>", ""),), 0.0)


def change(**fields: object) -> Break:
    def apply(world: World) -> None:
        for name, value in fields.items():
            setattr(world, name, value)

    return apply


def config(old: str, new: str) -> Break:
    def apply(world: World) -> None:
        assert old in world.haproxy.text
        world.haproxy = replace(world.haproxy, text=world.haproxy.text.replace(old, new))

    return apply


def bind(**fields: object) -> Break:
    return lambda world: setattr(world, "bind", replace(world.bind, **fields))  # type: ignore[arg-type]


def named(old: str, new: str, recursion: bool = True) -> Break:
    def apply(world: World) -> None:
        assert old in world.bind.text
        world.bind = replace(world.bind, text=world.bind.text.replace(old, new))
        world.recursion = recursion

    return apply


def bind_text(end: str, more: str) -> Break:
    """The configuration with another end."""

    def apply(world: World) -> None:
        assert world.bind.text.endswith(end)
        world.bind = replace(world.bind, text=world.bind.text.removesuffix(end) + more)

    return apply


def units(**fields: object) -> Break:
    """Of the DNS server, under both its names."""
    names = ("named.service", "bind9.service")
    return lambda world: world.units.update({name: unit(name, **fields) for name in names})


def both(*changes: Break) -> Break:
    def apply(world: World) -> None:
        for one in changes:
            one(world)

    return apply


def records(*kept: Record) -> Break:
    """On disk and served."""
    return both(bind(records=kept), change(served=kept))


def without(kind: str, name: str = "") -> tuple[Record, ...]:
    return tuple(one for one in RECORDS if one.type != kind or (name and one.name != name))


def data(kind: str, name: str, value: str) -> tuple[Record, ...]:
    return tuple(replace(one, data=value) if (one.type, one.name) == (kind, name) else one for one in RECORDS)


def crash(**fields: object) -> Break:
    return change(crash=replace(right_crash(), **fields))  # type: ignore[arg-type]


def order(ids: list[int]) -> Break:
    return change(order=(ids * 240)[:240])


def uncheck(world: World) -> None:
    world.haproxy = replace(
        world.haproxy,
        text=world.haproxy.text.replace(" check", ""),
        state=states(status="no check"),
    )


def nobody(world: World) -> None:
    """All workers are down, the balancer says so."""
    world.workers = set()
    world.door = world.door_outside = Replies((Reply(503, "<html>", ""),) * 2, 1.0)
    world.haproxy = replace(world.haproxy, state=states(range(6)))


def one_dead(world: World) -> None:
    world.workers = {0, 1, 2, 4, 5}
    world.order = [[0, 1, 2, 4, 5][n % 5] for n in range(240)]
    world.haproxy = replace(world.haproxy, state=states([3]))


CASES = [
    Case("no-nfs-common", change(installed={"bind9", "haproxy"}), ("nfs.package",)),
    Case("nothing-mounted", change(mounts=[]), ("nfs.mounted",)),
    Case(
        "mounted-from-elsewhere",
        change(mounts=[mount(source="other:/opt/lab7/private/alice", super_options=("addr=10.1.1.1", "rw"))]),
        ("nfs.mounted",),
    ),
    Case(
        "public-instead-of-private",
        change(mounts=[mount(source="staff2.decal.xcf.sh:/opt/lab7/public")]),
        ("nfs.source",),
    ),
    Case(
        "another-students-directory",
        change(mounts=[mount(source="staff2.decal.xcf.sh:/opt/lab7/private/alicia")]),
        ("nfs.source",),
    ),
    Case("stale", change(mounts=[mount(answers="hung", entries=())]), ("nfs.responds",)),
    Case(
        "stale-handle", change(mounts=[mount(answers="error", error="ESTALE", entries=())]), ("nfs.responds",)
    ),
    Case("read-only", change(mounts=[mount(options=("ro",))]), ("nfs.read-write",)),
    Case(
        "read-only-super", change(mounts=[mount(super_options=("addr=10.77.0.2", "ro"))]), ("nfs.read-write",)
    ),
    Case(
        "nothing-created",
        change(mounts=[mount(entries=())], staff_entries=()),
        ("nfs.item", "nfs.item-on-server"),
    ),
    Case("created-elsewhere", change(staff_entries=()), ("nfs.item-on-server",)),
    Case("write-refused", change(write=WriteTrial(False, "EACCES", "unasked", True)), ("nfs.write",)),
    Case(
        "write-lands-elsewhere", change(write=WriteTrial(True, "", "absent", True)), ("nfs.write-on-server",)
    ),
    Case(
        "served-by-the-vm-itself",
        change(mounts=[mount(super_options=("addr=127.0.0.1", "rw"))]),
        ("nfs.mounted",),
    ),
    Case("no-bind9", change(installed={"nfs-common", "haproxy"}), ("dns.package",)),
    Case(
        "named-stopped",
        both(
            units(active="inactive", sub="dead"),
            change(named="refused", port_53=()),
        ),
        ("dns.active", "dns.answers"),
    ),
    Case(
        "named-not-enabled",
        units(enabled="disabled"),
        ("dns.enabled",),
    ),
    Case("dnsmasq-has-53", change(port_53=("dnsmasq", "named")), ("dns.port",)),
    Case("bad-config", bind(config_valid=False, text="", zone_file="", zone_valid=False), ("dns.config",)),
    Case("no-zone", bind(zone_file="", zone_valid=False, records=()), ("dns.zone",)),
    Case(
        "zone-typo", bind(zone_valid=False, zone_message="line 7: unknown RR type", records=()), ("dns.zone",)
    ),
    Case("slave", named("type master", "type slave", False), ("dns.zone",)),
    Case("not-loaded", change(served=()), ("dns.answers",)),
    Case("wrong-apex", records(*data("A", "example.com.", "10.9.9.9")), ("dns.apex-address",)),
    Case(
        "one-apex-too-many",
        records(*RECORDS, Record("example.com.", "A", "127.0.0.1", 60)),
        ("dns.apex-address",),
    ),
    Case(
        "ns-doubled",
        records(*data("NS", "example.com.", "alice.decal.xcf.sh.example.com.")),
        ("dns.apex-ns",),
    ),
    Case("wrong-test", records(*data("A", "test.example.com.", "93.184.216.43")), ("dns.test-address",)),
    Case(
        "no-own-address",
        records(*[one for one in RECORDS if one.name != "api.example.com."]),
        ("dns.own-address",),
    ),
    Case("one-other-type", records(*without("TXT")), ("dns.own-others",)),
    Case(
        "no-other-type", records(*[r for r in RECORDS if r.type not in ("TXT", "CNAME")]), ("dns.own-others",)
    ),
    Case(
        "edited-not-reloaded",
        bind(
            records=(
                *data("SOA", "example.com.", RECORDS[0].data.replace(" 7 ", " 8 ")),
                Record("late.example.com.", "TXT", '"x"', 60),
            )
        ),
        ("dns.reloaded",),
    ),
    Case(
        "records-without-serial",
        bind(records=(*RECORDS, Record("late.example.com.", "TXT", '"x"', 60))),
        ("dns.reloaded",),
    ),
    Case("udp-closed", change(outside={"udp": "timeout", "tcp": "answered"}), ("dns.outside-udp",)),
    Case("tcp-closed", change(outside={"udp": "answered", "tcp": "timeout"}), ("dns.outside-tcp",)),
    Case(
        "only-on-loopback",
        change(outside={"udp": "refused", "tcp": "refused"}),
        ("dns.outside-udp", "dns.outside-tcp"),
    ),
    Case("zone-not-for-all", change(outside_rcode="REFUSED"), ("dns.outside-udp", "dns.outside-tcp")),
    Case(
        "another-zone-outside",
        change(elsewhere=data("A", "test.example.com.", "1.2.3.4")),
        ("dns.outside-udp", "dns.outside-tcp"),
    ),
    Case(
        "open-but-not-for-the-grader",
        named('"localhost";\n', "!127.0.0.0/8;\n\t\tany;\n", recursion=False),
        ("dns.no-open-recursion",),
    ),
    Case("open-resolver", named('"localhost";\n', "any;\n"), ("dns.no-open-recursion",)),
    Case("open-by-prefix", named("10.77.0.0/24", "0.0.0.0/0"), ("dns.no-open-recursion",)),
    Case(
        "open-to-half-of-the-world-and-not-to-the-grader",
        named('"localhost";\n', "128.0.0.0/1;\n", recursion=False),
        ("dns.no-open-recursion",),
    ),
    Case(
        "open-to-ipv6-alone", named('"localhost";\n', "::/0;\n", recursion=False), ("dns.no-open-recursion",)
    ),
    Case(
        "open-in-the-view-of-the-rest",
        both(
            named(
                "zone ", 'view "campus" {\n\tmatch-clients {\n\t\t10.0.0.0/8;\n\t\tlocalhost;\n\t};\nzone '
            ),
            bind_text("};\n", '};\n};\nview "rest" {\n\tallow-recursion {\n\t\t"any";\n\t};\n};\n'),
        ),
        ("dns.no-open-recursion",),
    ),
    Case("open-by-allow-query", named("allow-recursion", "allow-query"), ()),
    Case(
        "open-by-inheritance",
        both(named("allow-recursion", "allow-query"), named('"localhost";\n', "any;\n")),
        ("dns.no-open-recursion",),
    ),
    Case("no-haproxy", change(installed={"nfs-common", "bind9"}), ("lb.package",)),
    Case("haproxy-config", lambda w: setattr(w, "haproxy", replace(w.haproxy, valid=False)), ("lb.config",)),
    Case(
        "haproxy-not-enabled",
        lambda w: w.units.update({"haproxy.service": unit("haproxy", enabled="disabled")}),
        ("lb.active",),
    ),
    Case(
        "health-checks-never-succeed",
        both(
            lambda w: setattr(w, "haproxy", replace(w.haproxy, state=states([4]))),
            change(never_up=True),
            order([0, 1, 2, 3, 5]),
        ),
        ("lb.shares", "lb.all-up"),
    ),
    Case("one-worker-dead", one_dead, ("lb.workers", "lb.all-up")),
    Case("no-worker", nobody, ("lb.workers", "lb.all-up")),
    Case(
        "server-missing",
        both(
            config("    server s4 127.0.0.1:8084 check\n", ""),
            order([0, 1, 2, 3, 5]),
            crash(rotation=Replies(tuple(greeting(n) for n in [1, 2, 3, 5] * 4), 0.4)),
        ),
        ("lb.servers",),
    ),
    Case("nobody-on-7000", change(door=REFUSED, door_outside=REFUSED), ("lb.frontend",)),
    Case(
        "something-else-on-7000",
        change(
            door=Replies((Reply(200, "It works!", ""),), 0.1),
            door_outside=Replies((Reply(200, "It works!", ""),), 0.1),
        ),
        ("lb.frontend",),
    ),
    Case(
        "the-one-on-7000-is-not-the-units",
        change(listening=(Socket("tcp", "0.0.0.0", 7000, 9, "haproxy", "session-3.scope"),)),
        ("lb.frontend",),
    ),
    Case("faked-worker-left-out", order([0, 1, 2, 3, 4]), ("lb.shares",)),
    Case("unequal", order([0, 0, 1, 2, 3, 4, 5]), ("lb.shares",)),
    Case(
        # the crash is watched from another address than the shares: another worker, and the same fault
        "source-configured-as-roundrobin",
        both(order([4]), crash(rotation=Replies(tuple(greeting(3) for _ in range(15)), 0.4))),
        ("lb.order", "lb.shares"),
    ),
    Case(
        "random-configured-as-roundrobin",
        order([3, 1, 5, 0, 2, 2, 4, 1, 3, 0, 5, 4, 0, 3, 1, 4, 2, 5]),
        ("lb.order", "lb.shares"),
    ),
    Case(
        "errors-among-answers",
        lambda w: setattr(
            w,
            "door_outside",
            Replies(tuple(greeting(n % 6) if n % 6 != 5 else Reply(503, "x", "") for n in range(24)), 0.3),
        ),
        ("lb.shares",),
    ),
    Case("stats-elsewhere", change(page=REFUSED, page_outside=REFUSED), ("lb.stats",)),
    Case(
        "stats-uri",
        change(page=Replies((Reply(503, "x", ""),), 0), page_outside=Replies((Reply(503, "x", ""),), 0)),
        ("lb.stats",),
    ),
    Case("no-checks", uncheck, ("lb.health-checks",)),
    Case(
        "checks-in-a-backend-that-nobody-gets-to",
        both(
            config("default_backend kitchen", "default_backend pantry"),
            config("backend kitchen\n", f"{OTHER_BACKEND.format('pantry', 'roundrobin')}backend kitchen\n"),
            lambda w: setattr(w, "haproxy", replace(w.haproxy, state=())),
            change(page=UNKNOWN, page_outside=UNKNOWN),
        ),
        ("lb.health-checks", "lb.stats"),
    ),
    Case(
        "a-rule-for-all-sends-them-to-another-backend",
        both(
            config("default_backend kitchen\n", "default_backend kitchen\n    use_backend pantry if TRUE\n"),
            config(
                "\nbackend kitchen\n", f"\n{OTHER_BACKEND.format('pantry', 'roundrobin')}backend kitchen\n"
            ),
            lambda w: setattr(w, "haproxy", replace(w.haproxy, state=())),
            change(page=UNKNOWN, page_outside=UNKNOWN),
        ),
        ("lb.health-checks", "lb.stats"),
    ),
    Case(
        "a-door-without-a-backend",
        both(config(CONFIG[CONFIG.index("backend kitchen") :], ""), nobody),
        ("lb.workers", "lb.servers", "lb.frontend"),
    ),
    Case(
        "of-its-own-types-one-is-db-locals",
        records(*(one for one in RECORDS if one.type != "TXT"), Record("example.com.", "AAAA", "::1", 60)),
        ("dns.own-others",),
    ),
    Case(
        "signed-and-nothing-else-of-its-own",
        records(
            *(one for one in RECORDS if one.type not in ("TXT", "CNAME")),
            Record("example.com.", "DNSKEY", "257 3 13 x", 60),
            Record("example.com.", "NSEC", "api.example.com. A", 60),
        ),
        ("dns.own-others",),
    ),
    Case("7000-closed", change(door_outside=SILENT), ("lb.reach-frontend",)),
    Case("7001-closed", change(page_outside=SILENT), ("lb.reach-stats",)),
    Case("crash-not-passed-on", crash(crash=Replies((Reply(404, "no", ""),), 0.1)), ("lb.crash-down",)),
    Case("never-down", crash(down=Settled(False, 12.0, states())), ("lb.crash-down",)),
    Case(
        "errors-after-the-crash",
        crash(
            rotation=Replies((greeting(1), Reply(503, "x", ""), *[greeting(n) for n in (2, 3, 4, 5)]), 0.3)
        ),
        ("lb.crash-rotation",),
    ),
    Case(
        "round-without-one-of-the-rest",
        crash(rotation=Replies(tuple(greeting(n) for n in [1, 2, 3, 5] * 4), 0.4)),
        ("lb.crash-rotation",),
    ),
    Case("tcp-mode", crash(empty=Replies((Reply(0, "", "reset"),) * 2, 0.1)), ("lb.crash-503",)),
    Case("not-up-again", crash(up=Settled(False, 20.0, states([2]))), ("lb.recovered",)),
]
