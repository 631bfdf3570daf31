"""Vaults: what ansible-vault encrypts is opened, everything else is an error at its place."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.parsing.vault import AnsibleVaultError, AnsibleVaultFormatError, VaultLib, VaultSecret
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from labctl import vault
from labctl.documents import Secret, Verbatim, parse_yaml
from labctl.errors import Place, RequestError

PLACE = Place(Path("v.yml"), 4, 7)
LABELS = st.text("abcxyz019_-", min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def _own_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    monkeypatch.delenv("ANSIBLE_VAULT_IDENTITY_LIST", raising=False)
    monkeypatch.setattr(vault, "_hidden", vault._Hidden())
    yield
    vault.use_passwords()


def password_file(tmp_path: Path, text: str = "correct horse", name: str = "pw", mode: int = 0o600) -> str:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def encrypted(data: bytes, password: bytes = b"correct horse", label: str | None = None) -> bytes:
    """By ansible-core itself."""
    made: bytes = VaultLib().encrypt(data, VaultSecret(password), vault_id=label)
    return made


def opened_by_ansible(data: bytes, password: bytes = b"correct horse") -> bytes | None:
    try:
        found: bytes = VaultLib([("default", VaultSecret(password))]).decrypt(data)
    except (AnsibleVaultError, AnsibleVaultFormatError):
        return None
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.none() | LABELS)
def test_what_ansible_encrypts_is_opened(tmp_path: Path, data: bytes, label: str | None) -> None:
    assume(not data.startswith(b"$ANSIBLE_VAULT"))  # which it refuses
    vault.use_passwords(password_files=[password_file(tmp_path)])
    shut = encrypted(data, label=label)
    assert vault.is_vaulted(shut)
    assert vault.open_vault(shut, PLACE) == data


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_vault_is_refused_as_by_ansible(tmp_path: Path, data: st.DataObject) -> None:
    vault.use_passwords(password_files=[password_file(tmp_path)])
    shut = bytearray(encrypted(b"what it held"))
    start = shut.index(b"\n") + 1
    for _ in range(data.draw(st.integers(1, 3))):
        if data.draw(st.booleans()):
            del shut[data.draw(st.integers(start, len(shut) - 2))]
        else:
            shut[data.draw(st.integers(start, len(shut) - 2))] = data.draw(st.integers(0x21, 0x7E))
    expected = opened_by_ansible(bytes(shut))
    if expected is None:
        with pytest.raises(RequestError) as caught:
            vault.open_vault(bytes(shut), PLACE)
        assert caught.value.place == PLACE
    else:
        assert vault.open_vault(bytes(shut), PLACE) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"$ANSIBLE_VAULT\n3132", "damaged vault"),
        (b"$ANSIBLE_VAULT;0.9;AES256\n3132", "damaged vault"),
        (b"$ANSIBLE_VAULT;1.1;ROT13\n3132", "cipher 'ROT13'"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n", "damaged vault"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n313", "damaged vault"),
        (b"$ANSIBLE_VAULT;1.1;AES256\nzz", "damaged vault"),
    ],
)
def test_what_is_no_vault_inside_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    vault.use_passwords(password_files=[password_file(tmp_path)])
    with pytest.raises(RequestError, match=message) as caught:
        vault.open_vault(data, PLACE)
    assert caught.value.place == PLACE


def test_without_a_password_the_option_is_named() -> None:
    with pytest.raises(RequestError, match="no vault password was given") as caught:
        vault.open_vault(encrypted(b"x", label="dev"), PLACE)
    assert caught.value.hint == "--vault-password-file FILE, or --vault-id dev@FILE"


def test_a_wrong_password_says_what_was_tried(tmp_path: Path) -> None:
    file = password_file(tmp_path, "wrong")
    vault.use_passwords([f"prod@{file}"])
    with pytest.raises(RequestError, match=r"no vault password given opens this \(label 'dev'\)") as caught:
        vault.open_vault(encrypted(b"x", label="dev"), PLACE)
    assert f"prod ({file})" in caught.value.message


@pytest.mark.parametrize("used", [b"correct horse", b"\xef\xbb\xbfcorrect horse"])
def test_a_password_that_notepad_saved_opens_what_it_was_meant_for_and_what_ansible_took_it_for(
    tmp_path: Path, used: bytes
) -> None:
    vault.use_passwords(password_files=[password_file(tmp_path, "\ufeffcorrect horse\r\n")])
    assert vault.open_vault(encrypted(b"x", used), PLACE) == b"x"


def test_the_labels_own_password_is_read_first_and_the_others_follow(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    script = password_file(tmp_path, f"#!/bin/sh\necho asked >> {asked}\necho other\n", "script", 0o700)
    right = password_file(tmp_path)
    vault.use_passwords([f"prod@{script}", f"dev@{right}"])
    assert vault.open_vault(encrypted(b"x", label="dev"), PLACE) == b"x"
    assert not asked.exists()
    assert vault.open_vault(encrypted(b"y", label="nobody"), PLACE) == b"y"
    assert asked.read_text() == "asked\n"


def test_a_password_may_be_asked_for_once() -> None:
    """On a terminal of its own: nothing of what is typed is shown."""
    code = (
        "from pathlib import Path; from labctl import vault; from labctl.errors import Place\n"
        "vault.use_passwords(['dev@prompt'])\n"
        f"text = {encrypted(b'opened', label='dev')!r}\n"
        "for _ in range(2): print(vault.open_vault(text, Place(Path('v'), 1, 1)))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(terminal, 1024):
            shown += part
            if shown == b"Vault password (dev): ":
                os.write(terminal, b"correct horse\n")
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, shown
    assert shown.count(b"Vault password") == 1
    assert shown.count(b"b'opened'") == 2
    assert b"correct" not in shown


def test_an_executable_prints_the_password_and_a_client_is_told_the_label(tmp_path: Path) -> None:
    plain = password_file(tmp_path, '#!/bin/sh\necho "correct horse"\n', "plain.sh", 0o700)
    vault.use_passwords(password_files=[plain])
    assert vault.open_vault(encrypted(b"x"), PLACE) == b"x"
    client = password_file(
        tmp_path, '#!/bin/sh\n[ "$1 $2" = "--vault-id dev" ] && echo "of dev"\n', "keys-client.sh", 0o700
    )
    vault.use_passwords([f"dev@{client}"])
    assert vault.open_vault(encrypted(b"x", b"of dev"), PLACE) == b"x"


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("#!/bin/sh\nexit 3\n", 0o700, "ended with status 3"),
        ("#!/bin/sh\n", 0o700, "is empty"),
        (" \n", 0o600, "is empty"),
        ("just a password", 0o700, "cannot read the vault password file"),
    ],
)
def test_a_password_that_cannot_be_had(tmp_path: Path, text: str, mode: int, message: str) -> None:
    vault.use_passwords(password_files=[password_file(tmp_path, text, mode=mode)])
    with pytest.raises(RequestError, match=message):
        vault.open_vault(encrypted(b"x"), PLACE)


def test_a_password_file_that_is_not_there_is_an_error_before_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no vault password file"):
        vault.use_passwords(password_files=[str(tmp_path / "nowhere")])


def test_the_environment_gives_passwords_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", password_file(tmp_path))
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", f"dev@{password_file(tmp_path, 'of dev', 'dev')}, ")
    vault.use_passwords()
    assert vault.open_vault(encrypted(b"x"), PLACE) == b"x"
    assert vault.open_vault(encrypted(b"y", b"of dev"), PLACE) == b"y"


# -- in YAML ------------------------------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8")))
def test_an_inline_string_is_what_was_encrypted(tmp_path: Path, text: str) -> None:
    vault.use_passwords(password_files=[password_file(tmp_path)])
    assume(not text.startswith("$ANSIBLE_VAULT"))
    body = encrypted(text.encode()).decode().replace("\n", "\n    ")
    document = parse_yaml(f"secret: !vault |\n    {body}\nnext: 1\n", Path("v.yml"))
    assert document == {"secret": text, "next": 1}
    assert isinstance(document["secret"], Secret)


def test_an_inline_string_that_stays_shut_is_named_by_its_line() -> None:
    text = f"a: 1\nb:\n  - !vault |\n    {encrypted(b'x').decode().replace(chr(10), chr(10) + '    ')}\n"
    with pytest.raises(RequestError, match="no vault password was given") as caught:
        parse_yaml(text, Path("v.yml"))
    assert str(caught.value.place) == "v.yml:3:5"


def test_unsafe_text_is_text_and_numbers_stay_numbers() -> None:
    document = parse_yaml(
        '- !unsafe "{{ a }}"\n- !unsafe a {{b}}\n- !unsafe 5\n- !unsafe "5"\n', Path("v.yml")
    )
    assert document == ["{{ a }}", "a {{b}}", 5, "5"]
    assert [isinstance(item, Verbatim) for item in document] == [True, True, False, True]
    with pytest.raises(RequestError, match="!unsafe marks text"):
        parse_yaml("a: !unsafe [x]", Path("v.yml"))


# -- what is shown ------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_they_stand() -> None:
    vault.hide({"users": ["hunter2hunter2", "no"], "key": "-----BEGIN\nabcdefgh\n-----END\n"})
    shown = vault.masked(
        {
            "cmd": "login amy:hunter2hunter2@db",
            "list": ["hunter2hunter2", "nobody", "no"],
            "diff": "+abcdefgh\n-other\n",
            "n": 5,
        }
    )
    assert shown == {
        "cmd": "login amy:********@db",
        "list": ["********", "nobody", "********"],
        "diff": "+********\n-other\n",
        "n": 5,
    }


@given(st.text(min_size=6), st.text(), st.text())
def test_no_secret_is_left_in_any_text(secret: str, before: str, after: str) -> None:
    hidden = vault._Hidden()
    hidden.add([secret])
    assert secret not in hidden.mask(before + secret + after).replace(vault.MASK, "\0")
