"""How things are said: the only package that knows NATS."""
