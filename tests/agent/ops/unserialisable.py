"""Returns what JSON cannot hold."""


def run(args, ctx):
    return {"x": object()}
