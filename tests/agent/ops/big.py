"""Returns more than may travel."""


def run(args, ctx):
    return {"x": "a" * args["bytes"]}
