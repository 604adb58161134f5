"""What the gateway decides without touching a socket: views, figures, keys, verdicts, what a slow client is still owed."""
