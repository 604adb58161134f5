"""What may be said on the bus: one row per subject, and the typed payload of each. Imports msgspec and the standard library only."""
