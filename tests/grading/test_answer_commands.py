"""Commands that students wrote: every honest form is understood, and what is wrong is named."""

from __future__ import annotations

import contextlib
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.grading.answers import (
    Command,
    MountCommand,
    Query,
    Unreadable,
    addresses_in,
    nfs_source,
    read_commands,
    read_df,
    read_mount,
    read_queries,
    read_systemctl,
    read_umount,
    says_read_only,
)

SHARE = "staff2.decal.xcf.sh:/opt/lab7/public"


def one(text: str) -> Command:
    (found,) = read_commands(text)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "mount a /mnt",
        "sudo mount a /mnt",
        "sudo -E -u root mount a /mnt",
        "sudo -nu root -- mount a /mnt",
        "sudo --user root mount a /mnt",
        "doas mount a /mnt",
        "LANG=C sudo FOO='b c' env -i mount a /mnt",
        "/usr/bin/mount a /mnt",
        "$ sudo mount a /mnt",
        "# mount a /mnt",
        "alice@alice:~$ sudo mount a /mnt",
        "[root@alice ~]# mount a /mnt",
        "root@alice:/home/alice# mount a /mnt",
        "`sudo mount a /mnt`",
        "```\nmount a /mnt\n```",
        "```sh\n$ mount a /mnt\n```",
        "I used `sudo mount a /mnt` for that.",
        "mount \\\n  a \\\n  /mnt",
        "mount a /mnt  # the public one",
        "# first\nmount a /mnt",
        "mount 'a' \"/mnt\" 2>/dev/null > /tmp/log 2>&1",
        "sudo bash -c 'mount a /mnt'",
        'su - root -c "mount a /mnt"',
        "\n\n  mount   a\t/mnt\n",
        "└─$ sudo mount a /mnt",
        "[12:03:11] alice@vm:~$ mount a /mnt",
        "alice$ mount a /mnt",
        "1a) mount a /mnt",
        "(a) mount a /mnt",
        "1a. mount a /mnt",
        "mount \\  \n  a \\ \n  /mnt",
        "sudo mount a /mnt (no output)",
        "sudo -uroot mount a /mnt",
        "sudo --user=root --preserve-env=PATH mount a /mnt",
        ";; Query time: 0 msec\nmount a /mnt",
    ],
)
def test_whatever_stands_around_a_command_is_taken_away(text: str) -> None:
    assert one(text) == Command("mount", ("a", "/mnt"))


@pytest.mark.parametrize("text", ["sudo -l mount a /mnt", "command -v mount", "sudo --list mount a /mnt"])
def test_what_runs_nothing_is_no_command(text: str) -> None:
    with pytest.raises(Unreadable, match="runs nothing"):
        read_commands(text)


def test_who_runs_it() -> None:
    assert one("sudo -u alice dig x").user == "alice"
    assert one("env -u alice dig x").user == ""
    for text, reader in (
        ("sudo -u nobody mount a:/b /mnt", read_mount),
        ("sudo -nu nobody umount /mnt", read_umount),
    ):
        with pytest.raises(Unreadable, match="only root may"):
            reader(one(text))


def test_as_many_commands_as_there_are() -> None:
    assert len(read_commands("api IN A 10.0.0.1\n" * 70 + "dig x\n" * 70)) == 140


def test_commands_come_one_by_one() -> None:
    text = "sudo apt install nfs-common && sudo mount a /mnt; df -h | grep mnt\numount /mnt &"
    assert [found.name for found in read_commands(text)] == ["apt", "mount", "df", "grep", "umount"]


def test_what_a_word_processor_makes_of_a_command() -> None:
    assert one("mount \u2013t \u201cnfs\u201d a\u00a0/mnt") == Command("mount", ("-t", "nfs", "a", "/mnt"))
    assert one("mount \u2014types nfs a /mnt").args[0] == "--types"


@pytest.mark.parametrize("text", ["mount 'a /mnt", 'mount "', "mount a \\"])
def test_an_open_quotation_is_an_answer_that_cannot_be_read(text: str) -> None:
    with pytest.raises(Unreadable, match="left open"):
        read_commands(text)


@given(st.text(max_size=200))
def test_any_text_is_commands_or_unreadable(text: str) -> None:
    try:
        commands = read_commands(text)
    except Unreadable:
        return
    for command in commands:
        for reader in (read_mount, read_umount, read_systemctl, read_queries):
            with contextlib.suppress(Unreadable):
                reader(command)


OPTION_GROUPS = [["-t", "nfs4"], ["-o", "ro,vers=4.2"], ["-v"], ["--options=hard"]]


@given(st.permutations([*OPTION_GROUPS, [SHARE], ["/mnt"]]))
def test_options_of_mount_mean_the_same_in_any_order(groups: list[list[str]]) -> None:
    words = [word for group in groups for word in group]
    swapped = words.index("/mnt") < words.index(SHARE)
    found = read_mount(one(shlex.join(["sudo", "mount", *words])))
    assert (found.source, found.target) == (("/mnt", SHARE) if swapped else (SHARE, "/mnt"))
    assert found.types == "nfs4"
    assert set(found.options) == {"ro", "vers=4.2", "hard"}


@pytest.mark.parametrize(
    "text",
    [
        f"mount {SHARE} /mnt",
        f"mount {SHARE} /mnt/",
        f"mount -t nfs4 {SHARE} //mnt",
        f"mount -tnfs {SHARE} /mnt",
        f"mount --types nfs {SHARE} /mnt",
        f"mount --source {SHARE} --target /mnt",
        f"mount --target=/mnt {SHARE}",
        f"mount -vrt nfs {SHARE} /mnt",
        f"mount {SHARE} /mnt -o vers=4",
        f"mount.nfs4 {SHARE} /mnt -o ro",
        f"mount --read-only {SHARE} -- /mnt",
    ],
)
def test_forms_of_mount(text: str) -> None:
    found = read_mount(one(text))
    assert (found.source, found.target) == (SHARE, "/mnt")


def test_what_mount_is_told() -> None:
    assert read_mount(one("mount -o vers=4,ro -o nfsvers=4.1 a:/b /c")) == MountCommand(
        "a:/b", "/c", "", ("vers=4", "ro", "nfsvers=4.1")
    )
    assert read_mount(one("mount -o v3 a:/b /c")).version == "3"
    assert read_mount(one("mount.nfs4 a:/b /c")).types == "nfs4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mount", "what to mount and where"),
        ("mount /mnt", "one of them is missing"),
        ("mount a:/b /mnt /media", "and here is '/media' too"),
        ("mount -a", "with -a"),
        ("mount --bind /a /b", "with --bind"),
        ("mount -Z a:/b /mnt", "option -Z is none of mount's"),
        ("mount --typ3s nfs a:/b /mnt", "is none of mount's"),
        ("mount a:/b /mnt -t", "option -t requires argument"),
        ("mount -o remount a:/b /mnt", "with -o remount"),
        ("mount -o ro,bind a:/b /mnt", "with -o bind"),
        ("mount -o loop=x a:/b /mnt", "with -o loop=x"),
        ("mount -L x a:/b /mnt", "here is '/mnt' too"),
        ("mount -U x a:/b /mnt", "here is '/mnt' too"),
    ],
)
def test_a_mount_that_is_none_says_why(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_mount(one(text))


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("umount /mnt", ("/mnt",)),
        ("sudo umount -lf /mnt/", ("/mnt",)),
        ("umount --lazy --force /mnt", ("/mnt",)),
        (f"umount {SHARE}", (SHARE,)),
        ("umount -t nfs4 /mnt", ("/mnt",)),
        ("umount -v -- /mnt", ("/mnt",)),
    ],
)
def test_forms_of_umount(text: str, targets: tuple[str, ...]) -> None:
    assert read_umount(one(text)).targets == targets


def test_umount_of_a_type() -> None:
    assert read_umount(one("umount -a -t nfs,nfs4")).types == ("nfs", "nfs4")
    for text in ("umount", "umount -a", "umount --help", "umount -q -z /mnt", "umount -a -t nfs -O foo"):
        with pytest.raises(Unreadable):
            read_umount(one(text))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (SHARE, ("staff2.decal.xcf.sh", "/opt/lab7/public")),
        ("Staff2.Decal.XCF.sh.:/opt//lab7/public/", ("staff2.decal.xcf.sh", "/opt/lab7/public")),
        ("10.77.0.2:/opt/lab7/public", ("10.77.0.2", "/opt/lab7/public")),
        ("[fd00::2]:/x", ("fd00::2", "/x")),
        ("staff2:/", ("staff2", "/")),
        ("/opt/lab7/public", None),
        ("staff2/opt", None),
        ("staff2:opt", None),
        ("nfs://staff2/opt", None),
    ],
)
def test_sources(source: str, found: tuple[str, str] | None) -> None:
    assert nfs_source(source) == found


@pytest.mark.parametrize(
    ("text", "verb", "units"),
    [
        ("systemctl status bind9", "status", ("bind9.service",)),
        ("systemctl status named.service", "status", ("named.service",)),
        ("sudo systemctl --no-pager -l status bind9 -n 20", "status", ("bind9.service",)),
        ("systemctl -n20 --full status bind9 --lines=5", "status", ("bind9.service",)),
        ("systemctl is-active --quiet bind9", "is-active", ("bind9.service",)),
        ("systemctl", "", ()),
    ],
)
def test_forms_of_systemctl(text: str, verb: str, units: tuple[str, ...]) -> None:
    found = read_systemctl(one(text))
    assert (found.verb, found.units, found.manager) == (verb, units, "system")


def test_systemctl_elsewhere() -> None:
    assert read_systemctl(one("systemctl --user status bind9")).manager == "user"
    assert read_systemctl(one("systemctl show -p ActiveState,SubState bind9")).properties == (
        "ActiveState",
        "SubState",
    )
    for text in ("systemctl -H other status bind9", "systemctl --help", "systemctl statu --frob bind9"):
        with pytest.raises(Unreadable):
            read_systemctl(one(text))


LOCAL = Query("api.example.com", "TXT", "localhost")


@given(st.permutations(["@localhost", "api.example.com", "-t TXT", "+short", "+norecurse", "-4"]))
def test_arguments_of_dig_mean_the_same_in_any_order(groups: list[str]) -> None:
    assert read_queries(one("dig " + " ".join(groups))) == (LOCAL,)


@pytest.mark.parametrize(
    "text",
    [
        "dig @localhost api.example.com TXT",
        "dig api.example.com txt @localhost",
        "dig TXT api.example.com. @LOCALHOST",
        "dig -tTXT -qapi.example.com @localhost. IN",
        "dig -q api.example.com @localhost -t txt -c IN -b 127.0.0.1",
        "dig -p 53 +noall +answer @localhost API.example.COM txt",
        "host -t TXT api.example.com localhost",
        "host -vt txt api.example.com. localhost",
        "nslookup -type=TXT api.example.com localhost",
        "nslookup -query=txt api.example.com. localhost",
    ],
)
def test_forms_of_a_query(text: str) -> None:
    assert read_queries(one(text)) == (LOCAL,)


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("dig a.b", [Query("a.b", "A")]),
        ("dig @::1 -p 5353 a.b", [Query("a.b", "A", "::1", 5353)]),
        ("dig @h TXT a.b c.d", [Query("a.b", "TXT", "h"), Query("c.d", "TXT", "h")]),
        ("dig a.b @h mx c.d", [Query("a.b", "MX", "h"), Query("c.d", "A")]),
        ("dig -x 10.0.0.1 @h", [Query("1.0.0.10.in-addr.arpa", "PTR", "h")]),
        ("dig @h api +search", [Query("api", "A", "h", complete=False)]),
        ("dig @h b.c axfr", [Query("b.c", "AXFR", "h")]),
        ("host a.b", [Query("a.b", "A"), Query("a.b", "AAAA"), Query("a.b", "MX")]),
        ("host api h", [Query("api", one, "h", complete=False) for one in ("A", "AAAA", "MX")]),
        ("host -l b.c h", [Query("b.c", "AXFR", "h")]),
        ("nslookup a.b", [Query("a.b", "A")]),
    ],
)
def test_what_is_asked_of_whom(text: str, queries: list[Query]) -> None:
    assert list(read_queries(one(text))) == queries


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dig", "which name"),
        ("dig @localhost", "which name"),
        ("dig a.b @", "no server after"),
        ("dig -f list @localhost", "in a file"),
        ("dig -p http a.b", "no port"),
        ("dig -t BLUE a.b", "no type of record"),
        ("dig -z a.b", "no option of dig"),
        ("dig a.b -t", "needs something after it"),
        ("dig -x example.com", "no address"),
        ("dig @localhost +trace a.b", "asks other servers"),
        ("dig @localhost CH a.b", "class IN"),
        ("host", "which name"),
        ("nslookup -type=TXT", "which name"),
    ],
)
def test_a_query_that_is_none_says_why(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_queries(one(text))


@pytest.mark.parametrize(
    "text",
    [
        f"{SHARE}  25227264 5472256 18656256  23% /mnt",
        f"{SHARE} 25G 5.3G 18G 23% /mnt",
        f"{SHARE} 25G 5,3G 18G 23% /mnt",
        f"{SHARE} nfs4 25G 5.3G 18G 23% /mnt",
        f"{SHARE}\n   25227264 5472256 18656256  23% /mnt",
        f"Filesystem 1K-blocks Used Available Use% Mounted on\ntmpfs 1 1 1 1% /run\n{SHARE} 9 0 9 0% /mnt",
        f"{SHARE} 0 0 0 - /mnt",
        f"{SHARE} 25GiB 5.3MiB 18KiB 100% /mnt",
    ],
)
def test_lines_of_df(text: str) -> None:
    found = read_df(text)[-1]
    assert (found.source, found.target) == (SHARE, "/mnt")


@pytest.mark.parametrize(
    "text",
    [
        SHARE,
        f"{SHARE} on /mnt type nfs4 (ro,relatime)",
        f"{SHARE} 25G 5.3G 23% /mnt",
        f"{SHARE} 25G 5.3G 18G 123% /mnt",
        f"{SHARE} big 5.3G 18G 23% /mnt",
        f"{SHARE} 25G 5.3G 18G 23% mnt",
        f"{SHARE} 25G 5.3G 18G 23 /mnt",
    ],
)
def test_lines_that_df_never_shows(text: str) -> None:
    assert read_df(text) == ()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("touch: cannot touch '/mnt/x': Read-only file system", True),
        ("read only filesystem", True),
        ("bash: /mnt/x: Read-only file system", True),
        ("OSError: [Errno 30] EROFS", True),
        ('"x" E212: Can\'t open file for writing', True),
        ("Permission denied", False),
        ("it did not work", False),
        ("READONLY", True),
    ],
)
def test_errors_for_a_read_only_file_system(text: str, right: bool) -> None:
    assert says_read_only(text) == right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.53", ("127.0.0.53",)),
        (";; SERVER: 127.0.0.53#53(127.0.0.53) (UDP)", ("127.0.0.53",)),
        ("systemd-resolved at 127.0.0.53, then 10.0.2.3.", ("127.0.0.53", "10.0.2.3")),
        ("nameserver fd00::3 or ::1", ("fd00::3", "::1")),
        ("the address is: 1.2.3", ()),
        ("time 10:30", ()),
        ("300.1.1.1", ()),
        ("", ()),
    ],
)
def test_addresses_in_text(text: str, found: tuple[str, ...]) -> None:
    assert addresses_in(text) == found
