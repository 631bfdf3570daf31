"""authorized_key, hostname, sysctl, slurp, package: decisions on real files, and traps in a home."""

from __future__ import annotations

import base64
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import play, run_module, statuses
from programs import Programs

from labctl.agent.remote import dpkg
from labctl.agent.remote.command import Finished
from labctl.agent.remote.modules import apt, authorized_key, hostname, sysctl

STUDENT = 54321
ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ"

# -- authorized_key: what the file shall hold ----------------------------------------------------


def edit(text: str, key: str, **args: Any) -> str:
    wanted = authorized_key.wanted_keys({"key": key} | args)
    return authorized_key.edited(text, wanted, args.get("state") != "absent", bool(args.get("exclusive")))


OTHERS = f'# mine\n\n{RSA}1 old laptop\n\nfrom="10.0.0.0/8,::1",no-pty {RSA}2 two words\nnot a key\n'


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"key": f"{ED} ada"}, OTHERS + f"{ED} ada\n"),
        ({"key": f"{ED} ada\n# no key\n\n{ED}2 b\n"}, OTHERS + f"{ED} ada\n{ED}2 b\n"),
        ({"key": f"{RSA}1 old laptop"}, OTHERS),
        (
            {"key": f"{RSA}1 new laptop"},
            OTHERS.replace(f"{RSA}1 old laptop\n", "") + f"{RSA}1 new laptop\n",
        ),
        ({"key": f'no-pty,from="10.0.0.0/8,::1" {RSA}2 two words'}, OTHERS),
        (
            {"key": ED, "key_options": 'command="a, b",no-pty', "comment": "from staff"},
            OTHERS + f'command="a, b",no-pty {ED} from staff\n',
        ),
        ({"key": f"{RSA}2", "state": "absent"}, OTHERS.replace(OTHERS.splitlines(True)[4], "")),
        ({"key": ED, "state": "absent"}, OTHERS),
        ({"key": f"{ED} a\n{RSA}1 old laptop", "exclusive": True}, f"{RSA}1 old laptop\n{ED} a\n"),
    ],
)
def test_lines_of_authorized_keys(args: dict[str, Any], expected: str) -> None:
    assert edit(OTHERS, **args) == expected
    assert edit(expected, **args) == expected


def test_a_last_line_without_an_end_is_not_written_into() -> None:
    assert edit("not a key", f"{ED} ada") == f"not a key\n{ED} ada\n"


line = st.sampled_from(["# x", "", "junk", f"{RSA}1 a", f"no-pty {RSA}2", f"{RSA}3 c d", "#ssh-rsa AAA"])


@given(st.lists(line, max_size=8), st.booleans())
def test_foreign_lines_stay_in_their_order(lines: list[str], exclusive: bool) -> None:
    text = "".join(f"{one}\n" for one in lines)
    put = edit(text, f"{ED} ada", exclusive=exclusive)
    assert edit(put, f"{ED} ada", exclusive=exclusive) == put
    if exclusive:
        assert put == f"{ED} ada\n"
    else:
        foreign = [one for one in lines if not one.startswith(("ssh-", "no-pty"))]
        assert [one for one in put.splitlines() if one in foreign or not one] == foreign
        assert edit(edit(put, ED, state="absent"), ED, state="absent").count(ED) == 0


@pytest.mark.parametrize("key", ["https://example.org/ada.keys", "file:///root/.ssh/id.pub", "ssh-foo AAA"])
def test_what_is_no_key_is_refused(key: str) -> None:
    result = run_module("authorized_key", {"user": "root", "key": key})
    assert result["failed"]
    assert "not covered" in result["msg"] or "invalid key specified: ssh-foo" in result["msg"]


# -- authorized_key: in a home that is not to be trusted -----------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of ``ada``, who has no account here: only its look-up is replaced."""
    made = tmp_path / "ada"
    made.mkdir()
    os.chown(made, STUDENT, STUDENT)
    entry = pwd.struct_passwd(("ada", "x", STUDENT, STUDENT, "", str(made), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: entry)
    return made


def add(**args: Any) -> Any:
    check = args.pop("check", False)
    return run_module("authorized_key", {"user": "ada", "key": f"{ED} ada"} | args, check=check, diff=True)


def owned(path: Path) -> tuple[int, int, str]:
    info = path.lstat()
    return info.st_uid, info.st_gid, f"{info.st_mode & 0o7777:o}"


def links(path: Path, target: Path | str, owner: int = STUDENT) -> None:
    path.symlink_to(target)
    os.lchown(path, owner, owner)


@pytest.mark.root
def test_a_key_is_put_and_the_directory_made(home: Path) -> None:
    assert add(check=True)["changed"]
    assert os.listdir(home) == []
    first = add()
    keys = home / ".ssh" / "authorized_keys"
    assert (first["changed"], first["keyfile"], keys.read_text()) == (True, str(keys), f"{ED} ada\n")
    assert (owned(keys), owned(keys.parent)) == ((STUDENT, STUDENT, "600"), (STUDENT, STUDENT, "700"))
    assert first["diff"][0]["after"] == f"{ED} ada\n"
    assert not add()["changed"]
    assert add(state="absent")["changed"]
    assert (keys.read_text(), os.listdir(keys.parent)) == ("", ["authorized_keys"])


@pytest.mark.root
def test_another_path_and_no_managed_directory(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "of" / "ada"
    assert "there is no directory" in add(path=str(path))["msg"]
    assert add(path=str(path), manage_dir=False)["changed"]
    assert (owned(path), owned(path.parent)) == ((STUDENT, STUDENT, "600"), (0, 0, "755"))


@pytest.mark.root
@pytest.mark.parametrize("follow", [False, True])
def test_a_link_within_the_home(home: Path, follow: bool) -> None:
    (home / ".ssh").mkdir()
    (home / "keys").write_text(f"{RSA} old\n")
    links(home / ".ssh" / "authorized_keys", "../keys")
    assert add(follow=follow)["changed"]
    keys = home / ".ssh" / "authorized_keys"
    assert keys.is_symlink() is follow
    assert keys.read_text() == f"{RSA} old\n{ED} ada\n"
    assert (home / "keys").read_text() == (keys.read_text() if follow else f"{RSA} old\n")


@pytest.mark.root
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("trap", ["directory", "file", "chain", "new file"])
def test_a_link_out_of_the_home_is_not_followed(home: Path, tmp_path: Path, trap: str, follow: bool) -> None:
    outside = tmp_path / "secrets"
    outside.mkdir(mode=0o750)
    (outside / "authorized_keys").write_text("root's own\n")
    if trap == "directory":
        links(home / ".ssh", outside)
    else:
        (home / ".ssh").mkdir()
        target = outside / ("authorized_keys" if trap != "new file" else "new")
        if trap == "chain":
            links(home / "step", outside)
            target = home / "step" / "authorized_keys"
        links(home / ".ssh" / "authorized_keys", target)
    result = add(follow=follow)
    assert result["failed"]
    assert "is a link out of the home of ada" in result["msg"]
    assert (outside / "authorized_keys").read_text() == "root's own\n"
    assert (os.listdir(outside), owned(outside)) == (["authorized_keys"], (0, 0, "750"))


@pytest.mark.root
def test_roots_own_link_is_followed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    links(home / ".ssh", tmp_path / "kept", owner=0)
    assert add()["changed"]
    assert (tmp_path / "kept" / "authorized_keys").read_text() == f"{ED} ada\n"


@pytest.mark.root
@pytest.mark.parametrize("what", ["hard link", "pipe", "directory"])
def test_what_is_no_plain_file_is_refused(home: Path, tmp_path: Path, what: str) -> None:
    (home / ".ssh").mkdir()
    keys = home / ".ssh" / "authorized_keys"
    (tmp_path / "shadow").write_text("root:secret\n")
    match what:
        case "hard link":
            os.link(tmp_path / "shadow", keys)
        case "pipe":
            os.mkfifo(keys)
        case "directory":
            keys.mkdir()
    assert "not a plain file" in add()["msg"]
    assert (tmp_path / "shadow").read_text() == "root:secret\n"


# -- hostname ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("static", "name", "commands"),
    [
        ("{now}\n", "{now}", []),
        ("other\n", "{now}", ["hostnamectl --pretty --static set-hostname {now}"]),
        ("# a comment\nlab7.test\n", "lab7.test", ["hostnamectl --transient set-hostname lab7.test"]),
        (
            "{now}",
            "lab7",
            [
                "hostnamectl --pretty --static set-hostname lab7",
                "hostnamectl --transient set-hostname lab7",
            ],
        ),
    ],
)
def test_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, static: str, name: str, commands: list[str]
) -> None:
    now = os.uname().nodename
    (tmp_path / "hostname").write_text(static.format(now=now))
    programs = Programs()
    monkeypatch.setattr(hostname, "STATIC", str(tmp_path / "hostname"))
    monkeypatch.setattr(hostname, "run_command", programs)
    args = {"name": name.format(now=now)}
    assert run_module("hostname", args, check=True)["changed"] is bool(commands)
    assert programs.lines == []
    result = run_module("hostname", args, diff=True)
    assert (result["changed"], programs.lines) == (bool(commands), [one.format(now=now) for one in commands])
    facts = result["ansible_facts"]
    assert facts["ansible_nodename"] == args["name"]
    assert facts["ansible_hostname"] == args["name"].partition(".")[0]
    assert ("diff" in result) is bool(commands)


@pytest.mark.parametrize(("name", "said"), [("a" * 65, "64 characters"), ("my host", "not a host name")])
def test_names_that_cannot_be(name: str, said: str) -> None:
    assert said in run_module("hostname", {"name": name})["msg"]


# -- sysctl --------------------------------------------------------------------------------------

CONF = "# kernel\nnet.ipv4.ip_forward = 0\n\nvm.swappiness=10\nnet.ipv4.ip_forward=0\n"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    for name, value in (("net/ipv4/ip_forward", "0\n"), ("vm/swappiness", "10\n"), ("kernel/sem", "1\t2\n")):
        (tmp_path / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / name).write_text(value)
    programs = Programs()
    monkeypatch.setattr(sysctl, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(sysctl, "run_command", programs)
    return programs


SET = "net.ipv4.ip_forward"
WRITTEN = "# kernel\nnet.ipv4.ip_forward=1\n\nvm.swappiness=10\n"


@pytest.mark.parametrize(
    ("args", "commands", "written"),
    [
        ({"name": SET, "value": "1"}, ["-p {f}"], WRITTEN),
        ({"name": SET, "value": True, "sysctl_set": True}, [f"-w {SET}=1", "-p {f}"], WRITTEN),
        ({"name": SET, "value": "1", "reload": False}, [], WRITTEN),
        ({"name": SET, "value": "0"}, None, CONF),
        ({"name": "vm.swappiness", "value": "10"}, None, CONF),
        ({"name": "vm.overcommit", "value": "1", "ignoreerrors": True}, ["-e -p {f}"], None),
        ({"name": SET, "state": "absent"}, ["-p {f}"], "# kernel\n\nvm.swappiness=10\n"),
        ({"name": "not.there", "state": "absent"}, None, CONF),
        ({"name": "kernel.sem", "value": "1 2", "reload": False}, [], None),
    ],
)
def test_kernel_parameters(
    tmp_path: Path, kernel: Programs, args: dict[str, Any], commands: list[str] | None, written: str | None
) -> None:
    path = tmp_path / "sysctl.conf"
    path.write_text(CONF)
    args = {"sysctl_file": str(path)} | args
    assert run_module("sysctl", args, check=True)["changed"] is (commands is not None)
    assert (kernel.lines, path.read_text()) == ([], CONF)
    result = run_module("sysctl", args, diff=True)
    assert result["changed"] is (commands is not None)
    assert kernel.lines == ["sysctl " + one.format(f=path) for one in commands or []]
    if written is None:
        assert path.read_text().endswith(f"{args['name']}={args['value']}\n")
    else:
        assert path.read_text() == written
    assert ("diff" in result) is (written != CONF)


def test_a_kernel_that_does_not_follow_its_file_is_a_change(tmp_path: Path, kernel: Programs) -> None:
    path = tmp_path / "sysctl.conf"
    path.write_text("net.ipv4.ip_forward=1\n")
    args = {"name": SET, "value": "1", "sysctl_file": str(path)}
    assert run_module("sysctl", args)["changed"]
    assert not run_module("sysctl", args | {"reload": False})["changed"]
    (tmp_path / "proc/net/ipv4/ip_forward").write_text("1\n")
    assert not run_module("sysctl", args | {"sysctl_set": True})["changed"]


@pytest.mark.parametrize(
    ("args", "answer", "said"),
    [
        ({"name": SET}, None, "value cannot be blank"),
        ({"name": " ", "value": "1"}, None, "name cannot be blank"),
        ({"name": "/../../etc", "value": "1"}, None, "not a kernel parameter"),
        (
            {"name": SET, "value": "1"},
            Finished(0, "", f'sysctl: setting key "{SET}": Read-only file system\n'),
            "Failed to reload sysctl",
        ),
        (
            {"name": SET, "value": "1", "sysctl_set": True},
            Finished(255, "", "sysctl: permission denied\n"),
            f"setting {SET} failed",
        ),
    ],
)
def test_kernel_parameters_that_cannot_be(
    tmp_path: Path, kernel: Programs, args: dict[str, Any], answer: Finished | None, said: str
) -> None:
    if answer:
        kernel.answers.append(("sysctl", answer))
    result = run_module("sysctl", {"sysctl_file": str(tmp_path / "c")} | args)
    assert result["failed"]
    assert said in result["msg"]


@given(st.text("ab.=#; \n", max_size=40), st.sampled_from(["a", "a.b"]), st.sampled_from(["", "1", "2 3"]))
def test_a_parameter_is_written_once_and_read_back(text: str, name: str, value: str) -> None:
    put = sysctl.edited(text, name, value)
    assert sysctl.values(put)[name] == value
    assert sysctl.edited(put, name, value) == put
    assert name not in sysctl.values(sysctl.edited(put, name, None))


# -- slurp, package ------------------------------------------------------------------------------


def test_slurp(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\0\xffabc")
    assert run_module("slurp", {"path": str(path)}, check=True) == {
        "changed": False,
        "content": base64.b64encode(b"\0\xffabc").decode(),
        "encoding": "base64",
        "source": str(path),
    }
    assert run_module("slurp", {"src": f"{path}x"})["msg"] == f"File not found: {path}x"
    assert "is a directory" in run_module("slurp", {"src": str(tmp_path)})["msg"]
    with path.open("wb") as file:
        file.truncate(3 << 20)
    assert "too large" in run_module("slurp", {"src": str(path)})["msg"]
    path.write_text("öne")
    task = f"- slurp: {{src: {path}}}\n  register: f\n- assert: {{that: f.content | b64decode == 'öne'}}"
    assert statuses(play(tmp_path, task)) == ["ok", "ok"]


@pytest.mark.parametrize("use", ["auto", "apt"])
def test_package_is_apt(monkeypatch: pytest.MonkeyPatch, use: str) -> None:
    programs = Programs()
    monkeypatch.setattr(dpkg, "packages", lambda: dpkg.parse_status(""))
    monkeypatch.setattr(dpkg, "LOCKS", ())
    monkeypatch.setattr(apt, "run_command", programs)
    args = {"name": ["curl", "jq"], "state": "present", "use": use}
    assert run_module("package", args)["changed"]
    assert programs.lines[-1].endswith(
        "install -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold curl jq"
    )


def test_no_account_of_that_name() -> None:
    args = {"user": "nobody-here", "key": ED}
    assert "there is no user 'nobody-here'" in run_module("authorized_key", args)["msg"]
    assert run_module("authorized_key", args, check=True)["changed"]


@pytest.mark.root
def test_sshd_reads_what_is_written(home: Path) -> None:
    key = home / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    add(key=Path(f"{key}.pub").read_text(), key_options='no-pty,command="echo a, b"', comment="of ada")
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", home / ".ssh/authorized_keys"], check=True, capture_output=True, text=True
    )
    assert "of ada (ED25519)" in listed.stdout
