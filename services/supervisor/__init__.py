"""Owns the container runtime of one host; nothing else starts, stops or removes an engine's container there."""
