"""What the gateway keeps in memory from the bus."""
