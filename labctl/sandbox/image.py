"""The VMs' common disk, kernel and first boot stage: built once per recipe, kept in the user's cache.

One image of each release is kept, and only that is built which somebody asks for.

Built beside its final place and renamed into it, so a directory with the right name is a whole image.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import SandboxError
from labctl.sandbox import paths, sources
from labctl.sandbox.progress import Reporter, Steps, silent
from labctl.sandbox.releases import DEFAULT, Release

GUEST = Path(__file__).parent / "guest"
PARTS = ("customize.sh", "init", "prepare.py")
UPLOADED = ("init", "prepare.py")
SOURCES = "build.sources"
VERSION = "1"
# The file system; the file is sparse and takes what is used, about 350 MB
DISK_SIZE = "3G"

# python3-apt: without it Ansible's apt module would first install it
INSTALLED = """
systemd systemd-sysv udev dbus kmod openssh-server sudo ufw python3 python3-apt iproute2 iptables netbase
iputils-ping ca-certificates less procps nano tmux bind9-dnsutils
"""
# Not installed, but ready in apt's cache with all they depend on: what the labs install
CACHED = "nfs-common nfs-kernel-server bind9 bind9-utils dnsutils haproxy python3-tornado curl dnsmasq"
# Documentation and translations: a third of the files, and writing files is what an emulated dpkg does slowly
EXCLUDED = ("doc", "man", "info", "locale", "lintian")

# mmdebstrap's (I:) and customize.sh's (labctl:) own words -> what to tell the user; in this order
_STAGES = (
    ("I: running apt-get update", "reading package lists"),
    ("I: downloading packages", "downloading {label}"),
    ("I: extracting archives", "unpacking {label}"),
    ("I: installing essential packages", "installing the base system"),
    ("I: installing remaining packages", "installing systemd, SSH, Python, ufw"),
    ("labctl: fetching", "fetching the kernel and the labs' packages"),
    ("labctl: installing the kernel", "installing the kernel's modules"),
    ("labctl: making the first", "making the first boot stage"),
    ("labctl: setting", "setting the machine up"),
    ("labctl: writing", "writing the disk"),
)
# An ordinary user's build has namespaces of its own. Root's gets them here: what it mounts ends with it, and
# it ends with labctl, however that ends.
_ALONE = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_FIRST_FD = 50
_TAIL = 15


@dataclass(frozen=True)
class Image:
    """Three files of one build; ``digest`` names the recipe they were made from."""

    digest: str
    disk: Path
    kernel: Path
    initrd: Path


def digest(release: Release = DEFAULT) -> str:
    """Twelve hex digits that change when anything the image is made from changes."""
    recipe = hashlib.sha256()
    own = (release.guest_sources, release.kernel, _kernel_files(release))
    for text in (VERSION, release.name, *own, DISK_SIZE, INSTALLED, CACHED, *EXCLUDED):
        recipe.update(text.encode() + b"\0")
    for part in PARTS:
        recipe.update((GUEST / part).read_bytes() + b"\0")
    return recipe.hexdigest()[:12]


def _kernel_files(release: Release) -> str:
    return "\n".join(" ".join(words) for words in release.kernel_files)


def directory_name(release: Release, recipe: str) -> str:
    """An image's directory in the cache, after its release and what :func:`digest` gives for it.

    Those of Debian bear no release's name: they were there before there was a choice.
    """
    return f"image-{recipe}" if release == DEFAULT else f"image-{release.name}-{recipe}"


def find(cache: Path, release: Release = DEFAULT) -> Image | None:
    """The finished image of this recipe, if it is there."""
    name = digest(release)
    directory = cache / directory_name(release, name)
    image = Image(name, directory / "disk.img", directory / "vmlinuz", directory / "initrd")
    return image if directory.is_dir() and image.disk.is_file() else None


def ensure(report: Reporter = silent, release: Release = DEFAULT) -> Image:
    """The image, built first if need be. SandboxError with the end of the build's log if it cannot be."""
    cache = paths.cache_dir()
    image = find(cache, release)
    if image is not None:
        return image
    cache.mkdir(parents=True, exist_ok=True)
    with _building(cache, report):
        # somebody else may have built it while we waited
        return find(cache, release) or _build(cache, release, report)


@contextlib.contextmanager
def _building(cache: Path, report: Reporter) -> Iterator[None]:
    """Only one build at a time on this cache."""
    with (cache / "image.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            Steps("image", 1, report).note("another labctl is building the image; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def command(directory: Path, release: Release, *, root: bool) -> list[str]:
    """mmdebstrap's argv; the results go where the environment of ``_build`` says."""
    program = shutil.which("mmdebstrap")
    if program is None:
        raise SandboxError(
            "mmdebstrap is missing", hint="labctl doctor says what else is; apt-get install mmdebstrap"
        )
    argv = [
        *(_ALONE if root else ()),
        program,
        "--variant=apt",
        f"--mode={'root' if root else 'unshare'}",
        "--format=null",
        "--skip=cleanup",
    ]
    argv += [
        f"--aptopt={option}" for option in ('Acquire::Languages "none"', 'APT::Install-Recommends "false"')
    ]
    argv += [f"--aptopt={option}" for option in sources.apt_options()]
    argv += [
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in EXCLUDED),
    ]
    argv += [f"--include={','.join(INSTALLED.split())}"]
    # As an installer lays these out: packages of Ubuntu 22.04 work either way, and leave it as they find it
    merged = 'for d in bin sbin lib lib32 lib64 libx32; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done'
    argv += [f"--setup-hook={merged}", '--customize-hook=mkdir -p "$1/usr/share/labctl"']
    # "upload" reads as the caller: the root of a user namespace may not search the caller's home
    argv += [f"--customize-hook=upload {directory / name} /usr/share/labctl/{name}" for name in UPLOADED]
    argv += [f"--customize-hook={(GUEST / 'customize.sh').read_text(encoding='utf-8')}"]
    return [*argv, release.name, "/dev/null", str(directory / SOURCES)]


def _build(cache: Path, release: Release, report: Reporter) -> Image:
    name = directory_name(release, digest(release))
    for stale in cache.glob("image-*.part"):
        _remove(stale)
    part = cache / f"{name}.part"
    part.mkdir()
    steps = Steps("image", len(_STAGES) + 1, report)
    try:
        (part / SOURCES).write_text(sources.stanzas(release), encoding="ascii")
        for file in UPLOADED:
            # mmdebstrap splits its special hooks at blanks: no path of ours may have one in it
            shutil.copyfile(GUEST / file, part / file)
        _mmdebstrap(part, release, steps)
    except BaseException:
        _remove(part)
        raise
    for file in (*UPLOADED, SOURCES):
        (part / file).unlink()
    part.replace(cache / name)
    # The release's images of other recipes. A VM that still runs on one keeps its open file.
    for other in cache.glob(directory_name(release, "[0-9a-f]" * 12)):
        if other.is_dir() and other.name != name:
            _remove(other)
    steps.step("done")
    image = find(cache, release)
    if image is None:
        raise SandboxError(
            f"the image vanished from {cache} as soon as it was made",
            hint="something else removed it: labctl sandbox up makes it anew",
        )
    return image


def _mmdebstrap(part: Path, release: Release, steps: Steps) -> None:
    """Run the build; its output goes to the log and, as far as it names a stage, to ``steps``."""
    root = os.geteuid() == 0
    environment = {
        **os.environ,
        # mkfs, depmod and chroot are not on an ordinary user's PATH
        "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "LABCTL_SIZE": DISK_SIZE,
        "LABCTL_DEBS": CACHED,
        "LABCTL_KERNEL_PACKAGE": release.kernel,
        "LABCTL_KERNEL_FILES": _kernel_files(release),
        "LABCTL_SOURCES": release.guest_sources,
    }
    if root:
        # a build that was killed leaves its files where the next one looks for leftovers
        environment["TMPDIR"] = str(part)
    log: list[str] = []
    with contextlib.ExitStack() as stack:
        handles = []
        for number, (variable, file) in enumerate(
            (("LABCTL_DISK", "disk.img"), ("LABCTL_KERNEL", "vmlinuz"), ("LABCTL_INITRD", "initrd"))
        ):
            opened = stack.enter_context((part / file).open("wb"))
            # open to all for the namespace's root, who is nobody outside, until the build is over
            os.fchmod(opened.fileno(), 0o666)
            # well above 9: mmdebstrap has dash write to descriptors of its own, and dash knows one digit only
            handle = fcntl.fcntl(opened.fileno(), fcntl.F_DUPFD, _FIRST_FD + number)
            stack.callback(os.close, handle)
            handles.append(handle)
            environment[variable] = f"/proc/self/fd/{handle}"
        build = stack.enter_context(
            subprocess.Popen(
                command(part, release, root=root),
                env=environment,
                # the namespace's root may not enter the caller's home, and find insists on coming back
                cwd="/",
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        )
        try:
            for line in build.stdout or ():
                log.append(line.rstrip())
                for words, meaning in _STAGES:
                    if line.startswith(words):
                        steps.step(meaning.format(label=release.label))
            status = build.wait()
        except BaseException:
            _interrupt(build)
            raise
        for handle in handles:
            os.fchmod(handle, 0o644)
    (part / "build.log").write_text("\n".join(log) + "\n", encoding="utf-8")
    if status != 0:
        raise SandboxError(
            f"the VM image of {release.label} could not be built:\n  " + "\n  ".join(_telling(log)),
            hint="labctl doctor says what this machine lacks; the build takes its packages from "
            + " and ".join(dict.fromkeys(sources.mirrors(release).values())),
        )


def _telling(log: list[str]) -> list[str]:
    """The last lines of a failed build that say something: mmdebstrap quotes a failed hook in full."""
    quoted = set((GUEST / "customize.sh").read_text(encoding="utf-8").splitlines())
    return [line for line in log if line.strip() and line not in quoted][-_TAIL:]


def _interrupt(build: subprocess.Popen[str]) -> None:
    """Stop a build so that it can take its mounts and files away; at once if it will not."""
    with contextlib.suppress(ProcessLookupError):
        # the whole session: unshare waits for what it started and does not hear the signal
        os.killpg(build.pid, signal.SIGTERM)
        try:
            build.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(build.pid, signal.SIGKILL)
            build.wait(10)


def _remove(directory: Path) -> None:
    """Delete what a build left; its mounts ended with the build's own namespace."""
    shutil.rmtree(directory, ignore_errors=True)
