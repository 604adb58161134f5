"""What the orchestrator's ports are made of: PostgreSQL and plain files."""
