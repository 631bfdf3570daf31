"""Hosts, groups and variables, as Ansible writes them."""

from labctl.inventory.load import load_inventory
from labctl.inventory.model import Group, Host, Inventory, local_host

__all__ = ["Group", "Host", "Inventory", "load_inventory", "local_host"]
