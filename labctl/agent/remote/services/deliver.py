"""A file for a student, put into their home as that student: what they may not write, this may not either."""

from __future__ import annotations

import os
import pwd
import secrets
from typing import Any

from ..child import become
from ..files import naming
from ..outcome import Context, Failed


def run(args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``user``, ``name`` (of a file in the home) and ``text`` in; ``path`` out.

    For a forked child (``isolated``): it becomes the user.
    """
    user, name = str(args["user"]), str(args["name"])
    try:
        home = pwd.getpwnam(user).pw_dir
    except KeyError:
        raise Failed("there is no user %s on the VM" % user) from None
    become(user)
    path = os.path.join(home, name)
    temporary = os.path.join(home, ".%s.%s" % (name, secrets.token_hex(8)))
    with naming(path):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(str(args["text"]).encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    return {"path": path}
