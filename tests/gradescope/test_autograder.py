"""What the autograder believes, what it refuses and how it says so."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from exported import GOOD, READ_ONLY, WORST, speaking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_formats import TEXTS, raw_controls
from uploaded import GRADED, KIM, Upload, points, vm_points
from world import SECRET

from labctl.errors import RequestError
from labctl.gradescope import ReceiptError, make_keys, open_keys, read_receipt, receipt_name, sign_receipt
from labctl.gradescope.autograder import autograde
from labctl.gradescope.submission import address


def refused(upload: Upload, told: str, **values: Any) -> None:
    results = upload.graded(**values)
    assert points(results) == 0
    assert told in results["output"]


# -- receipts --------------------------------------------------------------------------------------


def test_a_receipt_becomes_the_points_that_staff_found(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    results = upload.graded()
    assert points(results) == 60
    assert vm_points(results) == 60
    assert "There is no file of answers" in results["output"]
    assert "Receipt of 21 November 2026, 08:00 UTC." in results["output"]
    assert results["extra_data"]["late_seconds"] == 0


def test_no_receipt_is_said_kindly(upload: Upload) -> None:
    upload.hand_in("1a. mount -t nfs ...", "answers.txt")
    refused(upload, f"hand in {receipt_name('lab7')}")


def test_every_changed_byte_is_noticed(upload: Upload) -> None:
    text = upload.receipt({**GOOD, "evidence": {}, "checks": GOOD["checks"][:2]}).encode()
    for at in range(0, len(text), 7):
        changed = bytearray(text)
        changed[at] ^= 1
        try:
            receipt = read_receipt(bytes(changed), upload.keys.public, upload.keys.sealing)
        except ReceiptError:
            continue
        # white space between the parts means nothing
        assert receipt.host["score"] == 60


def test_more_points_than_were_signed_are_refused(upload: Upload) -> None:
    document = json.loads(upload.receipt(READ_ONLY, "kim"))
    document["says"] = document["says"].replace('"score": 56.0', '"score": 60.0')
    upload.hand_in(json.dumps(document))
    refused(upload, "not as the staff signed it")


def test_parts_of_two_receipts_are_no_receipt(upload: Upload) -> None:
    mine, theirs = json.loads(upload.receipt()), json.loads(upload.receipt(READ_ONLY, "lee"))
    upload.hand_in(json.dumps({**mine, "sealed": theirs["sealed"]}))
    refused(upload, "not as the staff signed it")


def test_a_self_check_cannot_sign(upload: Upload, tmp_path: Path) -> None:
    """Who has labctl, the lab and the autograder's own zip still lacks the staff's key."""
    forged = sign_receipt(make_keys(tmp_path / "mine"), {**GOOD, **upload_head()}, GOOD, "kim")
    upload.hand_in(forged)
    refused(upload, "signed with another key")
    told = json.loads(forged)
    told["says"] = told["says"].replace('"key"', '"other"')
    upload.hand_in(json.dumps(told))
    refused(upload, "not as the staff signed it")


def upload_head() -> dict[str, Any]:
    return {"run": "x", "lab": "lab7", "title": "", "sections": {}}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"labctl_receipt": 1}', "no receipt any more"),
        (b'{"labctl_receipt": 2, "says": ""}', "another version"),
        (b'{"labctl_receipt": 1, "says": 1, "sealed": [], "signature": ""}', "no receipt any more"),
        (b'{"labctl_receipt": 1, "says": "\\ud800", "sealed": "", "signature": ""}', "no receipt any more"),
        (b'{"labctl_receipt"' + b"[" * 100_000, "no receipt any more"),
        (b'{"labctl_receipt": 1, "says": "x", "sealed": "y", "signature": "AAAA"}', "as the staff signed it"),
        (b"\xff\xfe" + '{"labctl_receipt": 1'.encode("utf-16-le"), "no receipt any more"),
    ],
)
def test_damaged_files_are_the_students_to_mend(upload: Upload, data: bytes, told: str) -> None:
    upload.hand_in(data)
    refused(upload, told)


def test_another_students_receipt_is_refused(upload: Upload) -> None:
    upload.hand_in(upload.receipt({**GOOD, "host": "student2"}, "lee"))
    refused(upload, "another student's")
    upload.emails = ["Lee@Example.org "]
    assert points(upload.graded()) == 60
    upload.emails = ["nobody@example.org"]
    refused(upload, "class list has nobody with the address nobody@example.org")


def test_letters_that_only_look_like_others_are_another_address(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.emails = ["\u212aim@example.org"]  # the Kelvin sign
    refused(upload, "class list has nobody")
    assert address("JOSE\u0301@Example.org") == address("jos\xe9@example.org")


def test_a_group_may_hand_in_the_receipt_of_any_of_them(upload: Upload) -> None:
    upload.emails = [KIM, "lee@example.org"]
    upload.hand_in(upload.receipt({**GOOD, "host": "student2"}, "lee"))
    assert points(upload.graded()) == 60


def test_another_labs_receipt_is_refused(upload: Upload) -> None:
    upload.hand_in(upload.receipt(lab="lab8"))
    refused(upload, "for lab8, and this is lab7")


def test_age_counts_from_when_it_was_handed_in(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.created = GRADED + timedelta(days=14)
    assert points(upload.graded()) == 60
    upload.created += timedelta(minutes=1)
    refused(
        upload, "of 21 November 2026, 08:00 UTC, and the oldest that counts is of 21 November 2026, 08:01"
    )
    assert points(upload.graded(max_age=15)) == 60
    upload.created = GRADED - timedelta(minutes=9)
    assert points(upload.graded()) == 60
    upload.created = GRADED - timedelta(minutes=11)
    refused(upload, "made after it was handed in")


def test_the_newest_good_receipt_of_several_counts(upload: Upload) -> None:
    upload.hand_in(upload.receipt(READ_ONLY | {"host": "student1"}), "old.json")
    upload.hand_in(upload.receipt({**GOOD, "started": "2026-11-21T08:30:00Z"}), "new.json")
    upload.hand_in(b'{"labctl_receipt": 1}', "z.json")
    assert points(upload.graded()) == 60


def test_of_two_receipts_of_one_run_the_one_signed_later_counts(upload: Upload) -> None:
    """A run that was judged again."""
    first, second = upload.receipt(), upload.receipt(READ_ONLY | {"host": "student1"})
    for one, two in (("a.json", "b.json"), ("b.json", "a.json")):
        upload.hand_in(first, one)
        upload.hand_in(second, two)
        assert points(upload.graded()) == 56


def test_what_staff_delivered_last_counts_where_the_best_or_first_attempt_does(upload: Upload) -> None:
    """--keep best: graded again it came to less, and the earlier grade was delivered once more."""
    worse = {**READ_ONLY, "host": "student1", "started": "2026-11-21T08:30:00Z"}
    upload.hand_in(upload.receipt(worse), "before.json")
    upload.hand_in(upload.receipt(), "after.json")
    assert points(upload.graded()) == 60


def test_a_receipt_kept_from_earlier_does_not_undo_what_staff_judged_since(upload: Upload) -> None:
    first = upload.receipt()
    corrected = upload.receipt(READ_ONLY | {"host": "student1"})
    since = json.loads(json.loads(corrected)["says"])["signed"]
    upload.hand_in(first, "first.json")
    assert points(upload.graded()) == 60
    refused(upload, "and the staff have made newer ones", not_before=since)
    upload.hand_in(corrected)
    assert points(upload.graded(not_before=since)) == 56
    assert points(upload.graded()) == 56


def test_a_receipt_by_other_points_than_the_labs_is_refused(upload: Upload) -> None:
    first, *others = GOOD["checks"]
    dearer = [{**first, "score": 100.0, "max_score": 100.0}, *others]
    unknown = [{**first, "id": "nfs.gone"}, *others]
    for checks in (dearer, unknown, others):
        upload.hand_in(upload.receipt({**GOOD, "checks": checks}))
        refused(upload, "other points than this autograder's lab7")


def test_what_is_the_matter_with_a_true_receipt_is_told_before_that_another_is_damaged(
    upload: Upload,
) -> None:
    upload.hand_in(upload.receipt(), "a.json")
    upload.hand_in(b'{"labctl_receipt": 1}', "z.json")
    upload.created = GRADED + timedelta(days=20)
    refused(upload, "the oldest that counts")


def test_a_receipt_among_many_other_files_is_found(upload: Upload) -> None:
    for number in range(400):
        upload.hand_in("x", f"a{number}.txt")
        upload.hand_in("{}", f"b{number}.json")
    upload.hand_in(upload.receipt())
    assert points(upload.graded()) == 60


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_true_receipt_under_another_name_is_found(upload: Upload, encoding: str) -> None:
    for number in range(250):
        upload.hand_in("{}", f"a{number:03}.json")
    parts = json.loads(upload.receipt())
    text = json.dumps(dict(sorted(parts.items(), key=lambda one: one[0] == "labctl_receipt")))
    upload.hand_in(text.encode(encoding), "My Receipt (1).txt")
    assert points(upload.graded()) == 60


def test_a_receipt_that_nobody_would_read_is_not_signed(upload: Upload) -> None:
    with pytest.raises(ReceiptError, match="no autograder reads it"):
        upload.receipt({**GOOD, "evidence": os.urandom(4 << 20).hex()})


def test_a_submission_thousands_of_directories_deep_is_looked_through(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    here = os.open(upload.root / "submission", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("a", dir_fd=here)
        inner = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        assert points(upload.graded()) == 60
    finally:
        subprocess.run(["rm", "-r", str(upload.root / "submission/a")], check=True)


def test_a_submission_of_links_and_devices_is_not_followed(upload: Upload, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(upload.receipt())
    directory = upload.root / "submission"
    (directory / "link.json").symlink_to(tmp_path / "elsewhere")
    (directory / "loop").symlink_to(directory)
    os.mkfifo(directory / "pipe.json")
    refused(upload, "no receipt among the files")


def test_what_a_student_can_read_does_not_tell_what_is_right(upload: Upload) -> None:
    """The receipt lies on the student's disk: expected answers, evidence and target do not."""
    text = upload.receipt(READ_ONLY | {"host": "student1"})
    for hidden in (SECRET, "mount option rw", "10.77.0.2", "nonce", "observations", "BEGIN"):
        assert hidden not in text
    assert '\\"score\\": 56.0' in text


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda rest: b'{"labctl_receipt": ' + rest))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_are_a_receipt(tmp_path: Path, data: bytes) -> None:
    keys = open_keys(tmp_path / "k") if (tmp_path / "k").exists() else make_keys(tmp_path / "k")
    with pytest.raises(ReceiptError):
        read_receipt(data, keys.public, keys.sealing)


@given(TEXTS)
@settings(max_examples=25, deadline=None)
def test_what_a_vm_said_does_not_reach_gradescope_raw_by_a_receipt(words: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        upload = Upload(Path(directory))
        _, bad, _ = speaking(words)["hosts"]
        upload.hand_in(upload.receipt({**bad, "host": "student1"}))
        assert points(upload.graded()) == 56
        assert not raw_controls((upload.root / "results/results.json").read_text())


def test_a_students_address_and_lab_are_shown_as_text(upload: Upload) -> None:
    upload.emails = [WORST]
    upload.hand_in(upload.receipt())
    refused(upload, "\\x1b[31mred")


# -- what is not the student's doing -------------------------------------------------------------------


def test_a_broken_build_makes_no_score(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.failed(public="AAAA")


def test_metadata_that_cannot_be_read_makes_no_score(
    upload: Upload, capsys: pytest.CaptureFixture[str]
) -> None:
    upload.hand_in(upload.receipt())
    upload.write()
    for text in ("", "{}", '{"created_at": "2026-11-21", "users": []}', '{"created_at": 1}'):
        (upload.root / "submission_metadata.json").write_text(text)
        assert autograde(upload.root) == 1
        assert "no grade:" in capsys.readouterr().err
    assert not (upload.root / "results/results.json").exists()


def test_a_receipt_of_an_older_labctl_and_results_that_do_not_fit_end_in_words(
    upload: Upload, capsys: pytest.CaptureFixture[str]
) -> None:
    target = {key: value for key, value in GOOD["target"].items() if key != "answered"}
    upload.hand_in(upload.receipt({**GOOD, "target": target}))
    assert points(upload.graded()) == 60
    (upload.root / "results/results.json").unlink()
    for host, told in (
        ({**GOOD, "evidence": []}, "TypeError"),
        ({**GOOD, "checks": GOOD["checks"] * 100}, "the results do not fit"),
    ):
        upload.hand_in(upload.receipt(host))
        upload.hand_in("{}", "answers.yml")
        upload.failed()
        assert f"no grade: {told}" in capsys.readouterr().err


# -- keys --------------------------------------------------------------------------------------------


def test_keys_are_their_owners_alone_and_are_not_replaced(tmp_path: Path) -> None:
    made = make_keys(tmp_path / "keys")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}
    assert open_keys(tmp_path / "keys").public == made.public
    with pytest.raises(RequestError, match="has a key already"):
        make_keys(tmp_path / "keys")
    (tmp_path / "keys/signing.pem").chmod(0o640)
    with pytest.raises(RequestError, match="others may read"):
        open_keys(tmp_path / "keys")
    with pytest.raises(RequestError, match="no key to sign receipts with"):
        open_keys(tmp_path / "none")
    (tmp_path / "keys/signing.pem").chmod(0o600)
    (tmp_path / "keys/signing.pem").write_text("x")
    with pytest.raises(RequestError, match="cannot be used"):
        open_keys(tmp_path / "keys")


def test_a_key_with_a_passphrase_is_named(tmp_path: Path) -> None:
    made = make_keys(tmp_path)
    locked = BestAvailableEncryption(b"course")
    pem = made.signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    (tmp_path / "signing.pem").write_bytes(pem)
    with pytest.raises(RequestError, match=r"signing\.pem has a passphrase"):
        open_keys(tmp_path)
