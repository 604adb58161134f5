"""Backtests: NautilusTrader's BacktestEngine over the data catalog, in a process of its own per trial."""
