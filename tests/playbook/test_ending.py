"""Where a play ends for a host, and which handlers run then: as ansible-core does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import messages, play, statuses

from labctl.errors import PlaybookError

HANDLERS = """
gather_facts: false
{force}
handlers:
  - {{name: one, command: "false", failed_when: true}}
  - {{name: two, debug: {{msg: two}}}}
"""
NOTIFY = '- {command: "true", notify: [one, two]}\n'
RESCUED = "- block: [{meta: flush_handlers}]\n  rescue: [{debug: {msg: rescued}}]\n"


@pytest.mark.parametrize(
    ("tasks", "status", "told"),
    [
        ("- block: [{meta: end_host}]\n  always: [{debug: {msg: a}}]\n- debug: {msg: b}", "ok", []),
        ("- block: [{meta: end_play}]\n  always: [{debug: {msg: a}}]\n- debug: {msg: b}", "ok", []),
        (
            "- block: [fail: ]\n  rescue: [{meta: end_host}]\n  always: [{debug: {msg: a}}]",
            "ok",
            ["Failed as requested from task"],
        ),
        # the failure before it is no success
        (
            "- block: [fail: ]\n  always: [{meta: end_host}, {debug: {msg: a}}]",
            "failed",
            ["Failed as requested from task"],
        ),
        (
            "- block: [{block: [fail: ], always: [{meta: end_host}]}]\n  rescue: [{debug: {msg: a}}]",
            "ok",
            ["Failed as requested from task"],
        ),
    ],
)
def test_what_ends_the_host_is_the_last(tmp_path: Path, tasks: str, status: str, told: list[str]) -> None:
    host = play(tmp_path, tasks)
    assert (host["status"], messages(host)) == (status, told)


@pytest.mark.parametrize(
    ("force", "tasks", "expected"),
    [
        # a failed handler ends the last flush, forced or not
        ("force_handlers: true", "", ["changed", "failed"]),
        ("", "", ["changed", "failed"]),
        # one that failed before is a failure among the tasks
        ("force_handlers: true", "- meta: flush_handlers", ["changed", "failed", "ok"]),
        ("", "- meta: flush_handlers", ["changed", "failed"]),
        # what has not run is notified still
        ("", RESCUED, ["changed", "failed", "ok", "ok"]),
    ],
)
def test_what_a_failed_handler_stops(tmp_path: Path, force: str, tasks: str, expected: list[str]) -> None:
    host = play(tmp_path, NOTIFY + tasks, head=HANDLERS.format(force=force))
    assert statuses(host) == expected


def _role(tmp_path: Path, name: str) -> str:
    handlers = tmp_path / "roles" / name / "handlers"
    handlers.mkdir(parents=True)
    (handlers / "main.yml").write_text(
        f"- {{name: same, debug: {{msg: {name}1}}}}\n- {{name: same, debug: {{msg: {name}2}}}}\n"
    )
    return name


@pytest.mark.parametrize(
    ("roles", "own", "expected"), [(["a", "b"], False, "b1"), (["a"], True, "own1"), ([], True, "own1")]
)
def test_of_one_name_the_first_of_the_last_list_runs(
    tmp_path: Path, roles: list[str], own: bool, expected: str
) -> None:
    head = f"gather_facts: false\nroles: [{', '.join(_role(tmp_path, role) for role in roles)}]\n"
    if own:
        head += "handlers:\n  - {name: same, debug: {msg: own1}}\n  - {name: same, debug: {msg: own2}}\n"
    host = play(tmp_path, '- {command: "true", notify: same}', head=head)
    assert messages(host)[1:] == [expected]


@pytest.mark.parametrize("items", ["{{ omit }}", "{{ nope | default(omit) }}"])
def test_what_is_omitted_is_nothing_to_go_over(tmp_path: Path, items: str) -> None:
    with pytest.raises(PlaybookError, match="not a list"):
        play(tmp_path, f'- debug: {{msg: "{{{{ item }}}}"}}\n  with_items: "{items}"')


def test_what_is_omitted_in_a_list_is_not_in_it(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - debug: {msg: "got {{ item }}"}
          with_items: [1, "{{ nope | default(omit) }}"]
          register: rounds
        - command: {argv: [echo, a, "{{ omit }}", b]}
          register: said
        - debug: {msg: "{{ rounds.results | length }} {{ said.stdout }}"}
        """,
    )
    assert messages(host)[-1] == "1 a b"
