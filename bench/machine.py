"""The machine that everything runs against: a container of the sandbox, under the names a scenario needs."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from labctl.sandbox import Sandbox

VM = "student1"
#: Where the nets begin whose every address reaches the one machine, for runs over many hosts. Their third
#: number is the sandbox's own, so that two of them do not meet.
MANY = tuple(f"10.{number}" for number in range(232, 240))
_IN_ONE_NET = 250
_SSHD = "MaxStartups 1000\\nLogLevel VERBOSE\\n"


class Machine:
    """A container ``student1``, and ``students`` in all; a context manager that leaves nothing behind."""

    def __init__(self, name: str, students: int = 1) -> None:
        self._students = students
        self.box = Sandbox.open(name)
        self._table = ""
        self._scratch = tempfile.TemporaryDirectory(prefix="bench-")
        self.scratch = Path(self._scratch.name)

    def __enter__(self) -> Machine:
        try:
            self.fresh()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.box.down()
        self._scratch.cleanup()
        if self._table:
            _nft(f"delete table ip {self._table}")

    def fresh(self) -> None:
        """As after its first boot, with the boot's own work done."""
        self.box.down()
        self.box.up(students=self._students, driver="nspawn")
        self.do("systemctl is-system-running --wait || true")

    def do(self, command: str) -> str:
        done = self.box.run(VM, command, timeout=120)
        if done.status != 0:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    @property
    def address(self) -> str:
        return self.box.vm(VM).address

    @property
    def pid(self) -> int:
        """Of a process in the container."""
        (status,) = (one for one in self.box.status().vms if one.name == VM)
        children = Path(f"/proc/{status.pid}/task/{status.pid}/children").read_text().split()
        return int(children[0])

    def open_wide(self) -> None:
        """Let many in at once, and tell of each in the journal."""
        self.do(
            f"printf '{_SSHD}' | sudo tee /etc/ssh/sshd_config.d/00-bench.conf; sudo systemctl restart ssh; "
            # what hundreds of logins and their requests leave there is more than the image has room for
            "printf '[Journal]\\nRuntimeMaxUse=512M\\n' | sudo tee /etc/systemd/journald.conf.d/room.conf; "
            "sudo systemctl restart systemd-journald"
        )

    def inventory(self, addresses: dict[str, str]) -> Path:
        """An inventory of the machine under other names and addresses, with its host key for each."""
        document: dict[str, Any] = yaml.safe_load(self.box.inventory_path.read_text())
        plays = document["all"]
        own = plays["children"]["students"]["hosts"][VM]
        hosts = {name: {**own, "ansible_host": address} for name, address in addresses.items()}
        known = Path(plays["vars"]["labctl_known_hosts"])
        key = next(line.split(" ", 1)[1] for line in known.read_text().splitlines() if self.address in line)
        folder = self.scratch / next(iter(addresses.values()))
        folder.mkdir(exist_ok=True)
        record = folder / "known_hosts"
        record.write_text("".join(f"{address} {key}\n" for address in addresses.values()))
        plays["children"] = {"students": {"hosts": hosts}}
        text = yaml.safe_dump(document).replace(str(known), str(record))
        path = folder / f"{len(addresses)}.yml"
        path.write_text(text)
        return path

    def many(self, count: int) -> Path:
        """An inventory of ``count`` hosts, each at an address of its own.

        This machine sends what is for them to the one there is. Were they addresses on its interfaces, BIND
        would listen at each, and each of a class of 200 would have thousands of sockets to tell of.
        """
        own = self.address.split(".")[2]
        places = [divmod(number, _IN_ONE_NET) for number in range(count)]
        addresses = [f"{MANY[net]}.{own}.{last + 1}" for net, last in places]
        nets = sorted({f"{address.rpartition('.')[0]}.0/24" for address in addresses})
        for net in nets:  # from this end of the bridge
            subprocess.run(["ip", "route", "replace", net, "via", self.address], check=True)
        self._table = f"labctl-bench-{own}"
        chain = "type nat hook output priority -100;"
        send = f"ip daddr {{ {', '.join(nets)} }} dnat to {self.address}"
        # a table that is named is there: so there is one to delete
        _nft(f"table ip {self._table}\ndelete table ip {self._table}")
        _nft(f"table ip {self._table} {{ chain output {{ {chain} {send}; }}; }}")
        return self.inventory({f"vm{at:04d}": address for at, address in enumerate(addresses, 1)})


def _nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
