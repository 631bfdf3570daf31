"""How long labctl setup takes: beside its peers and the floor, on one container.

    make bench

Each contender's whole process in turn, round after round; medians, and ratios round by round. The floor is
OpenSSH (for many hosts: bare paramiko in threads) running one Python script on the machine that looks at the
same things. Needs root; the peers live in a venv of their own.
"""

from __future__ import annotations

from report import measure
from scenarios import SCENARIOS, ready

DRAWN = ("no-op", "slow-link", "first-run", "fan-out")

if __name__ == "__main__":
    what = "bench/playbook.yml on one systemd-nspawn container"
    measure(__doc__, what, SCENARIOS, ready, "setup", DRAWN)
