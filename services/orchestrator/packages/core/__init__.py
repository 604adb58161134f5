"""What packages are called and what they offer: no I/O, no clock, no client."""
