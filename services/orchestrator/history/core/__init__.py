"""Decides about history: no I/O, no clock."""
