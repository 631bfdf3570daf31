"""Playbook modules, one file each: ``run(args, ctx)`` gives the result document that Ansible gives.

Arguments come checked and complete from the controller's table of modules. Each module is
idempotent, tells in check mode what it would do, and gives before and after when asked for a diff.
A process costs a slow VM 50 to 100 ms, so files are read before programs are started.
"""
