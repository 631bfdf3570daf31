"""The autograder's zip: scripts at its root, labctl itself, the lab's graders and what staff decided."""

from __future__ import annotations

import base64
import importlib.metadata
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from labctl.connect import login_keys
from labctl.errors import RequestError
from labctl.gradescope import live
from labctl.gradescope.deliver import student_user
from labctl.gradescope.settings import NAME, Settings
from labctl.gradescope.submission import address
from labctl.inventory import Host

_CONTAINER = Path(__file__).parent / "container"
_PACKAGE = Path(__file__).parent.parent
#: A zip of the same things is the same zip: the time that its files bear.
_WHEN = (2026, 1, 1, 0, 0, 0)
_KEY_HEAD = "-----BEGIN OPENSSH PRIVATE KEY-----"
#: Who logs in from the container: playbooks/gradescope.yml makes this user.
LIVE_USER = "labctl-gradescope"
#: What a grader needs to know of a VM. Nothing else of the inventory leaves the staff's machine.
_LIVE_VARIABLES = ("lab_user", "lab_fqdn", "lab_address", "nfs_server", "outside_ports", "campus_networks")


@dataclass(frozen=True)
class Access:
    """A live build's way to the VMs: a private key made for it alone, the VMs, and their host keys."""

    key: str
    hosts: tuple[Host, ...]
    known_hosts: str


def build(settings: Settings, graders: Path, access: Access | None = None) -> bytes:
    """The zip for a lab of the course with these ``graders``; with ``access``, a live one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("setup.sh", "run_autograder"):
            _put(archive, name, (_CONTAINER / name).read_bytes(), 0o755)
        _put(archive, NAME, settings.to_json().encode())
        _put(archive, "requirements.txt", "".join(f"{line}\n" for line in requirements()).encode())
        for name, path in _tree(_PACKAGE, without=("course",)):
            _put(archive, f"python/labctl/{name}", path.read_bytes())
        for name, path in _tree(graders / settings.lab):
            _put(archive, f"{live.COURSE}/graders/{settings.lab}/{name}", path.read_bytes())
        _put(archive, f"{live.COURSE}/labctl.toml", f'[grade]\nlab = "{settings.lab}"\n'.encode())
        if access:
            _put(archive, live.KEY, access.key.encode(), 0o600)
            _put(archive, live.KNOWN_HOSTS, access.known_hosts.encode())
            _put(archive, live.INVENTORY, json.dumps(_inventory(access.hosts), indent=1).encode())
    return out.getvalue()


def roster(hosts: Sequence[Host]) -> dict[str, dict[str, str]]:
    """Students' addresses with their VM and user. Raises :class:`RequestError` when there are none, or when
    two VMs have the same address.
    """
    found: dict[str, dict[str, str]] = {}
    for host in hosts:
        email = address(str(host.value("student_email") or ""))
        if not email:
            continue
        if email in found:
            raise RequestError(f"{email} belongs to two VMs: {found[email]['host']} and {host.name}")
        found[email] = {"host": host.name, "user": student_user(host)}
    if not found:
        raise RequestError(
            "the inventory says of no VM whose it is, and Gradescope knows students by their address",
            hint="name the class list in labctl.toml ([roster] file and host), or give hosts a student_email",
        )
    return found


def access_with(key: Path, hosts: Sequence[Host], inventory: Sequence[Host]) -> Access:
    """The way to ``hosts`` with a private key. Raises :class:`RequestError` for a key that is none, has a
    passphrase, or that logs in to any host of the ``inventory``.
    """
    hint = "ssh-keygen -t ed25519 -N '' -f gradescope makes a key for this alone"
    try:
        text = key.read_text(encoding="ascii")
        files = dict.fromkeys(host.known_hosts or Path.home() / ".ssh/known_hosts" for host in hosts)
        known = "".join(path.read_text(encoding="utf-8") for path in files)
    except (OSError, ValueError) as err:
        raise RequestError(f"cannot use {key}: {err}", hint=hint) from err
    if not text.startswith(_KEY_HEAD):
        raise RequestError(f"{key} is no OpenSSH private key", hint=hint)
    public = _public(key, text, hint)
    for host in inventory:
        if public in login_keys(host):
            raise RequestError(
                f"{key} is the staff's own key, which opens {host.name}: it must not be in Gradescope",
                hint=hint,
            )
    return Access(text, tuple(hosts), known)


def _public(key: Path, text: str, hint: str) -> bytes:
    """The public half of a private key that opens without a passphrase. Raises :class:`RequestError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    try:
        public = load_ssh_private_key(text.encode(), password=None).public_key()
    except TypeError as err:
        raise RequestError(
            f"{key} has a passphrase, and nobody types it in Gradescope's container", hint=hint
        ) from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise RequestError(f"cannot use {key}: {err}", hint=hint) from err
    return base64.b64decode(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])


def requirements() -> list[str]:
    """What labctl needs to run, as it is installed here: ``name==version``, sorted."""
    found: dict[str, str] = {}
    waiting = _needed(_own_dependencies())
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or an older Python
        found[name] = distribution.version
        waiting += _needed(distribution.requires or ())
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _own_dependencies() -> Sequence[str]:
    """Of a checkout as pyproject.toml has them now: what was noted when it was installed may be older."""
    project = _PACKAGE.parent / "pyproject.toml"
    if project.is_file():
        found: Sequence[str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
        return found
    return importlib.metadata.requires("labctl") or ()


def _needed(lines: Sequence[str]) -> list[str]:
    """The packages that requirements name, without those of extras."""
    named = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if "extra ==" not in line)
    return [match[0] for match in named if match]


def _inventory(hosts: Sequence[Host]) -> dict[str, Any]:
    source = f"/autograder/source/{live.KEY}"
    rows: dict[str, Mapping[str, Any]] = {}
    for host in hosts:
        values = {name: value for name in _LIVE_VARIABLES if (value := host.value(name)) is not None}
        rows[host.name] = {
            **values,
            "lab_user": student_user(host),
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_user": LIVE_USER,
        }
    return {
        "all": {
            "vars": {
                "ansible_ssh_private_key_file": source,
                "labctl_known_hosts": f"/autograder/source/{live.KNOWN_HOSTS}",
            },
            "children": {"students": {"hosts": rows}},
        }
    }


def _tree(root: Path, without: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """The files under a directory by their path in it, sorted, without caches."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and "__pycache__" not in relative.parts and relative.parts[0] not in without:
            yield relative.as_posix(), path


def _put(archive: zipfile.ZipFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o100000 | mode) << 16
    archive.writestr(info, data)
