"""Modules for packages, services, mounts, the firewall and accounts."""

from __future__ import annotations

from labctl.playbook.modules.params import FLAG, TRUE
from labctl.playbook.schema import Module, Param, make_module

_APT = make_module(
    "apt",
    {
        "name": Param("list", elements="str", aliases=("package", "pkg")),
        "state": Param(default="present", choices=("present", "latest", "absent")),
        "update_cache": Param("bool", aliases=("update-cache",)),
        "cache_valid_time": Param("int", default=0),
        "purge": FLAG,
        "autoremove": FLAG,
        "autoclean": FLAG,
        "clean": FLAG,
        "install_recommends": Param("bool", aliases=("install-recommends",)),
        "default_release": Param(aliases=("default-release",)),
        "upgrade": Param(default="no", choices=("no", "yes", "safe", "full", "dist")),
        "deb": Param("path"),
        "force_apt_get": FLAG,
        "only_upgrade": FLAG,
        "dpkg_options": Param(default="force-confdef,force-confold"),
        "lock_timeout": Param("int", default=60),
    },
    exclusive=(("deb", "name"),),
    seconds=900.0,
)

_PACKAGE = make_module(
    "package",
    {
        **_APT.params,
        "name": Param("list", required=True, elements="str", aliases=("package", "pkg")),
        "state": Param(required=True, choices=("present", "latest", "absent")),
        "use": Param(default="auto", choices=("auto", "apt", "ansible.builtin.apt", "ansible.legacy.apt")),
    },
    exclusive=_APT.exclusive,
    seconds=_APT.seconds,
    remote="apt",
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
        "no_block": FLAG,
        "force": FLAG,
        "scope": Param(default="system", choices=("system",)),
    },
    one_of=(("state", "enabled", "masked", "daemon_reload", "daemon_reexec"),),
    only_with=(("name", ("state", "enabled", "masked")),),
)

_MOUNT = make_module(
    "mount",
    {
        "path": Param("path", required=True, aliases=("name",)),
        "src": Param("path"),
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
        "fstab": Param(),
        "boot": TRUE,
        "backup": FLAG,
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
        "delete": FLAG,
    },
    collection="community.general",
    one_of=(("state", "default", "rule", "logging"),),
)

_SYSCTL = make_module(
    "sysctl",
    {
        "name": Param(required=True, aliases=("key",)),
        "value": Param(aliases=("val",)),
        "state": Param(default="present", choices=("present", "absent")),
        "reload": TRUE,
        "sysctl_set": FLAG,
        "sysctl_file": Param("path", default="/etc/sysctl.conf"),
        "ignoreerrors": FLAG,
    },
    collection="ansible.posix",
)

_HOSTNAME = make_module(
    "hostname",
    {"name": Param(required=True), "use": Param(choices=("systemd",))},
    # it asks for its own name, which may be a resolver's time
    isolated=True,
)

_AUTHORIZED_KEY = make_module(
    "authorized_key",
    {
        "user": Param(required=True),
        "key": Param(required=True),
        "path": Param("path"),
        "manage_dir": TRUE,
        "state": Param(default="present", choices=("present", "absent")),
        "key_options": Param(),
        "exclusive": FLAG,
        "comment": Param(),
        "follow": FLAG,
        # of a key's URL, which is refused
        "validate_certs": TRUE,
    },
    collection="ansible.posix",
)

_USER = make_module(
    "user",
    {
        "name": Param(required=True, aliases=("user",)),
        "uid": Param("int"),
        "group": Param(),
        "groups": Param("list", elements="str"),
        "append": FLAG,
        "comment": Param(),
        "shell": Param("path"),
        "home": Param("path"),
        "create_home": Param("bool", default=True, aliases=("createhome",)),
        "move_home": FLAG,
        "system": FLAG,
        "password": Param(secret=True),
        "update_password": Param(default="always", choices=("always", "on_create")),
        "password_lock": Param("bool"),
        "state": Param(default="present", choices=("present", "absent")),
        "remove": FLAG,
        "force": FLAG,
        "non_unique": FLAG,
    },
)

_GROUP = make_module(
    "group",
    {
        "name": Param(required=True),
        "gid": Param("int"),
        "system": FLAG,
        "state": Param(default="present", choices=("present", "absent")),
        "non_unique": FLAG,
    },
)

MODULES: tuple[Module, ...] = (
    _APT,
    _AUTHORIZED_KEY,
    _GROUP,
    _HOSTNAME,
    _MOUNT,
    _PACKAGE,
    _SERVICE,
    _SYSCTL,
    _SYSTEMD,
    _UFW,
    _USER,
)
