"""The table of modules: one row each, parameters as Ansible documents them.

Adding a module is a row here and, unless it stays on the controller, a file in
``labctl/agent/remote/modules``.
"""

from __future__ import annotations

from labctl.playbook.schema import Module, Param, make_module

_FLAG = Param("bool", default=False)
_FILE = {
    "owner": Param(),
    "group": Param(),
    "mode": Param("mode"),
}
_TRUE = Param("bool", default=True)

_APT = make_module(
    "apt",
    {
        "name": Param("list", elements="str", aliases=("package", "pkg")),
        "state": Param(default="present", choices=("present", "latest", "absent")),
        "update_cache": Param("bool", aliases=("update-cache",)),
        "cache_valid_time": Param("int", default=0),
        "purge": _FLAG,
        "autoremove": _FLAG,
        "autoclean": _FLAG,
        "clean": _FLAG,
        "install_recommends": Param("bool", aliases=("install-recommends",)),
        "default_release": Param(aliases=("default-release",)),
        "upgrade": Param(default="no", choices=("no", "yes", "safe", "full", "dist")),
        "deb": Param("path"),
        "force_apt_get": _FLAG,
        "only_upgrade": _FLAG,
        "dpkg_options": Param(default="force-confdef,force-confold"),
        "lock_timeout": Param("int", default=60),
    },
    exclusive=(("deb", "name"),),
    seconds=900.0,
)

_COPY_PARAMS = {
    "dest": Param("path", required=True),
    **_FILE,
    "backup": _FLAG,
    "force": _TRUE,
    "validate": Param(),
    "follow": _FLAG,
}

_TEMPLATE = make_module(
    "template",
    {
        "src": Param("path", required=True),
        **_COPY_PARAMS,
        "newline_sequence": Param(default="\n", choices=("\n", "\r", "\r\n")),
        "trim_blocks": _TRUE,
        "lstrip_blocks": _FLAG,
    },
    where="send",
    remote="copy",
)

_COPY = make_module(
    "copy",
    {
        "src": Param("path"),
        "content": Param("raw"),
        "remote_src": _FLAG,
        "decrypt": _TRUE,
        "directory_mode": Param("mode"),
        **_COPY_PARAMS,
    },
    where="send",
    exclusive=(("src", "content"),),
    one_of=(("src", "content"),),
)

_FILE_MODULE = make_module(
    "file",
    {
        "path": Param("path", required=True, aliases=("dest", "name")),
        "state": Param(choices=("file", "directory", "absent", "link", "hard", "touch")),
        "src": Param("path"),
        **_FILE,
        "recurse": _FLAG,
        "force": _FLAG,
        "follow": _TRUE,
        "modification_time": Param(choices=("preserve", "now")),
        "access_time": Param(choices=("preserve", "now")),
    },
)

_LINEINFILE = make_module(
    "lineinfile",
    {
        "path": Param("path", required=True, aliases=("dest", "destfile", "name")),
        "line": Param(aliases=("value",)),
        "regexp": Param(aliases=("regex",)),
        "search_string": Param(),
        "state": Param(default="present", choices=("present", "absent")),
        "insertafter": Param(),
        "insertbefore": Param(),
        "backrefs": _FLAG,
        "create": _FLAG,
        "firstmatch": _FLAG,
        "backup": _FLAG,
        "validate": Param(),
        **_FILE,
    },
    exclusive=(("insertafter", "insertbefore"), ("regexp", "search_string")),
)

_BLOCKINFILE = make_module(
    "blockinfile",
    {
        "path": Param("path", required=True, aliases=("dest", "destfile", "name")),
        "block": Param(default="", aliases=("content",)),
        "state": Param(default="present", choices=("present", "absent")),
        "marker": Param(default="# {mark} ANSIBLE MANAGED BLOCK"),
        "marker_begin": Param(default="BEGIN"),
        "marker_end": Param(default="END"),
        "insertafter": Param(),
        "insertbefore": Param(),
        "create": _FLAG,
        "append_newline": _FLAG,
        "prepend_newline": _FLAG,
        "backup": _FLAG,
        "validate": Param(),
        **_FILE,
    },
    exclusive=(("insertafter", "insertbefore"),),
)

_REPLACE = make_module(
    "replace",
    {
        "path": Param("path", required=True, aliases=("dest", "destfile", "name")),
        "regexp": Param(required=True),
        "replace": Param(default=""),
        "after": Param(),
        "before": Param(),
        "backup": _FLAG,
        "validate": Param(),
        **_FILE,
    },
)

_SERVICE_PARAMS = {
    "name": Param(aliases=("service", "unit")),
    "state": Param(choices=("started", "stopped", "restarted", "reloaded")),
    "enabled": Param("bool"),
}
_SERVICE = make_module(
    "service",
    {
        **_SERVICE_PARAMS,
        "name": Param(required=True),
    },
    one_of=(("state", "enabled"),),
    remote="systemd",
)
_SYSTEMD = make_module(
    "systemd",
    {
        **_SERVICE_PARAMS,
        "masked": Param("bool"),
        "daemon_reload": Param("bool", default=False, aliases=("daemon-reload",)),
        "daemon_reexec": Param("bool", default=False, aliases=("daemon-reexec",)),
        "no_block": _FLAG,
        "force": _FLAG,
        "scope": Param(default="system", choices=("system",)),
    },
    one_of=(("state", "enabled", "masked", "daemon_reload", "daemon_reexec"),),
)

_MOUNT = make_module(
    "mount",
    {
        "path": Param("path", required=True, aliases=("name",)),
        "src": Param(),
        "fstype": Param(),
        "opts": Param(),
        "dump": Param(default="0"),
        "passno": Param(default="0"),
        "state": Param(
            required=True,
            choices=(
                "present",
                "mounted",
                "unmounted",
                "absent",
                "absent_from_fstab",
                "remounted",
            ),
        ),
        "fstab": Param("path"),
        "boot": _TRUE,
        "backup": _FLAG,
    },
    collection="ansible.posix",
    isolated=True,
    seconds=90.0,
)

_UFW = make_module(
    "ufw",
    {
        "state": Param(choices=("enabled", "disabled", "reloaded", "reset")),
        "default": Param(choices=("allow", "deny", "reject"), aliases=("policy",)),
        "direction": Param(choices=("in", "incoming", "out", "outgoing", "routed")),
        "logging": Param(choices=("on", "off", "low", "medium", "high", "full")),
        "rule": Param(choices=("allow", "deny", "limit", "reject")),
        "port": Param(aliases=("to_port",)),
        "from_port": Param(),
        "proto": Param(choices=("any", "tcp", "udp"), aliases=("protocol",)),
        "from_ip": Param(default="any", aliases=("from", "src")),
        "to_ip": Param(default="any", aliases=("dest", "to")),
        "interface": Param(aliases=("if",)),
        "comment": Param(),
        "delete": _FLAG,
    },
    collection="community.general",
    one_of=(("state", "default", "rule", "logging"),),
)

_USER = make_module(
    "user",
    {
        "name": Param(required=True, aliases=("user",)),
        "uid": Param("int"),
        "group": Param(),
        "groups": Param("list", elements="str"),
        "append": _FLAG,
        "comment": Param(),
        "shell": Param("path"),
        "home": Param("path"),
        "create_home": Param("bool", default=True, aliases=("createhome",)),
        "move_home": _FLAG,
        "system": _FLAG,
        "password": Param(secret=True),
        "update_password": Param(default="always", choices=("always", "on_create")),
        "password_lock": Param("bool"),
        "state": Param(default="present", choices=("present", "absent")),
        "remove": _FLAG,
        "force": _FLAG,
        "non_unique": _FLAG,
    },
)
_GROUP = make_module(
    "group",
    {
        "name": Param(required=True),
        "gid": Param("int"),
        "system": _FLAG,
        "state": Param(default="present", choices=("present", "absent")),
        "non_unique": _FLAG,
    },
)

_RUN = {
    "chdir": Param("path"),
    "creates": Param("path"),
    "removes": Param("path"),
    "stdin": Param(),
    "stdin_add_newline": _TRUE,
    "strip_empty_ends": _TRUE,
    "executable": Param("path"),
}
_COMMAND = make_module(
    "command",
    {
        **_RUN,
        "cmd": Param(aliases=("_raw_params",)),
        "argv": Param("list", elements="str"),
        "expand_argument_vars": _TRUE,
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

_STAT = make_module(
    "stat",
    {
        "path": Param("path", required=True, aliases=("dest", "name")),
        "follow": _FLAG,
        "get_checksum": _TRUE,
        "checksum_algorithm": Param(
            default="sha1",
            choices=("md5", "sha1", "sha224", "sha256", "sha384", "sha512"),
            aliases=("checksum",),
        ),
        "get_mime": Param("bool", default=False, aliases=("mime",)),
        "get_attributes": Param("bool", default=False, aliases=("attributes",)),
    },
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
_SETUP = make_module(
    "setup",
    {
        "gather_subset": Param("list", elements="str"),
        "filter": Param("list", elements="str"),
        "gather_timeout": Param("int"),
    },
)
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
        "quiet": _FLAG,
    },
    where="here",
)
_SET_FACT = make_module("set_fact", {"cacheable": _FLAG}, where="here", open_ended=True)
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

ALL: tuple[Module, ...] = (
    _APT,
    _ASSERT,
    _BLOCKINFILE,
    _COMMAND,
    _COPY,
    _DEBUG,
    _FAIL,
    _FILE_MODULE,
    _GROUP,
    _LINEINFILE,
    _META,
    _MOUNT,
    _PAUSE,
    _PING,
    _REPLACE,
    _SERVICE,
    _SETUP,
    _SET_FACT,
    _SHELL,
    _STAT,
    _SYSTEMD,
    _TEMPLATE,
    _UFW,
    _USER,
    _WAIT_FOR,
)

_LEGACY = {
    "ansible.builtin.systemd_service": "systemd",
    "systemd_service": "systemd",
}

BY_NAME: dict[str, Module] = {
    **{module.name: module for module in ALL},
    **{module.full_name: module for module in ALL},
    **{
        f"ansible.legacy.{module.name}": module
        for module in ALL
        if module.full_name.startswith("ansible.builtin.")
    },
    **{word: module for word, name in _LEGACY.items() for module in ALL if module.name == name},
}
