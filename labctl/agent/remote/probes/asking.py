"""Asking a program of the VM, so that its not answering is never taken for an answer."""

from __future__ import annotations

from ..command import CAP, Finished, run_command
from ..outcome import Context, Failed

#: Where Debian's packages put programs. /usr/local, which is searched first otherwise, is the VM's owner's.
PACKAGED = "/usr/sbin:/usr/bin:/sbin:/bin"


def ask(argv: list[str], ctx: Context, cap: int = CAP) -> Finished:
    """Run ``argv`` within the op's time. A program that is not there is an answer (``missing``).

    One that was cut off, was killed (no memory left) or could not be started is none: raises Failed.
    """
    done = run_command(argv, timeout=ctx.remaining(), cap=cap, env={"PATH": PACKAGED})
    if done.timed_out:
        raise Failed("%s did not end in its time" % argv[0])
    if done.rc < 0 or (done.rc == 126 and not done.missing):
        raise Failed("%s could not be run: %s" % (argv[0], done.err.strip()[:200] or "signal %d" % -done.rc))
    return done
