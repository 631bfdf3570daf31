"""The words that plays, blocks and tasks may hold, and what to say about the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labctl.documents import nearest
from labctl.errors import Place, PlaybookError
from labctl.placed import Map

_SHARED = frozenset({"name", "tags", "vars", "become", "become_user", "become_method", "environment"})
_INHERITED = _SHARED | {
    "when",
    "check_mode",
    "diff",
    "no_log",
    "ignore_errors",
    "timeout",
    "delegate_to",
    "run_once",
}

PLAY = _SHARED | {
    "hosts",
    "gather_facts",
    "vars_files",
    "pre_tasks",
    "tasks",
    "post_tasks",
    "handlers",
    "force_handlers",
    "check_mode",
    "diff",
    "no_log",
    "ignore_errors",
    "timeout",
    "roles",
    "run_once",
}
IMPORT_PLAYBOOK = frozenset(
    {"import_playbook", "ansible.builtin.import_playbook", "name", "vars", "tags", "when"}
)
# Of a role in roles: and dependencies:; any other word is a variable of the role.
ROLE = _INHERITED | {"role", "name"}
ROLE_META = frozenset({"dependencies", "allow_duplicates", "galaxy_info", "argument_specs", "collections"})
BLOCK = _INHERITED | {"block", "rescue", "always"}
TASK = _INHERITED | {
    "args",
    "loop",
    "with_items",
    "with_list",
    "loop_control",
    "register",
    "notify",
    "changed_when",
    "failed_when",
    "until",
    "retries",
    "delay",
}
HANDLER = TASK | {"listen"}
# An import passes its words on to what it imports. An include is a task of its own and passes none on.
IMPORT = _INHERITED | {"args", "name"}
INCLUDE = frozenset(
    {
        "args",
        "ignore_errors",
        "loop",
        "loop_control",
        "name",
        "no_log",
        "register",
        "run_once",
        "tags",
        "timeout",
        "vars",
        "when",
        "with_items",
        "with_list",
    }
)

# Ansible's words that this engine does not carry out. A playbook that uses one is valid, only not here.
NOT_COVERED = frozenset(
    {
        "any_errors_fatal",
        "async",
        "become_exe",
        "become_flags",
        "collections",
        "connection",
        "debugger",
        "delegate_facts",
        "fact_path",
        "gather_subset",
        "gather_timeout",
        "ignore_unreachable",
        "local_action",
        "max_fail_percentage",
        "module_defaults",
        "order",
        "poll",
        "port",
        "remote_user",
        "serial",
        "strategy",
        "throttle",
        "vars_prompt",
        "with_dict",
        "with_file",
        "with_fileglob",
        "with_first_found",
        "with_flattened",
        "with_indexed_items",
        "with_inventory_hostnames",
        "with_lines",
        "with_nested",
        "with_password",
        "with_random_choice",
        "with_sequence",
        "with_subelements",
        "with_together",
    }
)

# Modules of Ansible that this engine does not carry out: named so that nobody hunts for a typing error.
MODULES_NOT_COVERED = frozenset(
    {
        "acl",
        "add_host",
        "alternatives",
        "apt_key",
        "apt_repository",
        "archive",
        "assemble",
        "async_status",
        "at",
        "cron",
        "deb822_repository",
        "debconf",
        "dnf",
        "docker_container",
        "dpkg_selections",
        "expect",
        "filesystem",
        "find",
        "firewalld",
        "gather_facts",
        "gem",
        "getent",
        "git",
        "group_by",
        "htpasswd",
        "ini_file",
        "iptables",
        "known_hosts",
        "locale_gen",
        "lvol",
        "make",
        "modprobe",
        "mysql_db",
        "npm",
        "openssl_privatekey",
        "package_facts",
        "pam_limits",
        "parted",
        "pip",
        "postgresql_db",
        "selinux",
        "service_facts",
        "set_stats",
        "snap",
        "subversion",
        "synchronize",
        "tempfile",
        "timezone",
        "unarchive",
        "validate_argument_spec",
        "xml",
        "yum",
    }
)

ENGINE_HINT = (
    "it is Ansible's, and labctl's own engine does not carry it out: `labctl setup --engine ansible` runs "
    "the same playbook and inventory through ansible-core (pip install 'labctl[ansible]')"
)


def check_words(mapping: Map, known: Iterable[str], what: str) -> None:
    """Every key of ``mapping`` must be one of ``known``."""
    words = set(known)
    for key in mapping:
        if key not in words:
            raise unknown_word(key, words, what, mapping.key_at(key))


def unknown_word(word: Any, known: Iterable[str], what: str, place: Place) -> PlaybookError:
    """The error for a word that stands where one of ``known`` should."""
    if word in NOT_COVERED:
        return PlaybookError(f"{word!r} is not covered", hint=ENGINE_HINT, place=place)
    near = nearest(str(word), known)
    hint = f"did you mean {near!r}?" if near else f"{what} may hold: {', '.join(sorted(known))}"
    return PlaybookError(f"{word!r} is not a word that {what} may hold", hint=hint, place=place)
