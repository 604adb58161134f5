"""PostgreSQL, Apprise and the heartbeat address."""
