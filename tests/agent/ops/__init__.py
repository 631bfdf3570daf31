"""Ops that agents of the tests have besides their own."""
