"""Who it runs as."""

import os


def run(args, ctx):
    return {"uid": os.getuid(), "groups": os.getgroups(), "home": os.environ["HOME"]}
