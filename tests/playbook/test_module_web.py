"""get_url and uri: against real servers on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import play, run_module
from webserver import Web, make_certificate, web

from labctl.agent.remote.modules.get_url import sums
from labctl.agent.remote.web import masked

FILES = {"/f.txt": b"one\n", "/other.txt": b"two\n", "/data.json": b'{"a": [1]}'}
SHA256 = hashlib.sha256(b"one\n").hexdigest()


@pytest.fixture
def server() -> Iterator[Web]:
    with web(dict(FILES)) as made:
        yield made


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


# -- get_url -------------------------------------------------------------------------------------


def test_a_file_comes_once(tmp_path: Path, server: Web) -> None:
    dest = tmp_path / "f"
    args = {"url": f"{server.url}/f.txt", "dest": str(dest), "mode": "0640"}
    first = run_module("get_url", args, diff=True)
    assert (first["changed"], first["status_code"], first["msg"]) == (True, 200, "OK (4 bytes)")
    assert (dest.read_text(), f"{dest.stat().st_mode & 0o777:o}") == ("one\n", "640")
    assert (first["checksum_dest"], first["checksum_src"]) == (None, hashlib.sha1(b"one\n").hexdigest())
    assert (first["mode"], first["size"], first["state"]) == ("0640", 4, "file")
    assert first["diff"][0]["after"] == "one\n"
    again = run_module("get_url", args)
    assert (again["changed"], again["status_code"]) == (False, 304)
    assert server.last.headers["If-Modified-Since"].endswith("GMT")
    assert os.listdir(tmp_path) == ["f"]


def test_force_asks_without_a_condition_and_backup_keeps_the_old(tmp_path: Path, server: Web) -> None:
    dest = tmp_path / "f"
    args = {"url": f"{server.url}/f.txt", "dest": str(dest), "force": True, "backup": True}
    dest.write_text("mine\n")
    result = run_module("get_url", args)
    assert result["changed"]
    assert Path(result["backup_file"]).read_text() == "mine\n"
    assert server.last.headers["If-Modified-Since"] is None
    assert server.last.headers["Cache-control"] == "no-cache"
    assert not run_module("get_url", args)["changed"]


def test_check_mode_asks_only_for_the_head(tmp_path: Path, server: Web) -> None:
    dest = tmp_path / "f"
    assert run_module("get_url", {"url": f"{server.url}/f.txt", "dest": str(dest)}, check=True)["changed"]
    assert (server.last.method, dest.exists()) == ("HEAD", False)


def test_into_a_directory_under_the_servers_name(tmp_path: Path, server: Web) -> None:
    for path, name in (("/f.txt?v=1", "f.txt"), ("/named", "named.txt")):
        result = run_module("get_url", {"url": server.url + path, "dest": str(tmp_path)})
        assert result["dest"] == str(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["f.txt", "named.txt"]


@pytest.mark.parametrize(
    "list_of", ["{sum}  f.txt\n", "{sum} *f.txt\n", "SHA256 (f.txt) = {sum}\n", "{sum}\n"]
)
def test_checksums_given_and_listed(tmp_path: Path, server: Web, list_of: str) -> None:
    dest = tmp_path / "f"
    server.files["/sums"] = list_of.format(sum=SHA256).encode()
    for checksum in (f"sha256:{SHA256}", f"sha256:{server.url}/sums"):
        dest.unlink(missing_ok=True)
        args = {"url": f"{server.url}/f.txt", "dest": str(dest), "checksum": checksum}
        assert run_module("get_url", args)["changed"]
        asked = len(server.asked)
        again = run_module("get_url", args)
        assert (again["changed"], again["msg"]) == (False, "file already exists")
        assert not [one for one in server.asked[asked:] if one.path == "/f.txt"]
        dest.write_text("changed by hand\n")
        assert run_module("get_url", args)["changed"]
        assert dest.read_text() == "one\n"


@pytest.mark.parametrize(
    ("checksum", "said"),
    [
        ("sha256:" + "0" * 64, "did not match"),
        ("nothing", "<algorithm>:<checksum>"),
        ("sha256:xyz", "invalid"),
        ("shoe256:00", "no algorithm 'shoe256'"),
        ("sha256:{url}/other.txt", "Unable to find a checksum"),
        ("sha256:{url}/absent", "404"),
    ],
)
def test_a_wrong_checksum_leaves_nothing(tmp_path: Path, server: Web, checksum: str, said: str) -> None:
    server.files["/other.txt"] = f"{SHA256}  other.txt\n{SHA256}  more.txt\n".encode()
    args = {"url": f"{server.url}/f.txt", "dest": str(tmp_path / "f")}
    result = run_module("get_url", args | {"checksum": checksum.format(url=server.url)})
    assert result["failed"]
    assert said in result["msg"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/absent", "404"),
        ("/short", "only 4 of 8 bytes"),
        ("/door", "401"),
        ("/to-file", "302"),
    ],
)
def test_what_does_not_come_leaves_the_old_file(tmp_path: Path, server: Web, path: str, said: str) -> None:
    dest = tmp_path / "f"
    dest.write_text("old")
    result = run_module("get_url", {"url": server.url + path, "dest": str(dest)})
    assert result["failed"]
    assert said in result["msg"]
    assert (dest.read_text(), os.listdir(tmp_path)) == ("old", ["f"])


def test_nobody_there_no_directory_and_strange_urls(tmp_path: Path, closed_port: int) -> None:
    url = f"http://me:pw@127.0.0.1:{closed_port}/x"
    result = run_module("get_url", {"url": url, "dest": str(tmp_path / "f")})
    assert result["failed"]
    assert "refused" in result["msg"]
    assert "pw" not in str(result)
    missing = run_module("get_url", {"url": url, "dest": str(tmp_path / "no" / "f")})
    assert missing["msg"] == f"Destination {tmp_path}/no does not exist"
    assert "not one of http" in run_module("get_url", {"url": "gopher://x/", "dest": "/tmp/x"})["msg"]


def test_a_server_that_dribbles_is_left_at_the_deadline(tmp_path: Path, server: Web) -> None:
    result = run_module("get_url", {"url": f"{server.url}/slow", "dest": str(tmp_path / "f")}, seconds=1)
    assert result["failed"]
    assert "not complete in time" in result["msg"]
    assert os.listdir(tmp_path) == []


def test_an_account_and_a_file_of_the_vm(tmp_path: Path, server: Web) -> None:
    account = {"url_username": "ada", "url_password": "s3cret"}
    args = {"url": f"{server.url}/door", "dest": str(tmp_path / "f")}
    for more in (account, account | {"force_basic_auth": True}):
        assert run_module("get_url", args | more | {"force": True})["status_code"] == 200
    within = server.url.replace("//", "//ada:s3cret@")
    told = run_module("get_url", args | {"url": f"{within}/door", "force": True})
    assert (told["status_code"], told["url"]) == (200, server.url.replace("//", "//****:****@") + "/door")
    local = run_module("get_url", {"url": f"file://{tmp_path}/f", "dest": str(tmp_path / "g")})
    assert (local["changed"], (tmp_path / "g").read_text()) == (True, "in")


def test_certificates_are_checked_unless_told(tmp_path: Path) -> None:
    make_certificate(tmp_path / "cert.pem")
    with web(dict(FILES), tmp_path / "cert.pem") as server:
        args = {"url": f"{server.url}/f.txt", "dest": str(tmp_path / "f")}
        refused = run_module("get_url", args)
        assert refused["failed"]
        assert "certificate verify failed" in refused["msg"]
        assert run_module("get_url", args | {"validate_certs": False})["changed"]
        asked = {"url": f"{server.url}/f.txt", "return_content": True}
        assert run_module("uri", asked)["failed"]
        assert run_module("uri", asked | {"ca_path": str(tmp_path / "cert.pem")})["content"] == "one\n"


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=9)
hexes = st.text("0123456789abcdef", min_size=8, max_size=8)


@given(st.lists(st.tuples(hexes, names), min_size=2))
def test_lists_of_checksums_are_read_back(pairs: list[tuple[str, str]]) -> None:
    assert sums("".join(f"{value}  {name}\n" for value, name in pairs), "x") == pairs
    assert sums("".join(f"SHA1 ({name}) = {value}\n" for value, name in pairs), "x") == pairs


@given(st.text(max_size=200))
def test_any_list_of_checksums_is_read(text: str) -> None:
    assert all(len(pair) == 2 for pair in sums(text, "x"))


def test_accounts_in_urls_are_masked() -> None:
    assert masked("http://a:b@h:1/p?q") == "http://****:****@h:1/p?q"
    assert masked("http://a@h/p") == "http://****@h/p"
    assert masked("http://h/p@x") == "http://h/p@x"


# -- uri -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "body", "kind"),
    [
        ({"method": "POST", "body": {"a": 1}, "body_format": "json"}, '{"a": 1}', "application/json"),
        ({"method": "PUT", "body": '{"b":2}', "body_format": "json"}, '{"b":2}', "application/json"),
        (
            {"method": "POST", "body": {"a": "x y", "b": [1, 2]}, "body_format": "form-urlencoded"},
            "a=x+y&b=1&b=2",
            "application/x-www-form-urlencoded",
        ),
        (
            {"method": "POST", "body": [["a", "&"], ["a", "2"]], "body_format": "form-urlencoded"},
            "a=%26&a=2",
            "application/x-www-form-urlencoded",
        ),
        ({"method": "POST", "body": "text", "headers": {"Content-Type": "text/x"}}, "text", "text/x"),
        ({"method": "delete"}, "", None),
    ],
)
def test_bodies(server: Web, args: dict[str, object], body: str, kind: str | None) -> None:
    result = run_module("uri", {"url": f"{server.url}/echo", "status_code": [200, 201]} | args)
    assert result["json"] == {"method": str(args["method"]).upper(), "body": body, "type": kind}
    assert (result["status"], result["changed"], result["redirected"]) == (201, False, False)
    assert (result["x_course"], result["content_type"]) == ("labs", "application/json")
    assert "content" not in result


def test_statuses_and_contents(server: Web) -> None:
    wrong = run_module("uri", {"url": f"{server.url}/absent", "return_content": True})
    assert wrong["failed"]
    assert wrong["msg"] == "Status code was 404 and not [200]: HTTP Error 404: Not Found"
    assert (wrong["content"], wrong["status"]) == ("not here", 404)
    assert not run_module("uri", {"url": f"{server.url}/absent", "status_code": "404"}).get("failed")
    assert run_module("uri", {"url": f"{server.url}/f.txt", "return_content": True})["content"] == "one\n"
    assert "content" not in run_module("uri", {"url": f"{server.url}/f.txt"})
    assert run_module("uri", {"url": f"{server.url}/zipped", "return_content": True})["content"] == "plain"
    assert run_module("uri", {"url": f"{server.url}/cookie"})["cookies"] == {"seen": "1"}
    assert "more than" in run_module("uri", {"url": f"{server.url}/bomb", "return_content": True})["msg"]


@pytest.mark.parametrize(
    ("follow", "method", "status"),
    [
        ("safe", "GET", 201),
        ("safe", "POST", 302),
        ("none", "GET", 302),
        ("no", "GET", 302),
        ("all", "POST", 201),
        ("yes", "POST", 201),
        ("urllib2", "POST", 201),
    ],
)
def test_redirects(server: Web, follow: str, method: str, status: int) -> None:
    args = {"url": f"{server.url}/moved", "method": method, "follow_redirects": follow}
    result = run_module("uri", args | {"status_code": [201, 302]})
    assert result["status"] == status
    if status == 201:
        assert (result["redirected"], result["url"]) == (True, f"{server.url}/echo")
        assert result["json"]["method"] == "GET"
    else:
        assert result["location"] == f"{server.url}/echo"


def test_a_password_does_not_go_on_to_another_server(server: Web) -> None:
    args = {"url_username": "ada", "url_password": "s3cret", "force_basic_auth": True, "status_code": 201}
    run_module("uri", args | {"url": f"{server.url}/moved"})
    assert server.last.headers["Authorization"]
    run_module("uri", args | {"url": f"{server.url}/to-elsewhere"})
    assert (server.last.path, server.last.headers["Authorization"]) == ("/echo", None)


def test_dest_creates_removes_and_check_mode(tmp_path: Path, server: Web) -> None:
    dest = tmp_path / "data"
    args = {"url": f"{server.url}/data.json", "dest": str(dest), "mode": "0600"}
    stored = run_module("uri", args)
    assert (stored["changed"], stored["path"], dest.read_bytes()) == (True, str(dest), b'{"a": [1]}')
    assert run_module("uri", args | {"status_code": [200, 304]})["status"] == 304
    asked = len(server.asked)
    there = run_module("uri", args | {"creates": str(dest)})
    assert (there["changed"], there["stdout"]) == (False, f"skipped, since '{dest}' exists")
    gone = run_module("uri", args | {"removes": str(tmp_path / "x")})
    assert gone["stdout"] == f"skipped, since '{tmp_path}/x' does not exist"
    assert run_module("uri", args, check=True)["skipped"]
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"method": "GET it"}, "one word"),
        ({"url": "file:///etc/passwd"}, "http and https only"),
        ({"body": {"a": 1}}, "body_format: json"),
        ({"body": 7, "body_format": "form-urlencoded"}, "raw takes text"),
        ({"body": ["a"], "body_format": "form-urlencoded"}, "list of pairs"),
        ({"url": "http://127.0.0.1:1/"}, "-1 and not [200]: Request failed"),
    ],
)
def test_requests_that_cannot_be(server: Web, args: dict[str, object], said: str) -> None:
    result = run_module("uri", {"url": f"{server.url}/echo"} | args)
    assert result["failed"]
    assert said in result["msg"]


def test_in_a_playbook_the_password_is_not_shown(tmp_path: Path, server: Web) -> None:
    host = play(
        tmp_path,
        f"""
        - name: in
          uri: {{url: "{server.url}/echo", user: ada, password: s3cret, status_code: 201}}
          register: told
        - assert: {{that: 'told.json.method == "GET"'}}
        - name: out
          uri:
            url: "{server.url.replace("//", "//ada:s3cret@")}/absent"
            password: s3cret
            headers: {{Authorization: s3cret}}
        """,
    )
    assert [task["status"] for task in host["tasks"]] == ["ok", "ok", "failed"]
    assert "s3cret" not in str(host)
    assert "Status code was 404" in host["tasks"][2]["msg"]
