"""Templates, their parameters, and the plans that come of them: no I/O, no clock, no client."""
