"""What runs on the VM: standard library only, Python 3.8 and later, nothing written to disk.

The controller sends these modules over the SSH channel when they are needed, compiled or as source; on the VM
the package is called ``labctl_agent``. Nothing here may import anything else of labctl.
"""
