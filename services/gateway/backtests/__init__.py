"""The resources of backtests and studies: handlers, views and replies side by side."""
