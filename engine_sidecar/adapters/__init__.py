"""What touches the world: processes, pipes, counters, the bus; and NautilusTrader, in the engine's process only."""
