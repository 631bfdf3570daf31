"""Where a template's names are found: layers in Ansible's order of precedence, rendered on demand.

A variable may refer to others; each is rendered when it is first needed and remembered for the
scope's life (one task on one host). Layers of kind "final" hold data that is used as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jinja2.utils import missing

from labctl.errors import Place, PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook.template import Templar
from labctl.playbook.values import Broken, LazyList, LazyMap, Missing, Used

#: What labctl/agent/remote/facts.py gathers, under the names by which templates ask for it. Facts are fetched
#: for these names, and for those that an interface may have.
FACT_NAMES = frozenset(
    {
        "ansible_all_ipv4_addresses",
        "ansible_all_ipv6_addresses",
        "ansible_architecture",
        "ansible_date_time",
        "ansible_default_ipv4",
        "ansible_default_ipv6",
        "ansible_distribution",
        "ansible_distribution_major_version",
        "ansible_distribution_release",
        "ansible_distribution_version",
        "ansible_domain",
        "ansible_env",
        "ansible_fqdn",
        "ansible_hostname",
        "ansible_interfaces",
        "ansible_kernel",
        "ansible_machine",
        "ansible_memtotal_mb",
        "ansible_mounts",
        "ansible_nodename",
        "ansible_os_family",
        "ansible_pkg_mgr",
        "ansible_processor_vcpus",
        "ansible_python_version",
        "ansible_service_mgr",
        "ansible_system",
        "ansible_user_dir",
        "ansible_user_gecos",
        "ansible_user_gid",
        "ansible_user_id",
        "ansible_user_shell",
        "ansible_user_uid",
        "ansible_virtualization_type",
    }
)

#: An interface as Linux and systemd name it: ``ansible_eth0``, ``ansible_enp0s3``, ``ansible_br_lan``.
_OF_INTERFACE = re.compile(
    r"ansible_(?:lo|br_\w+|(?:eth|en|wl|ww|ib|br|bond|team|vlan|host|veth|docker|virbr|wg|tun|tap)\w*\d\w*)"
)


class NeedsResult(Exception):
    """A name whose task has been planned but not run yet: run what is planned, then try again."""


class NeedsFacts(Exception):
    """A fact is wanted and the facts have not been fetched yet."""


class Layer(NamedTuple):
    """One level of precedence.

    kind: "source" (templates, rendered on use), "final" (data), "remote" (data a VM had a part in),
    "pending" (results not known yet), "facts" (facts not fetched yet).
    """

    name: str
    values: Mapping[str, Any]
    kind: Literal["source", "final", "remote", "pending", "facts"] = "source"


class Scope:
    """What one task on one host can see. ``layers`` come strongest first."""

    def __init__(self, templar: Templar, layers: Sequence[Layer]) -> None:
        self.templar = templar
        self.layers = tuple(layers)
        self._touched = False
        #: The scope whose ``hostvars`` this one is a part of: what is read here is read for it.
        self.asking: Scope | None = None
        self._known: dict[str, tuple[Any, bool]] = {}
        self._open: list[str] = []

    @property
    def touched(self) -> bool:
        """Whether data that a VM had a part in was read since this was last cleared."""
        return self._touched

    @touched.setter
    def touched(self, touched: bool) -> None:
        self._touched = touched
        if touched and self.asking is not None:
            self.asking.touched = True

    def with_layer(self, layer: Layer) -> Scope:
        """A scope with one more layer, the strongest."""
        return Scope(self.templar, (layer, *self.layers))

    def names(self) -> set[str]:
        """Every name that is defined, for "did you mean"."""
        return {str(name) for layer in self.layers for name in layer.values}

    def lookup(self, name: str) -> Any:
        """The value of ``name``, or Jinja's ``missing``.

        Raises NeedsResult or NeedsFacts for what only a VM can tell, PlaybookError for a template
        that fails for another reason than an undefined name.
        """
        if name in self._known:
            value, touched = self._known[name]
            self.touched = self.touched or touched
            return value
        for layer in self.layers:
            if layer.kind == "facts" and (name in layer.values or _OF_INTERFACE.fullmatch(name)):
                raise NeedsFacts(name)
            if name not in layer.values:
                continue
            if layer.kind == "pending":
                raise NeedsResult(name)
            before, self.touched = self.touched, layer.kind == "remote"
            value = self._render(name, layer) if layer.kind == "source" else layer.values[name]
            if isinstance(value, HostVars):
                value = value.asked_by(self)
            self._known[name] = (value, self.touched)
            self.touched = self.touched or before
            return value
        return missing

    def _render(self, name: str, layer: Layer) -> Any:
        if name in self._open:
            chain = " -> ".join([*self._open[self._open.index(name) :], name])
            raise PlaybookError(
                f"variables refer to each other in a circle: {chain}", place=_place(layer, name)
            )
        self._open.append(name)
        try:
            return self._part(name, layer.values[name], _place(layer, name))
        finally:
            self._open.pop()

    def _part(self, name: str, value: Any, place: Place) -> Any:
        """A variable or a part of it, the parts of containers to be rendered when they are asked for."""
        if isinstance(value, Mapping):
            at = value.at if isinstance(value, Map) else lambda _key: place
            return LazyMap(value, self, lambda key: self._part(f"{name}.{key}", value[key], at(key)))
        if isinstance(value, list | tuple):
            where = value.at if isinstance(value, Seq) else lambda _index: place
            return LazyList(
                value, self, lambda index: self._part(f"{name}[{index}]", value[index], where(index))
            )
        try:
            return self.templar.variable(value, place, self)
        except PlaybookError as err:
            if isinstance(err.__cause__, Used):
                # `default` and `is defined` must see a variable made of an undefined one as undefined.
                return Missing(hint=f"{name!r} cannot be made: {err.message}", name=name)
            return Broken(err)


def _place(layer: Layer, name: str) -> Place:
    values = layer.values
    return values.at(name) if isinstance(values, Map) else Place(Path(f"<{layer.name}>"))


class ScopeView(Mapping[str, Any]):
    """A scope as a mapping: what ``hostvars['name']`` is."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __getitem__(self, name: str) -> Any:
        value = self._scope.lookup(name)
        if value is missing:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._scope.names()))

    def __len__(self) -> int:
        return len(self._scope.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(name in layer.values for layer in self._scope.layers)


class HostVars(Mapping[str, Any]):
    """``hostvars``: every host's variables, each made when it is asked for."""

    def __init__(
        self, names: Collection[str], scope_of: Callable[[str], Scope], asking: Scope | None = None
    ) -> None:
        self._names = names
        self._scope_of = scope_of
        self._asking = asking

    def asked_by(self, scope: Scope) -> HostVars:
        """The same for a scope that is to know when what it read here is from a VM."""
        return HostVars(self._names, self._scope_of, scope)

    def __getitem__(self, host: str) -> ScopeView:
        if host not in self._names:
            raise KeyError(host)
        scope = self._scope_of(host)
        scope.asking = self._asking
        return ScopeView(scope)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
