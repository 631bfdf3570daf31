"""Modules that stay on the controller: they steer the run."""

from __future__ import annotations

from labctl.playbook.modules.params import FLAG, TRUE
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

_TASKS_FILE = {"file": Param("path", required=True, aliases=("_raw_params",))}
_IMPORT_TASKS = make_module("import_tasks", _TASKS_FILE, where="here", free_form="file")
_INCLUDE_TASKS = make_module(
    "include_tasks", {**_TASKS_FILE, "apply": Param("raw")}, where="here", free_form="file"
)
_ROLE_PARAMS = {
    "name": Param(required=True, aliases=("role",)),
    "tasks_from": Param(),
    "vars_from": Param(),
    "defaults_from": Param(),
    "handlers_from": Param(),
    "public": Param("bool"),
    "allow_duplicates": TRUE,
    "rolespec_validate": TRUE,
}
_IMPORT_ROLE = make_module("import_role", _ROLE_PARAMS, where="here")
_INCLUDE_ROLE = make_module("include_role", {**_ROLE_PARAMS, "apply": Param("raw")}, where="here")
_INCLUDE_VARS = make_module(
    "include_vars",
    {
        "file": Param("path", aliases=("_raw_params",)),
        "dir": Param("path"),
        "name": Param(),
        "depth": Param("int", default=0),
        "files_matching": Param(),
        "ignore_files": Param("list", elements="str"),
        "extensions": Param("list", elements="str", default=("yaml", "yml", "json")),
        "ignore_unknown_extensions": FLAG,
        "hash_behaviour": Param(choices=("replace",)),
    },
    where="here",
    exclusive=(("file", "dir"),),
    one_of=(("file", "dir"),),
    free_form="file",
)

MODULES: tuple[Module, ...] = (
    _ASSERT,
    _DEBUG,
    _FAIL,
    _IMPORT_ROLE,
    _IMPORT_TASKS,
    _INCLUDE_ROLE,
    _INCLUDE_TASKS,
    _INCLUDE_VARS,
    _META,
    _PAUSE,
    _SET_FACT,
)
