"""Packages: people's own strategies, uploaded, checked and kept by their digest."""
