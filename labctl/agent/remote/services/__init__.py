"""Ops of the crash experiment: how processes run, and the undo that puts them back.

The experiment's ops are ``arm``, ``capture``, ``renew``, ``hold``, ``came_back`` and ``restore``; ``settled``
waits until it may begin. ``deliver`` is an op that has nothing to do with it: it hands a student a file.

``processes`` writes down how workers run, and ``revive`` starts them again the same way; ``cgroups``,
``streams``, ``panes``, ``wrappers``, ``supervision`` and ``unchanged`` know a part of that each. ``guard`` is
the watcher on the VM that revives them when the grader cannot, ``presence`` how others know of it.
"""
