"""Checks of plans, in a process of their own."""
