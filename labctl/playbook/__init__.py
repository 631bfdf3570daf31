"""Playbooks in Ansible's YAML: load, plan into batches, run.

The public face::

    playbook = load_playbook(path, options)     # PlaybookError with file:line:column, nothing connected
    run = run_playbook(playbook, inventory, hosts, options)   # RunResult, one HostRun per VM
    run.document()                              # the JSON of `labctl setup --json`

``labctl.playbook.plan`` says how a playbook becomes batches.
"""

from labctl.playbook.engine import RunOptions, run_playbook
from labctl.playbook.load import load_playbook
from labctl.playbook.model import Playbook
from labctl.playbook.result import HostRun, RunResult, TaskResult

__all__ = [
    "HostRun",
    "Playbook",
    "RunOptions",
    "RunResult",
    "TaskResult",
    "load_playbook",
    "run_playbook",
]
