"""labctl: prepare, check and grade students' Linux VMs over SSH."""

__version__ = "0.1.0"
