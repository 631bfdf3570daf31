"""Where ssh's configuration leads: what wins, what is refused, and where a mistake is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.cli import main
from labctl.connect import Server, ssh_config
from labctl.connect.login import known_keys
from labctl.connect.route import CONNECT_TIMEOUT, route_to
from labctl.errors import HostError, InventoryError, RequestError
from labctl.inventory import Host


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    # what ssh said to an earlier test was for another home
    ssh_config._asked.cache_clear()
    ssh_config._same_for_all.cache_clear()
    return tmp_path / "config"


def vm(config: Path, **variables: object) -> Host:
    arguments = f"-F {config} {variables.pop('arguments', '')}"
    return Host("vm", {"ansible_ssh_common_args": arguments, **variables})


def route(config: Path, text: str, **variables: object) -> Server:
    config.write_text(text)
    return route_to(vm(config, **variables))


def test_the_configuration_says_what_the_inventory_does_not(config: Path, tmp_path: Path) -> None:
    server = route(
        config,
        """
        Host vm
            HostName %h.example.org
            User staff
            Port 2222
            IdentityFile ~/.ssh/%r_%h
            IdentityFile ${HOME}/other
            IdentitiesOnly yes
            IdentityAgent /run/%r/agent
            UserKnownHostsFile /k/one /k/two
            GlobalKnownHostsFile none
            HostKeyAlias alias
            ConnectTimeout 7
        """,
    )
    assert server == Server(
        "vm.example.org",
        2222,
        "staff",
        (Path("/k/one"), Path("/k/two")),
        record=Path("/k/one"),
        host_key_alias="alias",
        identity_files=(tmp_path / ".ssh/staff_vm.example.org", tmp_path / "other"),
        identities_only=True,
        agent="/run/staff/agent",
        connect_timeout=7.0,
    )


def test_the_inventory_wins(config: Path) -> None:
    text = "Host *\n User other\n Port 1\n IdentityFile /other\n UserKnownHostsFile /other\n"
    server = route(
        config,
        text,
        ansible_user="staff",
        ansible_port=2222,
        ansible_ssh_private_key_file="/key",
        labctl_known_hosts="/known",
    )
    assert (server.user, server.port, server.key, server.known_hosts) == (
        "staff", 2222, Path("/key"), (Path("/known"),),
    )  # fmt: skip


def test_patterns_are_matched_against_what_ansible_gives_to_ssh(config: Path) -> None:
    text = "Host vm\n User name\nHost 192.0.2.7\n User address\n"
    assert route(config, text, ansible_host="192.0.2.7").user == "address"
    assert route(config, text).user == "name"


def test_an_address_may_hold_user_and_port(config: Path) -> None:
    for address, login in (
        ("joe@127.0.0.1", "joe@127.0.0.1:22"),
        ("ssh://joe@127.0.0.2:2222", "joe@127.0.0.2:2222"),
        ("joe@ad.example@127.0.0.3", "joe@ad.example@127.0.0.3:22"),
    ):
        assert route(config, "", ansible_host=address).login == login


def test_a_jump_host_is_named_as_ssh_names_it(config: Path) -> None:
    text = "Host 10.0.0.*\n User staff\n ProxyJump joe@ad.example@jump:2222\n"
    server = route(config, text, ansible_host="10.0.0.1")
    assert [jump.login for jump in server.jumps] == ["joe@ad.example@jump:2222"]
    config = config.with_name("tokens")
    text = text.replace("joe@ad.example@jump:2222", "first-%p,%r@jump-%h")
    server = route(config, text, ansible_host="10.0.0.1")
    assert [jump.address for jump in server.jumps] == ["first-22", "jump-10.0.0.1"]
    assert server.jumps[1].user == "staff"


def test_arguments_win_over_the_file(config: Path) -> None:
    text = "Host one two ::1\n ProxyJump none\nHost *\n ProxyJump one\n HostKeyAlias file\n"
    arguments = (
        "-J staff@[::1]:2222,two -o HostKeyAlias=argument -oConnectTimeout=3 -C -o 'ControlPersist 60s'"
    )
    server = route(config, text, arguments=arguments)
    assert [jump.login.partition("@")[2] for jump in server.jumps] == ["[::1]:2222", "two:22"]
    assert server.jumps[0].user == "staff"
    assert (server.host_key_alias, server.connect_timeout) == ("argument", 3.0)
    assert route(config, text, arguments="-o ProxyJump=none").jump is None


def test_without_configuration_the_defaults_hold(config: Path, tmp_path: Path) -> None:
    server = route(config, "")
    assert (server.address, server.port, server.connect_timeout) == ("vm", 22, CONNECT_TIMEOUT)
    assert tmp_path / ".ssh/id_ed25519" in server.identity_files
    assert server.agent == ""


def test_a_file_that_cannot_be_looked_for_is_told_when_it_is_read(config: Path) -> None:
    """As one in a folder of root's, which this test, run by root, has none of: a name of 300 letters."""
    server = route(config, f"UserKnownHostsFile {'n' * 300}\n")
    assert server.known_hosts[0] == Path("n" * 300)
    with pytest.raises(HostError, match=r"n{300}"):
        known_keys(server)


def test_without_an_ssh_program_the_defaults_hold_and_arguments_are_refused(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    server = route_to(Host("no-ssh", {"ansible_user": "staff", "ansible_port": 2222}))
    assert (server.address, server.user, server.port) == ("no-ssh", "staff", 2222)
    assert server.known_hosts == (tmp_path / ".ssh/known_hosts",)
    with pytest.raises(RequestError, match="no ssh program"):
        route(config, "")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("")
    with pytest.raises(RequestError, match=r"no ssh program to read .*config"):
        route_to(Host("no-ssh-2"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o ForwardAgent=yes", "ForwardAgent cannot be set"),
        ("-A", "option -A not recognized"),
        ("-o StrictHostKeyChecking=no", "StrictHostKeyChecking cannot be set"),
        ("-o StrictHostKeyChecking=accept-new", "StrictHostKeyChecking cannot be set"),
        ("-o RemoteCommand=reboot", "does not know what to do for ssh's option RemoteCommand"),
        ("-o Nonsense=1", "option Nonsense"),
        ("-L 80:a:80", "option -L not recognized"),
        ("host", "host is no option"),
        ("-o 'ProxyJump", "No closing quotation"),
        ("-o ConnectTimeout=soon", "an argument for ssh is wrong"),
        ("-o ProxyJump=a@b@c@:x", "argument"),
    ],
)
def test_arguments_that_cannot_be_followed(config: Path, arguments: str, message: str) -> None:
    with pytest.raises(InventoryError, match=message):
        route(config, "", arguments=arguments)


def test_a_mistake_in_the_configuration_shows_the_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    included = tmp_path / "included"
    included.write_text("Host other\n    Prot 22\n")
    config.write_text(f"Include {included}\n")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        f"all: {{hosts: {{vm: {{ansible_host: 192.0.2.1}}}}, vars: {{ansible_ssh_common_args: -F {config}}}}}"
    )
    assert main(["hosts", "ping", "-i", str(inventory)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"labctl: {included}:2:5: Bad configuration option: prot",
        "        Prot 22",
        "        ^",
    ]


def test_a_file_is_named_from_where_labctl_runs(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "course [1]").write_text("Host 10.0.0.7\n Port 7\n")
    for address, port in (("10.0.0.1", 22), ("10.0.0.7", 7)):
        words = {"ansible_host": address, "ansible_ssh_common_args": "-F 'course [1]'"}
        assert route_to(Host("vm", words)).port == port
    with pytest.raises(RequestError, match=r"Can't open user config file /.*/missing"):
        route_to(Host("vm", {"ansible_ssh_common_args": "-F missing"}))
    assert route_to(Host("vm", {"ansible_ssh_common_args": "-F none"})).port == 22


@pytest.mark.parametrize("keyword", ["IdentityFile", "IdentityAgent", "UserKnownHostsFile"])
def test_a_home_that_there_is_not_is_named(config: Path, keyword: str) -> None:
    with pytest.raises(RequestError, match="nouserhere"):
        route(config, f"{keyword} ~nouserhere/id")


def test_a_missing_file_is_named(config: Path) -> None:
    with pytest.raises(RequestError, match="Can't open user config file"):
        route_to(vm(config))


def test_an_unknown_token_is_named(config: Path) -> None:
    with pytest.raises(RequestError, match="labctl does not know %T"):
        route(config, "ProxyCommand nc %T %h")


def test_hosts_list_shows_the_way(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("Host vm\n User staff\n ProxyJump one,me@two:2222\nHost one two\n User us\n")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(f"all: {{hosts: {{vm: {{}}}}, vars: {{ansible_ssh_common_args: -F {config}}}}}")
    assert main(["hosts", "list", "-i", str(inventory)]) == 0
    line = capsys.readouterr().out
    assert line.split() == ["vm", "staff@vm:22", "ungrouped", "via", "us@one:22,", "me@two:2222"]


_word = st.sampled_from(["vm", "v*", "!vm", "other", "*", "127.0.0.1"])
_option = st.one_of(
    st.sampled_from(["Port 1", "Port 2", "User a", "User b", "HostName 127.0.0.1", "HostName %h.x"]),
    st.sampled_from(["ProxyJump j1", "ProxyJump none", "ProxyCommand false %p%% %h", "HostKeyAlias k"]),
    st.sampled_from(["Match user a", "Match host 127.0.0.1", "Match originalhost vm", "Match final all"]),
    st.lists(_word, min_size=1, max_size=3).map(lambda words: f"Host {' '.join(words)}"),
)


@pytest.mark.slow
@given(
    lines=st.lists(_option, max_size=8), user=st.sampled_from(["", "a", "c"]), port=st.sampled_from(["", "3"])
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_configuration_leads_where_ssh_goes(
    lines: list[str], user: str, port: str, tmp_path: Path
) -> None:
    # Each example has a file of its own: what ssh said of a file is remembered.
    path = tmp_path / f"config-{abs(hash(tuple(lines)))}"
    first = ["Host j1", "ProxyJump none", "ProxyCommand none", "HostName 127.0.0.9", "Port 1", "Host *"]
    # By a program in the end, which is told all: so ssh says where it would go.
    last = ["Match all", "ProxyCommand false %h %p %r %n %k %%"]
    path.write_text("\n".join([*first, *lines, *last]) + "\n")
    given_by_inventory = {"ansible_user": user} if user else {}
    server = route_to(vm(path, **given_by_inventory, **({"ansible_port": port} if port else {})))
    command = [
        "ssh",
        "-v",
        "-F",
        path,
        *(["-l", user] if user else []),
        *(["-p", port] if port else []),
        "vm",
    ]
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    ).stderr
    match = re.search(r"Executing proxy command: exec (.*)", said)
    if match and "-W" in match[1]:
        assert server.jump
        assert match[1].endswith(f"-W '[{server.address}]:{server.port}' j1")
    else:
        assert server.jump is None
        assert server.proxy_command == (match[1].strip() if match else "")


_anywhere = st.one_of(
    _option,
    st.sampled_from(
        ["Host *", "Host=*", 'Host "*"', "Host * !vm", "host j1", "Match all", "Match host 127.*"]
    ),
    st.sampled_from(["HostName %h.x", "HostName = j1", "CanonicalizeHostname yes", "# Host a", ""]),
    st.sampled_from(["UserKnownHostsFile ~/k_%h", 'IdentityAgent "/a/%n"', "IdentityFile=/i/%h"]),
    st.sampled_from(["Include other", "Include %h"]),
)


@pytest.mark.slow
@given(lines=st.lists(_anywhere, max_size=4), included=st.lists(_anywhere, max_size=2))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_ssh_is_asked_once_for_all_is_what_it_says_for_each(
    lines: list[str], included: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / f"{abs(hash((tuple(lines), tuple(included))))}"
    folder.mkdir(exist_ok=True)
    path, other = folder / "config", folder / "other"
    text = "\n".join(lines).replace("Include other", f"Include {other}")
    path.write_text(text + "\n")
    other.write_text("\n".join(line for line in included if not line.startswith("Include")) + "\n")
    for address in ("vm", "j1", "127.0.0.9", "UPPER"):
        options = ("-F", str(path), "-p", "22")
        try:
            each = ssh_config._asked(address, options)
        except RequestError as err:
            with pytest.raises(RequestError, match=re.escape(err.message)):
                ssh_config.settings(address, options)
        else:
            assert ssh_config.settings(address, options) == each


@pytest.mark.parametrize(
    "option",
    [
        "UserKnownHostsFile /k/%h",
        "GlobalKnownHostsFile=/k/%k",
        "IdentityAgent /k/%n",
        "RevokedHostKeys /k/%h",
    ],
)
def test_files_that_are_named_by_the_address_are_each_vms_own(config: Path, option: str) -> None:
    for way in ("file", "argument"):
        config = config.with_name(f"by-{way}")
        config.write_text(option if way == "file" else "")
        arguments = "" if way == "file" else f"-o '{option}'"
        for address in ("10.0.0.1", "10.0.0.2"):
            server = route_to(vm(config, ansible_host=address, arguments=arguments))
            files = (*server.known_hosts, server.revoked_keys, Path(server.agent))
            own = Path("/k") / address
            # where ssh does not fill it in, nothing of another VM's may stand there
            assert own in files or any(file and "%" in file.name for file in files), files


def test_ssh_is_asked_once_for_all_vms_when_nothing_depends_on_the_address(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = subprocess.run

    def counted(argv: list[str], **options: object) -> object:
        asked.append(argv)
        return original(argv, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(ssh_config.subprocess, "run", counted)
    config.write_text("User staff\nHost *\n Port 2222\n ControlPath /run/%r@%h:%p\n IdentityFile /k/%u\n")
    servers = [route_to(vm(config, ansible_host=f"10.0.0.{number}")) for number in range(1, 21)]
    assert len(asked) == 1
    assert {(one.user, one.port) for one in servers} == {("staff", 2222)}
    assert [one.address for one in servers][:2] == ["10.0.0.1", "10.0.0.2"]
    config.with_name("second").write_text("Host 10.0.0.7\n Port 7\n")
    config = config.with_name("second")
    ports = [route_to(vm(config, ansible_host=f"10.0.0.{number}")).port for number in range(1, 21)]
    assert len(asked) == 21
    assert ports == [22] * 6 + [7] + [22] * 13
