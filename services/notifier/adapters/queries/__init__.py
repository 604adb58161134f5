"""One SQL statement per file."""
