"""What an engine does about venues: instruments, and whether both sides agree on orders and positions."""
