"""Nothing that labctl covers is missing in the corpus of playbooks that both tools run."""

from __future__ import annotations

import re

import foreseen
from pair import HERE

from labctl.playbook import keywords
from labctl.playbook.modules import BY_NAME

#: Compared elsewhere, or with nothing to compare.
ELSEWHERE = {
    "reboot": "containers cannot",
    "become_method": "sudo alone is covered",
}
FILES = [*(HERE / "corpus").rglob("*.yml"), *(HERE / "together").glob("*.yml")]


def _written() -> set[str]:
    """Every word that stands as a key, or after ``module:``, in a file of the corpus."""
    text = "\n".join(file.read_text() for file in FILES)
    return set(re.findall(r"(?:^|[\s{,-])([a-z][a-z_.]*):(?=\s|$)", text, re.MULTILINE))


def _missing(names: set[str]) -> list[str]:
    return sorted(names - _written() - set(ELSEWHERE))


def test_every_module_has_a_playbook() -> None:
    full = {module.full_name for module in BY_NAME.values()}
    written = {BY_NAME[word].full_name for word in _written() if word in BY_NAME}
    written |= {BY_NAME[word].full_name for word in ELSEWHERE if word in BY_NAME}
    assert sorted(full - written) == []


def test_what_ansible_foresees_is_kept_of_every_playbook_as_it_is() -> None:
    """foreseen.py says how it is kept anew."""
    playbooks = sorted(foreseen.CORPUS.glob("*.yml"))
    assert playbooks
    assert [path.stem for path in playbooks if not foreseen.is_of_today(path)] == []


def test_every_keyword_has_a_playbook() -> None:
    words = keywords.PLAY | keywords.TASK | keywords.BLOCK | keywords.HANDLER | keywords.IMPORT_PLAYBOOK
    assert _missing({word for word in words if "." not in word}) == []
