"""labctl in one file: at its first start it unpacks itself into the user's cache, later it runs from there.

It becomes the ``__main__.py`` of labctl.pyz, and also has to say something sensible to an old Python.
"""

import atexit
import json
import os
import shutil
import stat
import sys
import tempfile
import zipfile

ARCHIVE = os.path.dirname(os.path.abspath(__file__))
SITE = "site-packages"


def unpacked():
    """The directory with the packages. A finished one has its name from the archive's digest."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        name = "pyz-" + json.loads(archive.read("environment.json").decode())["digest"]
        try:
            return in_cache(archive, name)
        except OSError:  # no home, or none to write to
            home = tempfile.mkdtemp(prefix="labctl-")
            atexit.register(shutil.rmtree, home, ignore_errors=True)
            return unpack(archive, home)


def in_cache(archive, name):
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.path.join(user, "labctl")
    os.makedirs(cache, mode=0o700, exist_ok=True)
    finished = os.path.join(cache, name)
    if not os.path.isdir(finished):
        part = tempfile.mkdtemp(prefix=".pyz-", dir=cache)
        try:
            unpack(archive, part)
            os.rename(part, finished)
        except OSError:
            if not os.path.isdir(finished):  # else another labctl was quicker
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    found = os.lstat(finished)
    # with sudo's -E this may be another user's home, and what is in there becomes root's program
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError("not ours alone")
    return os.path.join(finished, SITE)


def unpack(archive, home):
    wanted = [one for one in archive.namelist() if one.startswith(SITE + "/")]
    archive.extractall(home, wanted)
    return os.path.join(home, SITE)


def main():
    if sys.version_info < (3, 10):
        sys.exit("labctl needs Python 3.10 or later; this is %s" % sys.version.split()[0])
    try:
        site = unpacked()
    except OSError as err:
        sys.exit("labctl: no room to unpack in ~/.cache or /tmp: %s" % err)
    sys.path[0] = site
    from labctl.cli import main as run

    sys.exit(run(program="python3 " + os.path.basename(ARCHIVE)))


main()
