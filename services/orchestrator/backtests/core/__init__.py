"""Decides about backtests and studies: no I/O, no clock, no client."""
