"""The one table of routes."""
