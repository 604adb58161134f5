"""Brings market data into a NautilusTrader Parquet catalog, whole or not at all, and says what a catalog holds."""
