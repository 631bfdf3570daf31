"""Sleeps, itself or through a program; `deaf` ignores the polite signal."""

import signal
import time

from ..command import run_command


def run(args, ctx):
    if args.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if args.get("program"):
        code = f"exec -a labctl-sleeper sleep {args['seconds']}"
        run_command(["bash", "-c", code], timeout=args["seconds"])
    else:
        time.sleep(args["seconds"])
    return {}
