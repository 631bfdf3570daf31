"""Filters on paths and URLs, and tests of what is on the controller's disk."""

from __future__ import annotations

import glob
import ntpath
import os.path
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse, urlsplit

from labctl.playbook.filters.common import FilterArgumentError, is_list, shown

_URL_PARTS = ("fragment", "hostname", "netloc", "password", "path", "port", "query", "scheme", "username")


def path_join(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not is_list(value):
        raise FilterArgumentError(f"path_join takes a list of parts, not {value!r}")
    return str(os.path.join(*value))  # noqa: PTH118 (of text, as Ansible's)


def commonpath(value: Any) -> str:
    if not is_list(value):
        raise FilterArgumentError(f"commonpath takes a list of paths, not {value!r}")
    return str(os.path.commonpath(value))


def urlsplit_filter(value: str, query: str = "", alias: str = "urlsplit") -> Any:
    """A URL's parts as a mapping, or the one that ``query`` names."""
    if not isinstance(value, str):
        raise FilterArgumentError(f"{alias}: an address is text, not {shown(value)}")
    parts = urlsplit(value)
    found = {name: getattr(parts, name) for name in _URL_PARTS}
    if not query:
        return found
    if query not in found:
        raise FilterArgumentError(f"{alias}: a URL has no {query!r}: {', '.join(_URL_PARTS)}")
    return found[query]


def is_uri(value: Any, schemes: Any = None) -> bool:
    try:
        scheme = urlparse(value).scheme
        return not schemes or scheme in schemes
    except (ValueError, TypeError, AttributeError):
        return False


def is_url(value: Any, schemes: Any = None) -> bool:
    if not is_uri(value, schemes):
        return False
    parts = urlparse(value)
    return bool(parts.netloc or parts.scheme == "file")


FILTERS: dict[str, Callable[..., Any]] = {
    "basename": os.path.basename,
    "commonpath": commonpath,
    "dirname": os.path.dirname,
    "expanduser": os.path.expanduser,
    "expandvars": os.path.expandvars,
    "fileglob": lambda pattern: [path for path in glob.glob(pattern) if os.path.isfile(path)],  # noqa: PTH113, PTH207
    "normpath": os.path.normpath,
    "path_join": path_join,
    "realpath": os.path.realpath,
    "relpath": os.path.relpath,
    "splitext": os.path.splitext,
    "urlsplit": urlsplit_filter,
    "win_basename": ntpath.basename,
    "win_dirname": ntpath.dirname,
}

_EXISTING: dict[str, Callable[..., Any]] = {
    "abs": os.path.isabs,
    "directory": os.path.isdir,
    "exists": os.path.exists,
    "file": os.path.isfile,
    "link": os.path.islink,
    "link_exists": os.path.lexists,
    "mount": os.path.ismount,
    "same_file": os.path.samefile,
}
TESTS: dict[str, Callable[..., Any]] = {
    **_EXISTING,
    **{f"is_{name}": _EXISTING[name] for name in ("abs", "file", "link", "mount", "same_file")},
    "is_dir": os.path.isdir,
    "uri": is_uri,
    "url": is_url,
    "urn": lambda value: is_uri(value, ["urn"]),
}
