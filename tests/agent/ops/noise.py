"""Prints, and so do its programs."""

import os
import sys


def run(args, ctx):
    print("hello")
    sys.stdout.flush()
    os.system("echo noise; echo noise >&2")
    return {"noisy": True}
