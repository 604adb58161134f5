"""What is decided about backtests and studies: plans, claims, results, parameters. Pure."""
