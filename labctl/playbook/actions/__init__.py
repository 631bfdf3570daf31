"""Modules, or parts of them, that are done on the controller."""
