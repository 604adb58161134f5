"""What the services that keep something in PostgreSQL have in common."""
