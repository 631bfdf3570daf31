"""Modules that run commands on a VM, wait for it and ask what it is."""

from __future__ import annotations

from labctl.playbook.modules.params import FLAG, OWNERSHIP, REQUEST, TRUE
from labctl.playbook.schema import Module, Param, make_module

_RUN = {
    "chdir": Param("path"),
    "creates": Param("path"),
    "removes": Param("path"),
    "stdin": Param(),
    "stdin_add_newline": TRUE,
    "strip_empty_ends": TRUE,
    "executable": Param("path"),
}

_COMMAND = make_module(
    "command",
    {
        **_RUN,
        "cmd": Param(aliases=("_raw_params",)),
        "argv": Param("list", elements="str"),
        "expand_argument_vars": TRUE,
    },
    exclusive=(("cmd", "argv"),),
    one_of=(("cmd", "argv"),),
    free_form="cmd",
    seconds=600.0,
)

_SHELL = make_module(
    "shell",
    {**_RUN, "cmd": Param(required=True, aliases=("_raw_params",))},
    free_form="cmd",
    seconds=600.0,
)

_SCRIPT = make_module(
    "script",
    {
        "cmd": Param(required=True, aliases=("_raw_params",)),
        # text, not paths: ansible's script takes a ~ in them as it is written
        "chdir": Param(),
        "creates": Param(),
        "removes": Param(),
        "executable": Param(),
        "decrypt": TRUE,
    },
    where="send",
    free_form="cmd",
    seconds=600.0,
)

_RAW = make_module(
    "raw",
    {"_raw_params": Param(required=True), "executable": Param("path")},
    where="link",
    free_form="_raw_params",
    seconds=600.0,
)

# These two have time limits of their own: nothing else ends them before the run's time is over.
_OWN_LIMIT = 3600.0

_WAIT_FOR_CONNECTION = make_module(
    "wait_for_connection",
    {
        "connect_timeout": Param("int", default=5),
        "delay": Param("int", default=0),
        "sleep": Param("int", default=1),
        "timeout": Param("int", default=600),
    },
    where="link",
    seconds=_OWN_LIMIT,
)

_REBOOT = make_module(
    "reboot",
    {
        "pre_reboot_delay": Param("int", default=0),
        "post_reboot_delay": Param("int", default=0),
        "reboot_timeout": Param("int", default=600),
        "connect_timeout": Param("int"),
        "test_command": Param(default="whoami"),
        "msg": Param(default="Reboot initiated by Ansible"),
        "search_paths": Param(
            "list",
            elements="str",
            default=("/sbin", "/bin", "/usr/sbin", "/usr/bin", "/usr/local/sbin"),
        ),
        "boot_time_command": Param(),
        "reboot_command": Param(),
    },
    where="link",
    seconds=_OWN_LIMIT,
)

_WAIT_FOR = make_module(
    "wait_for",
    {
        "host": Param(default="127.0.0.1"),
        "port": Param("int"),
        "path": Param("path"),
        "state": Param(default="started", choices=("started", "stopped", "present", "absent", "drained")),
        "timeout": Param("int", default=300),
        "connect_timeout": Param("int", default=5),
        "delay": Param("int", default=0),
        "sleep": Param("int", default=1),
        "search_regex": Param(),
        "msg": Param(),
    },
    exclusive=(("port", "path"),),
)

_PING = make_module("ping", {"data": Param(default="pong")})

#: The parts of the facts.
FACTS = ("min", "hardware", "network", "virtual")

_SETUP = make_module(
    "setup",
    {
        "gather_subset": Param(
            "list",
            elements="str",
            choices=tuple(f"{no}{part}" for no in ("", "!") for part in ("all", *FACTS)),
        ),
        "filter": Param("list", elements="str"),
        "gather_timeout": Param("int"),
    },
)

_URI = make_module(
    "uri",
    {
        "url": Param(required=True),
        "method": Param(default="GET"),
        "body": Param("raw"),
        "body_format": Param(default="raw", choices=("form-urlencoded", "json", "raw")),
        "return_content": FLAG,
        "status_code": Param("list", default=[200], elements="int"),
        "follow_redirects": Param(default="safe", choices=("all", "no", "none", "safe", "urllib2", "yes")),
        "dest": Param("path"),
        "creates": Param("path"),
        "removes": Param("path"),
        "ca_path": Param("path"),
        **REQUEST,
        "timeout": Param("int", default=30),
        "url_username": Param(aliases=("user",)),
        "url_password": Param(aliases=("password",), secret=True),
        **OWNERSHIP,
    },
    isolated=True,
)

MODULES: tuple[Module, ...] = (
    _COMMAND,
    _PING,
    _RAW,
    _REBOOT,
    _SCRIPT,
    _SETUP,
    _SHELL,
    _URI,
    _WAIT_FOR,
    _WAIT_FOR_CONNECTION,
)
