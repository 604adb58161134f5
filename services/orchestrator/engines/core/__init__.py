"""Decides about engines: no I/O, no clock, no client."""
