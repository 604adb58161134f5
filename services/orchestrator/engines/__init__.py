"""What should run, and what runs: commands, reconciling, leases, alerts, the record of engines."""
