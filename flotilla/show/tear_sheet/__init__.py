"""Tear sheets of backtests and studies: one HTML file each that loads nothing, made from what is on record."""
