"""Events, logs and telemetry that wait for the bus."""
