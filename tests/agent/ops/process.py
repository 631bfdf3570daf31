"""Which process it is, after some time."""

import os
import time


def run(args, ctx):
    time.sleep(args.get("seconds", 0))
    return {"pid": os.getpid(), "parent": os.getppid()}
