"""Modules that stay on the controller: they steer the run."""

from __future__ import annotations

from labctl.playbook.modules.params import FLAG
from labctl.playbook.schema import Module, Param, make_module

_DEBUG = make_module(
    "debug",
    {"msg": Param("raw"), "var": Param("raw"), "verbosity": Param("int", default=0)},
    where="here",
    exclusive=(("msg", "var"),),
)

_ASSERT = make_module(
    "assert",
    {
        "that": Param("raw", required=True),
        "fail_msg": Param("raw", aliases=("msg",)),
        "success_msg": Param("raw"),
        "quiet": FLAG,
    },
    where="here",
)

_SET_FACT = make_module("set_fact", {"cacheable": FLAG}, where="here", open_ended=True)

_FAIL = make_module("fail", {"msg": Param(default="Failed as requested from task")}, where="here")

_META = make_module(
    "meta",
    {
        "action": Param(
            required=True,
            aliases=("_raw_params",),
            choices=("flush_handlers", "end_host", "end_play", "noop", "clear_facts"),
        )
    },
    where="here",
    free_form="action",
)

_PAUSE = make_module("pause", {"seconds": Param("float"), "minutes": Param("float")}, where="here")

MODULES: tuple[Module, ...] = (
    _ASSERT,
    _DEBUG,
    _FAIL,
    _META,
    _PAUSE,
    _SET_FACT,
)
