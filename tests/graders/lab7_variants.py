"""Honest ways to be right in lab 7, other than the world's own."""

from __future__ import annotations

from dataclasses import replace

from lab7_cases import (
    CHECKED,
    LOCKED,
    OTHER_BACKEND,
    bind,
    bind_text,
    both,
    change,
    config,
    crash,
    data,
    named,
    order,
    records,
)
from world import RECORDS, greeting, mount, page, states

from labctl.probes import Record, Replies, Reply, Socket

VARIANTS = {
    "mounted-beside-a-stale-one": change(
        mounts=[mount(), mount(target="/media", answers="hung", entries=(), options=("ro",))]
    ),
    "another-backend-first": config(
        "\nbackend kitchen\n", f"\n{OTHER_BACKEND.format('spare', 'source')}backend kitchen\n"
    ),
    "the-second-backend-in-use": both(
        config("default_backend kitchen", "default_backend pantry"),
        config("backend kitchen\n    balance roundrobin", "backend kitchen\n    balance random"),
        lambda w: setattr(
            w,
            "haproxy",
            replace(
                w.haproxy,
                text=w.haproxy.text + CHECKED.format("pantry", "roundrobin"),
                state=(*w.haproxy.state, *(replace(one, proxy="pantry") for one in w.haproxy.state)),
            ),
        ),
    ),
    "statistics-with-a-password": both(
        config("    stats enable\n", "    stats enable\n    stats auth admin:secret\n"),
        change(page=LOCKED, page_outside=LOCKED),
    ),
    "a-name-of-the-internal-view-alone": change(elsewhere=tuple(one for one in RECORDS if one.type != "TXT")),
    "started-by-hand-while-the-unit-has-the-port": change(
        listening=(
            Socket("tcp", "0.0.0.0", 9000, 8, "haproxy", "session-3.scope"),
            Socket("tcp", "0.0.0.0", 7000, 9, "haproxy", "haproxy.service"),
        )
    ),
    "any-may-ask-and-the-cache-is-for-the-campus": named(
        "};\nzone", "\tallow-query-cache {\n\t\t10.0.0.0/8;\n\t};\n};\nzone", recursion=True
    ),
    "recursion-for-any-and-the-cache-for-the-campus": both(
        named('"localhost";\n', '"any";\n'),
        named("};\nzone", "\tallow-query-cache {\n\t\t10.0.0.0/8;\n\t};\n};\nzone", recursion=True),
    ),
    "open-to-nobody-in-the-only-view": both(
        named('"localhost";\n', '"any";\n'),
        named("zone ", 'view "all" {\n\trecursion no;\nzone ', recursion=False),
        bind_text("};\n", "};\n};\n"),
    ),
    "private-networks-of-ipv6": named('"localhost";\n', '"localhost";\n\t\tfc00::/7;\n'),
    "many-records-of-a-type": records(
        *(one for one in RECORDS if one.type != "TXT"),
        *(Record(f"host-{n}.example.com.", "CNAME", "api.example.com.", 60) for n in range(60)),
        Record("zz.example.com.", "TXT", '"hello"', 60),
    ),
    "a-part-given-away-is-of-ones-own": records(
        *(one for one in RECORDS if one.type != "TXT"),
        Record("sub.example.com.", "NS", "ns1.sub.example.com.", 60),
        Record("ns1.sub.example.com.", "A", "10.77.0.11", 60),
    ),
    "a-rule-for-all-in-place-of-the-default": both(
        config("default_backend kitchen", "use_backend kitchen\n    default_backend pantry"),
        config("\nbackend kitchen\n", f"\n{OTHER_BACKEND.format('pantry', 'source')}backend kitchen\n"),
    ),
    "statistics-behind-a-list-of-users": both(
        config(
            "    stats enable\n", "    stats enable\n    stats http-request auth unless { http_auth(x) }\n"
        ),
        change(page=LOCKED, page_outside=LOCKED),
    ),
    "a-part-given-away": both(
        bind(
            records=(
                *RECORDS,
                Record("sub.example.com.", "NS", "ns1.sub.example.com.", 60),
                Record("ns1.sub.example.com.", "A", "10.77.0.11", 60),
            )
        ),
    ),
    "a-part-that-is-looked-for-elsewhere": both(
        records(*RECORDS, Record("away.example.com.", "DNAME", "example.org.", 60)),
        bind(
            records=(
                *RECORDS,
                Record("away.example.com.", "DNAME", "example.org.", 60),
                Record("x.away.example.com.", "A", "10.77.0.30", 60),
            )
        ),
    ),
    "signed-by-bind": both(
        named("type master;", 'type master;\n\tdnssec-policy "default";\n\tinline-signing yes;', False),
        change(served=data("SOA", "example.com.", "alice.decal.xcf.sh. root.alice.decal.xcf.sh. 9 1 1 1 1")),
    ),
    "signed": bind(
        records=(
            *RECORDS,
            Record("3oetb.example.com.", "NSEC3", "1 0 0 - x A", 60),
            Record("3oetb.example.com.", "RRSIG", "NSEC3 x", 60),
        )
    ),
    "mounted-by-address": change(mounts=[mount(source="10.77.0.2:/opt/lab7/private/alice")]),
    "mounted-by-short-name": change(mounts=[mount(source="staff2:/opt/lab7/private/alice")]),
    "nfs-version-3": change(mounts=[mount(fstype="nfs", super_options=("rw", "vers=3", "addr=10.77.0.2"))]),
    "mounted-elsewhere-with-a-slash": change(
        mounts=[mount(source="staff2.decal.xcf.sh:/opt/lab7/private/alice/", target="/media/lab")]
    ),
    "public-mounted-too": change(
        mounts=[mount(), mount(source="staff2.decal.xcf.sh:/opt/lab7/public", target="/media")]
    ),
    "unit-called-bind9": lambda w: w.units.pop("named.service"),
    "primary": named("type master", "type primary", False),
    "resolved-on-its-own-address": change(port_53=("named",)),
    "balance-left-out": config("    balance roundrobin\n", ""),
    "leastconn": config("balance roundrobin", "balance leastconn"),
    "listen-instead-of-two": config(
        "frontend door\n    bind *:7000\n    default_backend kitchen\nbackend kitchen\n",
        "listen kitchen\n    bind *:7000\n",
    ),
    "check-by-default-server": both(
        config(" check", ""),
        config("    balance roundrobin\n", "    balance roundrobin\n    default-server check\n"),
    ),
    "ipv6-binds": both(config("*:7000", ":::7000"), config("*:7001", "[::]:7001")),
    "source": both(
        config("balance roundrobin", "balance source"),
        order([4]),
        crash(rotation=Replies(tuple(greeting(4) for _ in range(15)), 0.4)),
    ),
    "random": both(
        config("balance roundrobin", "balance random"),
        order([3, 1, 5, 0, 2, 2, 4, 1, 3, 0, 5, 4, 0, 3, 1, 4, 2, 5]),
        # ID 5 does not come up: by chance, not by fault
        crash(rotation=Replies(tuple(greeting(n) for n in [1, 2, 2, 4, 3, 1, 1, 4, 3, 2] * 2), 0.4)),
    ),
    # HAProxy's own: two servers are UP again, and get no turn before its scheduler's round ends
    "servers-without-a-turn-yet": change(
        turns_count=True, order=[*[4, 5, 0, 1] * 9, *[2, 3, 4, 5, 0, 1] * 90]
    ),
    "servers-still-coming-up": both(
        lambda w: setattr(w, "haproxy", replace(w.haproxy, state=states([4, 5]))),
        lambda w: setattr(w, "before_settled", [0, 1, 2, 3] * 60),
    ),
    "another-client-takes-a-turn": lambda w: w.order.__delitem__(9),
    "wildcard-in-the-zone": change(outside_rcode="NOERROR"),
    "recursion-for-the-graders-network": change(recursion=True),
    "no-admin-socket": both(
        lambda w: setattr(w, "haproxy", replace(w.haproxy, state=())),
        change(page=page(states()), page_outside=page(states())),
    ),
    "mx-and-srv": records(
        *[one for one in RECORDS if one.type not in ("CNAME", "TXT")],
        Record("example.com.", "MX", "10 api.example.com.", 60),
        Record("_http._tcp.example.com.", "SRV", "0 5 7000 api.example.com.", 60),
    ),
    "crashed-another-id": crash(
        crash=Replies((Reply(200, "Crashing ID 5!\n", ""),), 0.1),
        rotation=Replies(tuple(greeting(n) for n in [0, 1, 2, 3, 4] * 3), 0.3),
    ),
}
