"""What has no value, and what is no finished one, by ansible-core and by labctl: one case a line.

Something undefined and what could not be made are handed on alike by whatever they are given to, and a
variable is to other templates what its own template gives. Most of these were drawn by the grammar once.
"""

from __future__ import annotations

import pytest
import templars

VARIABLES = {
    "bad": "{{ none | list }}",
    "m": {"a": 1},
    "t": "a",
    "l": [1, 2],
    "lu": ["{{ nowhere }}", 1],
    "l1": ["{{ nowhere }}", "{# wrong"],
    "reads": ["{{ lu[0] | default('d') }}"],
    "tt": {"n": 1, "broken": "{{ nowhere }}"},
}

NO_VALUE = """\
(tt | combine(m)).get('zz', bad)
m.get('zz', bad)
nowhere.get(bad)
nowhere(bad)
bad(nowhere)
bad.get(nowhere)
m.nope(bad)
none.x(bad)
m[bad]
m[nowhere]
l[bad]
l[nowhere]
l[1.5]
nowhere[bad]
bad[nowhere]
nowhere == bad
bad == nowhere
nowhere < bad
bad in [nowhere]
[nowhere] == [bad]
nowhere ~ bad
[bad, nowhere] | last
[bad, nowhere] | join
undef(nowhere)
undef(1)
lookup('vars', 'm', default=bad)
lookup('vars', [nowhere])
lookup('env', 'X', default=bad)
nowhere | default(1, nowhere)
m | default(1, nowhere)
m | mandatory(bad)
nowhere | mandatory(bad)
[nowhere] | unique(case_sensitive=false)
[{'a': bad}] | sort(attribute='a')
[{'a': bad}] | first
[{'a': nowhere}] | groupby('a')
[{'a': nowhere}] | combine
[{}] | sort(attribute='a')
[{'a': nowhere}] | map(attribute='a') | first
[([nowhere],)] | flatten
(nowhere,) | first
[nowhere] | human_readable
[nowhere] | human_to_bytes
[nowhere] | urlsplit
[nowhere] | dict2items
{'a': nowhere} | items2dict
[nowhere] is failed
[nowhere] is version('1')
[1] is version('1')
(1, nowhere) is truthy(true)
([1], nowhere) is truthy(true)
[[nowhere]] is truthy(true)
[nowhere] | shuffle
[1, 2] | shuffle(seed=[1])
[] | intersect((nowhere, none))
(nowhere, none) | intersect([])
[] | difference((nowhere, none))
[] | difference(([], nowhere))
[] | intersect(none)
[] | difference(5)
[1] | intersect(none)
[] | union(none)
none | difference([])
reads | join
reads | to_json
m | ansible.utils.ipaddr
{'a': nowhere} | ansible.utils.ipaddr
[nowhere] | ansible.utils.ipaddr
lookup('env', 'X', default=(t | escape))
lookup('vars', 'm', default=range(3))
lookup('env', 'X', default=m.get)
lookup('vars', 'x', default=range(3), errors='ignore')
{'a': nowhere}.items()
{'a': nowhere}.values() | list
{'a': nowhere} | items
[nowhere].copy()
[{'a': nowhere}] | length
[[{'a': nowhere}]] | flatten
[{'a': nowhere}] | list
"""

#: A variable's template, and what reads it as ``v``.
MADE = """\
[nowhere, 1] -> v[1]
[nowhere, 1] -> v[0] is defined
[nowhere, 1] -> v | length
[nowhere, 1] -> v | select('defined')
[nowhere, 1] -> v ~ ''
[nowhere, 1] -> v | default(3)
[nowhere, 1] -> v.pop()
[nowhere, 1] -> v.pop(0) | default(3)
[nowhere, 1] -> v.copy() | length
[nowhere, 1] -> v.index(1) is defined
[nowhere, 1] -> v.reverse()
{'a': nowhere, 'b': 2} -> v.b
{'a': nowhere, 'b': 2} -> v.a | default(3)
{'a': nowhere, 'b': 2} -> v.keys()
{'a': nowhere, 'b': 2} -> v is defined
{'a': nowhere, 'b': 2} -> v | to_json
{'a': nowhere, 'b': 2} -> v
{'a': nowhere, 'b': 2} -> v.values() | default(3)
{'a': nowhere, 'b': 2} -> (v.items() | list) is defined
{'a': nowhere, 'b': 2} -> v.pop('b')
{'a': nowhere, 'b': 2} -> v.popitem()
{'a': nowhere, 'b': 2} -> v.copy() | length
{'a': [none | list, nowhere]} -> v | combine({'a': [1], 'b': 2}, list_merge='replace') | type_debug
{'a': [none | list, nowhere]} -> v | combine({'a': [1], 'b': 2}, list_merge='keep') | type_debug
{'a': [none | list, nowhere]} -> v | combine({'a': [1], 'b': 2}, list_merge='append') | type_debug
{'a': [none | list, nowhere]} -> v | combine({'a': [1], 'b': 2}, list_merge='prepend') | type_debug
{'a': [none | list, nowhere]} -> v | combine({'a': [1], 'b': 2}, list_merge='append_rp') | type_debug
{'a': [none | list, nowhere]} -> v | combine({'a': [1], 'b': 2}, list_merge='prepend_rp') | type_debug
{'a': [none | list], 'k': 1} -> v | combine({'a': [], 'b': 2}, {'a': 1, 'c': 3}) | to_json
{'a': [1, 3], 'k': 1} -> v | combine({'a': [3, 2]}, {'a': [1, 2]}, list_merge='append_rp')
{'a': [1, 3], 'k': 1} -> v | combine({'a': [3, 2]}, {'a': [1, 2]}, list_merge='prepend_rp')
{'a': [1, 3], 'k': 1} -> v | combine({'a': [3, 2]}, {'a': [1, 2]}, list_merge='keep')
{'a': {'b': {'c': 1}}} -> v | combine({'a': {'b': 1}}, {'a': {'b': {'d': 1}}}, recursive=true)
[] -> v | combine(list_merge='nothing')
[omit, 1] -> dict(v | zip([1, 2]))
{'a': omit, 'b': 1} -> v
{'a': omit, 'b': 1} -> v | length
{'a': omit, 'b': 1} -> v.a | type_debug
{'a': omit, 'b': 1} -> v | dict2items
{'a': omit, 'b': 1} -> v | to_json
{'a': omit, 'b': 1} -> v ~ ''
range(3) -> v | list
range(3) -> v[1]
range(3) -> v | type_debug
range(3) -> v
range(3) -> lookup('vars', 'v') | type_debug
(1, 2) -> v + (3,)
(1, 2) -> v + [3]
(1, 2) -> v ~ 'x'
(1, 2) -> v
[none | list, 2] -> v[1]
[none | list, 2] -> v[0] is defined
[none | list, 2] -> v is defined
[none | list, 2] -> v | default(3)
{'a': 1}.get -> v('a')
{'a': 1}.get -> v('b', 2)
{'a': 1}.get -> v
'<' | escape -> v | type_debug
'<' | escape -> v + '<'
[{'a': 1}] | groupby('a') -> v[0] | type_debug
[{'a': 1}] | groupby('a') -> v
[{'a': 1}] | groupby('a') -> v ~ ''
lookup('template', 'list.j2') -> v[1]
lookup('template', 'list.j2') -> v[0] is defined
lookup('template', 'list.j2') -> v | length
query('template', 'list.j2', errors='ignore') -> v | length
query('template', 'list.j2', errors='ignore') -> v
query('template', 'list.j2', errors='ignore') -> v | flatten | length
"""

#: An if without an else that did not hold, as ``nothing``: no value alone, nothing between other text.
NOTHING = """\
nothing
nothing | upper
nothing | default('d')
nothing | default('d', true)
nothing is defined
nothing | type_debug
nothing | to_json
nothing | to_yaml
nothing | list
nothing | int
nothing | ternary(1, 2)
nothing | mandatory
nothing + 'a'
nothing ~ 'a'
nothing.b
(nothing.b) is defined
nothing == ''
nothing or 'a'
nothing is truthy
nothing is none
[nothing]
[nothing, 1] | join(',')
[nothing] | map('upper') | list
[nothing] | first
{'a': nothing}
{'a': nothing}.a
m | combine({'a': nothing})
m.get('zz', nothing)
lookup('vars', nothing)
lookup('vars', 'zz', default=nothing)
v
v | default('d')
v is defined
lv[0]
lv
broken | default('d')
"""

MACRO = "{% macro m(a) %}{{ a }}{% endmacro %}"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    templars.silence(monkeypatch)


def _both(template: str, **more: object) -> tuple[object, object]:
    variables = {**VARIABLES, **more}
    return templars.by_labctl(template, variables), templars.by_ansible(template, variables)


@pytest.mark.parametrize("ask", ["| type_debug", "is defined", "| default(3) | type_debug"])
@pytest.mark.parametrize("expression", NO_VALUE.splitlines())
def test_it_is_handed_on_alike(expression: str, ask: str) -> None:
    ours, theirs = _both(f"{{{{ ({expression}) {ask} }}}}")
    assert ours == theirs


@pytest.mark.parametrize(
    "template",
    [
        *(MACRO + "{{ m(nowhere) | default('d') }}", MACRO + "{{ m(bad) is defined }}"),
        *(MACRO + "{{ m(1, 2, 3) | type_debug }}", MACRO + "x{{ m(bad) }}", MACRO + "x{{ m(nowhere) }}"),
        "{% set x = bad %}{{ nowhere.get(x) is defined }}",
        "{% for i in [1, 2] %}{{ i }}{{ ',' if not loop.last }}{% endfor %}",
        *("{% set x %}a{{ 'y' if false }}{% endset %}{{ x }}", "{% set x = ('y' if false) %}a{{ x }}"),
        *(MACRO + "x{{ m('y' if false) }}", "{% filter upper %}x{{ 'y' if false }}{% endfilter %}"),
        *("{% set x = 1 %}{% do x %}", "{% for i in [1] %}{% continue %}{% endfor %}"),
    ],
)
def test_so_it_is_by_statements(template: str) -> None:
    ours, theirs = _both(template)
    assert ours == theirs


@pytest.mark.parametrize("around", ["", "x"])
@pytest.mark.parametrize("expression", NOTHING.splitlines())
def test_an_if_without_an_else_gives_nothing(expression: str, around: str) -> None:
    one = "('a' if false)"
    more = {"v": f"{{{{ {one} }}}}", "broken": f"{{{{ {one}.b }}}}"}
    template = f"{around}{{{{ {expression.replace('nothing', one)} }}}}"
    ours, theirs = _both(template, **more, lv=[more["v"]])
    assert ours == theirs


@pytest.mark.parametrize("case", MADE.splitlines())
def test_a_variable_is_to_other_templates_what_its_own_gives(case: str) -> None:
    made, read = case.split(" -> ")
    ours, theirs = _both(f"{{{{ {read} }}}}", v=f"{{{{ {made} }}}}")
    assert ours == theirs
