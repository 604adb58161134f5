"""Decides what a session does next: no I/O, no clock, no client."""
