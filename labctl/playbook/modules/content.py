"""Modules that write, change and look at files."""

from __future__ import annotations

from labctl.playbook.modules.params import FLAG, OWNERSHIP, REQUEST, TRUE
from labctl.playbook.schema import Module, Param, make_module

_COPY_PARAMS = {
    "dest": Param("path", required=True),
    **OWNERSHIP,
    "mode": Param("copied_mode"),
    "backup": FLAG,
    "force": TRUE,
    "validate": Param(),
    "follow": FLAG,
}

_TEMPLATE = make_module(
    "template",
    {
        "src": Param("path", required=True),
        **_COPY_PARAMS,
        "newline_sequence": Param(default="\n", choices=("\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n")),
        "trim_blocks": TRUE,
        "lstrip_blocks": FLAG,
    },
    where="send",
    remote="copy",
)

_COPY = make_module(
    "copy",
    {
        "src": Param("path"),
        "content": Param("raw"),
        "remote_src": FLAG,
        "decrypt": TRUE,
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
        **OWNERSHIP,
        "recurse": FLAG,
        "force": FLAG,
        "follow": TRUE,
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
        "backrefs": FLAG,
        "create": FLAG,
        "firstmatch": FLAG,
        "backup": FLAG,
        "validate": Param(),
        **OWNERSHIP,
    },
    exclusive=(("insertafter", "insertbefore"), ("regexp", "search_string"), ("backrefs", "search_string")),
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
        "create": FLAG,
        "append_newline": FLAG,
        "prepend_newline": FLAG,
        "backup": FLAG,
        "validate": Param(),
        **OWNERSHIP,
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
        "backup": FLAG,
        "validate": Param(),
        **OWNERSHIP,
    },
)

_STAT = make_module(
    "stat",
    {
        "path": Param("path", required=True, aliases=("dest", "name")),
        "follow": FLAG,
        "get_checksum": TRUE,
        "checksum_algorithm": Param(
            default="sha1",
            choices=("md5", "sha1", "sha224", "sha256", "sha384", "sha512"),
            aliases=("checksum",),
        ),
        "get_mime": Param("bool", default=True, aliases=("mime", "mime_type", "mime-type")),
        "get_attributes": Param("bool", default=True, aliases=("attr", "attributes")),
    },
)

_FETCH = make_module(
    "fetch",
    {
        "src": Param("path", required=True),
        "dest": Param(required=True),
        "flat": FLAG,
        "fail_on_missing": TRUE,
        "validate_checksum": TRUE,
    },
    where="link",
    seconds=300.0,
)

_SLURP = make_module("slurp", {"src": Param("path", required=True, aliases=("path",))})

_GET_URL = make_module(
    "get_url",
    {
        "url": Param(required=True),
        "dest": Param("path", required=True),
        "checksum": Param(),
        **REQUEST,
        "timeout": Param("int", default=10),
        "url_username": Param(aliases=("username",)),
        "url_password": Param(aliases=("password",), secret=True),
        "backup": FLAG,
        **OWNERSHIP,
    },
    isolated=True,
    seconds=600.0,
)

MODULES: tuple[Module, ...] = (
    _BLOCKINFILE,
    _COPY,
    _FETCH,
    _FILE_MODULE,
    _GET_URL,
    _LINEINFILE,
    _REPLACE,
    _SLURP,
    _STAT,
    _TEMPLATE,
)
