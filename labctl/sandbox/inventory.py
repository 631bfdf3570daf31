"""The sandbox as an Ansible inventory, the file that ``setup`` and ``grade`` read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labctl.files import write_whole
from labctl.sandbox import network
from labctl.sandbox.ssh import KEY, KNOWN_HOSTS
from labctl.sandbox.state import INVENTORY, State, Vm


def host_vars(vm: Vm) -> dict[str, Any]:
    values: dict[str, Any] = {
        "ansible_host": vm.address,
        "ansible_port": vm.ports[network.SSH],
        "ansible_user": vm.name,
        "lab_user": vm.name,
        "lab_fqdn": network.fqdn(vm.name),
        "lab_address": network.lan_address(vm.name),
    }
    moved = network.shifted(vm.ports)
    if moved:
        values["outside_ports"] = moved
    return values


def document(directory: Path, state: State) -> dict[str, Any]:
    """The inventory as plain data: ``all`` with its variables, groups ``staff`` and ``students``."""
    known_hosts = directory / KNOWN_HOSTS
    hosts = {
        name: host_vars(vm) for name, vm in sorted(state.vms.items(), key=lambda i: network.number(i[0]))
    }
    students = {name: values for name, values in hosts.items() if name != network.STAFF}
    staff = {name: values for name, values in hosts.items() if name == network.STAFF}
    return {
        "all": {
            "vars": {
                "ansible_ssh_private_key_file": str(directory / KEY),
                "labctl_known_hosts": str(known_hosts),
                "ansible_ssh_common_args": (
                    f"-o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
                ),
                "lab_domain": network.DOMAIN,
                "nfs_server": network.fqdn(network.STAFF),
                "campus_networks": [network.LAN_NETWORK],
            },
            "children": {
                "staff": {"hosts": staff, "vars": {"lab_secret": state.secret}},
                "students": {"hosts": students},
            },
        }
    }


def write(directory: Path, state: State) -> Path:
    """Write the file, replacing it in one step; returns its path."""
    import yaml

    path = directory / INVENTORY
    text = yaml.safe_dump(document(directory, state), sort_keys=False, default_flow_style=False, width=200)
    write_whole(path, f"# written by labctl sandbox up for sandbox {state.name!r}; gone after down\n{text}")
    return path
