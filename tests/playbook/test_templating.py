"""Rendering: Ansible's types and filters, strict names, and data from a VM that stays data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import Place, PlaybookError
from labctl.playbook.template import Templar
from labctl.playbook.values import OMIT
from labctl.playbook.variables import HostVars, Layer, NeedsFacts, NeedsResult, Scope

PLACE = Place(Path("play.yml"), 3, 9, "        x")


def scope(
    variables: Mapping[str, Any], remote: Mapping[str, Any] | None = None, directory: Path | None = None
) -> Scope:
    templar = Templar([directory] if directory else [])
    return Scope(templar, [Layer("results", remote or {}, "remote"), Layer("vars", variables)])


def render(template: str, remote: Mapping[str, Any] | None = None, **variables: Any) -> Any:
    made = scope(variables, remote)
    return made.templar.render(template, PLACE, made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ 5 }}", 5),
        ("{{ port }}", 8080),
        ("{{ port }}/tcp", "8080/tcp"),
        ("{{ names }}", ["a", "b"]),
        ("{{ none_given }}", None),
        ("{{ port == 8080 }}", True),
        ("{% for n in names %}{{ n }},{% endfor %}", "a,b,"),
        ("{{ text }}\n", 8080),
        ("{{ names[0] }}\n", "a\n"),
        ("{% if port %}\nyes\n{% endif %}\n", "yes\n"),
        ("{{ deep.inner }}", "got 8080"),
        ("{{ names | join('-') }}", "a-b"),
        ("{{ missing | default('d') }}", "d"),
        ("{{ '' | default('d', true) }}", "d"),
        ("{{ built_on_missing | default('d') }}", "d"),
        ("{{ built_on_missing is defined }}", False),
        ("{{ 'yes' | bool }}", True),
        ("{{ '17' | int + 1 }}", 18),
        ("{{ {'a': 1} | to_json }}", '{"a": 1}'),
        (
            "{{ {'b': {2: 'x', 'a': none}, 1: 0} | to_json(sort_keys=true) }}",
            '{"1": 0, "b": {"2": "x", "a": null}}',
        ),
        ("{{ {1: 'a', '1': 'b', none: 0} | to_json }}", '{"1": "b", "null": 0}'),
        ("{{ {'b': 1, 'a': [2]} | to_nice_yaml }}", "a:\n- 2\nb: 1\n"),
        ("{{ '{\"a\": 1}' | from_json }}", {"a": 1}),
        ("{{ 'hello' | b64encode }}", "aGVsbG8="),
        ("{{ 'aGVsbG8=' | b64decode }}", "hello"),
        ("{{ '/a/b.c' | basename }} {{ '/a/b.c' | dirname }}", "b.c /a"),
        ("{{ 'a1b22' | regex_replace('[0-9]+', 'x') }}", "axbx"),
        ("{{ 'port=53' | regex_search('port=([0-9]+)', '\\1') }}", ["53"]),
        ("{{ 'none' | regex_search('z') }}", None),
        ("{{ {'a': 1} | combine({'b': 2}) }}", {"a": 1, "b": 2}),
        ("{{ {'a': {'x': 1}} | combine({'a': {'y': 2}}, recursive=true) }}", {"a": {"x": 1, "y": 2}}),
        ("{{ {'a': 1} | dict2items }}", [{"key": "a", "value": 1}]),
        ("{{ [{'key': 'a', 'value': 1}] | items2dict }}", {"a": 1}),
        ('{{ "it\'s" | quote }}', "'it'\"'\"'s'"),
        ("{{ true | ternary('on', 'off') }}", "on"),
        ("{{ 'x' | hash('sha1') }}", "11f6ad8ec52a2984abaafd7c3b516503785c2072"),
        ("{{ [1, 2, 1] | unique }}", [1, 2]),
        ("{{ [[1, [2]], 3] | flatten }}", [1, 2, 3]),
        ("{{ '9.18.1' is version('9.20', '<') }}", True),
        ("{{ 'abc' is match('ab') and 'abc' is search('c') }}", True),
        ("{{ [{'n': 1}, {'n': 2}] | selectattr('n', 'gt', 1) | map(attribute='n') | list }}", [2]),
        ("{{ lookup('vars', 'port') }}", 8080),
        ("{{ lookup('vars', 'port', 'names') }}", [8080, ["a", "b"]]),
        ("{{ lookup('file', 'nowhere', errors='ignore') }}", None),
        ("{{ lookup('env', 'NOT_SET_HERE', default='d') }}", "d"),
        # the second list's templates are rendered as well
        ("{{ names + of_templates }}", ["a", "b", 8080]),
        ("{{ {'a': 1}.keys() }}", ["a"]),
        ("{{ {'a': 1}.items() }}", [["a", 1]]),
    ],
)
def test_rendering(text: str, expected: Any) -> None:
    variables = {
        "port": 8080,
        "names": ["a", "b"],
        "none_given": None,
        "text": "{{ port }}",
        "deep": {"inner": "got {{ port }}"},
        "built_on_missing": "{{ missing }}",
        "of_templates": ["{{ port }}"],
    }
    assert render(text, **variables) == expected


def test_omit_is_recognised_through_an_expression() -> None:
    assert render("{{ nothing | default(omit) }}") is OMIT


@pytest.mark.parametrize(
    "text",
    [
        "{{ missing }}",
        "{{ a.b }}",
        "{{ [missing] }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{{ a | mandatory }}",
        "{{ 'in a text ' ~ [missing] }}",
        "{{ [1, 2] | to_yaml(indent='x') }}",
        "{{ {'a': omit} | to_yaml }}",
        "{{ none | password_hash }}",
        "{{ lookup('file', 'top.txt', nowhere=true) }}",
        "{{ lookup('template', 'a.j2', variable_start_string='[[') }}",
    ],
)
def test_what_cannot_be_rendered_is_an_error_at_its_place(text: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        render(text)
    assert caught.value.place is not None
    assert (caught.value.place.line, caught.value.place.column) == (3, 9)


@pytest.mark.slow
@given(st.text())
def test_text_from_a_vm_is_never_a_template(said: str) -> None:
    for hostile in (said, "{{ " + said + " }}", "{% set x = 1 %}" + said, "{{ secret }}"):
        remote = {"result": {"stdout": hostile, "stdout_lines": [hostile]}}
        made = scope(
            {"secret": "s3cret", "copied": "{{ result.stdout }}", "nested": {"k": ["{{ copied }}"]}}, remote
        )
        for text in (
            "{{ result.stdout }}",
            "{{ copied }}",
            "{{ nested.k[0] }}",
            "{{ result.stdout_lines | first }}",
        ):
            assert made.templar.render(text, PLACE, made) == hostile


@given(st.text().filter(lambda text: "{{" not in text and "{%" not in text and "{#" not in text))
def test_text_without_templates_stays_as_it_is(text: str) -> None:
    assert render(text) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("abc {}%#"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    )
)
def test_a_variable_from_a_vm_keeps_its_value_and_type(value: Any) -> None:
    assert render("{{ x.y }}", remote={"x": {"y": value}}) == value


def test_a_vm_cannot_choose_a_file_of_the_controller(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    made = scope({"safe": "secret"}, {"said": {"stdout": str(tmp_path / "secret")}}, tmp_path)
    assert made.templar.render("{{ lookup('file', safe) }}", PLACE, made) == "s3cret"
    for text in ("{{ lookup('file', said.stdout) }}", "{{ lookup('template', said.stdout) }}"):
        with pytest.raises(PlaybookError, match="may not choose a file"):
            made.templar.render(text, PLACE, made)


@pytest.mark.parametrize(
    "text",
    [
        "{{ said.stdout }}{{ lookup('file', 'known') }}",
        "{% if said.stdout %}{{ query('file', 'known') | first }}{% endif %}",
        "{{ said.stdout }}{{ lookup('template', 'known') }}",
        "{{ said.stdout }}{{ lookup('file', 'kno' 'wn', rstrip=false) }}",
    ],
)
def test_a_path_that_stands_in_the_template_is_nobody_elses_choice(tmp_path: Path, text: str) -> None:
    (tmp_path / "known").write_text("hers")
    made = scope({}, {"said": {"stdout": "his"}}, tmp_path)
    assert "hers" in made.templar.render(text, PLACE, made)


@pytest.mark.parametrize(
    "terms",
    ["said.stdout", "'/' ~ said.stdout", "*[said.stdout]", "'known', said.stdout",
     "said.stdout, literal_terms=false"],
)  # fmt: skip
def test_a_path_with_anything_else_in_it_is_refused(tmp_path: Path, terms: str) -> None:
    (tmp_path / "known").write_text("hers")
    made = scope({}, {"said": {"stdout": "known"}}, tmp_path)
    with pytest.raises(PlaybookError, match="may not choose a file"):
        made.templar.render("{{ lookup('file', " + terms + ") }}", PLACE, made)


@pytest.mark.parametrize("read", ["said.stdout", "copy", "map.path", "again.path", "list[0]", "list | first"])
@pytest.mark.parametrize("through", ["{{ lookup('file', hostvars.two.%s) }}", "{{ lookup('file', own) }}"])
def test_nor_can_another_one_that_hostvars_tells_of(tmp_path: Path, read: str, through: str) -> None:
    (tmp_path / "secret").write_text("s3cret")
    said = "{{ said.stdout }}"
    variables = {"copy": said, "map": {"path": said}, "again": "{{ map }}", "list": [said]}
    two = scope(variables, {"said": {"stdout": str(tmp_path / "secret")}}, tmp_path)
    magic = Layer("magic", {"hostvars": HostVars(["two"], lambda _name: two)}, "final")
    one = scope({"own": "{{ hostvars.two." + read + " }}"}, directory=tmp_path).with_layer(magic)
    for _again in range(2):
        with pytest.raises(PlaybookError, match="may not choose a file"):
            one.templar.render(through.replace("%s", read), PLACE, one)
        one.touched = False


def test_a_looked_up_template_has_its_value_and_may_be_undefined(tmp_path: Path) -> None:
    (tmp_path / "list.j2").write_text("{{ [1, 2] }}")
    (tmp_path / "undefined.j2").write_text("{{ nowhere }}")
    made = scope({}, directory=tmp_path)

    def look_up(text: str) -> Any:
        return made.templar.render(text, PLACE, made)

    assert look_up("{{ lookup('template', 'list.j2') }}") == [1, 2]
    assert look_up("{{ lookup('template', 'undefined.j2') | default('d') }}") == "d"
    with pytest.raises(PlaybookError, match="nowhere"):
        look_up("{{ lookup('template', 'undefined.j2') }}")


def test_names_not_known_yet_are_asked_for() -> None:
    made = Scope(
        Templar(), [Layer("p", {"out": True}, "pending"), Layer("f", {"ansible_hostname": None}, "facts")]
    )
    with pytest.raises(NeedsResult):
        made.templar.render("{{ out.rc }}", PLACE, made)
    for fact in ("ansible_hostname", "ansible_eth0.ipv4.address", "ansible_enp0s3.mtu", "ansible_lo"):
        with pytest.raises(NeedsFacts):
            made.templar.render(f"{{{{ {fact} }}}}", PLACE, made)
    for other in ("ansible_port", "ansible_host", "ansible_become_user", "ansible_ssh_common_args"):
        assert made.templar.render(f"{{{{ {other} | default('none') }}}}", PLACE, made) == "none"


def test_template_files_trim_blocks_and_keep_their_last_newline(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("a\n{% if true %}\nb {{ flag }} {{ nothing }}\n{% endif %}\nc\n")
    made = scope({"flag": True, "nothing": None}, directory=tmp_path)
    assert made.templar.render_file(tmp_path / "t.j2", made) == "a\nb True \nc\n"


def test_included_templates_see_the_same_variables(tmp_path: Path) -> None:
    (tmp_path / "outer.j2").write_text(
        "{% include 'inner.j2' %}|{% macro m(x) %}{{ x }}{{ who }}{% endmacro %}{{ m(1) }}\n"
    )
    (tmp_path / "inner.j2").write_text("hello {{ who }}")
    made = scope({"who": "amy"}, directory=tmp_path)
    assert made.templar.render_file(tmp_path / "outer.j2", made) == "hello amy|1amy\n"


@pytest.mark.parametrize("value", ["no", 1, [], None])
def test_a_condition_must_be_true_or_false(value: Any) -> None:
    made = scope({"x": value})
    with pytest.raises(PlaybookError, match="not true or false"):
        made.templar.truth("x", PLACE, made)


@pytest.mark.parametrize("wrong", ["nowhere", "none | list", "[1, nowhere] | join"])
@pytest.mark.parametrize("use", ["{{ m() }}", "{{ m() | upper }}", "{% set x = m() %}\n{{ x }}"])
def test_a_mistake_in_a_macro_is_told_at_the_macro_s_line(tmp_path: Path, wrong: str, use: str) -> None:
    text = "first\n{% macro m() %}\n  {{ " + wrong + " }}\n{% endmacro %}\n" + use + "\n"
    (tmp_path / "t.j2").write_text(text)
    made = scope({}, directory=tmp_path)
    with pytest.raises(PlaybookError) as caught:
        made.templar.render_file(tmp_path / "t.j2", made)
    assert caught.value.place is not None
    assert (caught.value.place.path, caught.value.place.line) == (tmp_path / "t.j2", 3)


def test_a_variable_that_cannot_be_made_is_told_at_its_own_place(tmp_path: Path) -> None:
    made = scope({"bad": "{{ none | list }}"})
    with pytest.raises(PlaybookError) as caught:
        made.templar.render("{{ [bad | default('d')] | join }}", PLACE, made)
    assert caught.value.place is not None
    assert caught.value.place.path != PLACE.path
