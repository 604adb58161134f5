"""Lives in each engine container: forks the NautilusTrader process, watches it, and speaks for it on the bus."""
