"""What runs on the VM: standard library only, Python 3.8 and later, nothing written to disk.

The controller sends these files' sources over the SSH channel; on the VM the package is called
``labctl_agent`` and its modules are compiled when an op first needs them. Nothing here may import
anything else of labctl.
"""
