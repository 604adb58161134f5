"""The statements of the record, one per file."""
