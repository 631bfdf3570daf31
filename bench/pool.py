"""The floor of a run over many hosts: bare paramiko in threads, a script by one python3 on each.

python bench/pool.py INVENTORY FORKS SCRIPT
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import paramiko
import yaml


def observe(host: dict[str, Any], script: bytes, key: paramiko.PKey, known: paramiko.HostKeys) -> bytes:
    address = host["ansible_host"]
    with paramiko.SSHClient() as client:
        for kind, one in known[address].items():
            client.get_host_keys().add(address, kind, one)
        client.connect(
            address, username=host["ansible_user"], pkey=key, look_for_keys=False, allow_agent=False
        )
        stdin, stdout, stderr = client.exec_command("sudo python3 -")
        stdin.write(script)
        stdin.channel.shutdown_write()
        told = stdout.read()
        if stdout.channel.recv_exit_status() != 0:
            raise RuntimeError(stderr.read().decode())
        return bytes(told)


def main() -> None:
    document = yaml.safe_load(Path(sys.argv[1]).read_text())["all"]
    key = paramiko.PKey.from_path(document["vars"]["ansible_ssh_private_key_file"])
    known = paramiko.HostKeys(document["vars"]["labctl_known_hosts"])
    script = Path(sys.argv[3]).read_bytes()
    hosts = document["children"]["students"]["hosts"].values()
    with ThreadPoolExecutor(int(sys.argv[2])) as threads:
        for told in threads.map(lambda host: observe(host, script, key, known), hosts):
            print(len(told))


if __name__ == "__main__":
    main()
