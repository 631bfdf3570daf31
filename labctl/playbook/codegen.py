"""What Jinja compiles templates to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import nodes
from jinja2.compiler import Frame
from jinja2.nativetypes import NativeCodeGenerator

from labctl.playbook.lookups import LITERAL


class Codegen(NativeCodeGenerator):
    """Jinja's own for native values, with what differs below."""

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        constants = list(group)
        return repr(constants[0]) if len(constants) == 1 else repr("".join(map(str, constants)))

    # A list or mapping that a template writes is guarded, so that what is in it need not be searched when
    # something is done with all of it. The exception is one whose own method is called: Ansible's rule.

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self.write("environment.guarded(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("environment.guarded(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        literal = node.node
        if not isinstance(literal, nodes.List | nodes.Dict):
            super().visit_Getattr(node, frame)
            return
        self.write("environment.getattr(")
        if isinstance(literal, nodes.List):
            super().visit_List(literal, frame)
        else:
            super().visit_Dict(literal, frame)
        self.write(f", {node.attr!r})")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        """A lookup whose terms stand in the template itself is told so: no VM had a part in them."""
        is_lookup = isinstance(node.node, nodes.Name) and node.node.name in ("lookup", "query")
        if is_lookup and not node.dyn_args and all(isinstance(one, nodes.Const) for one in node.args):
            literal = nodes.Keyword(LITERAL, nodes.Const(True))
            node.kwargs = [one for one in node.kwargs if one.key != LITERAL] + [literal]
        super().visit_Call(node, frame, forward_caller=forward_caller)
