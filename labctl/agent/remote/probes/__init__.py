"""What the agent can look at on a VM: one file for one probe, each with ``run(args, ctx) -> dict``.

A probe reports what is there, also when nothing is there; it never decides whether that is good.
"""
