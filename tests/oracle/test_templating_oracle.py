"""The same templates over the same variables by ansible-core and by labctl: one value, one type.

No VM: both templars run in this process. The grammar knows every filter, test and lookup that labctl
has, so a difference in any of them shows here. Where there is no value, the kind of error is the same.
"""

from __future__ import annotations

import string

import expressions
import grammar
import pytest
import templars
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.playbook.filters import FILTERS, TESTS
from labctl.playbook.lookups import LOOKUPS

#: Templates, and half as many conditions, over each layout of variables.
EACH = 8

pytestmark = pytest.mark.slow

#: Not in the grammar, with the reason.
ELSEWHERE = {
    **dict.fromkeys(("expandvars", "fileglob"), "this machine's own"),
    "win_dirname": "win_basename stands for both",
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    templars.silence(monkeypatch)
    monkeypatch.setenv("ORACLE_WORD", "wörd 1")
    monkeypatch.setenv("ORACLE_EMPTY", "")
    monkeypatch.delenv("ORACLE_NONE", raising=False)


def differences(random: expressions.Random, depth: int) -> list[str]:
    """What the two tools make of templates and conditions over one layout, where they do not agree."""
    variables = expressions.variables(random.choice)
    found = []
    for _ in range(EACH):
        text = expressions.template(random.choice, depth)
        ours, theirs = templars.by_labctl(text, variables), templars.by_ansible(text, variables)
        if not templars.agree(ours, theirs):
            found.append(f"template {text!r}: {ours}, ansible {theirs}")
    for _ in range(EACH // 2):
        text = expressions.expression(random.choice, "truth", depth + 1)
        if "{#" in text:  # Ansible renders words within a condition once more, until 2.23
            continue
        ours = templars.condition_by_labctl(text, variables)
        theirs = templars.condition_by_ansible(text, variables)
        if not templars.agree(ours, theirs):
            found.append(f"condition {text!r}: {ours}, ansible {theirs}")
    return found


@pytest.mark.parametrize("layouts", [range(start, start + 50) for start in range(0, 400, 50)], ids=str)
def test_templates_render_to_the_same_value(layouts: range) -> None:
    """The same layouts in every run: what fails here fails for everybody. The soak looks for new ones."""
    found = [line for seed in layouts for line in differences(expressions.Random(seed), seed % 3)]
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(0, 2))
def test_new_templates_render_to_the_same_value(random: expressions.Random, depth: int) -> None:
    assert differences(random, depth) == []


@pytest.mark.parametrize(
    "template",
    [
        *(
            "{{ nothing }}",
            "{{ d.nothing }}",
            "{{ l[7] }}",
            "{{ nothing | upper }}",
            "{{ [nothing] | join }}",
            "{{ [d] | map(attribute='nothing') }}",
        ),
        *("{{ 1 + }}", "{% if %}", "{{ 'x' ", "{{ d.'x' }}", "{% nothing %}", "{% do 1 %}"),
        *("{{ lookup('nowhere') }}", "{{ query('a.b.c', 'x') }}"),
        *("{{ 'x' | from_json }}", "{{ 1 / 0 }}", "{{ 'x' | regex_search('(') }}", "{{ 'x' | int + 'y' }}"),
    ],
)
def test_a_mistake_is_of_the_same_kind(template: str) -> None:
    variables = {"d": {"a": 1}, "l": [1, 2]}
    ours = templars.by_labctl(template, variables)
    assert ours in templars.KINDS
    assert ours == templars.by_ansible(template, variables)


MARKS = string.ascii_letters + "{}%#-+ \n'\"\\|.()[]0"


def _agree_on(text: str) -> bool:
    variables = dict.fromkeys(string.ascii_letters, 1)
    return templars.agree(templars.by_labctl(text, variables), templars.by_ansible(text, variables))


def test_any_text_is_the_same_template() -> None:
    random = expressions.Random(0)
    texts = ["".join(random.choices(MARKS + "{{}}%" * 4, k=random.randrange(31))) for _ in range(2000)]
    assert [text for text in texts if not _agree_on(text)] == []


@pytest.mark.soak
@settings(max_examples=20_000)
@given(st.text(MARKS, max_size=30))
def test_any_new_text_is_the_same_template(text: str) -> None:
    assert _agree_on(text)


def test_the_grammar_knows_every_filter_and_test() -> None:
    written = " ".join(part for parts in grammar.GROWN.values() for part in parts)
    # the ipaddr family has no short names in today's ansible-core
    written = written.replace("| ansible.utils.", "| ")
    missing = [name for name in FILTERS if f"| {name}" not in written and f"('{name}'" not in written]
    missing += [name for name in TESTS if f"is {name}" not in written and f"'{name}'" not in written]
    missing += [name for name in LOOKUPS if f"lookup('{name}', " not in written]
    assert sorted(set(missing) - set(ELSEWHERE)) == []
