"""Inventory variables that hold templates: ``lab_fqdn: "{{ inventory_hostname }}.example.org"``.

Connecting and grading need a few variables as plain values. The inventory is the staff's own file, so
its templates may be rendered; they see the host's variables and Jinja's own filters, nothing else. A
playbook's variables are the playbook room's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.exceptions import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from labctl.errors import InventoryError

#: A variable that is still a template after so many rounds refers to itself.
_ROUNDS = 10
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def render(host: str, name: str, text: str, variables: Mapping[str, Any]) -> str:
    """``text``, the value of the variable ``name`` of ``host``, with its templates rendered.

    Raises :class:`InventoryError` that names host and variable.
    """
    for _ in range(_ROUNDS):
        try:
            text = _ENVIRONMENT.from_string(text).render(variables)
        except (TemplateError, ArithmeticError, TypeError, ValueError) as err:
            raise InventoryError(
                f"{host}: {name} cannot be rendered: {err}",
                hint="it sees the host's own variables and Jinja's own filters; or write the value out",
            ) from err
        if "{{" not in text:
            return text
    raise InventoryError(f"{host}: {name} is a template that refers to itself")
