"""Gives back what it is given."""


def run(args, ctx):
    return args
