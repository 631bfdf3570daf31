"""Graders of the bundled course: one package per lab."""
