"""Fails as no op should."""


def run(args, ctx):
    return {"x": 1 / 0}
