"""Where the image's build gets packages from: this machine's own mirrors and apt settings serve it too."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from labctl.sandbox.releases import Release

APT = Path("/etc/apt")
# settings that decide whether a mirror is reached at all; all others are this machine's own business
_PASSED = re.compile(r"Acquire::(?:(?:https?|ftp)::|Check-Valid-Until|Check-Date|Retries|ForceIPv)")


def mirrors(release: Release, directory: Path = APT) -> dict[str, str]:
    """Suite -> URI for the release, its updates and its security updates.

    The host's own mirrors if it gets the same suite from them, else the release's archive. Only where they
    are is taken over: signatures are checked all the same.
    """
    found = dict(reversed([*_one_line(directory), *_deb822(directory)]))
    if release.name in found:
        found.setdefault(f"{release.name}-updates", found[release.name])
    return {suite: found.get(suite, uri) for suite, uri in release.archives.items()}


def stanzas(release: Release, directory: Path = APT) -> str:
    """:func:`mirrors` as a .sources file of apt's.

    The key is in it, not its path: while an ordinary user builds, root of the user namespace may not search
    that user's home.
    """
    fields = ["Types: deb", "URIs: {uri}", "Suites: {suite}", f"Components: {' '.join(release.components)}"]
    if release.key is not None:
        key = release.key.read_text(encoding="ascii").splitlines()
        fields += ["Signed-By:", *(f" {line or '.'}" for line in key)]
    stanza = "\n".join(fields) + "\n"
    found = mirrors(release, directory)
    return "\n".join(stanza.format(suite=suite, uri=uri) for suite, uri in found.items())


def _files(directory: Path, suffix: str) -> list[Path]:
    extra = sorted((directory / "sources.list.d").glob(f"*{suffix}"))
    return [path for path in [directory / "sources.list", *extra] if path.suffix == suffix and path.is_file()]


def _one_line(directory: Path) -> list[tuple[str, str]]:
    """(suite, URI) of every ``deb [options] URI suite components`` line that has main."""
    pairs = []
    for path in _files(directory, ".list"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(http\S+)\s+(\S+)\s+([^#]*)", line)
            if match and "main" in match[3].split():
                pairs.append((match[2], match[1].rstrip("/")))
    return pairs


def _deb822(directory: Path) -> list[tuple[str, str]]:
    """(suite, URI) of every stanza of a ``.sources`` file that is enabled and has main."""
    pairs = []
    for path in _files(directory, ".sources"):
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)
        for stanza in re.split(r"\n\s*\n", text):
            fields = {
                key.lower(): value.split()
                for key, value in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE)
            }
            enabled = fields.get("enabled", ["yes"]) != ["no"]
            if enabled and "deb" in fields.get("types", []) and "main" in fields.get("components", []):
                uris = [uri.rstrip("/") for uri in fields.get("uris", []) if uri.startswith("http")]
                pairs += [(suite, uris[0]) for suite in fields.get("suites", []) if uris]
    return pairs


def apt_options() -> list[str]:
    """This machine's proxies, certificates and time-outs, as lines for an apt.conf."""
    program = shutil.which("apt-config")
    if program is None:
        return []
    done = subprocess.run(
        [program, "dump"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        errors="replace",
    )
    lines = (line.strip().rstrip(";") for line in done.stdout.splitlines())
    return [line for line in lines if _PASSED.match(line) and not line.endswith('""')]
