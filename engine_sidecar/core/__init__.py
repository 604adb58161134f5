"""What the sidecar decides: pure functions and small counters. No I/O, no clock, no client."""
