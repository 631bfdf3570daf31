"""What ``no_log`` and secret arguments keep out of all that is shown."""

from __future__ import annotations

from pathlib import Path

from playing import messages, play, statuses

from labctl.playbook.judge import HIDDEN


def test_no_log_and_secret_arguments_are_masked(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: sh -c 'echo s3cret; exit 1'
          no_log: true
          ignore_errors: true
        - user: {name: nobody-here, password: s3cret, group: no-such-group}
        """,
    )
    assert "s3cret" not in str(host)
    assert host["tasks"][1]["args"]["password"] == "********"
    assert host["tasks"][1]["args"]["group"] == "no-such-group"


def test_no_log_holds_for_what_is_wrong_on_this_side_too(tmp_path: Path) -> None:
    host = play(
        tmp_path,
        """
        - command: echo s3cret
          register: said
          no_log: true
        - debug: {msg: "{{ item }}"}
          loop: "{{ said.stdout }}"
          no_log: true
          ignore_errors: true
          register: looped
        - file: {path: /tmp/x, state: file, follow: "{{ said.stdout }}"}
          no_log: true
          ignore_errors: true
        - assert: {that: [looped.msg is search('s3c')]}
        """,
    )
    assert statuses(host) == ["changed", "failed", "failed", "ok"]
    assert messages(host)[1] == messages(host)[2] == HIDDEN
    assert "s3cret" not in str(host)
