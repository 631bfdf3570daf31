"""Ops of the crash experiment: how processes run, and the undo that puts them back.

``processes`` reads how workers run, ``revive`` starts them again the same way, ``guard`` is the watcher on
the VM that does so when the grader cannot, ``presence`` how others know of it. The other files are the ops.
"""
