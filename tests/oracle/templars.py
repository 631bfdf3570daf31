"""ansible-core's templar and labctl's, asked the same and answering in the same words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("ANSIBLE_DEPRECATION_WARNINGS", "false")
os.environ.setdefault("ANSIBLE_LOCALHOST_WARNING", "false")

import pytest
from ansible._internal._templating._utils import Omit
from ansible.errors import (
    AnsibleError,
    AnsibleTemplateSyntaxError,
    AnsibleUndefinedVariable,
    AnsibleValueOmittedError,
)
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar as RealTemplar
from ansible.template import trust_as_template
from ansible.utils.display import Display
from core import load_plugins
from jinja2 import TemplateSyntaxError

from labctl.errors import Place, PlaybookError
from labctl.playbook.template import Templar
from labctl.playbook.values import OMIT, Used
from labctl.playbook.variables import Layer, Scope

PLACE = Place(Path("play.yml"), 1, 1, "")
#: Where the lookups find their files.
LOOKED = Path(__file__).parent / "looked"
#: The kinds of error: neither tool's words are the other's, and what went wrong is the same.
UNDEFINED, SYNTAX, FAILED = "undefined", "wrong syntax", "failed"
KINDS = {UNDEFINED, SYNTAX, FAILED}


def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's warnings are not what is compared."""
    for name in ("warning", "deprecated", "error_as_warning"):
        monkeypatch.setattr(Display, name, lambda *_args, **_options: None)


load_plugins()
_LOADER = DataLoader()
_LOADER.set_basedir(str(LOOKED))
_TEMPLAR = Templar([LOOKED])


def trusted(value: Any) -> Any:
    """``value`` as Ansible holds what a playbook's author wrote."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {trusted(key): trusted(item) for key, item in value.items()}
    return [trusted(item) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Without Ansible's marks: the value as Python's own types, tagged with the type's name.

    1, 1.0 and True are equal in Python; here they are not.
    """
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return (kind.__name__, repr(kind(value)))
    name = "omit" if value in (Omit, OMIT) else type(value).__name__.removeprefix("_AnsibleTagged")
    return (name.lower(), str(value))


def agree(ours: Any, theirs: Any) -> bool:
    """Whether both gave the same value, or an error.

    A template that is drawn may have several mistakes in it and its variables; each tool tells the one that
    it meets first.
    """
    both_failed = all(isinstance(one, str) and one in KINDS for one in (ours, theirs))
    return both_failed or bool(ours == theirs)


def _kind_by_ansible(err: Exception) -> str:
    if isinstance(err, AnsibleTemplateSyntaxError):
        return SYNTAX
    return UNDEFINED if isinstance(err, AnsibleUndefinedVariable) else FAILED


def _kind_by_labctl(err: PlaybookError) -> str:
    if isinstance(err.__cause__, TemplateSyntaxError):
        return SYNTAX
    return UNDEFINED if isinstance(err.__cause__, Used) else FAILED


def by_ansible(template: str, variables: Mapping[str, Any]) -> Any:
    templar = RealTemplar(loader=_LOADER, variables=trusted(dict(variables)))
    try:
        return plain(templar.template(trust_as_template(template)))
    except AnsibleValueOmittedError:
        return "omitted"
    except (AnsibleError, RecursionError) as err:
        return _kind_by_ansible(err)


def by_labctl(template: str, variables: Mapping[str, Any]) -> Any:
    scope = Scope(_TEMPLAR, [Layer("vars", variables)])
    try:
        value = _TEMPLAR.render(template, PLACE, scope)
    except PlaybookError as err:
        return _kind_by_labctl(err)
    return "omitted" if value is OMIT else plain(value)


def condition_by_ansible(condition: str, variables: Mapping[str, Any]) -> Any:
    templar = RealTemplar(loader=_LOADER, variables=trusted(dict(variables)))
    try:
        return templar.evaluate_conditional(trust_as_template(condition))
    except (AnsibleError, RecursionError) as err:
        return _kind_by_ansible(err)


def condition_by_labctl(condition: str, variables: Mapping[str, Any]) -> Any:
    scope = Scope(_TEMPLAR, [Layer("vars", variables)])
    try:
        return _TEMPLAR.truth(condition, PLACE, scope)
    except PlaybookError as err:
        return _kind_by_labctl(err)
