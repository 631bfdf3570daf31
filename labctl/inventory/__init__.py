"""Hosts, groups and variables, as Ansible writes them."""

from labctl.inventory.load import load_inventory
from labctl.inventory.model import Group, Host, Inventory, local_host
from labctl.inventory.roster import RosterSettings
from labctl.inventory.vars_files import VarsDirectory

__all__ = ["Group", "Host", "Inventory", "RosterSettings", "VarsDirectory", "load_inventory", "local_host"]
