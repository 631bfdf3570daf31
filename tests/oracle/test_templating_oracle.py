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

#: Layouts of variables, and templates over each: as many as fit in about a minute.
LAYOUTS = 400
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


many = settings(
    max_examples=LAYOUTS,
    derandomize=True,  # what fails here fails for everybody
    suppress_health_check=list(HealthCheck),
)


@many
@given(st.randoms(use_true_random=False), st.integers(0, 2))
def test_templates_render_to_the_same_value(random: expressions.Random, depth: int) -> None:
    variables = expressions.variables(random.choice)
    for _ in range(EACH):
        template = expressions.template(random.choice, depth)
        ours, theirs = templars.by_labctl(template, variables), templars.by_ansible(template, variables)
        assert templars.agree(ours, theirs), (template, ours, theirs)


@many
@given(st.randoms(use_true_random=False), st.integers(0, 2))
def test_conditions_are_judged_the_same(random: expressions.Random, depth: int) -> None:
    variables = expressions.variables(random.choice)
    for _ in range(EACH // 2):
        condition = expressions.expression(random.choice, "truth", depth + 1)
        ours = templars.condition_by_labctl(condition, variables)
        theirs = templars.condition_by_ansible(condition, variables)
        assert templars.agree(ours, theirs), (condition, ours, theirs)


@pytest.mark.parametrize(
    "template",
    [
        *(
            "{{ nothing }}",
            "{{ d.nothing }}",
            "{{ l[7] }}",
            "{{ nothing | upper }}",
            "{{ [nothing] | join }}",
        ),
        *("{{ 1 + }}", "{% if %}", "{{ 'x' ", "{{ d.'x' }}", "{% nothing %}"),
        *("{{ 'x' | from_json }}", "{{ 1 / 0 }}", "{{ 'x' | regex_search('(') }}", "{{ 'x' | int + 'y' }}"),
    ],
)
def test_a_mistake_is_of_the_same_kind(template: str) -> None:
    variables = {"d": {"a": 1}, "l": [1, 2]}
    ours = templars.by_labctl(template, variables)
    assert ours in templars.KINDS
    assert ours == templars.by_ansible(template, variables)


@settings(max_examples=500, derandomize=True)
@given(st.text(string.ascii_letters + "{}%#-+ \n'\"\\|.()[]0", max_size=30))
def test_any_text_is_the_same_template(text: str) -> None:
    variables = dict.fromkeys(string.ascii_letters, 1)
    assert templars.agree(templars.by_labctl(text, variables), templars.by_ansible(text, variables))


def test_the_grammar_knows_every_filter_and_test() -> None:
    written = " ".join(part for parts in grammar.GROWN.values() for part in parts)
    # the ipaddr family has no short names in today's ansible-core
    written = written.replace("| ansible.utils.", "| ")
    missing = [name for name in FILTERS if f"| {name}" not in written and f"('{name}'" not in written]
    missing += [name for name in TESTS if f"is {name}" not in written and f"'{name}'" not in written]
    missing += [name for name in LOOKUPS if f"lookup('{name}', " not in written]
    assert sorted(set(missing) - set(ELSEWHERE)) == []
