"""NautilusTrader's process: everything that touches a TradingNode."""
