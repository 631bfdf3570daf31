"""Lab 7's written answers: right ones in every honest form, wrong ones each with a hint, in a right VM."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from lab7_answers import DOUBTFUL, FOR_STAFF, PLAINLY_RIGHT, PLAINLY_WRONG, RIGHT, WRONG
from world import CONFIG, LAB, RECORDS, SECRET, TARGET, World, greeting

from labctl.grading import Result, Verdict
from labctl.probes import Candidate, Record, Replies, Resolvers
from labctl.probes.haproxy import Running

ANSWERED = {question: forms[0] for question, forms in RIGHT.items()}


def judged(question: str, text: str, **changes: object) -> Result:
    """The check of one answer; the others are answered rightly."""
    world = World(answers={**ANSWERED, question: text})
    for name, value in changes.items():
        setattr(world, name, value)
    results = {one.check.id: one for one in world.judge()}
    return results[f"answer.{question}"]


def test_every_question_with_an_answer_has_a_check_and_cases() -> None:
    asked = {one.id for one in LAB.rubric.questions if one.answer}
    assert {one.question for one in LAB.checks if one.is_answer} == asked
    assert set(RIGHT) == asked
    assert {question for question, *_ in WRONG} == asked


def test_right_answers_have_full_marks_and_add_to_the_maximum() -> None:
    results = World(answers=ANSWERED).judge()
    assert [
        one.check.id for one in results if one.verdict is not Verdict.PASS and not one.check.optional
    ] == []
    assert sum(one.check.points for one in results) == sum(one.points for one in LAB.checks)
    assert all(one.judgement.answer for one in results if one.check.is_answer)


@pytest.mark.parametrize(
    ("question", "text"),
    [(question, text) for question, forms in RIGHT.items() for text in forms[1:]],
)
def test_every_honest_form_is_right(question: str, text: str) -> None:
    result = judged(question, text)
    assert result.verdict is Verdict.PASS, result.judgement


@pytest.mark.parametrize(("question", "text", "named"), WRONG)
def test_a_wrong_answer_is_refused_with_a_hint_that_names_what_is_wrong(
    question: str, text: str, named: str
) -> None:
    result = judged(question, text)
    said = result.judgement
    assert result.verdict is Verdict.FAIL
    assert result.score < result.check.points
    assert named in f"{said.seen} | {said.hint}"
    assert said.expected
    assert len(said.hint) < 200


def test_what_is_not_answered_is_a_failure_of_its_own() -> None:
    results = [one for one in World(answers={}).judge() if one.check.is_answer]
    assert {one.verdict for one in results} == {Verdict.FAIL}
    assert sum(one.score for one in results) == 0
    assert all(one.judgement.seen == "none" for one in results)


def test_the_secret_is_for_staff_where_it_is_not_known_and_is_never_in_the_evidence() -> None:
    world = World(answers=ANSWERED, secret_known=False)
    assert "answer.1b" not in {one.check.id for one in world.judge()}
    world = World(answers={**ANSWERED, "1b": "guess"})
    world.judge()
    assert SECRET not in str(world.evidence.to_json())
    assert SECRET not in str(TARGET.to_json())


@pytest.mark.parametrize(
    ("question", "text", "share"),
    [
        ("2b", "Because localhost is stopped, nothing answers there.", 0.5),
        ("2d", "api A 10.77.0.12\nwww CNAME api", 2 / 3),
        ("2d", "api A 10.77.0.12\nwww CNAME api\n@ TXT hello\ngone A 10.0.0.1", 3 / 4),
        ("2e", "dig @localhost api.example.com\ndig @localhost example.com TXT", 2 / 3),
        (
            "3c",
            "backend kitchen\n" + "".join(f"server s{n} 127.0.0.1:{8080 + n} check\n" for n in range(6)),
            0.5,
        ),
        ("3d", "They are green.", 0.5),
        ("1a", "mount staff2.decal.xcf.sh:/opt/lab7/public /media", 0.5),
    ],
)
def test_a_part_of_an_answer_has_a_part_of_the_points(question: str, text: str, share: float) -> None:
    result = judged(question, text)
    assert result.verdict is Verdict.FAIL
    assert result.score == pytest.approx(result.check.points * share, abs=0.01)


@pytest.mark.parametrize("question", ["2b", "3a", "3d", "3e"])
def test_words_below_full_marks_are_for_staff_to_read_beside_what_the_vm_shows(question: str) -> None:
    said = judged(question, "It is as one would expect.").judgement
    assert said.for_staff
    assert said.answer == "It is as one would expect."
    assert "on the VM: " in said.seen
    full = judged(question, ANSWERED[question]).judgement
    assert not full.for_staff
    assert "it says: " in full.seen


@pytest.mark.parametrize(("question", "text"), FOR_STAFF)
def test_what_is_not_recognised_is_for_staff(question: str, text: str) -> None:
    result = judged(question, text)
    assert result.verdict is Verdict.FAIL
    assert result.judgement.for_staff


@pytest.mark.parametrize(("question", "text"), PLAINLY_WRONG)
def test_what_is_plainly_wrong_is_not(question: str, text: str) -> None:
    result = judged(question, text)
    assert result.verdict is Verdict.FAIL
    assert not result.judgement.for_staff


@pytest.mark.parametrize(("question", "text"), DOUBTFUL)
def test_what_may_be_meant_the_other_way_round_keeps_its_points_and_is_for_staff(
    question: str, text: str
) -> None:
    result = judged(question, text)
    assert result.verdict is Verdict.PASS, result.judgement
    assert result.judgement.for_staff


@pytest.mark.parametrize(("question", "text"), PLAINLY_RIGHT)
def test_what_is_plainly_right_nobody_reads(question: str, text: str) -> None:
    result = judged(question, text)
    assert result.verdict is Verdict.PASS, result.judgement
    assert not result.judgement.for_staff


@pytest.mark.parametrize(
    ("text", "real", "for_staff"),
    [
        ("I changed it from roundrobin to random", "random", True),
        ("random; roundrobin would be the default", "random", True),
        ("source (hash of the client's IP), where the default is round robin", "source", True),
        ("source (a hash of the client's IP)", "source", False),
        ("We use round robin first.", "roundrobin", True),
    ],
)
def test_an_algorithm_beside_the_name_of_another_is_held_against_the_vm(
    text: str, real: str, for_staff: bool
) -> None:
    config = replace(World().haproxy, text=CONFIG.replace("roundrobin", real))
    result = judged("3b", text, haproxy=config, workers={3}, order=[3] * 240)
    assert result.verdict is Verdict.PASS, result.judgement
    assert result.judgement.for_staff == for_staff
    leastconn = replace(World().haproxy, text=CONFIG.replace("roundrobin", "leastconn"))
    said = judged("3b", text, haproxy=leastconn, workers={3}, order=[3] * 240).judgement
    assert (said.verdict, said.for_staff) == (Verdict.FAIL, for_staff)


def test_a_pattern_that_is_denied_is_for_staff() -> None:
    chaos = replace(World().haproxy, text=CONFIG.replace("roundrobin", "random"))
    order = [(n * n * 7 + n // 5) % 6 for n in range(240)]
    said = judged("3a", "Not random: they go in order", haproxy=chaos, order=order).judgement
    assert (said.verdict, said.for_staff) == (Verdict.PASS, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("_note_", "_note_"),
        ("*star*", "*star*"),
        ("a–b", "a–b"),
        ("hello—world", "hello—world"),
        ("2. txt", "2. txt"),
        ("caf\u00e9", "cafe\u0301"),
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_a_name_is_what_it_is(name: str, text: str) -> None:
    assert judged("1f", text, staff_entries=(name,)).verdict is Verdict.PASS


@pytest.mark.parametrize("text", ["fe80::1", "fe80::1%eth0"])
def test_a_resolver_on_a_link_is_named_with_it_or_without(text: str) -> None:
    link = Resolvers(("fe80::1%eth0",), (), "")
    assert judged("2c", text, resolvers=link).verdict is Verdict.PASS


def test_the_longest_answer_is_judged_at_once() -> None:
    for letters in ("a", "0 1 ", "server 1:", "no localhost ", "( @h "):
        text = (letters * 8000)[:8000]
        began = time.monotonic()
        World(answers=dict.fromkeys(RIGHT, text)).judge()
        assert time.monotonic() - began < 5


def test_the_ideas_found_are_named() -> None:
    said = judged("3e", "The server turns red.").judgement
    assert "it says: its server is shown as down" in said.seen
    assert "1 of 2" in said.seen


def test_the_algorithm_is_the_one_observed_and_configured() -> None:
    leastconn = replace(World().haproxy, text=CONFIG.replace("roundrobin", "leastconn"))
    assert judged("3b", "leastconn", haproxy=leastconn).verdict is Verdict.PASS
    assert judged("3b", "roundrobin", haproxy=leastconn).verdict is Verdict.FAIL
    source = replace(World().haproxy, text=CONFIG.replace("roundrobin", "source"))
    assert judged("3b", "source", haproxy=source, order=[4] * 240).verdict is Verdict.PASS
    # what is in the file and not in use is not what is asked for
    stale = {"haproxy": source, "balances": "roundrobin"}
    assert judged("3b", "source", **stale).verdict is Verdict.FAIL
    assert judged("3b", "roundrobin", **stale).verdict is Verdict.PASS


def test_what_haproxy_says_of_itself_is_not_a_wrong_answer() -> None:
    said = replace(
        World().haproxy,
        text=CONFIG.replace("roundrobin", "leastconn"),
        running=(Running("kitchen", "leastconn", ""),),
    )
    assert judged("3b", "leastconn", haproxy=said, balances="source").verdict is Verdict.ERROR
    assert judged("3b", "random", haproxy=said, balances="source").verdict is Verdict.FAIL


def test_the_algorithm_is_named_with_the_chance_that_it_is_another() -> None:
    assert re.search(
        r"roundrobin.*\(chance of another: \de-\d\d\)", judged("3b", "roundrobin").judgement.seen
    )


def test_one_worker_shows_no_algorithm_and_the_file_is_believed() -> None:
    alone = {"workers": {3}, "order": [3] * 240}
    assert judged("3b", "roundrobin", **alone).verdict is Verdict.PASS
    assert judged("3b", "source", **alone).verdict is Verdict.FAIL


def test_a_pattern_is_what_this_balancer_does() -> None:
    order = [(n * n * 7 + n // 5) % 6 for n in range(240)]
    chaos = {"haproxy": replace(World().haproxy, text=CONFIG.replace("roundrobin", "random")), "order": order}
    assert judged("3a", "No, there is no pattern.", **chaos).verdict is Verdict.PASS
    assert judged("3a", "No, there is no pattern.").verdict is Verdict.FAIL


def test_the_resolver_is_any_that_the_vm_uses() -> None:
    own = Resolvers(("127.0.0.1",), (), "")
    assert judged("2c", "127.0.0.1", resolvers=own).verdict is Verdict.PASS
    assert judged("2c", "127.0.0.53", resolvers=own).verdict is Verdict.FAIL
    assert judged("2c", "the one of the university").judgement.for_staff


def test_a_configuration_that_haproxy_refuses_does_not_pass() -> None:
    refused = Candidate(True, False, "[ALERT] unknown keyword")
    said = judged("3c", ANSWERED["3c"], candidate=refused).judgement
    assert said.verdict is Verdict.FAIL
    assert "unknown keyword" in said.seen


def test_what_is_not_in_use_is_never_sent_to_the_vm() -> None:
    world = World(answers={**ANSWERED, "3c": "global\n    lua-load /tmp/evil.lua"})
    world.judge()
    assert not [one for wave in world.asked for one in wave if one.probe.name == "candidate"]


def test_the_candidate_is_the_configuration_with_the_answer_in_its_place() -> None:
    world = World(answers=ANSWERED)
    world.judge()
    (request,) = [one for wave in world.asked for one in wave if one.probe.name == "candidate"]
    assert "".join(request.args["text"].split()) == "".join(CONFIG.split())


def test_a_record_with_its_dot_left_out_is_read_as_it_was_meant() -> None:
    served = (*RECORDS, Record("alias.example.com.", "CNAME", "api.example.com.", 60))
    text = ANSWERED["2d"] + "\nalias.example.com CNAME api.example.com"
    assert judged("2d", text, served=served).verdict is Verdict.PASS


def test_many_records_are_asked_for_at_once_and_end_no_other_check() -> None:
    more = tuple(Record(f"h{n}.example.com.", "A", f"10.0.0.{n}", 60) for n in range(18))
    text = ANSWERED["2d"] + "".join(f"\n{one.name} A {one.data}" for one in more)
    few, many = World(answers=ANSWERED), World(answers={**ANSWERED, "2d": text}, served=(*RECORDS, *more))
    few.judge()
    results = {one.check.id: one.verdict for one in many.judge()}
    assert results["answer.2d"] is Verdict.PASS
    assert Verdict.ERROR not in results.values()
    assert len(many.asked) == len(few.asked)


@pytest.mark.parametrize(
    ("added", "data"),
    [
        ('spf IN TXT (\n  "v=spf1 a mx -all"\n)', '"v=spf1 a mx -all"'),
        ("spf IN TXT (\n“one”\n“two” )", '"one" "two"'),
        ("spf TXT “a – b”", '"a \\226\\128\\147 b"'),
        ('spf TXT "run `make`"', '"run `make`"'),
        ('spf TXT "it’s"', '"it\\226\\128\\153s"'),
    ],
)
def test_a_text_is_served_as_it_was_written(added: str, data: str) -> None:
    served = (*RECORDS, Record("spf.example.com.", "TXT", data, 60))
    result = judged("2d", f"{ANSWERED['2d']}\n{added}", served=served)
    assert result.verdict is Verdict.PASS, result.judgement
    other = (*RECORDS, Record("spf.example.com.", "TXT", '"other"', 60))
    assert judged("2d", f"{ANSWERED['2d']}\n{added}", served=other).verdict is Verdict.FAIL


@pytest.mark.parametrize("line", ["* 1h IN A 10.77.0.14", "* in a 10.77.0.14", "* A 10.77.0.14"])
def test_a_wildcard_is_no_item_of_a_list(line: str) -> None:
    served = (*RECORDS, Record("*.example.com.", "A", "10.77.0.14", 60))
    assert judged("2d", f"{ANSWERED['2d']}\n{line}", served=served).verdict is Verdict.PASS


def test_what_is_delegated_is_looked_up_in_the_zones_file() -> None:
    text = "api IN A 10.77.0.12\nsub IN NS ns1.sub\nns1.sub IN A 10.77.0.15\n@ IN TXT hello"
    cut = (
        Record("sub.example.com.", "NS", "ns1.sub.example.com.", 60),
        Record("ns1.sub.example.com.", "A", "10.77.0.15", 60),
    )
    bind = replace(World().bind, records=(*RECORDS, *cut))
    assert judged("2d", text, bind=bind).verdict is Verdict.PASS
    assert "not served: sub.example.com. NS" in judged("2d", text).judgement.seen
    without = text.replace("sub IN NS ns1.sub\n", "").replace("@", "www CNAME api\n@")
    assert judged("2d", without, bind=bind).verdict is Verdict.PASS


def test_a_record_in_an_answer_must_be_served_now() -> None:
    result = judged("2d", ANSWERED["2d"], served=tuple(one for one in RECORDS if one.type != "TXT"))
    assert "not served: example.com. TXT" in result.judgement.seen


def test_what_cannot_be_observed_costs_no_answer_a_point() -> None:
    lost = World(answers=ANSWERED, lost={"resolvers", "candidate", "directory"})
    verdicts = {one.check.id: one.verdict for one in lost.judge() if one.check.is_answer}
    assert {key for key, one in verdicts.items() if one is Verdict.ERROR} == {
        "answer.1f",
        "answer.2b",
        "answer.2c",
        "answer.3c",
    }
    assert Verdict.FAIL not in verdicts.values()


def test_an_answer_is_never_an_expression_or_a_template() -> None:
    evil = "(((a+)+)+)+$ {{ 7 * 7 }} $(reboot) `rm -rf /` %s {0} [[:alpha:]]\\"
    for question in RIGHT:
        result = judged(question, evil)
        assert result.verdict is Verdict.FAIL, question
        assert "49" not in result.judgement.seen


def test_a_greeting_is_no_status() -> None:
    assert greeting(5).status == 200
    assert judged("3f", "Hello, I am ID 5", door=Replies((greeting(5),), 0.1)).verdict is Verdict.FAIL
