"""Backtests and studies: recorded, queued, claimed by workers, and their results kept whole."""
