"""Watching a VM: when it is worth looking again, and what is new."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from labctl.agent import Op, start_agent
from labctl.deadline import Deadline
from labctl.grading.watch import LATEST, PATHS, SETTLED_BY, SHARE, Account, Pace, Signs
from labctl.inventory import local_host


def signs(
    files: str = "f", sockets: str = "s", mounts: str = "m", logs: str = "l", cpu: float = 1.0
) -> Signs:
    return Signs(files, sockets, mounts, logs, cpu)


def looked(cost: float = 0.0) -> Pace:
    """A pace right after a look that ended at 100 and took ``cost`` of processor time."""
    pace = Pace()
    assert pace.due(98.0, signs())
    pace.looked(100.0, signs(), signs(logs="after", cpu=1.0 + cost))
    return pace


def quiet(cpu: float = 1.0) -> Signs:
    return signs(logs="after", cpu=cpu)


def test_a_vm_on_which_nothing_happens_is_looked_at_now_and_then() -> None:
    pace = looked()
    assert not pace.due(101, quiet())
    assert not pace.due(100 + LATEST - 1, quiet())
    assert pace.due(100 + LATEST, quiet())


def test_a_change_is_looked_at_when_it_is_over() -> None:
    pace = looked()
    assert not pace.due(102, signs(files="new", logs="after"))
    assert not pace.due(103, signs(files="newer", logs="after"))
    assert pace.due(104, signs(files="newer", logs="after"))


def test_a_change_without_end_is_looked_at_all_the_same() -> None:
    pace = looked()
    due = [at for at in range(101, 120) if pace.due(at, signs(files=str(at), logs="after"))]
    assert due[0] == 101 + SETTLED_BY


def test_a_reload_that_shows_in_the_logs_only_is_a_change() -> None:
    pace = looked()
    pace.due(101, signs(logs="rndc reload"))
    assert pace.due(102, signs(logs="rndc reload"))


def test_what_a_look_writes_to_the_logs_is_none_and_what_a_student_did_meanwhile_is_one() -> None:
    pace = looked()
    assert not pace.due(102, quiet())
    pace = Pace()
    pace.looked(100, signs(), signs(sockets="a server was started during the look"))
    after = signs(sockets="a server was started during the look")
    pace.due(101, after)
    assert pace.due(102, after)


def test_looks_take_no_more_than_their_share_of_the_processor() -> None:
    cost = 2.0
    pace = looked(cost)
    busy = [at for at in range(101, 200) if pace.due(at, signs(files=str(at // 2), logs="after", cpu=3.0))]
    assert busy[0] == 100 + cost / SHARE


def test_a_question_that_costs_much_is_asked_seldom() -> None:
    pace = looked()
    assert pace.pause == 1.0
    pace.due(101, quiet(cpu=1.2))
    assert pace.pause > 10


def a_row(id: str, verdict: str, **fields: Any) -> dict[str, Any]:
    score = {"pass": 2.0, "fail": 0.0, "skip": 0.0, "error": None}[verdict]
    words = {"expected": "six", "seen": "five", "hint": "count them"}
    return {"id": id, "verdict": verdict, "score": score, "max_score": 2.0, **words, **fields}


def a_look(*rows: dict[str, Any], nonce: str = "") -> dict[str, Any]:
    return {"checks": list(rows), "target": {"nonce": nonce}}


def test_only_what_is_new_is_told() -> None:
    account = Account()
    assert account.add(a_look(a_row("a", "fail"), a_row("b", "pass"), a_row("c", "skip"))) == []
    assert account.open == ["a", "c"]
    (change,) = account.add(a_look(a_row("a", "pass"), a_row("c", "skip", hint="other words")))
    assert (change.row["id"], change.was) == ("a", "fail")
    assert (account.score, account.max_score) == (4.0, 6.0)
    (worse,) = account.add(a_look(a_row("b", "error")))
    assert (worse.was, account.open) == ("pass", ["b", "c"])


def test_another_mistake_in_the_same_check_is_new_and_another_nonce_is_not() -> None:
    account = Account()
    account.add(a_look(a_row("a", "fail", seen="n1.example.com: no answer"), nonce="n1"))
    assert account.add(a_look(a_row("a", "fail", seen="n2.example.com: no answer"), nonce="n2")) == []
    (change,) = account.add(a_look(a_row("a", "fail", seen="n3.example.com: REFUSED"), nonce="n3"))
    assert change.was == "fail"


def test_signs_change_with_files_and_sockets(tmp_path: Path) -> None:
    def look(agent: Any) -> dict[str, Any]:
        return dict(agent.call_one(Op("probes.fingerprint", {"paths": [str(tmp_path)]}), Deadline.after(20)))

    file = tmp_path / "deep" / "named.conf"
    file.parent.mkdir()
    file.write_text("zone")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait without end
    with start_agent(local_host(), Deadline.after(30), become=False) as agent:
        before = look(agent)
        assert look(agent)["files"] == before["files"]
        file.chmod(0o600)
        touched = look(agent)
        assert touched["files"] != before["files"]
        with socket.create_server(("127.0.0.1", 0)):
            assert look(agent)["sockets"] != before["sockets"]


def test_a_question_costs_little() -> None:
    op = Op("probes.fingerprint", {"paths": list(PATHS)})
    with start_agent(local_host(), Deadline.after(30), become=False) as agent:
        spent = agent.call_one(op, Deadline.after(20))["cpu"]
        for _ in range(10):
            last = agent.call_one(op, Deadline.after(20))
    assert (last["cpu"] - spent) / 10 < 0.1, "a tenth of a second of processor time each"
