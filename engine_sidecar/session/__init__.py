"""The sidecar's half: the state machine of a session, its commands, its place on the bus."""
