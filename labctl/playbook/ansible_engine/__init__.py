"""``--engine ansible``: the same playbooks, inventory and options through ansible-core, by ansible-runner.

The optional extra ``labctl[ansible]`` installs both. :class:`AnsibleRun` has the face of
:class:`labctl.playbook.engine.Run`: ``execute``, ``result``, ``cancel``. Nothing of Ansible is imported
before it runs, and Ansible itself runs in a process of its own.
"""

from labctl.playbook.ansible_engine.run import AnsibleRun

__all__ = ["AnsibleRun"]
